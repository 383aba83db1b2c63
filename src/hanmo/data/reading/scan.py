"""Files become a plan: what will be read, in which pieces, and one digest of all inputs.

In: named sources. Out: shards of similar size in the order of the inputs, the same for any number of workers. The idea: one
fast pass over the bytes (SHA-256 and line ends) cuts large files into pieces that can be read side by side, tells whether
anything changed since the last time, and finds wrong column names before any work is done.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import BinaryIO

from hanmo.base.errors import DataError, HanmoError
from hanmo.base.progress import Progress, say
from hanmo.data.reading.contents import ReadConfig, fault, one_line, refusal
from hanmo.data.reading.formats import TABLES, named_kind
from hanmo.data.reading.inputs import InputFile, Refused, Source, Text, Unit, list_files
from hanmo.data.reading.normalize import without_surrogates
from hanmo.data.reading.read import content_of, format_of, read_unit
from hanmo.data.reading.rows import gives_text, peeked_columns
from hanmo.data.reading.streams import READ_ERRORS, count_line_ends, file_size, open_file, packed_kind
from hanmo.data.tables import TableError, row_groups

BLOCK_BYTES = 2**20
FEWEST_TEXTS = 3  # one each for train, validation and test
KEEP_WHOLE = "--read.split-on none keeps it whole"
MANY_TEXTS = (*TABLES, "zip", "tar", "warc")
UNPACKED = 4  # a guess of how much larger compressed text is, only used to plan pieces of similar size


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What will be read; `digest` is SHA-256 over every label, size and content."""

    shards: tuple[tuple[Unit, ...], ...]
    num_files: int
    num_bytes: int
    digest: str
    read: ReadConfig
    """How it will be read: split_on is "auto" no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What one pass over a file found."""

    units: tuple[Unit, ...]
    num_bytes: int = 0
    digest: str = ""
    columns: tuple[str, ...] = ()


def make_plan(sources: Sequence[Source], config: ReadConfig, shard_bytes: int, without: Path | None = None) -> Plan:
    """Look at every file once and cut the work into shards; the folder `without` is not entered.

    Raises DataError when a source does not exist, nothing is there, or no file has the text column.
    """
    files, refused = list_files(sources, without)
    if not files:
        why = f": {refused[0].source} is {refused[0].rule} ({refused[0].detail})" if refused else ""
        raise DataError(f"no file to read in {', '.join(source.name for source in sources)}{why}")
    with ThreadPoolExecutor(4) as pool, Progress("looking at files", total=len(files), unit="files") as progress:
        scans: list[Scan] = []
        for scan in pool.map(scan_file, files, repeat(config), repeat(shard_bytes)):
            scans.append(scan)
            progress.advance()
    _check_columns(scans, config)
    digest = hashlib.sha256()
    for file, scan in zip(files, scans, strict=True):
        digest.update(f"{file.label}\0{file.license}\0{file.language}\0{scan.num_bytes}\0{scan.digest}\n".encode())
    for entry in refused:
        digest.update(f"{entry.source}\0{entry.rule}\n".encode())
    units = [unit for scan in scans for unit in scan.units]
    units += [Unit(file=InputFile(label=entry.source), refused=entry) for entry in refused]
    units.sort(key=lambda unit: (unit.file.label, unit.start))
    return Plan(
        shards=tuple(_shards(units, shard_bytes)),
        num_files=len(files),
        num_bytes=sum(scan.num_bytes for scan in scans),
        digest=digest.hexdigest(),
        read=_settled(units, config),
    )


def _settled(units: Sequence[Unit], config: ReadConfig) -> ReadConfig:
    """The settings with "auto" decided: long texts are cut where so few are given that nothing could be held out, and that is said."""
    if config.split_on != "auto":
        return config
    given = [unit for unit in units if not unit.refused]
    if len(given) >= FEWEST_TEXTS or any(unit.format.kind in MANY_TEXTS for unit in given):
        return replace(config, split_on="none")
    config = replace(config, split_on="passage")
    for unit in given:
        texts = [entry for entry in read_unit(unit, config) if isinstance(entry, Text)]
        if len(texts) > 1 and texts[0].note:
            how = texts[0].note.rpartition("; ")[2]
            say(f"{unit.file.label} is one long text: {len(texts):,} passages, {how}, of which some are held out; {KEEP_WHOLE}")
    return config


