"""How many tokens a language or a source costs: the price of context, of training and of every answer in it.

Fertility is tokens per word, and the share of continued words that of words in more than one token (Rust et al. 2021, "How
Good is Your Tokenizer?"). A word is what stands between spaces; Chinese runs are segmented by rjieba, and everything is
counted on the same words whatever the tokenizer.
"""

import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import rjieba
from numpy.typing import NDArray

from hanmo.base.records import Document
from hanmo.tokenizer.load import Tokenizer

_CHINESE = "\\u3400-\\u9fff\\uf900-\\ufaff\\U00020000-\\U0003ffff"
_RUN = re.compile(rf"([{_CHINESE}]+)|[^\s{_CHINESE}]+")
_INSIDE = re.compile(r"\W*(.*?)\W*", re.DOTALL)
_PART = re.compile(r"#\d+$")
GROUP = 256

K = TypeVar("K", bound=Hashable)


@dataclass(kw_only=True)
class Fertility:
    """What the texts of one language or source come to."""

    documents: int = 0
    bytes: int = 0
    characters: int = 0
    words: int = 0
    tokens: int = 0
    unknown: int = 0
    """Tokens that are <unk>."""
    continued_words: int = 0
    """Words that are more than one token."""
    not_recovered: int = 0
    """Documents that decoding does not give back exactly."""

    def add(self, other: "Fertility") -> None:
        """Count another's numbers in."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def rates(self) -> dict[str, float | int]:
        """The numbers and their ratios, by stable names."""
        return {
            **vars(self),
            "tokens_per_byte": self.tokens / max(1, self.bytes),
            "tokens_per_character": self.tokens / max(1, self.characters),
            "tokens_per_word": self.tokens / max(1, self.words),
            "bytes_per_token": self.bytes / max(1, self.tokens),
            "unknown_share": self.unknown / max(1, self.tokens),
            "continued_share": self.continued_words / max(1, self.words),
        }


def language(document: Document) -> str:
    """The language of a document, "" when it is not known."""
    return document.language


def origin(document: Document) -> str:
    """The file or the catalogue entry a document was part of."""
    return _PART.sub("", document.source)


def fertility(documents: Iterable[Document], tokenizer: Tokenizer, key: Callable[[Document], K] = language) -> dict[K, Fertility]:
    """Counts by what `key` names, keys in order."""
    found: dict[K, Fertility] = {}
    for group in _groups(documents):
        for document, (ids, starts, ends) in zip(group, tokenizer.encode_spans([each.text for each in group]), strict=True):
            words = word_spans(document.text)
            measured = Fertility(
                documents=1,
                bytes=len(document.text.encode()),
                characters=len(document.text),
                words=len(words),
                tokens=len(ids),
                unknown=0 if tokenizer.unk_id is None else int((ids == tokenizer.unk_id).sum()),
                continued_words=_continued(words, starts, ends),
                not_recovered=int(tokenizer.decode(ids.tolist()) != document.text),
            )
            found.setdefault(key(document), Fertility()).add(measured)
    return dict(sorted(found.items()))  # pyright: ignore[reportArgumentType]


def summed(found: dict[tuple[str, ...], Fertility], part: int) -> dict[str, Fertility]:
    """Counts by several things added up by one of them."""
    sums: dict[str, Fertility] = {}
    for key, counts in found.items():
        sums.setdefault(key[part], Fertility()).add(counts)
    return dict(sorted(sums.items()))


def count_words(text: str) -> int:
    """Words of a text in any mixture of Chinese and spaced languages.

    >>> count_words("two words"), count_words("我们学习 language models")
    (2, 4)
    """
    return sum(len(rjieba.cut(chinese)) if chinese else 1 for chinese in _RUN.findall(text))


def word_spans(text: str) -> NDArray[np.int64]:
    """Where each word begins and ends without the signs around it, [words, 2].

    >>> word_spans("(two) 我们学习").tolist()
    [[1, 4], [6, 8], [8, 10]]
    """
    spans: list[tuple[int, int]] = []
    for run in _RUN.finditer(text):
        start = run.start()
        if not run[1]:
            inside = _INSIDE.fullmatch(run[0])
            assert inside is not None
            spans.append((start + inside.start(1), start + inside.end(1)))
            continue
        for word in rjieba.cut(run[1]):
            spans.append((start, start + len(word)))
            start += len(word)
    return np.array(spans, dtype=np.int64).reshape(-1, 2)


def _continued(words: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> int:
    """How many words meet more than one token."""
    words = words[words[:, 1] > words[:, 0]]
    first = np.searchsorted(ends, words[:, 0], side="right")
    after = np.searchsorted(starts, words[:, 1], side="left")
    return int((after - first > 1).sum())


def _groups(documents: Iterable[Document]) -> Iterator[list[Document]]:
    group: list[Document] = []
    for document in documents:
        group.append(document)
        if len(group) == GROUP:
            yield group
            group = []
    if group:
        yield group
