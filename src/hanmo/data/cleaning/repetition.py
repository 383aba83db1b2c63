"""How much of a text repeats itself: lines, paragraphs, and n-grams of words.

In: lines, paragraphs and words of one text. Out: shares between 0 and 1. Rules and their thresholds: Gopher (Rae et al. 2021,
table A1). The idea: only where an n-gram of length n comes twice can one of length n + 1, so that few places are left after
the first step; an n-gram is a number, key * multiplier + next word modulo 2^64. An n-gram of Chinese is one of words as
rjieba cuts them, never of characters between blanks.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

TOP = (2, 3, 4)
REPEATED = (5, 6, 7, 8, 9, 10)
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
Numbers = NDArray[np.int64]
Keys = NDArray[np.uint64]


def repeated_shares(parts: Iterable[str]) -> tuple[float, float]:
    """Share of the parts equal to an earlier one, and share of all characters that they hold.

    >>> repeated_shares(["more", "more", "less", "than"])
    (0.25, 0.25)
    """
    number = repeated = characters = repeated_characters = 0
    seen: set[str] = set()
    for part in parts:
        number += 1
        characters += len(part)
        if part in seen:
            repeated += 1
            repeated_characters += len(part)
        seen.add(part)
    return repeated / number if number else 0.0, repeated_characters / characters if characters else 0.0


def ngram_shares(words: Sequence[str]) -> dict[str, float]:
    """For n = 2 to 4 the share of characters in the commonest n-gram, for n = 5 to 10 in all n-grams seen before.

    Characters are those of words. A commonest n-gram that comes once repeats nothing: 0. Of equally common ones the longest counts.
    Words that lie in several repeated n-grams count once; places of the commonest that overlap count each, up to the whole text.

    >>> ngram_shares("no more no more no less".split())["top_2gram_share"]
    0.6666666666666666
    """
    shares = dict.fromkeys((*(f"top_{n}gram_share" for n in TOP), *(f"repeated_{n}gram_share" for n in REPEATED)), 0.0)
    if not words:
        return shares
    ids = {word: number for number, word in enumerate(dict.fromkeys(words))}
    numbers = np.array(list(map(ids.__getitem__, words)), dtype=np.int64)
    ends = np.cumsum([0, *map(len, words)])
    often = np.bincount(numbers)[numbers] > 1
    places = np.flatnonzero(often[:-1] & often[1:])
    keys = numbers[places].astype(np.uint64)
    lengths = ends[1:] - ends[:-1]
    for n in range(2, REPEATED[-1] + 1):
        within = places <= len(words) - n
        places = places[within]
        keys = keys[within] * MULTIPLIER + numbers[places + n - 1].astype(np.uint64)
        keys, places, borders = _grouped(keys, places)
        if not len(keys):
            break
        if n in TOP:
            shares[f"top_{n}gram_share"] = min(1.0, _most_common(places, borders, ends, n) / int(ends[-1]))
        elif n in REPEATED:
            shares[f"repeated_{n}gram_share"] = _covered(places, borders, lengths, n) / int(ends[-1])
    return shares


def _grouped(keys: Keys, places: Numbers) -> tuple[Keys, Numbers, Numbers]:
    """Keys that come twice or more, in order, with their places, and the borders of the groups of equal keys."""
    order = keys.argsort()
    keys, places = keys[order], places[order]
    changes = (keys[1:] != keys[:-1]).nonzero()[0] + 1
    borders = np.concatenate(([0], changes, [len(keys)]))
    sizes = borders[1:] - borders[:-1]
    several = sizes > 1
    kept = several.repeat(sizes)
    return keys[kept], places[kept], np.concatenate(([0], sizes[several].cumsum()))


def _most_common(places: Numbers, borders: Numbers, ends: Numbers, n: int) -> int:
    """Characters that the commonest n-gram takes in all its places."""
    sizes = borders[1:] - borders[:-1]
    first = places[borders[:-1][sizes == sizes.max()]]
    return int(sizes.max() * (ends[first + n] - ends[first]).max())


def _covered(places: Numbers, borders: Numbers, lengths: Numbers, n: int) -> int:
    """Characters of the words inside n-grams that equal an earlier one."""
    inside = np.zeros(len(lengths), dtype=bool)
    again = places[places != np.minimum.reduceat(places, borders[:-1]).repeat(borders[1:] - borders[:-1])]
    for step in range(n):
        inside[again + step] = True
    return int(lengths[inside].sum())
