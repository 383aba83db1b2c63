"""Two kinds of jobs: a shard of inputs becomes clean documents and receipts; a bucket of ids becomes files of the data set.

In: units to read, later the split of every document. Out: files in a work folder, each whole or absent, so that work goes on
where a kill struck. The idea: a shard writes its documents in row groups by the leading digits of their ids; a bucket then
takes its row groups from every shard, sorts them by id and writes them, and no process ever holds more than a bucket.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hanmo.base.storage import write_atomically
from hanmo.data.duplicates import text_digest
from hanmo.data.filters import COUNTS, MEASURES, MEASURES_AS_FOUND, FilterConfig, judge, measure
from hanmo.data.inputs import InputFile, Refused, Text, Unit
from hanmo.data.normalize import mend, normalize, without_surrogates
from hanmo.data.read import SPLITS, ReadConfig, document_id, read_unit
from hanmo.data.tables import ColumnKind, Row, Table, TableWriter, first_ids

DOCUMENT_COLUMNS: dict[str, ColumnKind] = {
    "id": "text",
    "text": "text",
    "source": "text",
    "language": "text",
    "license": "text",
    "metadata": "metadata",
}
MEASURE_COLUMNS: dict[str, ColumnKind] = {"format": "text", "encoding": "text", "bytes": "count"}
MEASURE_COLUMNS.update({name: "count" if name in COUNTS else "number" for name in (*MEASURES_AS_FOUND, *MEASURES)})
VERDICT_COLUMNS: dict[str, ColumnKind] = {
    "id": "text",
    "source": "text",
    "rule": "text",
    "detail": "text",
    "value": "number",
    "threshold": "number",
    **MEASURE_COLUMNS,
    "digest": "digest",
}
HELD_BYTES = 32 * 2**20
GROUP_BYTES = 8 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardJob:
    """Units to read and clean, and where the result goes."""

    number: int
    units: tuple[Unit, ...]
    folder: Path
    read: ReadConfig
    repair: bool
    filters: FilterConfig
    num_buckets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketJob:
    """One range of ids to collect from all shards."""

    number: int
    num_buckets: int
    num_shards: int
    folder: Path
    out: Path


def verdicts_file(folder: Path, shard: int) -> Path:
    """Verdicts of a shard; it exists when the shard is done."""
    return folder / f"shard-{shard:05d}.verdicts.parquet"


def documents_file(folder: Path, shard: int) -> Path:
    """Documents of a shard that passed the filters."""
    return folder / f"shard-{shard:05d}.documents.parquet"


def splits_file(folder: Path, shard: int) -> Path:
    """The split number of every row of a shard, -1 for left out."""
    return folder / f"shard-{shard:05d}.splits.npy"


def split_file(folder: Path, split: str, bucket: int) -> Path:
    """A file of the finished data set."""
    return folder / f"{split}-{bucket:05d}.parquet"


def bucket_of(identifier: str, num_buckets: int) -> int:
    """Which of equal ranges of ids holds this one.

    >>> bucket_of("00ab34cd", 4), bucket_of("ffab34cd", 4)
    (0, 3)
    """
    return int(identifier[:8], 16) * num_buckets >> 32


def do_shard(job: ShardJob) -> int:
    """Read, normalise, measure and judge; gives the bytes read."""

    def write(verdicts: Path) -> None:
        write_atomically(documents_file(job.folder, job.number), lambda documents: _fill(job, verdicts, documents))

    write_atomically(verdicts_file(job.folder, job.number), write)
    return sum(unit.bytes for unit in job.units)


def _fill(job: ShardJob, verdicts: Path, documents: Path) -> None:
    with TableWriter(verdicts, VERDICT_COLUMNS) as verdict_writer, TableWriter(documents, {"row": "row", **DOCUMENT_COLUMNS}) as writer:
        rows: list[Row] = []
        kept: list[Row] = []
        done = held = 0
        for unit in job.units:
            for entry in read_unit(unit, job.read):
                row, document = judged(entry, unit.file, job)
                rows.append(row)
                if document:
                    kept.append({"row": done + len(rows) - 1, **document})
                    held += len(str(document["text"]))
                if held > HELD_BYTES or len(rows) >= 1 << 16:
                    _flush(verdict_writer, rows, writer, kept, job.num_buckets)
                    done, held, rows, kept = done + len(rows), 0, [], []
        _flush(verdict_writer, rows, writer, kept, job.num_buckets)


def judged(entry: Text | Refused, file: InputFile, job: ShardJob) -> tuple[Row, Row | None]:
    """The verdict on one entry, and its document when it passes."""
    if isinstance(entry, Refused):
        fields = {"source": entry.source, "rule": entry.rule, "detail": entry.detail, "value": entry.value, "threshold": entry.threshold}
        return {"id": document_id(entry.source, "\0" + entry.rule), **fields}, None
    text = normalize(entry.text, job.repair)
    values = measure(mend(entry.text) if job.repair else entry.text, text)
    verdict = judge(values, job.filters)
    identifier = document_id(entry.source, text)
    row: Row = {
        "id": identifier,
        "source": entry.source,
        "rule": verdict.rule or None,
        "detail": entry.note or None,
        "value": verdict.value,
        "threshold": verdict.threshold,
        "format": entry.format or None,
        "encoding": entry.encoding or None,
        "bytes": len(text.encode()),
        **values,
        "digest": text_digest(text),
    }
    if verdict.rule:
        return row, None
    metadata = {name: without_surrogates(value) for name, value in entry.metadata.items()}
    facts = {"source": entry.source, "language": file.language, "license": file.license, "metadata": metadata}
    return row, {"id": identifier, "text": text, **facts}


def _flush(verdicts: TableWriter, rows: list[Row], documents: TableWriter, kept: list[Row], num_buckets: int) -> None:
    verdicts.write(Table.of(rows, VERDICT_COLUMNS))
    buckets: dict[int, list[Row]] = {}
    for row in kept:
        buckets.setdefault(bucket_of(str(row["id"]), num_buckets), []).append(row)
    for _, members in sorted(buckets.items()):
        documents.write(Table.of(members, {"row": "row", **DOCUMENT_COLUMNS}), group_rows=len(members))


def do_bucket(job: BucketJob) -> int:
    """Collect one range of ids from all shards and write a file for each split; gives the number of documents."""
    parts = [Table.of([], DOCUMENT_COLUMNS)]
    splits = [np.zeros(0, dtype=np.int8)]
    for shard in range(job.num_shards):
        path = documents_file(job.folder, shard)
        groups = [group for group, smallest in enumerate(first_ids(path)) if bucket_of(smallest, job.num_buckets) == job.number]
        if not groups:
            continue
        table = Table.read(path, groups=groups)
        chosen = np.load(splits_file(job.folder, shard))[table.numbers("row")]
        kept = np.flatnonzero(chosen >= 0)
        parts.append(table.take(kept).select(DOCUMENT_COLUMNS))
        splits.append(chosen[kept])
    whole, dealt = Table.concatenate(parts), np.concatenate(splits)
    for number, split in enumerate(SPLITS):
        table = whole.take(np.flatnonzero(dealt == number)).sorted_by("id")
        write_atomically(split_file(job.out, split, job.number), lambda path, table=table: _write_documents(path, table))
    return len(whole)


def _write_documents(path: Path, table: Table) -> None:
    rows = max(1, len(table) * GROUP_BYTES // max(1, table.num_bytes))
    with TableWriter(path, DOCUMENT_COLUMNS) as writer:
        writer.write(table, group_rows=rows)
