"""Every input gets its receipt: kept or not, by which rule, measured value and threshold, duplicate of whom, which split.

In: the verdicts of all shards. Out: the split of each document, `receipts.parquet` in the order of the inputs, and counts
for the card. The idea: what needs all documents at once (duplicates, splits) sees 48 bytes of each and the 512 bytes of its
signature, mapped from a file, never its text.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hanmo.base.storage import write_atomically
from hanmo.data.clusters import Clusters, Corpus, find_clusters
from hanmo.data.duplicates import DuplicateConfig, first_occurrences
from hanmo.data.read import SPLITS
from hanmo.data.shards import MEASURE_COLUMNS, documents_file, signatures_file, splits_file, verdicts_file
from hanmo.data.signatures import VALUES
from hanmo.data.split import SplitConfig, assign, position
from hanmo.data.tables import ColumnKind, Table, TableWriter, read_rows

RECEIPT_COLUMNS: dict[str, ColumnKind] = {
    "id": "text",
    "source": "text",
    "kept": "flag",
    "rule": "text",
    "duplicate_of": "text",
    "tokens": "count",
    "split": "text",
    "detail": "text",
    "value": "number",
    "threshold": "number",
    "recurring_lines": "count",
    **MEASURE_COLUMNS,
}
EXACT_DUPLICATE = "exact_duplicate"
NEAR_DUPLICATE = "near_duplicate"
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Decisions:
    """For every row of all verdicts in order: its id, its split (-1: left out) and the row it repeats (-1: none).

    `similarities` tell how near the repeated row is, NaN where the texts are equal. `borders` are the first rows of the shards;
    `moved` the ids put into a split that would have stayed empty.
    """

    ids: NDArray[np.bytes_]
    splits: NDArray[np.int8]
    repeats: NDArray[np.int64]
    similarities: NDArray[np.float64]
    threshold: float
    borders: NDArray[np.int64]
    moved: tuple[str, ...]


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


def decide(folder: Path, num_shards: int, duplicates: DuplicateConfig, split: SplitConfig, workers: int = 1) -> Decisions:
    """Find duplicates and deal splits over all shards, and leave each shard's splits beside it."""
    columns = ("id", "rule", "digest", "characters")
    tables = [Table.read(verdicts_file(folder, shard), columns=columns) for shard in range(num_shards)]
    borders = np.cumsum([0, *map(len, tables)])
    digests = np.concatenate([table.digests("digest") for table in tables])
    ids = np.concatenate([np.array(table.texts("id"), dtype="S24") for table in tables])
    passed = np.flatnonzero(np.concatenate([~table.present("rule") for table in tables]))
    repeats = np.full(len(ids), -1, dtype=np.int64)
    similarities = np.full(len(ids), np.nan)
    firsts = np.arange(len(ids))
    if duplicates.exact:
        first = passed[first_occurrences(digests[passed])]
        repeats[passed] = np.where(first == passed, -1, first)
    if duplicates.near:
        lengths = np.concatenate([table.numbers("characters") for table in tables])
        rows = passed[repeats[passed] < 0]
        clusters = _near(folder, borders, passed, rows, (lengths, ids), duplicates, workers)
        firsts[rows] = rows[clusters.firsts]
        if duplicates.keep == "longest":
            _leave_out(rows, clusters, repeats, similarities)
    kept = passed[repeats[passed] < 0]
    positions = np.array([position(digests[row].tobytes(), split.seed) for row in firsts[kept]], dtype=np.float64)
    dealt, moved = assign(positions, split)
    splits = np.full(len(ids), -1, dtype=np.int8)
    splits[kept] = dealt
    for shard, (start, stop) in enumerate(pairwise(borders)):
        write_atomically(splits_file(folder, shard), lambda path, part=splits[start:stop]: _save(path, part))
    named = tuple(name.decode() for name in cast("list[bytes]", ids[kept[moved]].tolist()))
    return Decisions(ids, splits, repeats, similarities, duplicates.threshold, borders, named)


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
                np.fromfile(signatures_file(folder, shard), np.uint32).reshape(-1, VALUES)[part].tofile(stream)

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


def _save(path: Path, values: NDArray[np.int8]) -> None:
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
    rows = range(start, start + len(verdicts))
    splits = cast("list[int]", decisions.splits[start : rows.stop].tolist())
    repeats = cast("list[int]", decisions.repeats[start : rows.stop].tolist())
    near = cast("list[float]", decisions.similarities[start : rows.stop].tolist())
    found = zip(verdicts.texts("rule"), repeats, near, strict=True)
    rules = [rule if repeat < 0 else EXACT_DUPLICATE if math.isnan(value) else NEAR_DUPLICATE for rule, repeat, value in found]
    table = verdicts.select(name for name in verdicts.names if name not in ("rule", "digest", "value", "threshold"))
    for name, values in (("value", near), ("threshold", [decisions.threshold] * len(near))):
        measured = zip(verdicts.texts(name), values, near, strict=True)
        table = table.with_column(name, "number", [old if math.isnan(value) else new for old, new, value in measured])
    table = table.with_column("kept", "flag", [split >= 0 for split in splits]).with_column("rule", "text", rules)
    originals = cast("list[bytes]", decisions.ids[np.maximum(repeats, 0)].tolist())
    names = [original.decode() if repeat >= 0 else None for original, repeat in zip(originals, repeats, strict=True)]
    table = table.with_column("duplicate_of", "text", names)
    unknown: list[None] = [None] * len(verdicts)
    table = table.with_column("tokens", "count", unknown)
    table = table.with_column("split", "text", [SPLITS[split] if split >= 0 else None for split in splits])
    return table.select(RECEIPT_COLUMNS)


def count(path: Path) -> Counts:
    """Sums over a file of receipts."""
    counts = Counts(splits={split: dict.fromkeys(("documents", "characters", "words", "bytes"), 0) for split in SPLITS})
    wanted = ("source", "kept", "rule", "duplicate_of", "split", "detail", "value", "threshold", "characters", "words", "bytes")
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
    sums["documents"] += 1
    for name in ("characters", "words", "bytes"):
        sums[name] += cast("int", row[name])
    counts.lengths[cast("int", row["characters"]).bit_length() - 1] += 1
