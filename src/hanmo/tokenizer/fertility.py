"""How many tokens a language costs: the price of context, of training and of every answer in it.

Fertility is tokens per word (Rust et al. 2021, "How Good is Your Tokenizer?"). A word is what stands between spaces;
Chinese runs are segmented by rjieba, and everything is counted on the same words whatever the tokenizer.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import rjieba

from hanmo.base.records import Document
from hanmo.tokenizer.load import Tokenizer

_CHINESE = "\\u3400-\\u9fff\\uf900-\\ufaff\\U00020000-\\U0003ffff"
_RUN = re.compile(rf"([{_CHINESE}]+)|[^\s{_CHINESE}]+")
GROUP = 256


@dataclass(kw_only=True)
class Fertility:
    """What the texts of one language come to."""

    documents: int = 0
    bytes: int = 0
    characters: int = 0
    words: int = 0
    tokens: int = 0
    unknown: int = 0
    """Tokens that are <unk>."""
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
        }


def fertility(
    documents: Iterable[Document], tokenizer: Tokenizer, key: Callable[[Document], str] = lambda document: document.language
) -> dict[str, Fertility]:
    """Counts by language, or by what `key` names; "" for documents without a known one, keys in order."""
    found: dict[str, Fertility] = {}
    for group in _groups(documents):
        for document, ids in zip(group, tokenizer.encode_batch([each.text for each in group]), strict=True):
            measured = Fertility(
                documents=1,
                bytes=len(document.text.encode()),
                characters=len(document.text),
                words=count_words(document.text),
                tokens=len(ids),
                unknown=0 if tokenizer.unk_id is None else int((ids == tokenizer.unk_id).sum()),
                not_recovered=int(tokenizer.decode(ids.tolist()) != document.text),
            )
            found.setdefault(key(document), Fertility()).add(measured)
    return dict(sorted(found.items()))


def count_words(text: str) -> int:
    """Words of a text in any mixture of Chinese and spaced languages.

    >>> count_words("two words"), count_words("我们学习 language models")
    (2, 4)
    """
    return sum(len(rjieba.cut(chinese)) if chinese else 1 for chinese in _RUN.findall(text))


def _groups(documents: Iterable[Document]) -> Iterator[list[Document]]:
    group: list[Document] = []
    for document in documents:
        group.append(document)
        if len(group) == GROUP:
            yield group
            group = []
    if group:
        yield group
