"""Tokens of each document, beside its receipt.

In: a data set and the token stores of its splits. Out: `tokens/HASH.parquet` in the data set, one row an encoded document:
`id`, `tokens` (without the end-of-text token), `tokenizer`. The idea: `receipts.parquet` belongs to the data set, whose manifest
holds its SHA-256, and one data set is encoded with many tokenizers; so each has a file of its own, named by its hash, which
any Parquet tool joins to the receipts by id. A document that left the data set keeps its row until it is encoded again.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hanmo.base.storage import write_atomically
from hanmo.batches.store import TokenStore
from hanmo.data.tables import ArrowTable, ColumnKind, TableWriter, read_rows

COLUMNS: dict[str, ColumnKind] = {"id": "text", "tokens": "count", "tokenizer": "text"}
ROWS = 65_536


def counts_file(dataset: Path, tokenizer: str) -> Path:
    """Where the counts of one tokenizer are."""
    return dataset / "tokens" / f"{tokenizer[:16]}.parquet"


def write_counts(dataset: Path, stores: Iterable[TokenStore], tokenizer: str) -> Path:
    """Write the tokens of every document of all `stores`, whole or not at all; gives the file."""
    path = counts_file(dataset, tokenizer)

    def write(temporary: Path) -> None:
        with TableWriter(temporary, COLUMNS) as writer:
            for store in stores:
                lengths = (np.diff(store.offsets) - 1).tolist()
                rows: list[dict[str, object]] = []
                for id, length in zip(store.document_ids(), lengths, strict=True):
                    rows.append({"id": id, "tokens": length, "tokenizer": tokenizer})
                    if len(rows) == ROWS:
                        writer.write(ArrowTable.of(rows, COLUMNS))
                        rows = []
                if rows:
                    writer.write(ArrowTable.of(rows, COLUMNS))

    write_atomically(path, write)
    return path


def read_counts(dataset: Path, tokenizer: str) -> dict[str, int]:
    """Tokens by document id; empty when the data set was never encoded with this tokenizer."""
    path = counts_file(dataset, tokenizer)
    if not path.exists():
        return {}
    return {
        str(row["id"]): int(str(row["tokens"])) for row in read_rows(path, ("id", "tokens", "tokenizer")) if row["tokenizer"] == tokenizer
    }
