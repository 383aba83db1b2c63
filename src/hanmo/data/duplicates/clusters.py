"""Near-duplicates are compared letter by letter and gathered into clusters; the best copy of each is kept.

In: signatures of all documents in the order of the inputs, their lengths and ids, and a way to their texts. Out: for every document the
kept one that stands for it, and its cluster. The idea: only pairs that the signatures propose are compared. Pairs alike enough are
joined by union-find, and what is joined goes into one split. Inside a cluster, from the longest document on (the smallest id
among equals), each one not yet spoken for is kept and speaks for all that are alike to itself; so nobody is left out because of
a chain of others. Texts of proposed documents are written once to files and mapped; a process holds two of them at a time.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from hanmo.base.storage import write_atomically, write_bytes
from hanmo.data.duplicates.exact import DuplicateConfig
from hanmo.data.duplicates.letters import Hashes, letters, mix, spell, windows
from hanmo.data.duplicates.signatures import DENSE_WIDTH, WIDTH, Pairs, Signatures, candidate_pairs, estimated_similarity, jaccard, shingles
from hanmo.data.parallel import run_jobs
from hanmo.data.tables import Table

LONGEST_ALIGNED = 20_000  # letters; the time of an alignment grows with the square
BLOCK, BLOCKS = 512, 32  # of a longer text, so many letters are compared in so many places
BLOCKS_APART = 8  # of each so many blocks one is looked at first
UNLIKE = 0.4  # where those blocks are no more alike than this, as unrelated texts are, the others are not looked at
SEEDS = 1 << 16
COMMON = 16  # a shingle that stands in more places points to none
DRIFT = 128  # letters that edits may shift within a block
PAIRS_PER_JOB = 4096
MARGIN = 0.1  # how far below the threshold an estimate may lie and still be checked
OUTLINE = 1024  # shingles of a text that a glance compares, about
REPEATED = 0.95  # at a glance; a text twice has the same shingles as once
KEPT_OUTLINES = 1024
FEW_FILES = 8  # are copied sooner than a process begins


@dataclass(frozen=True, slots=True)
class Clusters:
    """For every document: the kept one that stands for it (itself when kept), how alike they are, and the cluster's first.

    Without near-duplicates each document stands for itself and is a cluster of its own.
    """

    leaders: NDArray[np.int64]
    similarities: NDArray[np.float64]
    firsts: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where the texts of documents lie: document i is row `rows[i]` of file `files[i]` among `paths`, ascending."""

    paths: Sequence[Path]
    files: NDArray[np.int64]
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CopyJob:
    """Texts of one file of documents to lay open for comparing."""

    path: Path
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CompareJob:
    """Pairs of texts to compare, each as (file, place, file, place) in what CopyJobs laid open.

    Of similarities below `least` only that is told: where lengths differ too much, or a glance finds too little, it is 0.
    """

    number: int
    least: float
    paths: Sequence[Path]
    places: NDArray[np.int64]


def find_clusters(
    signatures: Signatures, lengths: NDArray[np.int64], ids: NDArray[np.bytes_], corpus: Corpus, config: DuplicateConfig, workers: int
) -> Clusters:
    """Clusters of near-duplicates, the same for any number of workers."""
    count = len(signatures)
    pairs, equal = candidate_pairs(signatures)
    similarities = estimated_similarity(equal)
    worth = similarities >= config.threshold - (MARGIN if config.verify else 0)
    ordered = np.sort(lengths[pairs], axis=1)
    worth &= (ordered[:, 0] >= (config.threshold - MARGIN) * ordered[:, 1]) | (similarities >= REPEATED)
    pairs, similarities = pairs[worth], similarities[worth]
    opened = _Opened(corpus, np.unique(pairs), config.threshold, workers) if config.verify else None
    if opened:
        similarities = opened.compare(pairs)
    alike = similarities >= config.threshold
    pairs, similarities = pairs[alike], similarities[alike]
    rank = np.empty(count, np.int64)
    rank[np.lexsort((ids, -lengths))] = np.arange(count)
    firsts = joined(pairs, rank)
    if opened:
        pairs, similarities = _with_firsts(pairs, similarities, firsts, opened, config.threshold)
    leaders, values = chosen(pairs, similarities, rank)
    return Clusters(leaders=leaders, similarities=values, firsts=firsts)


