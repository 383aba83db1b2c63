"""What needs all documents at once: which repeat others, which are mixed out, which split and fold each goes to.

In: the verdicts of all shards. Out: a decision for every row of them, and each shard's splits beside it. The idea: a column is read when it
is needed and left when it has done its work, so a document costs at most about budget.DOCUMENT_BYTES here; its signature and the
pairs it may form lie on disk, and its text is never here. What is kept of a cluster of near-duplicates stays together, and so
does a group: where they overlap, all that hangs together is dealt as one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hanmo.base.storage import write_atomically
from hanmo.data.budget import DOCUMENT_BYTES, Budget
from hanmo.data.duplicates.clusters import Clusters, Room, find_clusters, joined
from hanmo.data.duplicates.exact import DuplicateConfig, first_occurrences
from hanmo.data.duplicates.opened import Corpus, lay_signatures
from hanmo.data.duplicates.signatures import SIGNATURE_VALUES, Signatures
from hanmo.data.mixing.mix import GroupShare, MixConfig, mix
from hanmo.data.mixing.split import TRAIN, SplitConfig, deal, fold_of, position
from hanmo.data.shards import documents_file, folds_file, repeats_file, signatures_file, splits_file
from hanmo.data.verdicts import Verdicts

EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
MIXED_OUT = "mixed_out"
BLOCK_ROWS = 1 << 12  # of signatures


@dataclass(frozen=True, slots=True)
class Decisions:
    """For every row of all verdicts in order: its id, its split and its fold (-1: left out, or none), how often it stands there, the row
    it repeats (-1: none), and for what was mixed out its place and its group's cut (elsewhere not a number).

    `similarities` tell how near the repeated row is, NaN where the texts are equal. `moved` are the ids put into a split that would
    have stayed empty; `shares` what became of each group in the mixture.
    """

    num_shards: int
    ids: NDArray[np.bytes_]
    splits: NDArray[np.int8]
    folds: NDArray[np.int16]
    times: NDArray[np.int32]
    places: NDArray[np.float64]
    cuts: NDArray[np.float64]
    repeats: NDArray[np.int64]
    similarities: NDArray[np.float64]
    threshold: float
    moved: tuple[str, ...]
    shares: tuple[GroupShare, ...]


def decide(
    folder: Path, num_shards: int, duplicates: DuplicateConfig, split: SplitConfig, mixing: MixConfig | None = None, *, budget: Budget
) -> Decisions:
    """Find duplicates, mix and deal splits over all shards, and leave each shard's splits beside it.

    Raises ConfigError when the memory does not do for so many documents.
    """
    mixing = mixing or MixConfig()
    verdicts = Verdicts(folder, num_shards)
    count = len(verdicts)
    budget.check(count, DOCUMENT_BYTES, "documents")
    ids = verdicts.ids()
    found = _repeated(folder, verdicts, ids, duplicates, budget)
    kept = found.kept
    places, cuts = np.full((2, count), np.nan)
    times = np.zeros(count, dtype=np.int32)
    times[kept] = 1
    shares: tuple[GroupShare, ...] = ()
    if mixing.by and len(kept):
        drawn = _drawn(verdicts.digests("digest")[kept], mixing)
        names, codes = verdicts.groups("mix_group")
        mixture = mix(names, codes[kept], verdicts.numbers("bytes")[kept], drawn, mixing)
        times[kept], shares = mixture.times, mixture.shares
        out = mixture.times == 0
        places[kept[out]], cuts[kept[out]] = drawn[out], mixture.cuts[out]
        kept = kept[~out]
    units = together(verdicts.digests("unit"), found.firsts, kept)
    dealt, moved = deal(units, split)
    splits, folds = np.full(count, -1, dtype=np.int8), np.full(count, -1, dtype=np.int16)
    splits[kept] = dealt
    if split.folds:
        folds[kept] = np.fromiter((fold_of(unit.tobytes(), split) for unit in units), np.int16, len(units))
    times[kept[dealt != TRAIN]] = 1
    for shard, (start, stop) in enumerate(pairwise(verdicts.borders.tolist())):
        if mixing.by:
            _save(repeats_file(folder, shard), times[start:stop])
        if split.folds:
            _save(folds_file(folder, shard), folds[start:stop])
        _save(splits_file(folder, shard), splits[start:stop])
    named = cast("list[bytes]", ids[kept[moved]].tolist())
    return Decisions(
        num_shards=num_shards,
        ids=ids,
        splits=splits,
        folds=folds,
        times=times,
        places=places,
        cuts=cuts,
        repeats=found.repeats,
        similarities=found.similarities,
        threshold=duplicates.threshold,
        moved=tuple(name.decode() for name in named),
        shares=shares,
    )


def together(units: NDArray[np.uint64], firsts: NDArray[np.int64], kept: NDArray[np.int64]) -> NDArray[np.uint64]:
    """What each kept row is dealt by [kept, 2], so that neither equal units nor clusters are torn apart.

    units: digests of all rows [rows, 2]; firsts: the first row of each one's cluster. A row's unit and its first's are one, and what hangs
    together over any number of rows takes the smallest unit of a first in it.
    """
    own, head = units[kept], units[firsts[kept]]
    if (own == head).all():
        return own
    distinct, codes = np.unique(np.concatenate([own, head]), axis=0, return_inverse=True)
    codes = codes.reshape(2, -1)
    heads = np.zeros(len(distinct), np.bool_)
    heads[codes[1]] = True
    rank = np.where(heads, 0, len(distinct)) + np.arange(len(distinct))
    return distinct[joined([codes.T[codes[0] != codes[1]]], rank)[codes[0]]]


@dataclass(frozen=True, slots=True)
class _Repeated:
    """Which rows stay after duplicates are left out, the row that each repeats (-1: none), how near it is, its cluster's first row."""

    kept: NDArray[np.int64]
    repeats: NDArray[np.int64]
    similarities: NDArray[np.float64]
    firsts: NDArray[np.int64]


