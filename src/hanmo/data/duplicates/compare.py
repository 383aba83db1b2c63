"""How alike two texts are: an alignment, or shared shingles, whichever says more.

In: texts of plain letters. Out: a number from 0 to 1. The idea: an alignment bears many small edits, shingles bear passages in another
order. The time of an alignment grows with the square of the length, so of long texts blocks are aligned, each at the place that most
of its shingles point to; shared shingles alone would not do, since any two long texts of one language share many. What comparing
needs of a text is found once (`Side`), and bounds that cost little come first: the lengths, and a sample of the shingles.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from hanmo.data.duplicates.letters import Hashes, letters, mix, windows
from hanmo.data.duplicates.signatures import DENSE_WIDTH, WIDTH, jaccard, shingles

LONGEST_ALIGNED = 20_000  # letters
BRIEF = 1000  # letters, whose shingles say too little to rule anything out, while an alignment costs next to nothing
BLOCK, BLOCKS = 512, 32  # of a longer text, so many letters are compared in so many places
BLOCKS_APART = 8  # of each so many blocks one is looked at first
UNLIKE = 0.4  # where those blocks are no more alike than this, as unrelated texts are, the others are not looked at
SEEDS = 1 << 16
COMMON = 16  # a shingle that stands in more places points to none
DRIFT = 128  # letters that edits may shift within a block
MARGIN = 0.1  # how far below the threshold an estimate may lie and still be checked
SAMPLE = 1024  # shingles of a text in a sample, about
SHORT_SAMPLE = 256  # in the smaller one that is kept of every text
SHORT_ROOM = 320
LOW = np.uint64(0xFFFF)
DOUBT = 0.1  # how much lower than the whole sketch the short one may come out
REPEATED = 0.95  # by the sketches; a text twice has the same shingles as once


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a first comparison needs of a text: its length, the share of dense letters, and its shingles up to a bound, of two widths."""

    length: int
    dense: float
    bound: int
    short: Hashes
    wide: Hashes


class Side:
    """One text of plain letters, and what comparing it needs, each part found when it is first asked for."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __len__(self) -> int:
        return len(self.text)

    @property
    def num_bytes(self) -> int:
        """Memory once all parts are found, about."""
        return 5_000 + 12 * len(self) + (16 * min(len(self), SEEDS) + 8 * BLOCK * BLOCKS if len(self) > LONGEST_ALIGNED else 0)

    @functools.cached_property
    def sketch(self) -> Sketch:
        """A sample of the shingles."""
        codes, dense = letters(self.text)
        bound = 2**64 - 1 if len(codes) <= SAMPLE else (SAMPLE << 64) // len(codes)
        short, wide = (np.unique(found[found <= np.uint64(bound)]) for found in (shingles(codes, dense), shingles(codes, dense, times=2)))
        return Sketch(len(codes), float(dense.mean()) if len(dense) else 0.0, bound, short, wide)

    @functools.cached_property
    def shingles(self) -> Hashes:
        """All shingles in ascending order, each once."""
        return np.unique(shingles(*letters(self.text)))

    @functools.cached_property
    def seeds(self) -> tuple[Hashes, NDArray[np.int64]]:
        """Windows in ascending order, some 65,536 of them chosen by their hash, and where each begins."""
        hashes = _windows(self.text)
        places = np.flatnonzero(hashes <= np.uint64(min(2**64 - 1, (SEEDS << 64) // max(1, len(hashes)))))
        order = np.argsort(hashes[places], kind="stable")
        return hashes[places][order], places[order]

    @functools.cached_property
    def blocks(self) -> list[tuple[str, Hashes]]:
        """Blocks spread over the text with their windows, those that are looked at first in front."""
        starts = np.linspace(0, max(0, len(self) - BLOCK), BLOCKS).astype(np.int64).tolist()
        ordered = starts[::BLOCKS_APART] + [start for i, start in enumerate(starts) if i % BLOCKS_APART]
        return [(block, _windows(block)) for block in (self.text[start : start + BLOCK] for start in ordered)]


class Sides:
    """The texts that were asked for last, up to so many bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._bytes = limit, 0
        self._kept: OrderedDict[Hashable, Side] = OrderedDict()

    def get(self, key: Hashable, text: Callable[[], str]) -> Side:
        """The text of this key, read when it is not there."""
        side = self._kept.pop(key, None)
        if side is None:
            side = Side(text())
            self._bytes += side.num_bytes
        self._kept[key] = side
        while self._bytes > self._limit and len(self._kept) > 2:
            self._bytes -= self._kept.popitem(last=False)[1].num_bytes
        return side


