"""A text becomes words: Chinese as rjieba cuts it, anything else as runs of letters and digits.

In: a text. Out: its words in order, or their number, and lists of the words that carry no topic. The idea: all runs of Han
characters of a text are cut in one call, and no rule ever counts Chinese words by spaces.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from hanmo.base.config import read_toml

HAN = re.compile("[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003347f]+")
WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


def listed(kind: Literal["common", "stop"], language: str) -> frozenset[str] | None:
    """The words that running text of a language cannot do without, or those the classic pipeline leaves out; None without a list.

    >>> "的" in listed("common", "zh"), listed("stop", "fr")
    (True, None)
    """
    return _lists()[kind].get(language)


@functools.cache
def _lists() -> dict[str, dict[str, frozenset[str]]]:
    table = read_toml(Path(__file__).with_name("words.toml"))
    return {kind: {language: frozenset(words.split()) for language, words in lists.items()} for kind, lists in table.items()}


def word_list(text: str) -> list[str]:
    """The words of a text in order.

    >>> word_list("I can't 停下来, 真的")
    ['I', "can't", '停下来', '真的']
    """
    return cut(text)[0]


def words(text: str) -> int:
    """Number of words.

    >>> words("I can't stop"), words("我爱北京天安门")
    (3, 4)
    """
    return len(word_list(text))


def cut(text: str) -> tuple[list[str], int]:
    """The words of a text in order, and how many of them are Chinese."""
    if text.isascii():
        return WORD.findall(text), 0
    found: list[str] = []
    chinese = 0
    for gap, run in runs(text):
        if len(gap) > 1 or gap.isalnum():
            found += WORD.findall(gap)
        found += run
        chinese += len(run)
    return found, chinese


def runs(text: str) -> Iterator[tuple[str, list[str]]]:
    """What stands before each run of Han characters, and the words of the run; at the end the rest, with no words.

    >>> list(runs("爱Python三年了!"))
    [('', ['爱']), ('Python', ['三年', '了']), ('!', [])]
    """
    import rjieba

    gaps = HAN.split(text)
    if len(gaps) > 1:
        pieces = " ".join(rjieba.cut("\n".join(HAN.findall(text)), hmm=False)).split("\n")
        yield from zip(gaps, map(str.split, pieces), strict=False)
    yield gaps[-1], []
