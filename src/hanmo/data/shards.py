"""Two kinds of jobs: a shard of inputs becomes clean documents and receipts; a bucket of ids becomes files of the data set.

In: units to read, later the split of every document. Out: files in a work folder, each whole or absent, so that work goes on
where a kill struck. The idea: a shard writes its documents in row groups by the leading digits of their ids; a bucket then
takes its row groups from every shard, sorts them by id and writes them, and no process ever holds more than a bucket.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hanmo.base.storage import write_atomically
from hanmo.data.clean import CleanConfig, clean
from hanmo.data.contamination import CONTAMINATED, ContaminationConfig, load_index, worst_hit
from hanmo.data.duplicates import DuplicateConfig, text_digest
from hanmo.data.filters import FilterConfig, judge
from hanmo.data.inputs import InputFile, Refused, Text, Unit
from hanmo.data.language import sure_code
from hanmo.data.lines import recurring_file, without_recurring
from hanmo.data.measures import COUNTS, TEXTS, VALUES, measure
from hanmo.data.normalize import normalize, without_surrogates
from hanmo.data.read import SPLITS, ReadConfig, document_id, read_unit
from hanmo.data.signatures import VALUES as SIGNATURE_VALUES
from hanmo.data.signatures import Signatures, signature
from hanmo.data.tables import ColumnKind, Row, Table, TableWriter, first_ids

DOCUMENT_COLUMNS: dict[str, ColumnKind] = {
    "id": "text",
    "text": "text",
    "source": "text",
    "language": "text",
    "license": "text",
    "metadata": "metadata",
}
MEASURE_COLUMNS: dict[str, ColumnKind] = {"bytes": "count", "removed_lines": "count"}
MEASURE_COLUMNS.update({name: "text" if name in TEXTS else "count" if name in COUNTS else "number" for name in VALUES})
VERDICT_COLUMNS: dict[str, ColumnKind] = {
    "id": "text",
    "source": "text",
    "rule": "text",
    "detail": "text",
    "value": "number",
    "threshold": "number",
    "recurring_lines": "count",
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
    clean: CleanConfig = field(default_factory=CleanConfig)
    duplicates: DuplicateConfig = field(default_factory=DuplicateConfig)
    contamination: ContaminationConfig = field(default_factory=ContaminationConfig)

    @property
    def recurring(self) -> Path:
        """Hashes of lines to cut out, when `duplicates.lines` asks for it."""
        return recurring_file(self.folder)

    @property
    def index(self) -> Path:
        """What `contamination.against` names, ready to be looked up."""
        return self.folder / "contamination.npz"


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


def signatures_file(folder: Path, shard: int) -> Path:
    """Signatures of the documents of a shard that passed the filters, in the order of the rows."""
    return folder / f"shard-{shard:05d}.signatures.npy"


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
        signatures: list[Signatures] = []
        done = held = 0
        for unit in job.units:
            for entry in read_unit(unit, job.read):
                row, document = without_contamination(*judged(entry, unit.file, job), job)
                rows.append(row)
                if document:
                    if job.duplicates.near:
                        signatures.append(signature(str(document["text"]), job.duplicates.min_letters))
                    kept.append({"row": done + len(rows) - 1, **document})
                    held += len(str(document["text"]))
                if held > HELD_BYTES or len(rows) >= 1 << 16:
                    _flush(verdict_writer, rows, writer, kept, job.num_buckets)
                    done, held, rows, kept = done + len(rows), 0, [], []
        _flush(verdict_writer, rows, writer, kept, job.num_buckets)
    if job.duplicates.near:
        values = np.stack(signatures) if signatures else np.zeros((0, SIGNATURE_VALUES), np.uint32)
        write_atomically(signatures_file(job.folder, job.number), lambda path: _write_bytes(path, values.tobytes()))


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)  # numpy's own tofile says nothing of a disk that is full


def judged(entry: Text | Refused, file: InputFile, job: ShardJob) -> tuple[Row, Row | None]:
    """The verdict on one entry, and its document when it passes."""
    if isinstance(entry, Refused):
        fields = {"source": entry.source, "rule": entry.rule, "detail": entry.detail, "value": entry.value, "threshold": entry.threshold}
        return {"id": document_id(entry.source, "\0" + entry.rule), **fields}, None
    text, recurring_lines = normalize(entry.text, job.repair), 0
    if job.duplicates.lines:
        text, recurring_lines = without_recurring(text, job.recurring, job.duplicates.unit)
    text, removed_lines = clean(text, job.clean)
    values = measure(entry.text, text)
    verdict = judge(values, job.filters)
    identifier = document_id(entry.source, text)
    row: Row = {
        "id": identifier,
        "source": entry.source,
        "rule": verdict.rule or None,
        "detail": verdict.detail or None,
        "value": verdict.value,
        "threshold": verdict.threshold,
        "recurring_lines": recurring_lines,
        "bytes": len(text.encode()),
        "removed_lines": removed_lines,
        **values,
        "digest": text_digest(text),
    }
    if verdict.rule:
        return row, None
    metadata = {name: without_surrogates(value) for name, value in entry.metadata.items()}
    facts = {"source": entry.source, "language": file.language or sure_code(values), "license": file.license, "metadata": metadata}
    return row, {"id": identifier, "text": text, **facts}


def without_contamination(row: Row, document: Row | None, job: ShardJob) -> tuple[Row, Row | None]:
    """The same, or a verdict that names the item of an evaluation set of which the document holds too much, and no document."""
    if not document or not job.contamination.against:
        return row, document
    index = load_index(job.index)
    hit = worst_hit(str(document["text"]), index)
    if hit is None or hit.share <= job.contamination.max_share:
        return row, document
    detail = f"{index.names[hit.item]}: {hit.covered} of {hit.length} words"
    return {**row, "rule": CONTAMINATED, "detail": detail, "value": hit.share, "threshold": job.contamination.max_share}, None


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