SHORT_SKETCH = np.dtype(
    [("length", "<i8"), ("dense", "<f8"), ("bound", "<u8"), ("short", "<u8", (SHORT_ROOM,)), ("wide", "<u8", (SHORT_ROOM,))]
)
"""The beginning of a sketch, in a fixed size: hashes in ascending order, filled up with the largest number."""


def short_sketch(sketch: Sketch) -> NDArray[np.void]:
    """The short sketch that is kept of every text."""
    bound = min(sketch.bound, (SHORT_SAMPLE << 64) // max(SHORT_SAMPLE, sketch.length))
    kept = [found[: np.searchsorted(found, np.uint64(bound), "right")] for found in (sketch.short, sketch.wide)]
    if max(map(len, kept)) > SHORT_ROOM:  # as good as never: the bound leaves 256 on average
        longest = max(kept, key=len)
        bound = int(longest[SHORT_ROOM - 1])
        kept = [found[: np.searchsorted(found, np.uint64(bound), "right")][:SHORT_ROOM] for found in kept]
    short = np.zeros((), SHORT_SKETCH)
    short["length"], short["dense"], short["bound"] = sketch.length, sketch.dense, bound
    for name, found in zip(("short", "wide"), kept, strict=True):
        short[name] = np.concatenate([found, np.full(SHORT_ROOM - len(found), 2**64 - 1, np.uint64)])
    return short


def hopeful(one: NDArray[np.void], others: NDArray[np.void], least: float) -> NDArray[np.bool_]:
    """Of pairs of one text with others, those that their short sketches do not rule out.

    What `is_worth_comparing` says, from a quarter of the sample and of all pairs at once.
    """
    lengths, length = others["length"], int(one["length"])
    near = np.minimum(lengths, length) >= least * np.maximum(lengths, length)
    long = near & (np.maximum(lengths, length) > LONGEST_ALIGNED)
    bounds = np.minimum(others["bound"], one["bound"])
    shares: list[NDArray[np.float64]] = []
    for name, doubtful in (("short", False), ("wide", True)):
        mine, theirs = one[name], np.ascontiguousarray(others[name])
        inside = (theirs <= bounds[:, None]) & (theirs < np.uint64(2**64 - 1))
        shared = _shared_hashes(mine, theirs, inside)
        both = np.searchsorted(mine, np.minimum(bounds, np.uint64(2**64 - 2)), "right") + inside.sum(axis=1)
        least_shared = np.maximum(0.0, shared - 2 * np.sqrt(shared) + 1) if doubtful else shared
        shares.append(2 * least_shared / np.maximum(1, both))
    dense = (others["dense"] + float(one["dense"])) / 2
    shares_alike = np.array([_unchanged(*each) for each in zip(*(column.tolist() for column in (*shares, dense)), strict=True)])
    return long | ((shares_alike >= least - MARGIN - DOUBT) & (near | (shares_alike >= REPEATED - DOUBT)))


def brief(one: NDArray[np.void], others: NDArray[np.void], least: float) -> NDArray[np.bool_]:
    """Of pairs of one text with others, those too brief for a sketch to rule them out, where the lengths do not."""
    shorter, longer = np.minimum(others["length"], one["length"]), np.maximum(others["length"], one["length"])
    return (shorter >= least * longer) & (shorter <= BRIEF)


def _shared_hashes(mine: Hashes, theirs: NDArray[np.uint64], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many of each row are among `mine`: the low bits rule nearly all others out, the whole number decides."""
    known = np.zeros(1 << 16, np.bool_)
    known[mine & LOW] = True
    rows, columns = np.nonzero(known[theirs & LOW] & inside)
    wanted = theirs[rows, columns]
    found = mine[np.minimum(np.searchsorted(mine, wanted), len(mine) - 1)] == wanted
    return np.bincount(rows[found], minlength=len(theirs)).astype(np.float64)


def similarity(a: str, b: str, least: float = 0.0) -> float:
    """How alike two texts of plain letters are, from 0 to 1: the larger of two measures.

    One is 1 - distance / length of the longer, by Levenshtein; for texts longer than 20,000 letters it is measured on blocks. The
    other is the Jaccard index of shingles. A value below `least` may come out lower than it is.

    >>> similarity("nightbytheriver", "nightbytheriver"), round(similarity("nightbytheriver", "nightattheriver"), 2)
    (1.0, 0.87)
    """
    return compare(Side(a), Side(b), least)


def compare(a: Side, b: Side, least: float) -> float:
    """The similarity of two texts that may be compared with others as well."""
    if a.text == b.text:
        return 1.0
    short, long = sorted((a, b), key=len)
    if len(long) <= LONGEST_ALIGNED:
        return max(_shared(a, b), aligned(a, b, least))
    shared = _shared(a, b) if _sampled(a.sketch, b.sketch) >= least - MARGIN else 0.0
    if len(short) < least * len(long):  # no more than this share of the longer can stand in the shorter
        return shared
    return max(shared, _unchanged_in_blocks(short, long))


def aligned(a: Side, b: Side, least: float) -> float:
    """1 - distance / length of the longer, by Levenshtein; 0 where it is below `least`."""
    return Levenshtein.normalized_similarity(a.text, b.text, score_cutoff=least)


def is_worth_comparing(a: Side, b: Side, least: float) -> bool:
    """Whether the sketches allow a similarity of `least`; of long texts the lengths alone say it, since blocks cost little."""
    shorter, longer = sorted((len(a), len(b)))
    near = shorter >= least * max(longer, 1)
    if near and (longer > LONGEST_ALIGNED or (shorter <= BRIEF and aligned(a, b, least) >= least)):
        return True
    value = _sketched_similarity(a.sketch, b.sketch)
    return value >= least - MARGIN and (near or value >= REPEATED)


def _shared(a: Side, b: Side) -> float:
    """The Jaccard index of all shingles."""
    return jaccard(a.shingles, b.shingles)


def _sampled(a: Sketch, b: Sketch) -> float:
    """The Jaccard index of the shingles in both samples; its standard error is below 0.02 where both are long."""
    bound = np.uint64(min(a.bound, b.bound))
    x, y = (each.short[: np.searchsorted(each.short, bound, "right")] for each in (a, b))
    return jaccard(x, y)


def _unchanged_in_blocks(short: Side, long: Side) -> float:
    """The share of `long` that stands in `short` as well, unchanged: the mean over blocks of `short` by their best place in `long`."""
    hashes, places = long.seeds
    found: list[float] = []
    for block, wanted in short.blocks:
        left, right = np.searchsorted(hashes, wanted, "left"), np.searchsorted(hashes, wanted, "right")
        offsets = np.flatnonzero((left < right) & (right <= left + COMMON))
        firsts, counts = left[offsets], (right - left)[offsets]
        running = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        shifts = places[np.repeat(firsts, counts) + running] - np.repeat(offsets, counts)
        value = 0.0
        if len(shifts):
            bins, often = np.unique(shifts // DRIFT, return_counts=True)
            at = max(0, int(np.median(shifts[shifts // DRIFT == bins[often.argmax()]])))
            value = Levenshtein.normalized_similarity(block, long.text[at : at + BLOCK])
        found.append(value)
        if len(found) == BLOCKS // BLOCKS_APART and np.mean(found) < UNLIKE:
            break
    return float(np.mean(found)) * len(short) / len(long)


def _windows(text: str) -> Hashes:
    codes, dense = letters(text)
    return mix(windows(codes, min(len(codes), DENSE_WIDTH if dense.mean() > 0.5 else WIDTH)))


def _sketched_similarity(a: Sketch, b: Sketch) -> float:
    """The share of letters that two texts have in common, from their sketches; rather too high, since chance may add to what is wide."""
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