def _repeated(folder: Path, verdicts: Verdicts, ids: NDArray[np.bytes_], duplicates: DuplicateConfig, budget: Budget) -> _Repeated:
    passed = np.flatnonzero(~verdicts.present("rule"))
    repeats = np.full(len(ids), -1, dtype=np.int64)
    similarities, firsts = np.full(len(ids), np.nan), np.arange(len(ids))
    if duplicates.exact:
        first = passed[first_occurrences(verdicts.digests("digest")[passed])]
        repeats[passed] = np.where(first == passed, -1, first)
    if duplicates.near:
        rows = passed[repeats[passed] < 0]
        clusters = _near(folder, verdicts, passed, rows, ids, duplicates, budget)
        firsts[rows] = rows[clusters.firsts]
        if duplicates.keep == "longest":
            _leave_out(rows, clusters, repeats, similarities)
    return _Repeated(passed[repeats[passed] < 0], repeats, similarities, firsts)


def _near(
    folder: Path,
    verdicts: Verdicts,
    passed: NDArray[np.int64],
    rows: NDArray[np.int64],
    ids: NDArray[np.bytes_],
    config: DuplicateConfig,
    budget: Budget,
) -> Clusters:
    """Clusters among `rows`, which are the passed rows less those that repeat another exactly."""
    if not len(rows):
        return Clusters(rows, np.zeros(0), rows)
    borders = verdicts.borders
    room = Room(folder, budget.workers, budget.share.held // 4)
    blocks = _signatures(folder, np.searchsorted(passed, rows), np.searchsorted(passed, borders))
    signatures = lay_signatures(folder, len(rows), blocks, room.held_bytes)
    files = np.searchsorted(borders, rows, side="right") - 1
    corpus = Corpus(tuple(documents_file(folder, shard) for shard in range(len(borders) - 1)), files, rows - borders[files])
    return find_clusters(signatures, verdicts.numbers("characters")[rows], ids[rows], corpus, config, room)


def _signatures(folder: Path, chosen: NDArray[np.int64], starts: NDArray[np.int64]) -> Iterator[Signatures]:
    """The chosen signatures, some at a time; `starts` are the first ones of the shards among all."""
    for shard, (start, stop) in enumerate(pairwise(starts.tolist())):
        for first in range(start, stop, BLOCK_ROWS):
            end = min(stop, first + BLOCK_ROWS)
            part = chosen[np.searchsorted(chosen, first) : np.searchsorted(chosen, end)] - first
            size = 4 * SIGNATURE_VALUES
            block = np.fromfile(signatures_file(folder, shard), np.uint32, (end - first) * SIGNATURE_VALUES, offset=(first - start) * size)
            yield block.reshape(-1, SIGNATURE_VALUES)[part]


def _leave_out(rows: NDArray[np.int64], clusters: Clusters, repeats: NDArray[np.int64], similarities: NDArray[np.float64]) -> None:
    """Note whom each near-duplicate repeats; what repeats it exactly shares its fate."""
    near = np.flatnonzero(clusters.leaders != np.arange(len(rows)))
    repeats[rows[near]] = rows[clusters.leaders[near]]
    similarities[rows[near]] = clusters.similarities[near]
    copies = np.flatnonzero((repeats >= 0) & np.isnan(similarities))
    copies = copies[repeats[repeats[copies]] >= 0]
    similarities[copies] = similarities[repeats[copies]]
    repeats[copies] = repeats[repeats[copies]]


def _drawn(digests: NDArray[np.uint64], mixing: MixConfig) -> NDArray[np.float64]:
    return np.fromiter((position(digest.tobytes(), mixing.seed, "mix") for digest in digests), np.float64, len(digests))


def _save(path: Path, values: NDArray[np.int8] | NDArray[np.int16] | NDArray[np.int32]) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            np.save(stream, values)

    write_atomically(path, write)
