"""From text to a vocabulary: byte pairs, characters or words.

In: texts, in any order. Out: a `Tokenizer`, the same bytes for the same texts. Large corpora are sampled (`sample.py`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import AddedToken, decoders, models, trainers
from tokenizers.pre_tokenizers import ByteLevel

from hanmo.base.errors import DataError
from hanmo.base.progress import say
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.load import EOT, UNKNOWN, Tokenizer
from hanmo.tokenizer.patterns import pre_tokenizer
from hanmo.tokenizer.sample import sample
from hanmo.tokenizer.words import train_words

COUNT_GROUP = 64


def train_tokenizer(texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    """A tokenizer for these texts, with the count of every token in what it was trained on.

    Raises DataError when there is no text.
    """
    seen = sample(texts, config.max_training_memory_bytes)
    if not seen.bytes:
        raise DataError(
            "there is no text to train a tokenizer on: every document is empty"
            + (f", or tokenizer.max_training_memory_bytes (={config.max_training_memory_bytes}) is too small" if seen.of_bytes else "")
        )
    if seen.bytes < seen.of_bytes:
        say(f"tokenizer: trained on {seen.bytes:,} of {seen.of_bytes:,} bytes, chosen by hash: see tokenizer.max_training_memory_bytes")
    backend = {"bpe": _train_bpe, "character": _train_characters, "word": _train_words}[config.kind](seen.pieces, config)
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _special(config)])  # pyright: ignore[reportUnknownMemberType]
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": EOT,
        "eos_token": EOT,
        **({"unk_token": UNKNOWN} if UNKNOWN in _special(config) else {}),
        "clean_up_tokenization_spaces": False,
        "hanmo_kind": config.kind,
        "hanmo_trained_on_bytes": seen.bytes,
        "hanmo_corpus_bytes": seen.of_bytes,
    }
    tokenizer = Tokenizer(backend, settings)
    if tokenizer.vocab_size < config.vocab_size:
        say(
            f"tokenizer: {tokenizer.vocab_size:,} tokens, fewer than tokenizer.vocab_size (={config.vocab_size:,}): the text offers no more"
        )
    return Tokenizer(backend, settings, _count(tokenizer, seen.pieces))


def _special(config: TokenizerConfig) -> list[str]:
    may_lack = config.kind == "word" or (config.kind == "character" and not config.byte_fallback)
    return [EOT, UNKNOWN] if may_lack else [EOT]


def _train_bpe(pieces: Sequence[str], config: TokenizerConfig) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE())
    backend.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    backend.pre_tokenizer = pre_tokenizer(config.pre_tokenizer, config.digits_per_token, training=True)  # pyright: ignore[reportAttributeAccessIssue]
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=_special(config),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(pieces, trainer)
    backend.pre_tokenizer = pre_tokenizer(config.pre_tokenizer, config.digits_per_token)  # pyright: ignore[reportAttributeAccessIssue]
    return backend


def _train_characters(pieces: Sequence[str], config: TokenizerConfig) -> tokenizers.Tokenizer:
    """A byte-pair model without merges: characters seen, and bytes or <unk> for the others."""
    counts = Counter[str]()
    for piece in pieces:
        counts.update(piece)
    first = [*_special(config), *([f"<0x{byte:02X}>" for byte in range(256)] if config.byte_fallback else [])]
    chosen = sorted(_most_frequent(counts, config.vocab_size - len(first), 1))
    backend = tokenizers.Tokenizer(
        models.BPE(
            vocab={token: id for id, token in enumerate([*first, *chosen])},
            merges=[],
            byte_fallback=config.byte_fallback,
            unk_token=None if config.byte_fallback else UNKNOWN,
        )
    )
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])  # pyright: ignore[reportAttributeAccessIssue]
    return backend


def _train_words(pieces: Sequence[str], config: TokenizerConfig) -> tokenizers.Tokenizer:
    return train_words(pieces, special=_special(config), vocab_size=config.vocab_size, min_frequency=config.min_frequency)


def _most_frequent(counts: Counter[str], size: int, least: int) -> list[str]:
    often = [(-count, item) for item, count in counts.items() if count >= least]
    return [item for _, item in sorted(often)[:size]]


def _count(tokenizer: Tokenizer, pieces: Sequence[str]) -> NDArray[np.int64]:
    counts = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    for group in _groups(pieces, COUNT_GROUP):
        for ids in tokenizer.encode_batch(group):
            counts += np.bincount(ids, minlength=len(counts))
    return counts


def _groups(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