def similarity(a: str, b: str, least: float = 0.0) -> float:
    """How alike two texts of plain letters are, from 0 to 1: the larger of two measures.

    One is 1 - distance / length of the longer, by Levenshtein; it bears many small edits. The other is the Jaccard index of
    shingles; it bears passages in another order. For texts longer than 20,000 letters the first is measured on blocks of the
    shorter, each beside the place in the longer that most of its shingles point to: shared shingles alone would not do, since any
    two long texts of one language share many. A value below `least` may come out lower than it is.

    >>> similarity("nightbytheriver", "nightbytheriver"), round(similarity("nightbytheriver", "nightattheriver"), 2)
    (1.0, 0.87)
    """
    if a == b:
        return 1.0
    codes = [letters(text) for text in (a, b)]
    shared = jaccard(*(shingles(*each) for each in codes))
    if max(len(a), len(b)) <= LONGEST_ALIGNED:
        return max(shared, Levenshtein.normalized_similarity(a, b, score_cutoff=least))
    return max(shared, _unchanged_in_blocks(*sorted((a, b), key=len)))


def _unchanged_in_blocks(short: str, long: str) -> float:
    """The share of `long` that stands in `short` as well, unchanged: the mean over blocks of `short` by their best place in `long`."""
    hashes, places = _seeds(long)
    found: list[float] = []
    starts = np.linspace(0, len(short) - BLOCK, BLOCKS).astype(np.int64).tolist()
    for start in starts[::BLOCKS_APART] + [start for i, start in enumerate(starts) if i % BLOCKS_APART]:
        block = short[start : start + BLOCK]
        wanted = _windows(block)
        left, right = np.searchsorted(hashes, wanted, "left"), np.searchsorted(hashes, wanted, "right")
        rows = [
            (first, stop, offset)
            for offset, (first, stop) in enumerate(zip(left.tolist(), right.tolist(), strict=True))
            if first < stop <= first + COMMON
        ]
        shifts = np.concatenate([np.zeros(0, np.int64), *(places[first:stop] - offset for first, stop, offset in rows)])
        value = 0.0
        if len(shifts):
            bins, counts = np.unique(shifts // DRIFT, return_counts=True)
            at = max(0, int(np.median(shifts[shifts // DRIFT == bins[counts.argmax()]])))
            value = Levenshtein.normalized_similarity(block, long[at : at + BLOCK])
        found.append(value)
        if len(found) == len(starts[::BLOCKS_APART]) and np.mean(found) < UNLIKE:
            break
    return float(np.mean(found)) * len(short) / len(long)


@functools.lru_cache(8)
def _seeds(text: str) -> tuple[Hashes, NDArray[np.int64]]:
    """Shingles of a text in ascending order, some 65,536 of them chosen by their hash, and where each begins."""
    hashes = _windows(text)
    places = np.flatnonzero(hashes <= np.uint64(min(2**64 - 1, (SEEDS << 64) // max(1, len(hashes)))))
    order = np.argsort(hashes[places], kind="stable")
    return hashes[places][order], places[order]


def _windows(text: str) -> Hashes:
    codes, dense = letters(text)
    return mix(windows(codes, min(len(codes), DENSE_WIDTH if dense.mean() > 0.5 else WIDTH)))


def joined(pairs: Pairs, rank: NDArray[np.int64]) -> NDArray[np.int64]:
    """For every document the one of best rank in its cluster: union-find with path halving.

    >>> joined(np.array([[0, 1], [1, 3]]), np.array([2, 1, 3, 0])).tolist()
    [3, 3, 2, 3]
    """
    above: list[int] = list(range(len(rank)))

    def root(index: int) -> int:
        while above[index] != index:
            above[index] = above[above[index]]
            index = above[index]
        return index

    for a, b in pairs.tolist():
        a, b = root(a), root(b)
        if a != b:
            better, worse = (a, b) if rank[a] < rank[b] else (b, a)
            above[worse] = better
    return np.array([root(index) for index in range(len(rank))], np.int64)


def chosen(pairs: Pairs, similarities: NDArray[np.float64], rank: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For every document the kept one that stands for it, itself when it is kept, and their similarity.

    Documents are taken in the order of their rank; one that nobody speaks for yet is kept and speaks for those paired with it.
    """
    leaders, values = np.arange(len(rank)), np.ones(len(rank))
    near: dict[int, list[tuple[int, float]]] = {}
    for (a, b), value in zip(pairs.tolist(), similarities.tolist(), strict=True):
        near.setdefault(a, []).append((b, value))
        near.setdefault(b, []).append((a, value))
    settled: set[int] = set()
    for index in sorted(near, key=lambda index: int(rank[index])):
        if index in settled:
            continue
        settled.add(index)
        for other, value in near[index]:
            if other not in settled:
                settled.add(other)
                leaders[other], values[other] = index, value
    return leaders, values


def _with_firsts(
    pairs: Pairs, similarities: NDArray[np.float64], firsts: NDArray[np.int64], opened: "_Opened", threshold: float
) -> tuple[Pairs, NDArray[np.float64]]:
    """The pairs, and those of each member with the first of its cluster, where they had not been proposed and are alike."""
    count = len(firsts)
    members = np.flatnonzero(firsts != np.arange(count))
    wanted = np.minimum(members, firsts[members]) * count + np.maximum(members, firsts[members])
    codes = np.setdiff1d(wanted, pairs[:, 0] * count + pairs[:, 1])
    more = np.stack([codes // max(count, 1), codes % max(count, 1)], axis=1)
    values = opened.compare(more)
    alike = values >= threshold
    return np.concatenate([pairs, more[alike]]), np.concatenate([similarities, values[alike]])


class _Opened:
    """Texts of some documents, laid open in files beside the documents."""

    def __init__(self, corpus: Corpus, members: NDArray[np.int64], least: float, workers: int) -> None:
        self._workers, self._least = workers, least
        self._paths = corpus.paths
        self._files = corpus.files
        self._places = np.zeros(len(corpus.files), np.int64)
        jobs: list[CopyJob] = []
        borders = np.searchsorted(corpus.files[members], np.arange(len(corpus.paths) + 1))
        for path, (start, stop) in zip(corpus.paths, pairwise(borders.tolist()), strict=True):
            self._places[members[start:stop]] = np.arange(stop - start)
            if stop > start:
                jobs.append(CopyJob(path=path, rows=corpus.rows[members[start:stop]]))
        for _ in run_jobs(_copy, jobs, workers if len(jobs) > FEW_FILES else 1):
            pass

    def compare(self, pairs: Pairs) -> NDArray[np.float64]:
        """The similarity of every pair."""
        places = np.stack([each for side in (0, 1) for each in (self._files[pairs[:, side]], self._places[pairs[:, side]])], axis=1)
        parts = (places[start : start + PAIRS_PER_JOB] for start in range(0, len(places), PAIRS_PER_JOB))
        jobs = [CompareJob(number=number, least=self._least, paths=self._paths, places=part) for number, part in enumerate(parts)]
        found = dict(run_jobs(_compare, jobs, self._workers))
        return np.concatenate([np.zeros(0), *(found[number] for number in range(len(jobs)))])


def _copy(job: CopyJob) -> int:
    """Write the letters of the wanted rows one after the other, and where each begins."""
    table = Table.read(job.path, columns=("row", "text"))
    order = np.argsort(table.numbers("row"))
    places = order[np.searchsorted(table.numbers("row")[order], job.rows)]
    borders = [0]

    def write(path: Path) -> None:
        with path.open("wb") as stream:
            for text in _texts(table, places):
                borders.append(borders[-1] + stream.write(spell(letters(text)[0]).encode()))

    write_atomically(_letters_file(job.path), write)
    write_bytes(_borders_file(job.path), np.array(borders, "<i8").tobytes())
    return len(places)


def _texts(table: Table, places: NDArray[np.int64]) -> Iterator[str]:
    for start in range(0, len(places), 64):
        yield from table.take(places[start : start + 64]).texts("text")


def _compare(job: CompareJob) -> tuple[int, NDArray[np.float64]]:
    opened: dict[int, tuple[NDArray[np.uint8], NDArray[np.int64]]] = {}

    def text(file: int, place: int) -> str:
        if file not in opened:
            path = job.paths[file]
            borders = np.fromfile(_borders_file(path), "<i8")
            content = np.memmap(_letters_file(path), np.uint8, "r") if borders[-1] else np.zeros(0, np.uint8)
            opened[file] = content, borders
        content, borders = opened[file]
        return content[borders[place] : borders[place + 1]].tobytes().decode()

    @functools.lru_cache(KEPT_OUTLINES)
    def outline(file: int, place: int) -> Outline:
        return _outline(text(file, place))

    values: list[float] = []
    for a, i, b, j in job.places.tolist():
        one, other = outline(a, i), outline(b, j)
        ratio = min(one.length, other.length) / max(one.length, other.length, 1)
        look = _glance(one, other)
        worth = look >= job.least - MARGIN and (ratio >= job.least or look >= REPEATED)
        values.append(similarity(text(a, i), text(b, j), job.least) if worth else 0.0)
    return job.number, np.array(values, np.float64)


@dataclass(frozen=True, slots=True)
class Outline:
    """What a glance needs of a text: its length, the share of dense letters, and its shingles up to a bound, of two widths."""

    length: int
    dense: float
    bound: int
    short: Hashes
    wide: Hashes


def _outline(text: str) -> Outline:
    codes, dense = letters(text)
    bound = 2**64 - 1 if len(codes) <= OUTLINE else (OUTLINE << 64) // len(codes)
    short, wide = (np.unique(found[found <= np.uint64(bound)]) for found in (shingles(codes, dense), shingles(codes, dense, times=2)))
    return Outline(len(codes), float(dense.mean()) if len(dense) else 0.0, bound, short, wide)


def _glance(a: Outline, b: Outline) -> float:
    """The share of letters that two texts have in common, from their outlines; rather too high, since chance may add to what is wide."""
    bound = np.uint64(min(a.bound, b.bound))
    shares: list[float] = []
    for x, y, doubtful in ((a.short, b.short, False), (a.wide, b.wide, True)):
        x, y = x[: np.searchsorted(x, bound, "right")], y[: np.searchsorted(y, bound, "right")]
        both = np.sort(np.concatenate([x, y]))
        shared = int(np.count_nonzero(both[1:] == both[:-1]))
        least = max(0.0, shared - 2 * shared**0.5 + 1) if doubtful else shared  # two standard deviations below what was counted
        shares.append(2 * least / max(1, len(x) + len(y)))
    return _unchanged(shares[0], shares[1], (a.dense + b.dense) / 2)


def _unchanged(short: float, wide: float, dense: float) -> float:
    """p s from c(k) = p s^k and c(2k) = p s^2k, with p at most 1."""
    width = WIDTH - (WIDTH - DENSE_WIDTH) * dense
    if wide <= short**2 or not short:
        return short ** (1 / width)
    return min(1.0, short**2 / wide * (wide / short) ** (1 / width))


def _letters_file(path: Path) -> Path:
    return path.with_suffix(".letters")


def _borders_file(path: Path) -> Path:
    return path.with_suffix(".borders")
