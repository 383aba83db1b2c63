"""Byte-pair merges that come after all others: a trained vocabulary goes on growing, and nothing it knew changes.

In: pre-tokens as the tokens they have now, with counts. Out: pairs to merge, in order. Each new merge ranks behind all
older ones, so a text is first cut as before and then joined further: a new token only ever takes the place of old ones.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

Pair = tuple[str, str]


def grow(
    words: Mapping[tuple[str, ...], int], known: set[str], add: int, least: int, fits: Callable[[str], bool]
) -> list[tuple[Pair, int]]:
    """The next `add` merges of byte-pair encoding (Sennrich et al. 2016), each with the number of tokens it saves.

    The most frequent pair first, ties by the pair itself; none that occurs fewer than `least` times, that is a token
    already, or whose token does not fit.
    """
    growth = _Growth(words)
    known, found = set(known), list[tuple[Pair, int]]()
    while len(found) < add and (best := growth.most_frequent()) and best[1] >= least:
        (left, right), count = best
        if left + right in known or not fits(left + right):
            growth.forbid((left, right))
            continue
        found.append(((left, right), count))
        known.add(left + right)
        growth.merge((left, right))
    return found


class _Growth:
    """Words as they stand, and every pair in them with its count and places."""

    def __init__(self, words: Mapping[tuple[str, ...], int]) -> None:
        self.words = [list(word) for word in words]
        self.weights = list(words.values())
        self.counts: defaultdict[Pair, int] = defaultdict(int)
        self.places: defaultdict[Pair, set[int]] = defaultdict(set)
        self.forbidden: set[Pair] = set()
        for number in range(len(self.words)):
            self._count(number, 1)
        self.queue = [(-count, pair) for pair, count in self.counts.items()]
        heapq.heapify(self.queue)

    def most_frequent(self) -> tuple[Pair, int] | None:
        """The pair to merge next, with its count."""
        while self.queue:
            count, pair = heapq.heappop(self.queue)
            now = 0 if pair in self.forbidden else self.counts.get(pair, 0)
            if now == -count:
                return pair, now
            if now:
                heapq.heappush(self.queue, (-now, pair))
        return None

    def forbid(self, pair: Pair) -> None:
        """Leave a pair apart for good."""
        self.forbidden.add(pair)

    def merge(self, pair: Pair) -> None:
        """Make one token of a pair wherever it stands."""
        changed: set[Pair] = set()
        for number in sorted(self.places[pair]):
            self._count(number, -1)
            self.words[number] = join(self.words[number], pair)
            changed |= self._count(number, 1)
        for other in changed:
            heapq.heappush(self.queue, (-self.counts[other], other))

    def _count(self, number: int, sign: int) -> set[Pair]:
        pairs = set(neighbours(self.words[number]))
        for pair in neighbours(self.words[number]):
            self.counts[pair] += sign * self.weights[number]
        for pair in pairs:
            (self.places[pair].add if sign > 0 else self.places[pair].discard)(number)
        return pairs


class Ranks:
    """Merges by rank, to follow what a word becomes."""

    def __init__(self, merges: Sequence[Pair]) -> None:
        self.merges = list(merges)
        self._rank = {pair: rank for rank, pair in enumerate(merges)}

    def apply(self, pieces: Sequence[str]) -> list[str]:
        """A word after all merges, the lowest rank first."""
        word = list(pieces)
        while len(word) > 1 and (best := min(neighbours(word), key=lambda pair: self._rank.get(pair, len(self._rank)))) in self._rank:
            word = join(word, best)
        return word

    def chain(self, pieces: Sequence[str]) -> list[Pair]:
        """The merges that are wanting for a word to become one token."""
        before = len(self.merges)
        while len(word := self.apply(pieces)) > 1:
            self.add([(word[0], word[1])])
        wanting = self.merges[before:]
        del self.merges[before:]
        for pair in wanting:
            del self._rank[pair]
        return wanting

    def add(self, pairs: Sequence[Pair]) -> None:
        """Merges behind all others."""
        for pair in pairs:
            self._rank[pair] = len(self.merges)
            self.merges.append(pair)


def neighbours(word: Sequence[str]) -> Iterator[Pair]:
    """Each token with the next; of three and more alike in a row, only pairs that can be merged at once.

    >>> list(neighbours(["a", "a", "a", "b"]))
    [('a', 'a'), ('a', 'b')]
    """
    last = -2
    for at in range(len(word) - 1):
        pair = word[at], word[at + 1]
        if pair[0] == pair[1] and last == at - 1 and word[at - 1] == pair[0]:
            last = -2
            continue
        last = at if pair[0] == pair[1] else -2
        yield pair


def join(word: Sequence[str], pair: Pair) -> list[str]:
    """A word with a pair made one token, from left to right.

    >>> join(["a", "a", "a", "b"], ("a", "a"))
    ['aa', 'a', 'b']
    """
    joined: list[str] = []
    at = 0
    while at < len(word):
        if at + 1 < len(word) and (word[at], word[at + 1]) == pair:
            joined.append(word[at] + word[at + 1])
            at += 2
        else:
            joined.append(word[at])
            at += 1
    return joined
