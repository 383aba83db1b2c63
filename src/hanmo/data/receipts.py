"""Every input gets its receipt: kept or not, by which rule, measured value and threshold, duplicate of whom, which split.

In: the verdicts of all shards. Out: the split of each document, `receipts.parquet` in the order of the inputs, and counts
for the card. The idea: what needs all documents at once (duplicates, mixing, splits) sees about a hundred bytes of each and the
512 bytes of its signature, mapped from a file, never its text.
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hanmo.base.storage import write_atomically
from hanmo.data.duplicates.clusters import Clusters, Corpus, find_clusters
from hanmo.data.duplicates.exact import DuplicateConfig, first_occurrences
from hanmo.data.duplicates.signatures import VALUES
from hanmo.data.mixing.mix import MixConfig, Share, mix
from hanmo.data.mixing.split import TRAIN, SplitConfig, deal, position
from hanmo.data.reading.read import SPLITS
from hanmo.data.shards import MEASURE_COLUMNS, documents_file, repeats_file, signatures_file, splits_file, verdicts_file
from hanmo.data.tables import ColumnKind, Table, TableWriter, read_rows

RECEIPT_COLUMNS: dict[str, ColumnKind] = {
    "id": "text",
    "source": "text",
    "kept": "flag",
    "rule": "text",
    "duplicate_of": "text",
    "tokens": "count",
    "split": "text",
    "repeats": "count",
    "fold": "count",
    "detail": "text",
    "value": "number",
    "threshold": "number",
    "recurring_lines": "count",
    **MEASURE_COLUMNS,
}
EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
MIXED_OUT = "mixed_out"
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Decisions:
    """For every row of all verdicts in order: its id, its split (-1: left out), how often it stands there, the row it repeats (-1:
    none), and for what was mixed out its place and its group's cut (elsewhere not a number).

    `similarities` tell how near the repeated row is, NaN where the texts are equal. `borders` are the first rows of the shards;
    `moved` the ids put into a split that would have stayed empty; `shares` what became of each group in the mixture.
    """

    ids: NDArray[np.bytes_]
    splits: NDArray[np.int8]
    times: NDArray[np.int32]
    places: NDArray[np.float64]
    cuts: NDArray[np.float64]
    repeats: NDArray[np.int64]
    similarities: NDArray[np.float64]
    threshold: float
    borders: NDArray[np.int64]
    moved: tuple[str, ...]
    shares: tuple[Share, ...]


@dataclass(slots=True)
class Counts:
    """What the receipts add up to."""

    total: int = 0
    kept: int = 0
    rules: Counter[str] = field(default_factory=Counter[str])
    examples: dict[str, list[dict[str, object]]] = field(default_factory=dict[str, list[dict[str, object]]])
    splits: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    lengths: Counter[int] = field(default_factory=Counter[int])
    """Kept documents by the number of doublings of their length in characters."""


def decide(
    folder: Path,
    num_shards: int,
    duplicates: DuplicateConfig,
    split: SplitConfig,
    mixing: MixConfig | None = None,
    workers: int = 1,
) -> Decisions:
    """Find duplicates, mix and deal splits over all shards, and leave each shard's splits beside it."""
    mixing = mixing or MixConfig()
    columns = ("id", "rule", "digest", "characters", "unit", *(("bytes", "mix_group") if mixing.by else ()))
    tables = [Table.read(verdicts_file(folder, shard), columns=columns) for shard in range(num_shards)]
    borders = np.cumsum([0, *map(len, tables)])
    ids = np.concatenate([np.array(table.texts("id"), dtype="S24") for table in tables])
    found = _repeated(folder, tables, ids, duplicates, workers)
    kept = found.kept
    places, cuts = np.full((2, len(ids)), np.nan)
    times = np.zeros(len(ids), dtype=np.int32)
    times[kept] = 1
    shares: tuple[Share, ...] = ()
    if mixing.by and len(kept):
        digests = np.concatenate([table.digests("digest") for table in tables])[kept]
        drawn = np.array([position(digest.tobytes(), mixing.seed, "mix") for digest in digests], dtype=np.float64)
        mixture = mix(*_groups(tables, kept), drawn, mixing)
        times[kept], shares = mixture.times, mixture.shares
        out = mixture.times == 0
        places[kept[out]], cuts[kept[out]] = drawn[out], mixture.cuts[out]
        kept = kept[~out]
    units = np.concatenate([table.digests("unit") for table in tables])
    dealt, moved = deal(units[kept if split.group_by else found.firsts[kept]], split)  # a group is kept whole before a cluster is
    splits = np.full(len(ids), -1, dtype=np.int8)
    splits[kept] = dealt
    times[kept[dealt != TRAIN]] = 1
    for shard, (start, stop) in enumerate(pairwise(borders)):
        if mixing.by:
            write_atomically(repeats_file(folder, shard), lambda path, part=times[start:stop]: _save(path, part))
        write_atomically(splits_file(folder, shard), lambda path, part=splits[start:stop]: _save(path, part))
    named = cast("list[bytes]", ids[kept[moved]].tolist())
    return Decisions(
        ids=ids,
        splits=splits,
        times=times,
        places=places,
        cuts=cuts,
        repeats=found.repeats,
        similarities=found.similarities,
        threshold=duplicates.threshold,
        borders=borders,
        moved=tuple(name.decode() for name in named),
        shares=shares,
    )


