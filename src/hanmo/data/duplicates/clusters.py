"""Near-duplicates are compared letter by letter and gathered into clusters; the best copy of each is kept.

In: signatures of all documents in the order of the inputs, their lengths and ids, and a way to their texts. Out: for every document the
kept one that stands for it, and its cluster. The idea: only pairs that the signatures propose are compared. Pairs alike enough are
joined by union-find, and what is joined goes into one split. Inside a cluster, from the longest document on (the smallest id
among equals), each one not yet spoken for is kept and speaks for all that are alike to itself; so nobody is left out because of
a chain of others. Memory: about 100 bytes a document; pairs lie on disk and are looked at a range at a time.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hanmo.data.duplicates.compare import MARGIN, REPEATED
from hanmo.data.duplicates.exact import DuplicateConfig
from hanmo.data.duplicates.opened import ComparableTexts, Corpus
from hanmo.data.duplicates.signatures import (
    BANDS,
    NEIGHBOURS,
    Pairs,
    Store,
    candidate_codes,
    equal_values,
    estimated_similarity,
    pairs_of,
)
from hanmo.data.spill import Spill

S = TypeVar("S", bound=np.generic)
INTEGER: np.dtype[np.int64] = np.dtype(np.int64)
ALIKE: np.dtype[np.void] = np.dtype([("code", "<i8"), ("value", "<f8")])
MOST_PAIRS = 2 * BANDS * NEIGHBOURS  # that name one document
PAIR_BYTES = 64  # of a pair of the range that is looked at


@dataclass(frozen=True, slots=True)
class Clusters:
    """For every document: the kept one that stands for it (itself when kept), how alike they are, and the cluster's first.

    Without near-duplicates each document stands for itself and is a cluster of its own.
    """

    leaders: NDArray[np.int64]
    similarities: NDArray[np.float64]
    firsts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Room:
    """A folder for what is not held, how many processes compare, and what each may hold."""

    folder: Path
    workers: int = 1
    held_bytes: int = 100_000_000

    def spill(self, name: str, dtype: np.dtype[S], keys: int) -> Spill[S]:
        """A place for records about pairs, by the number of one of their documents."""
        parts = -(-keys * MOST_PAIRS * PAIR_BYTES // self.held_bytes)
        return Spill(self.folder / f"spill-{name}", dtype, keys, min(parts, max(keys, 1)), self.held_bytes // 8)


def find_clusters(
    signatures: Store, lengths: NDArray[np.int64], ids: NDArray[np.bytes_], corpus: Corpus, config: DuplicateConfig, room: Room
) -> Clusters:
    """Clusters of near-duplicates, the same for any number of workers and any memory."""
    count = len(signatures)
    worth, members = _worth_comparing(signatures, lengths, config.threshold, room)
    opened = ComparableTexts(corpus, members, room.workers, room.held_bytes)
    alike = room.spill("alike", ALIKE, count)
    for pairs, values in _alike(opened, (pairs_of(_codes(part), count) for part in worth.parts()), config.threshold):
        alike.add(pairs[:, 0], _records(pairs, values, count))
    rank = np.empty(count, np.int64)
    rank[np.lexsort((ids, -lengths))] = np.arange(count)
    firsts = joined((pairs_of(_codes(part), count) for part in alike.parts()), rank)
    ranked = room.spill("ranked", ALIKE, count)
    for part in alike.parts():
        _rank(ranked, pairs_of(_codes(part), count), part["value"], rank)
    for pairs, values in _alike(opened, _with_firsts(alike, firsts, room), config.threshold):
        _rank(ranked, pairs, values, rank)
    leaders, similarities = chosen(((pairs_of(_codes(part), count), part["value"]) for part in ranked.parts()), rank)
    for each in (worth, alike, ranked):
        each.drop()
    return Clusters(leaders=leaders, similarities=similarities, firsts=firsts)


def _worth_comparing(
    signatures: Store, lengths: NDArray[np.int64], threshold: float, room: Room
) -> tuple[Spill[np.void], NDArray[np.int64]]:
    """Codes of the pairs that neither their signatures nor their lengths rule out, and the documents in them."""
    count = len(signatures)
    proposed = room.spill("proposed", INTEGER, count)
    for codes in candidate_codes(signatures):
        proposed.add(codes // count, codes)
    worth = room.spill("worth", ALIKE, count)
    named = np.zeros(count, np.bool_)
    for part in proposed.parts():
        codes = np.unique(part)
        pairs, similarities = pairs_of(codes, count), estimated_similarity(equal_values(signatures, codes))
        ordered = np.sort(lengths[pairs], axis=1)
        chosen = similarities >= threshold - MARGIN
        chosen &= (ordered[:, 0] >= (threshold - MARGIN) * ordered[:, 1]) | (similarities >= REPEATED)
        pairs = pairs[chosen]
        worth.add(pairs[:, 0], _records(pairs, similarities[chosen], count))
        named[pairs] = True
    proposed.drop()
    return worth, np.flatnonzero(named)


def _alike(opened: ComparableTexts, parts: Iterable[Pairs], threshold: float) -> Iterator[tuple[Pairs, NDArray[np.float64]]]:
    for pairs, values in opened.compare(parts, threshold):
        chosen = values >= threshold
        yield pairs[chosen], values[chosen]


def joined(parts: Iterable[Pairs], rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """For every document the one of best rank in its cluster: union-find with path halving.

    >>> joined([np.array([[0, 1], [1, 3]])], np.array([2, 1, 3, 0])).tolist()
    [3, 3, 2, 3]
    """
    above = array("q", range(len(rank)))

    def root(index: int) -> int:
        while above[index] != index:
            above[index] = above[above[index]]
            index = above[index]
        return index

    for pairs in parts:
        for a, b in pairs.tolist():
            a, b = root(a), root(b)
            if a != b:
                better, worse = (a, b) if rank[a] < rank[b] else (b, a)
                above[worse] = better
    return np.fromiter((root(index) for index in range(len(rank))), np.int64, len(rank))


def chosen(parts: Iterable[tuple[Pairs, NDArray[np.float64]]], rank: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For every document the kept one that stands for it, itself when it is kept, and their similarity.

    Each pair has the document of better rank first, and no part one better than those of the parts before. Documents are
    taken in the order of their rank; one that nobody speaks for yet is kept and speaks for those paired with it.
    """
    leaders, values = np.arange(len(rank)), np.ones(len(rank))
    for pairs, similarities in parts:
        order = np.argsort(rank[pairs[:, 0]], kind="stable")
        for (better, worse), value in zip(pairs[order].tolist(), similarities[order].tolist(), strict=True):
            if leaders[better] == better and leaders[worse] == worse:
                leaders[worse], values[worse] = better, value
    return leaders, values


