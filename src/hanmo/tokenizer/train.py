"""From text to a vocabulary: byte pairs, word pieces, likely pieces, characters or words.

In: texts, in any order. Out: a `Tokenizer`, the same bytes for the same texts. Large corpora are sampled (`sample.py`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import AddedToken, decoders, models, trainers
from tokenizers.pre_tokenizers import ByteLevel

from hanmo.base.config import to_table
from hanmo.base.errors import DataError
from hanmo.base.progress import say
from hanmo.tokenizer import wordpiece
from hanmo.tokenizer.config import MARKS, TokenizerConfig
from hanmo.tokenizer.load import EOT, Tokenizer
from hanmo.tokenizer.patterns import pre_tokenizer
from hanmo.tokenizer.sample import sample
from hanmo.tokenizer.spelling import UNKNOWN
from hanmo.tokenizer.unigram import train_unigram
from hanmo.tokenizer.words import train_words

COUNT_GROUP = 64


def train_tokenizer(texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    """A tokenizer for these texts, with the count of every token in what it was trained on.

    Raises DataError when there is no text.
    """
    seen = sample(texts, config.max_training_memory_bytes, config.max_sample_bytes)
    if not seen.bytes:
        raise DataError(
            "there is no text to train a tokenizer on: every document is empty"
            + (f", or tokenizer.max_training_memory_bytes (={config.max_training_memory_bytes}) is too small" if seen.of_bytes else "")
        )
    if seen.bytes < seen.of_bytes:
        say(f"tokenizer: trained on {seen.bytes:,} of {seen.of_bytes:,} bytes, chosen by hash: see {_named(seen.limits)}")
    backend = TRAIN[config.kind](seen.pieces, config)
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _special(config)])  # pyright: ignore[reportUnknownMemberType]
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **_roles(config),
        "clean_up_tokenization_spaces": False,
        "hanmo_kind": config.kind,
        "hanmo_trained_on_bytes": seen.bytes,
        "hanmo_corpus_bytes": seen.of_bytes,
    }
    training = {"tokenizer": to_table(config), "sample": seen.facts()}
    tokenizer = Tokenizer(backend, settings, training=training)
    if tokenizer.vocab_size < config.vocab_size:
        say(
            f"tokenizer: {tokenizer.vocab_size:,} tokens, fewer than tokenizer.vocab_size (={config.vocab_size:,}): the text offers no more"
        )
    return Tokenizer(backend, settings, _count(tokenizer, seen.pieces), training)


def _named(limits: Sequence[str]) -> str:
    """The limits as a reader may look them up."""
    told = {"32-bit counts": "the library counts in 32 bits, which more text could overflow"}
    return ", ".join(told.get(name, f"tokenizer.{name}") for name in limits)


def _special(config: TokenizerConfig) -> list[str]:
    if config.kind == "wordpiece":
        return [*wordpiece.SPECIAL, *config.marks]
    may_lack = config.kind in ("word", "unigram") or (config.kind == "character" and not config.byte_fallback)
    return [EOT, *config.marks, UNKNOWN] if may_lack else [EOT, *config.marks]


def _roles(config: TokenizerConfig) -> dict[str, str]:
    """What each special token is for, under the names that other tools look for."""
    if config.kind == "wordpiece":
        return wordpiece.ROLES
    unknown = {"unk_token": UNKNOWN} if UNKNOWN in _special(config) else {}
    mask = {"mask_token": MARKS["masked"][0]} if "masked" in config.objectives else {}
    return {"bos_token": EOT, "eos_token": EOT, **unknown, **mask}


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


def _train_wordpiece(pieces: Sequence[str], config: TokenizerConfig) -> tokenizers.Tokenizer:
    size = config.vocab_size - len(config.marks)  # they come last
    return wordpiece.train_wordpiece(pieces, vocab_size=size, min_frequency=config.min_frequency, lowercase=config.lowercase)


def _train_unigram(pieces: Sequence[str], config: TokenizerConfig) -> tokenizers.Tokenizer:
    pattern = config.pre_tokenizer, config.digits_per_token
    return train_unigram(
        pieces, special=_special(config), vocab_size=config.vocab_size, min_frequency=config.min_frequency, pattern=pattern
    )


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


TRAIN: dict[str, Callable[[Sequence[str], TokenizerConfig], tokenizers.Tokenizer]] = {
    "bpe": _train_bpe,
    "wordpiece": _train_wordpiece,
    "unigram": _train_unigram,
    "character": _train_characters,
    "word": _train_words,
}
