"""Training documents that stand more than once: repeats that the mixture asks for, and augmented copies.

In: documents of the training split as a table, how often each stands, settings. Out: the same rows with their copies, in the
order of their ids. The idea: a copy's id is its original's id with -r1, -r2 (repeat) or -a1, -a2 (augmentation) behind it, so
that ids stay unique and sorted; its metadata names the original. Receipts stay one row an input.
"""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from hanmo.data.cleaning.words import words
from hanmo.data.mixing.augment import AugmentConfig, augmentations
from hanmo.data.mixing.folds import AUGMENTED_BY, AUGMENTED_FROM, REPEAT_OF
from hanmo.data.tables import ArrowTable, ColumnKind, Row

Sums = dict[str, int]
MEASURED: tuple[str, ...] = ("documents", "characters", "words", "bytes")


def with_copies(
    table: ArrowTable, times: NDArray[np.int32], augment: AugmentConfig, columns: dict[str, ColumnKind]
) -> tuple[ArrowTable, Sums]:
    """The rows with their copies behind them, and documents, characters, words and bytes of the augmented ones."""
    sums: Sums = dict.fromkeys(MEASURED, 0)
    if not augment.copies and (times <= 1).all():
        return table, sums
    rows: list[Row] = []
    for row, often in zip(table.rows(), cast("list[int]", times.tolist()), strict=True):
        rows.append(row)
        rows += [_copy(row, f"r{number}", {REPEAT_OF: str(row["id"])}) for number in range(1, often)]
        for number, operation, text in augmentations(str(row["text"]), augment, str(row["id"])):
            origin = {AUGMENTED_FROM: str(row["id"]), AUGMENTED_BY: operation}
            rows.append({**_copy(row, f"a{number}", origin), "text": text})
            for name, value in zip(MEASURED, (1, len(text), words(text), len(text.encode())), strict=True):
                sums[name] += value
    return ArrowTable.of(rows, columns).sorted_by("id"), sums


def _copy(row: Row, mark: str, origin: dict[str, str]) -> dict[str, object]:
    metadata = dict(cast("dict[str, str]", row["metadata"]))
    return {**row, "id": f"{row['id']}-{mark}", "metadata": {**metadata, **origin}}
