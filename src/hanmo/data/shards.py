"""Two kinds of jobs: a shard of inputs becomes clean documents and receipts; a bucket of ids becomes files of the data set.

In: units to read, later the split of every document. Out: files in a work folder, each whole or absent, so that work goes on
where a kill struck. The idea: a shard writes its documents in row groups by the leading digits of their ids; a bucket then
takes its row groups from every shard, sorts them by id and writes them, and no process ever holds more than a bucket.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hanmo.base.storage import write_atomically, write_bytes, write_json
from hanmo.data.cleaning.clean import CleanConfig, clean
from hanmo.data.cleaning.filters import FilterConfig, judge
from hanmo.data.cleaning.language import sure_code
from hanmo.data.cleaning.lines import recurring_file, without_recurring
from hanmo.data.cleaning.measures import COUNTS, TEXTS, VALUES, measure
from hanmo.data.duplicates.contamination import CONTAMINATED, ContaminationConfig, detail_of, load_index, passage, worst_hit
from hanmo.data.duplicates.exact import DuplicateConfig, text_digest
from hanmo.data.duplicates.signatures import VALUES as SIGNATURE_VALUES
from hanmo.data.duplicates.signatures import Signatures, signature
from hanmo.data.mixing.augment import AugmentConfig
from hanmo.data.mixing.copies import Sums, with_copies
from hanmo.data.mixing.folds import FOLD
from hanmo.data.mixing.groups import group_of, source_of
from hanmo.data.mixing.split import SplitConfig, fold_of, unit_digest
from hanmo.data.privacy.redact import COUNT_COLUMNS, RedactConfig, redact, redact_metadata
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.normalize import mend, normalized, without_surrogates
from hanmo.data.reading.read import SPLITS, ReadConfig, document_id, read_unit
from hanmo.data.tables import ColumnKind, Row, Table, TableWriter, first_ids

DOCUMENT_COLUMNS: dict[str, ColumnKind] = {
    "id": "text",
    "text": "text",
    "source": "text",
    "language": "text",
    "license": "text",
    "metadata": "metadata",
}
MEASURE_COLUMNS: dict[str, ColumnKind] = {
    "format": "text",
    "encoding": "text",
    "mojibake": "flag",
    "bytes": "count",
    "removed_lines": "count",
}
MEASURE_COLUMNS.update({name: "text" if name in TEXTS else "count" if name in COUNTS else "number" for name in VALUES})
MEASURE_COLUMNS.update(dict.fromkeys(COUNT_COLUMNS.values(), "count"))
VERDICT_COLUMNS: dict[str, ColumnKind] = {
    "id": "text",
    "source": "text",
    "rule": "text",
    "detail": "text",
    "passage": "text",
    "value": "number",
    "threshold": "number",
    "recurring_lines": "count",
    **MEASURE_COLUMNS,
    "fold": "count",
    "digest": "digest",
    "unit": "digest",
    "mix_group": "text",
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
    redact: RedactConfig = field(default_factory=RedactConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    mix_by: str = ""
    names: tuple[str, ...] = ()
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
    augment: AugmentConfig = field(default_factory=AugmentConfig)


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


def repeats_file(folder: Path, shard: int) -> Path:
    """How often every row of a shard stands in its split; it exists when documents are mixed."""
    return folder / f"shard-{shard:05d}.repeats.npy"


def split_file(folder: Path, split: str, bucket: int) -> Path:
    """A file of the finished data set."""
    return folder / f"{split}-{bucket:05d}.parquet"


def copies_file(folder: Path, bucket: int) -> Path:
    """Sums over the augmented copies in a bucket; it exists when the bucket is done."""
    return folder / f"bucket-{bucket:05d}.copies.json"


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
        write_bytes(signatures_file(job.folder, job.number), values.tobytes())


def judged(entry: Text | Refused, file: InputFile, job: ShardJob) -> tuple[Row, Row | None]:
    """The verdict on one entry, and its document when it passes."""
    if isinstance(entry, Refused):
        fields = {"source": entry.source, "rule": entry.rule, "detail": entry.detail, "value": entry.value, "threshold": entry.threshold}
        return {"id": document_id(entry.source, "\0" + entry.rule), **fields}, None
    (text, undone), recurring_lines = normalized(entry.text, job.repair), 0
    if job.duplicates.lines:
        text, recurring_lines = without_recurring(text, job.recurring, job.duplicates.unit)
    text, removed_lines = clean(text, job.clean)
    text, personal = redact(text, job.redact)
    values = measure(mend(entry.text) if job.repair else entry.text, text)
    verdict = judge(values, job.filters)
    identifier = document_id(entry.source, text)
    row: Row = {
        "id": identifier,
        "source": entry.source,
        "rule": verdict.rule or None,
        "detail": verdict.detail or entry.note or None,
        "value": verdict.value,
        "threshold": verdict.threshold,
        "format": entry.format or None,
        "encoding": entry.encoding or None,
        "mojibake": undone,
        "recurring_lines": recurring_lines,
        "bytes": len(text.encode()),
        "removed_lines": removed_lines,
        **values,
        **{COUNT_COLUMNS[kind]: number for kind, number in personal.items()},
        "digest": text_digest(text),
    }
    if verdict.rule:
        return row, None
    metadata = redact_metadata({name: without_surrogates(value) for name, value in entry.metadata.items()}, job.redact)
    facts = {"source": entry.source, "language": file.language or sure_code(values), "license": file.license, "metadata": metadata}
    document: dict[str, object] = {"id": identifier, "text": text, **facts}
    return {**row, **_places(document, text_digest(text), job)}, document


def _places(document: dict[str, object], digest: bytes, job: ShardJob) -> Row:
    """What mixing and dealing need to know of a document; its fold is noted in its metadata as well."""
    metadata = cast("dict[str, str]", document["metadata"])
    source = source_of(str(document["source"]), job.names)

    def group(by: str) -> str | None:
        return group_of(by, source, str(document["language"]), metadata) if by else None

    unit = unit_digest(digest, group(job.split.group_by))
    row: dict[str, object] = {"mix_group": group(job.mix_by), "unit": unit}
    if job.split.folds:
        row["fold"] = fold_of(unit, job.split)
        metadata[FOLD] = str(row["fold"])
    return row


def without_contamination(row: Row, document: Row | None, job: ShardJob) -> tuple[Row, Row | None]:
    """The same, or a verdict that names the item of an evaluation set of which the document holds too much, and no document."""
    if not document or not job.contamination.against:
        return row, document
    index = load_index(job.index)
    text = str(document["text"])
    hit = worst_hit(text, index)
    if hit is None or hit.share <= job.contamination.max_share:
        return row, document
    detail = detail_of(hit, index)
    verdict = {"rule": CONTAMINATED, "detail": detail, "value": hit.share, "threshold": job.contamination.max_share}
    return {**row, **verdict, "passage": passage(text, hit.span)}, None


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
    times = [np.zeros(0, dtype=np.int32)]
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
        repeats = repeats_file(job.folder, shard)
        often = np.load(repeats)[table.numbers("row")] if repeats.exists() else np.ones(len(table), dtype=np.int32)
        times.append(often[kept])
    whole, dealt, repeated = Table.concatenate(parts), np.concatenate(splits), np.concatenate(times)
    order = whole.order_by("id")
    sums: Sums = {}
    for number, split in enumerate(SPLITS):
        rows = order[dealt[order] == number]
        augment = job.augment if split == "train" else AugmentConfig()

        def write(path: Path, rows: NDArray[np.int64] = rows, augment: AugmentConfig = augment) -> None:
            sums.update(_write_documents(path, whole, rows, repeated[rows], augment))

        write_atomically(split_file(job.out, split, job.number), write)
        if split == "train":
            write_json(copies_file(job.folder, job.number), sums)
    return len(whole)


def _write_documents(path: Path, whole: Table, rows: NDArray[np.int64], times: NDArray[np.int32], augment: AugmentConfig) -> Sums:
    """Write rows with their copies, a row group at a time; gives the sums over augmented copies."""
    length = max(1, len(whole) * GROUP_BYTES // max(1, whole.num_bytes))
    sums: Sums = {}
    with TableWriter(path, DOCUMENT_COLUMNS) as writer:
        for start in range(0, len(rows), length):
            part = slice(start, start + length)
            table, more = with_copies(whole.take(rows[part]), times[part], augment, DOCUMENT_COLUMNS)
            sums = {name: sums.get(name, 0) + number for name, number in more.items()}
            writer.write(table, group_rows=length)
    return sums
