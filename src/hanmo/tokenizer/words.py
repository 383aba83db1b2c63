"""Whole words as tokens: between spaces where a language has them, as rjieba segments it in Chinese.

Everything is written into `tokenizer.json`, so other tools give the same ids without rjieba: invisible marks stand before
and after each word that is not Chinese, so that only whole words match; Chinese runs are cut by the most probable
sequence of the words that rjieba found in training (a unigram model, which is also rjieba's own rule).

What is lost: each run of letters and digits outside the vocabulary becomes one <unk>, so does each run of Chinese or
other characters never seen, and the two marks, U+0002 and U+0003, where a text holds them. All else, every space and
line end included, can be read back.
"""

import math
from collections import Counter
from collections.abc import Sequence

import rjieba
import tokenizers
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from hanmo.tokenizer.patterns import FIRST, LAST

ALWAYS = (" ", "\n", "\t")

_CHINESE = r"[\p{Han}〇]"
_LETTER = r"[[\p{L}\p{M}\p{N}]&&[^\p{Han}〇\p{Hiragana}\p{Katakana}]]"


def word_backend() -> tokenizers.Tokenizer:
    """The rules without a vocabulary."""
    backend = tokenizers.Tokenizer(models.Unigram())
    backend.normalizer = normalizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [
            normalizers.Replace(Regex(f"[{FIRST}{LAST}]"), "\N{REPLACEMENT CHARACTER}"),
            normalizers.Replace(Regex(f"(?<!{_LETTER})(?<!{_LETTER}['’])(?={_LETTER})"), FIRST),
            normalizers.Replace(Regex(f"(?<={_LETTER})(?!{_LETTER}|['’]{_LETTER})"), LAST),
        ]
    )
    pattern = f" ?{FIRST}[^{LAST}]*{LAST}|{_CHINESE}+|[\\s\\S]"
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")  # pyright: ignore[reportAttributeAccessIssue]
    backend.decoder = decoders.Sequence([decoders.Replace(FIRST, ""), decoders.Replace(LAST, ""), decoders.Fuse()])  # pyright: ignore[reportAttributeAccessIssue]
    return backend


def train_words(pieces: Sequence[str], *, special: Sequence[str], vocab_size: int, min_frequency: int) -> tokenizers.Tokenizer:
    """The most frequent words, up to `vocab_size` with the special tokens; the last special token is the unknown one."""
    backend = word_backend()
    words, characters = _count(backend, pieces)
    # A Chinese character needs a place when the rare words it is part of have none.
    frequency = Counter({word: count for word, count in words.items() if count >= min_frequency})
    for character, count in characters.items():
        frequency[character] = max(count, frequency[character])
    for character in ALWAYS:
        frequency[character] = max(frequency.values(), default=1)
    order = sorted((-count, word) for word, count in frequency.items() if count >= min_frequency)
    chosen = [word for _, word in order[: vocab_size - len(special)]]
    total = max(1, words.total())
    # Four digits: what the library writes with more it does not always read back to the same bits.
    scores = [(word, round(math.log(max(words[word], 0.5) / total), 4)) for word in chosen]
    backend.model = models.Unigram([*((token, 0.0) for token in special), *scores], unk_id=len(special) - 1)  # pyright: ignore[reportAttributeAccessIssue]
    return backend


def _count(backend: tokenizers.Tokenizer, pieces: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
    """How often each word occurs, and each Chinese character in any word."""
    assert backend.normalizer is not None and backend.pre_tokenizer is not None
    found = Counter[str]()
    for piece in pieces:
        found.update(word for word, _ in backend.pre_tokenizer.pre_tokenize_str(backend.normalizer.normalize_str(piece)))
    words, characters = Counter[str](), Counter[str]()
    for run, count in found.items():
        parts = [run] if LAST in run or len(run) == 1 else rjieba.cut(run)
        for part in parts:
            words[part] += count
        if LAST not in run:
            for character in run:
                characters[character] += count
    return words, characters
