"""A shard of inputs becomes clean documents and verdicts.

In: units to read. Out: files in a work folder, each whole or absent, so that work goes on where a kill struck. The idea: a shard writes
what it holds whenever that is enough, its documents in blocks by the leading digits of their ids (parts), which buckets then
collect from all shards. So no process holds more than its share.
"""

import contextlib
import sys
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from hanmo.base.errors import HanmoError
from hanmo.base.storage import storage_errors, write_atomically
from hanmo.data.budget import MemoryShare, room_for
from hanmo.data.cleaning.clean import CleanConfig, clean
from hanmo.data.cleaning.filters import FilterConfig, judge
from hanmo.data.cleaning.language import sure_code
from hanmo.data.cleaning.lines import recurring_file, without_recurring
from hanmo.data.cleaning.looks import looks_like
from hanmo.data.cleaning.measures import COUNTS, MEASURES, TEXTS, measure
from hanmo.data.duplicates.contamination import CONTAMINATED, ContaminationConfig, detail_of, load_index, passage, worst_hit
from hanmo.data.duplicates.exact import DuplicateConfig, text_digest
from hanmo.data.duplicates.signatures import signature
from hanmo.data.mixing.groups import group_of, source_of
from hanmo.data.mixing.split import SplitConfig, unit_digest
from hanmo.data.privacy.redact import COUNT_COLUMNS, RedactConfig, redact, redact_metadata
from hanmo.data.reading.contents import fault
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.normalize import mend, normalized, without_surrogates
from hanmo.data.reading.read import ReadConfig, document_id, read_unit
from hanmo.data.tables import ArrowTable, BlockWriter, ColumnKind, Row, TableWriter

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
    "looks_like": "text",
    "bytes": "count",
    "removed_lines": "count",
}
MEASURE_COLUMNS.update({name: "text" if name in TEXTS else "count" if name in COUNTS else "number" for name in MEASURES})
MEASURE_COLUMNS.update(dict.fromkeys(COUNT_COLUMNS.values(), "count"))
VERDICT_COLUMNS: dict[str, ColumnKind] = {
    "id": "text",
    "source": "text",
    "own_id": "text",
    "rule": "text",
    "detail": "text",
    "passage": "text",
    "value": "number",
    "threshold": "number",
    "recurring_lines": "count",
    **MEASURE_COLUMNS,
    "digest": "digest",
    "unit": "digest",
    "mix_group": "text",
}
VERDICT_BYTES = 6_000  # of a verdict before it is written
HELD = 1 / 12  # of a share: what is written goes through several forms


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardJob:
    """Units to read and clean, and where the result goes."""

    number: int
    units: tuple[Unit, ...]
    folder: Path
    read: ReadConfig
    repair: bool
    filters: FilterConfig
    num_parts: int
    share: MemoryShare = field(default_factory=MemoryShare)
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
        return self.folder / "contamination"


def verdicts_file(folder: Path, shard: int) -> Path:
    """Verdicts of a shard; it exists when the shard is done."""
    return folder / f"shard-{shard:05d}.verdicts.parquet"


def documents_file(folder: Path, shard: int) -> Path:
    """Documents of a shard that passed the filters, in blocks."""
    return folder / f"shard-{shard:05d}.documents.arrow"


def parts_file(folder: Path, shard: int) -> Path:
    """The part of each block of documents of a shard."""
    return folder / f"shard-{shard:05d}.parts.npy"


def signatures_file(folder: Path, shard: int) -> Path:
    """Signatures of the documents of a shard that passed the filters, in the order of the rows."""
    return folder / f"shard-{shard:05d}.signatures.npy"


def splits_file(folder: Path, shard: int) -> Path:
    """The split number of every row of a shard, -1 for left out."""
    return folder / f"shard-{shard:05d}.splits.npy"


def folds_file(folder: Path, shard: int) -> Path:
    """The fold of every row of a shard; it exists when there are folds."""
    return folder / f"shard-{shard:05d}.folds.npy"


def repeats_file(folder: Path, shard: int) -> Path:
    """How often every row of a shard stands in its split; it exists when documents are mixed."""
    return folder / f"shard-{shard:05d}.repeats.npy"


def part_of(identifier: str, num_parts: int) -> int:
    """Which of equal ranges of ids holds this one.

    >>> part_of("00ab34cd", 4), part_of("ffab34cd", 4)
    (0, 3)
    """
    return int(identifier[:8], 16) * num_parts >> 32