def _rank(ranked: Spill[np.void], pairs: Pairs, values: NDArray[np.float64], rank: NDArray[np.int64]) -> None:
    """Add pairs, the document of better rank first, by that rank."""
    turned = rank[pairs[:, 0]] > rank[pairs[:, 1]]
    pairs = np.where(turned[:, None], pairs[:, ::-1], pairs)
    ranked.add(rank[pairs[:, 0]], _records(pairs, values, len(rank)))


def _with_firsts(alike: Spill[np.void], firsts: NDArray[np.int64], room: Room) -> Iterator[Pairs]:
    """Pairs of each member with the first of its cluster, less those known to be alike."""
    count = len(firsts)
    wanted = room.spill("firsts", INTEGER, count)
    members = np.flatnonzero(firsts != np.arange(count))
    left, right = np.minimum(members, firsts[members]), np.maximum(members, firsts[members])
    wanted.add(left, left * count + right)
    for more, known in zip(wanted.parts(), alike.parts(), strict=True):
        yield pairs_of(np.setdiff1d(more, _codes(known)), count)
    wanted.drop()


def _records(pairs: Pairs, values: NDArray[np.float64], count: int) -> NDArray[np.void]:
    found = np.zeros(len(pairs), ALIKE)
    found["code"], found["value"] = pairs[:, 0] * count + pairs[:, 1], values
    return found


def _codes(records: NDArray[np.void]) -> NDArray[np.int64]:
    return cast("NDArray[np.int64]", records["code"])