@dataclass(frozen=True, slots=True)
class _Repeated:
    """Which rows stay after duplicates are left out, the row that each repeats (-1: none), how near it is, its cluster's first row."""

    kept: NDArray[np.int64]
    repeats: NDArray[np.int64]
    similarities: NDArray[np.float64]
    firsts: NDArray[np.int64]


def _repeated(folder: Path, tables: list[Table], ids: NDArray[np.bytes_], duplicates: DuplicateConfig, workers: int) -> _Repeated:
    digests = np.concatenate([table.digests("digest") for table in tables])
    passed = np.flatnonzero(np.concatenate([~table.present("rule") for table in tables]))
    repeats = np.full(len(ids), -1, dtype=np.int64)
    similarities, firsts = np.full(len(ids), np.nan), np.arange(len(ids))
    if duplicates.exact:
        first = passed[first_occurrences(digests[passed])]
        repeats[passed] = np.where(first == passed, -1, first)
    if duplicates.near:
        lengths = np.concatenate([table.numbers("characters") for table in tables])
        rows, borders = passed[repeats[passed] < 0], np.cumsum([0, *map(len, tables)])
        clusters = _near(folder, borders, passed, rows, (lengths, ids), duplicates, workers)
        firsts[rows] = rows[clusters.firsts]
        if duplicates.keep == "longest":
            _leave_out(rows, clusters, repeats, similarities)
    return _Repeated(passed[repeats[passed] < 0], repeats, similarities, firsts)


def _near(
    folder: Path,
    borders: NDArray[np.int64],
    passed: NDArray[np.int64],
    rows: NDArray[np.int64],
    facts: tuple[NDArray[np.int64], NDArray[np.bytes_]],
    config: DuplicateConfig,
    workers: int,
) -> Clusters:
    """Clusters among `rows`, which are the passed rows less those that repeat another exactly."""
    if not len(rows):
        return Clusters(rows, np.zeros(0), rows)
    joined = folder / "signatures.bin"
    chosen, starts = np.searchsorted(passed, rows), np.searchsorted(passed, borders)

    def write(path: Path) -> None:
        with path.open("wb") as stream:
            for shard, (start, stop) in enumerate(pairwise(starts)):
                part = chosen[np.searchsorted(chosen, start) : np.searchsorted(chosen, stop)] - start
                stream.write(np.fromfile(signatures_file(folder, shard), np.uint32).reshape(-1, VALUES)[part].tobytes())

    write_atomically(joined, write)
    signatures = np.memmap(joined, np.uint32, "r").reshape(-1, VALUES)
    files = np.searchsorted(borders, rows, side="right") - 1
    corpus = Corpus([documents_file(folder, shard) for shard in range(len(borders) - 1)], files, rows - borders[files])
    lengths, ids = facts
    return find_clusters(signatures, lengths[rows], ids[rows], corpus, config, workers)


def _leave_out(rows: NDArray[np.int64], clusters: Clusters, repeats: NDArray[np.int64], similarities: NDArray[np.float64]) -> None:
    """Note whom each near-duplicate repeats; what repeats it exactly shares its fate."""
    near = np.flatnonzero(clusters.leaders != np.arange(len(rows)))
    repeats[rows[near]] = rows[clusters.leaders[near]]
    similarities[rows[near]] = clusters.similarities[near]
    copies = np.flatnonzero((repeats >= 0) & np.isnan(similarities))
    copies = copies[repeats[repeats[copies]] >= 0]
    similarities[copies] = similarities[repeats[copies]]
    repeats[copies] = repeats[repeats[copies]]