def do_shard(job: ShardJob) -> int:
    """Read, normalise, measure and judge; gives the bytes read."""

    def write(verdicts: Path) -> None:
        write_atomically(documents_file(job.folder, job.number), lambda documents: _fill(job, verdicts, documents))

    write_atomically(verdicts_file(job.folder, job.number), write)
    return sum(unit.bytes for unit in job.units)


def _fill(job: ShardJob, verdicts: Path, documents: Path) -> None:
    with (
        TableWriter(verdicts, VERDICT_COLUMNS) as verdict_writer,
        BlockWriter(documents, {"row": "row", **DOCUMENT_COLUMNS}) as writer,
        _signature_stream(job) as signatures,
    ):
        rows: list[Row] = []
        kept: list[Row] = []
        parts: list[int] = []
        done = held = 0
        for unit in job.units:
            for entry in read_unit(unit, job.read):
                with room_for(entry.text if isinstance(entry, Text) else "", entry.source, job.share, job.folder):
                    row, document = _verdict(entry, unit.file, job)
                    if document and signatures:
                        signatures.write(signature(str(document["text"]), job.duplicates.min_letters).tobytes())
                rows.append(row)
                held += VERDICT_BYTES
                if document:
                    kept.append({"row": done + len(rows) - 1, **document})
                    held += sys.getsizeof(document["text"])
                if held > job.share.held * HELD:
                    parts += _flush(verdict_writer, rows, writer, kept, job.num_parts)
                    done, held, rows, kept = done + len(rows), 0, [], []
        parts += _flush(verdict_writer, rows, writer, kept, job.num_parts)
    with storage_errors(job.folder):
        np.save(parts_file(job.folder, job.number), np.array(parts, dtype=np.int32))


@contextlib.contextmanager
def _signature_stream(job: ShardJob) -> Generator[BinaryIO | None]:
    """Where signatures go; the file is whole when the verdicts are."""
    if not job.duplicates.near:
        yield None
        return
    with storage_errors(job.folder), signatures_file(job.folder, job.number).open("wb") as stream:
        yield stream


def _verdict(entry: Text | Refused, file: InputFile, job: ShardJob) -> tuple[Row, Row | None]:
    """The verdict on one entry, and its document when it passes; a surprise costs this one alone, and is told loudly."""
    try:
        return without_contamination(*judged(entry, file, job), job)
    except (HanmoError, MemoryError, OSError):
        raise
    except Exception as error:
        return judged(fault(entry.source, error), file, job)


def judged(entry: Text | Refused, file: InputFile, job: ShardJob) -> tuple[Row, Row | None]:
    """The verdict on one entry, and its document when it passes."""
    if isinstance(entry, Refused):
        fields = {"source": entry.source, "rule": entry.rule, "detail": entry.detail, "value": entry.value, "threshold": entry.threshold}
        own = _own_id(entry, job.redact)
        return {"id": document_id(entry.source, "\0" + entry.rule), "own_id": own, **fields}, None
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
        "own_id": _own_id(entry, job.redact),
        "rule": verdict.rule or None,
        "detail": verdict.detail or entry.note or None,
        "value": verdict.value,
        "threshold": verdict.threshold,
        "format": entry.format or None,
        "encoding": entry.encoding or None,
        "mojibake": undone,
        "looks_like": None if verdict.rule else looks_like(text) or None,
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


def _own_id(entry: Text | Refused, config: RedactConfig) -> str | None:
    """What a row is called where it comes from, personal data replaced as in the text."""
    return redact(entry.own_id, config)[0] if entry.own_id else None


def _places(document: dict[str, object], digest: bytes, job: ShardJob) -> Row:
    """What mixing and dealing need to know of a document."""
    metadata = cast("dict[str, str]", document["metadata"])
    source = source_of(str(document["source"]), job.names)

    def group(by: str) -> str | None:
        return group_of(by, source, str(document["language"]), metadata) if by else None

    unit = unit_digest(digest, group(job.split.group_by))
    return {"mix_group": group(job.mix_by), "unit": unit}


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


def _flush(verdicts: TableWriter, rows: list[Row], documents: BlockWriter, kept: list[Row], num_parts: int) -> list[int]:
    """Write rows, and documents in a block for each part; gives the parts."""
    verdicts.write(ArrowTable.of(rows, VERDICT_COLUMNS))
    parts: dict[int, list[Row]] = {}
    for row in kept:
        parts.setdefault(part_of(str(row["id"]), num_parts), []).append(row)
    for part in sorted(parts):
        documents.write(ArrowTable.of(parts[part], {"row": "row", **DOCUMENT_COLUMNS}))
    return sorted(parts)
