"""Every input gets its receipt: kept or not, by which rule, measured value and threshold, duplicate of whom, which split.

In: the verdicts of all shards and what was decided. Out: `receipts.parquet` in the order of the inputs, and counts for the card. The
idea: verdicts come a few thousand at a time, and go into row groups of a fixed length, so the file does not depend on how they lay.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from hanmo.base.errors import DataError
from hanmo.base.storage import write_atomically
from hanmo.data.decisions import EXACT_DUPLICATE, MIXED_OUT, NEAR_DUPLICATE, Decisions
from hanmo.data.reading.read import SPLITS
from hanmo.data.shards import MEASURE_COLUMNS
from hanmo.data.tables import ArrowTable, ColumnKind, TableWriter, read_rows
from hanmo.data.verdicts import Verdicts

RECEIPT_COLUMNS: dict[str, ColumnKind] = {
    "id": "text",
    "source": "text",
    "own_id": "text",
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
EXAMPLES = 5
GROUP_ROWS = 1 << 13


@dataclass(slots=True)
class ReceiptCounts:
    """What the receipts add up to."""

    total: int = 0
    kept: int = 0
    rules: Counter[str] = field(default_factory=Counter[str])
    looks: Counter[str] = field(default_factory=Counter[str])
    """Kept documents by what they look like, where that is nothing their authors wrote."""
    examples: dict[str, list[dict[str, object]]] = field(default_factory=dict[str, list[dict[str, object]]])
    splits: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    lengths: Counter[int] = field(default_factory=Counter[int])
    """Kept documents by the number of doublings of their length in characters."""


def write_receipts(path: Path, folder: Path, decisions: Decisions) -> None:
    """Write `receipts.parquet` from the verdicts of all shards and the decisions on them."""

    def write(temporary: Path) -> None:
        with TableWriter(temporary, RECEIPT_COLUMNS) as writer:
            for start, verdicts in _groups(Verdicts(folder, decisions.num_shards)):
                writer.write(_receipts(verdicts, decisions, start))

    write_atomically(path, write)


def _groups(verdicts: Verdicts) -> Iterator[tuple[int, ArrowTable]]:
    """Verdicts so many at a time, the last ones fewer, with the number of the first."""
    done, waiting = 0, list[ArrowTable]()
    for table in verdicts.tables():
        waiting.append(table)
        while sum(map(len, waiting)) >= GROUP_ROWS:
            whole = ArrowTable.concatenate(waiting)
            yield done, whole.take(np.arange(GROUP_ROWS))
            done, waiting = done + GROUP_ROWS, [whole.take(np.arange(GROUP_ROWS, len(whole)))]
    if waiting:
        yield done, ArrowTable.concatenate(waiting)


def _receipts(verdicts: ArrowTable, decisions: Decisions, start: int) -> ArrowTable:
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
    folds = cast("list[int]", decisions.folds[rows].tolist())
    table = table.with_column("fold", "count", [fold if fold >= 0 else None for fold in folds])
    unknown: list[None] = [None] * len(verdicts)
    table = table.with_column("tokens", "count", unknown)
    table = table.with_column("split", "text", [SPLITS[split] if split >= 0 else None for split in splits])
    times = cast("list[int]", decisions.times[rows].tolist())
    table = table.with_column("repeats", "count", [often if split >= 0 else None for split, often in zip(splits, times, strict=True)])
    return table.select(RECEIPT_COLUMNS)


def count(path: Path) -> ReceiptCounts:
    """Sums over a file of receipts."""
    counts = ReceiptCounts(splits={split: dict.fromkeys(("documents", "characters", "words", "bytes"), 0) for split in SPLITS})
    wanted = (
        "source",
        "kept",
        "rule",
        "duplicate_of",
        "split",
        "repeats",
        "detail",
        "value",
        "threshold",
        "characters",
        "words",
        "bytes",
        "looks_like",
    )
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


def refused_rows(path: Path) -> Iterator[dict[str, object]]:
    """What every input that was left out has in its receipt, in the order of the inputs.

    Raises DataError when there are no receipts.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist: --out should be a data set that hanmo prepare made, or tried to make")
    wanted = ("source", "own_id", "kept", "rule", "duplicate_of", "detail", "value", "threshold")
    for row in read_rows(path, wanted):
        if not row.pop("kept"):
            yield row


def in_words(row: Mapping[str, object]) -> str:
    """A receipt in one line: the input, the rule, the figures, the detail.

    >>> in_words({"source": "a.jsonl#3", "rule": "min_words", "value": 2.0, "threshold": 5.0, "detail": None})
    'a.jsonl#3: min_words (2 against 5)'
    """
    value, threshold = row.get("value"), row.get("threshold")
    figures = f"{value:.4g} against {threshold:.4g}" if isinstance(value, int | float) and isinstance(threshold, int | float) else ""
    copied = f"of {row['duplicate_of']}" if row.get("duplicate_of") else ""
    more = "; ".join(filter(None, (figures, copied, str(row.get("detail") or ""))))
    return f"{row['source']}: {row['rule']}{more and f' ({more})'}"


def _add_kept(counts: ReceiptCounts, row: dict[str, object]) -> None:
    counts.kept += 1
    if row["looks_like"]:
        counts.looks[str(row["looks_like"])] += 1
    sums = counts.splits[str(row["split"])]
    often = cast("int", row["repeats"])
    sums["documents"] += often
    for name in ("characters", "words", "bytes"):
        sums[name] += often * cast("int", row[name])
    counts.lengths[cast("int", row["characters"]).bit_length() - 1] += 1