def _groups(tables: list[Table], rows: NDArray[np.int64]) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Group and bytes of these rows."""
    groups = np.array([group or "" for table in tables for group in table.texts("mix_group")], dtype=np.str_)[rows]
    lengths = np.array([number or 0 for table in tables for number in table.texts("bytes")], dtype=np.int64)[rows]
    return groups, lengths


def _save(path: Path, values: NDArray[np.int8] | NDArray[np.int32]) -> None:
    with path.open("wb") as stream:
        np.save(stream, values)


def write_receipts(path: Path, folder: Path, decisions: Decisions) -> None:
    """Write `receipts.parquet` from the verdicts of all shards and the decisions on them."""

    def write(temporary: Path) -> None:
        with TableWriter(temporary, RECEIPT_COLUMNS) as writer:
            for shard in range(len(decisions.borders) - 1):
                writer.write(_receipts(Table.read(verdicts_file(folder, shard)), decisions, int(decisions.borders[shard])))

    write_atomically(path, write)


def _receipts(verdicts: Table, decisions: Decisions, start: int) -> Table:
    rows = slice(start, start + len(verdicts))
    splits = cast("list[int]", decisions.splits[rows].tolist())
    repeats = cast("list[int]", decisions.repeats[rows].tolist())
    near = decisions.similarities[rows]
    is_near, out = ~np.isnan(near), ~np.isnan(decisions.places[rows])
    rules = [
        (NEAR_DUPLICATE if close else EXACT_DUPLICATE) if repeat >= 0 else MIXED_OUT if mixed else rule
        for rule, repeat, close, mixed in zip(verdicts.texts("rule"), repeats, is_near, out, strict=True)
    ]
    replaced = ("rule", "value", "threshold")
    table = verdicts.select(name for name in verdicts.names if name in RECEIPT_COLUMNS and name not in replaced)
    found = {"value": (near, decisions.places[rows]), "threshold": (np.full(len(near), decisions.threshold), decisions.cuts[rows])}
    table = table.with_column("kept", "flag", [split >= 0 for split in splits]).with_column("rule", "text", rules)
    for name, (close, mixed) in found.items():
        new = np.where(is_near, close, mixed).tolist()
        values = [each if there else known for each, there, known in zip(new, is_near | out, verdicts.texts(name), strict=True)]
        table = table.with_column(name, "number", values)
    originals = cast("list[bytes]", decisions.ids[np.maximum(decisions.repeats[rows], 0)].tolist())
    names = [original.decode() if repeat >= 0 else None for original, repeat in zip(originals, repeats, strict=True)]
    table = table.with_column("duplicate_of", "text", names)
    unknown: list[None] = [None] * len(verdicts)
    table = table.with_column("tokens", "count", unknown)
    table = table.with_column("split", "text", [SPLITS[split] if split >= 0 else None for split in splits])
    times = cast("list[int]", decisions.times[rows].tolist())
    table = table.with_column("repeats", "count", [often if split >= 0 else None for split, often in zip(splits, times, strict=True)])
    return table.select(RECEIPT_COLUMNS)


def count(path: Path) -> Counts:
    """Sums over a file of receipts."""
    counts = Counts(splits={split: dict.fromkeys(("documents", "characters", "words", "bytes"), 0) for split in SPLITS})
    wanted = ("source", "kept", "rule", "duplicate_of", "split", "repeats", "detail", "value", "threshold", "characters", "words", "bytes")
    for row in read_rows(path, wanted):
        counts.total += 1
        if row["kept"]:
            _add_kept(counts, row)
        else:
            rule = str(row["rule"])
            counts.rules[rule] += 1
            if len(examples := counts.examples.setdefault(rule, [])) < EXAMPLES:
                examples.append(row)
    return counts


def _add_kept(counts: Counts, row: dict[str, object]) -> None:
    counts.kept += 1
    sums = counts.splits[str(row["split"])]
    often = cast("int", row["repeats"])
    sums["documents"] += often
    for name in ("characters", "words", "bytes"):
        sums[name] += often * cast("int", row[name])
    counts.lengths[cast("int", row["characters"]).bit_length() - 1] += 1