def scan_file(file: InputFile, config: ReadConfig, piece_bytes: int) -> Scan:
    """The digest of a file and the pieces it will be read in."""
    unit = Unit(file=file)
    try:
        size = file_size(file)
        unit = replace(unit, format=format_of(file, config))
        kind = unit.format.kind
        with open_file(file) as stream:
            packed = bool(packed_kind(stream.peek(8)[:8]))
            in_lines = kind == "jsonl" or (kind == "text" and config.split_on == "line")
            cut = in_lines and not packed and unit.format.encoding in ("", "ascii", "utf-8")
            digest, cuts = _digest_and_cuts(stream, piece_bytes if cut else 0)
        unit, columns = replace(unit, bytes=size * (UNPACKED if packed or kind in ("parquet", "zip", "office", "epub") else 1)), ()
        if kind in TABLES:
            unit, columns = _with_columns_checked(unit, config)
        units = (unit,) if unit.refused or packed else _pieces(unit, cuts, size, piece_bytes)
        return Scan(units=units, num_bytes=size, digest=digest, columns=columns)
    except OSError as error:
        refused = Refused(source=file.label, rule="unreadable", detail=error.strerror or one_line(error))
        return Scan(units=(replace(unit, refused=refused),))
    except (HanmoError, MemoryError):
        raise
    except Exception as error:
        refused = refusal(file.label, error) if isinstance(error, READ_ERRORS) else fault(file.label, error)
        return Scan(units=(replace(unit, refused=refused),))


def _digest_and_cuts(stream: BinaryIO, piece_bytes: int) -> tuple[str, list[tuple[int, int]]]:
    """SHA-256 of a stream, and (byte after a line end, lines before it) about every `piece_bytes`; none when 0."""
    digest = hashlib.sha256()
    cuts: list[tuple[int, int]] = []
    position, rows, before = 0, 0, b""
    while block := stream.read(BLOCK_BYTES):
        digest.update(block)
        if piece_bytes:
            end = max(block.rfind(b"\n"), block.rfind(b"\r", 0, len(block) - 1)) + 1
            if end and position + end >= (cuts[-1][0] if cuts else 0) + piece_bytes:
                cuts.append((position + end, rows + count_line_ends(block[:end], before)))
            rows += count_line_ends(block, before)
        position, before = position + len(block), block[-1:]
    return digest.hexdigest(), cuts


def _pieces(unit: Unit, cuts: list[tuple[int, int]], size: int, piece_bytes: int) -> tuple[Unit, ...]:
    if unit.format.kind == "parquet":
        return tuple(_row_group_pieces(unit, piece_bytes))
    borders = [(0, 0), *(cut for cut in cuts if cut[0] < size)]
    if len(borders) == 1:
        return (unit,)
    ends = [start for start, _ in borders[1:]] + [size]
    return tuple(
        replace(unit, start=start, stop=end, first_row=rows + 1, bytes=end - start)
        for (start, rows), end in zip(borders, ends, strict=True)
    )


def _row_group_pieces(unit: Unit, piece_bytes: int) -> Iterator[Unit]:
    with open_file(unit.file) as stream:
        groups = row_groups(stream)
    start, row, begun, held = 0, 1, 1, 0
    for group, (num_rows, num_bytes) in enumerate(groups, 1):
        held += num_bytes
        row += num_rows
        if held >= piece_bytes or group == len(groups):
            yield replace(unit, start=start, stop=group, first_row=begun, bytes=held)
            start, begun, held = group, row, 0
    if not groups:
        yield unit


def _with_columns_checked(unit: Unit, config: ReadConfig) -> tuple[Unit, tuple[str, ...]]:
    """The unit, refused when its columns are known and the text is not among them, or it cannot be opened; and its columns."""
    try:
        columns = peeked_columns(content_of(unit, config), config)
    except TableError as error:
        return replace(unit, refused=Refused(source=unit.file.label, rule="unreadable", detail=str(error))), ()
    except READ_ERRORS:
        return unit, ()  # the reader meets the same and says where
    if columns and not gives_text(columns, config):
        detail = without_surrogates(f"no column {config.text_column!r}; columns found: {', '.join(columns)}")
        return replace(unit, refused=Refused(source=unit.file.label, rule="no_column", detail=detail)), ()
    return unit, tuple(columns)


def _check_columns(scans: Sequence[Scan], config: ReadConfig) -> None:
    tables = [scan.units[0] for scan in scans if scan.units[0].format.kind in TABLES]
    wrong = [unit.refused for unit in tables if unit.refused and unit.refused.rule == "no_column"]
    promised = any(named_kind(unit.file.name) in TABLES for unit in tables)  # a stray file that only looks like rows stops nothing
    if wrong and len(wrong) == len(tables if promised else scans):
        raise DataError(
            f"{wrong[0].source}: {wrong[0].detail}: name the right one with --read.text-column, "
            "or all of them with --read.columns where the table has no header"
        )
    found = dict.fromkeys(name for scan in scans for name in scan.columns)
    for name in config.keep_columns:
        if found and name not in found:
            say(f"note: read.keep_columns: no column {name!r} in the first rows; columns found: {', '.join(found)}")


def _shards(units: Sequence[Unit], shard_bytes: int) -> Iterator[tuple[Unit, ...]]:
    """Consecutive units, together about `shard_bytes` and at most a few thousand."""
    held: list[Unit] = []
    total = 0
    for unit in units:
        if held and (total + unit.bytes > shard_bytes or len(held) >= 4096):
            yield tuple(held)
            held, total = [], 0
        held.append(unit)
        total += unit.bytes
    if held:
        yield tuple(held)
