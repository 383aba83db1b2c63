"""Files become texts, each with a name; what gives no text comes out as a refusal with its reason.

In: a `Unit` (a file or a part of it), or a data set folder. Out: `Text` and `Refused` in the order of the file, `Document`s
from a finished data set. The idea: a reader never raises for bad input and never holds more than one document, so a single
line of any length costs no more than `max_bytes`. Compression is known by its first bytes, not by the file's name.
"""

import bz2
import contextlib
import gzip
import hashlib
import json
import lzma
import re
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from hanmo.base.errors import ConfigError, DataError
from hanmo.base.progress import say
from hanmo.base.records import Document
from hanmo.data.decode import BYTE_ORDER_MARKS, decode, is_binary
from hanmo.data.extract import extract_html
from hanmo.data.inputs import Refused, Source, Text, Unit, list_files, name_sources, printable
from hanmo.data.normalize import without_surrogates
from hanmo.data.tables import TableError, read_rows, zstandard_stream

SPLITS = ("train", "validation", "test")
COMPRESSED = {".gz", ".zst", ".xz", ".bz2"}
STRUCTURED = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".html": "html", ".htm": "html", ".xhtml": "html"}
UNSUPPORTED = {".json", ".csv", ".tsv", ".warc", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".epub", ".zip", ".tar", ".tgz", ".rar", ".7z"}
HEADINGS = {
    "heading": re.compile(r"#{1,6}\s"),
    "chapter": re.compile(
        r"\s*(第[0-9０-９零〇一二三四五六七八九十百千两]+[回章节卷集部篇折]|(?i:chapter|book|part|act)\s+([IVXLC]+|\d+)\b)"
    ),
}
HEAD_BYTES = 8192
ZSTANDARD = b"\x28\xb5\x2f\xfd"
OPENERS: dict[bytes, Callable[[BinaryIO], BinaryIO]] = {
    b"\x1f\x8b": lambda stream: cast("BinaryIO", gzip.GzipFile(fileobj=stream)),
    b"\xfd7zXZ\0": lambda stream: cast("BinaryIO", lzma.LZMAFile(stream)),  # noqa: SIM115 - `open_bytes` closes it
    b"BZh": lambda stream: cast("BinaryIO", bz2.BZ2File(stream)),
}


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """How files become texts."""

    text_column: str = "text"
    """Column of JSON lines and Parquet that holds the text."""
    keep_columns: tuple[str, ...] = ()
    """Further columns to keep as metadata of the document."""
    split_on: Literal["none", "line", "heading", "chapter"] = "none"
    """What begins a new document inside a text file: nothing, a line, a markdown heading, a chapter (第一回, CHAPTER I)."""
    max_bytes: int = 16 * 2**20
    """Longest document in bytes as found; longer ones are refused with a receipt, and never held in memory."""

    def __post_init__(self) -> None:
        """Check the limit.

        Raises ConfigError when it is not positive.
        """
        if self.max_bytes < 1:
            raise ConfigError(f"read.max_bytes (={self.max_bytes}) should be at least 1")


def document_id(source: str, text: str) -> str:
    """24 hex digits of SHA-256 over the origin and the text."""
    return hashlib.sha256(f"{source}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:24]


def is_dataset(folder: Path) -> bool:
    """Whether `folder` was made by hanmo prepare."""
    return (folder / "manifest.json").is_file() and (folder / "documents").is_dir()


def read_dataset(folder: Path, split: str) -> Iterator[Document]:
    """The documents of one split in the order of their ids, a few at a time in memory.

    Raises DataError when the folder is no data set or the split is unknown.
    """
    if split not in SPLITS:
        raise DataError(f"unknown split {split!r}: one of {', '.join(SPLITS)}")
    if not is_dataset(folder):
        raise DataError(f"{folder} is no data set: make one with hanmo prepare SOURCE --out {folder}")
    return _read_split(folder, split)


def _read_split(folder: Path, split: str) -> Iterator[Document]:
    for path in sorted((folder / "documents").glob(f"{split}-*.parquet")):
        for row in read_rows(path):
            yield Document(**cast("dict[str, Any]", row))


def read_texts(path: Path, config: ReadConfig | None = None) -> Iterator[Document]:
    """The documents of a bare file or folder, unchanged, in the order of their names.

    What gives no text is named on standard error. Raises DataError when nothing can be read.
    """
    config = config or ReadConfig()
    files, refused = list_files(name_sources([Source(path=path)]))
    found = 0
    for entry in (*refused, *(e for file in files for e in read_unit(Unit(file=file, kind=kind_of(file.path)), config))):
        if isinstance(entry, Refused):
            if entry.rule != "hidden":
                say(f"left out {entry.source}: {entry.rule} {entry.detail}".rstrip())
            continue
        if entry.text.strip():
            found += 1
            yield Document(id=document_id(entry.source, entry.text), text=entry.text, source=entry.source, metadata=entry.metadata)
    if not found:
        raise DataError(f"{path} gives no text: nothing to read")


def kind_of(path: Path) -> str:
    """How a file is read, from its name: text, html, jsonl, parquet or unsupported."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    return "unsupported" if suffix in UNSUPPORTED else STRUCTURED.get(suffix, "text")


@contextlib.contextmanager
def open_bytes(path: Path) -> Generator[BinaryIO]:
    """A stream over the content of a file, decompressed when its first bytes say so."""
    with path.open("rb") as stream:
        head = stream.peek(6)[:6]
        if head.startswith(ZSTANDARD):
            with zstandard_stream(path) as plain:
                yield plain
            return
        opener = next((opener for magic, opener in OPENERS.items() if head.startswith(magic)), None)
        if opener is None:
            yield stream
            return
        with opener(stream) as plain:
            yield plain


def read_unit(unit: Unit, config: ReadConfig) -> Iterator[Text | Refused]:
    """Every text in a unit, and a refusal for every piece that gives none."""
    if unit.refused:
        yield unit.refused
        return
    kind = "parts" if unit.kind == "text" and config.split_on != "none" else unit.kind
    try:
        yield from READERS[kind](unit, config)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, TableError) as error:
        yield Refused(source=unit.file.label, rule="unreadable", detail=_one_line(error))


def lines(stream: BinaryIO, limit: int) -> Iterator[tuple[bytes | None, int]]:
    """Lines with their lengths in bytes; None instead of a line longer than `limit`, which is read past, not held."""
    while line := stream.readline(limit + 1):
        if len(line) <= limit or line.endswith(b"\n"):
            yield line, len(line)
            continue
        length = len(line)
        while more := stream.readline(2**20):
            length += len(more)
            if more.endswith(b"\n"):
                break
        yield None, length


def _read_whole(unit: Unit, config: ReadConfig) -> Iterator[Text | Refused]:
    label, limit = unit.file.label, config.max_bytes
    with open_bytes(unit.file.path) as stream:
        data = stream.read(HEAD_BYTES)
        if is_binary(data):
            yield Refused(source=label, rule="binary", detail="the first bytes are no text")
            return
        data += stream.read(max(0, limit + 1 - len(data)))
        if len(data) > limit:
            yield _too_long(label, max(len(data), unit.file.path.stat().st_size), limit)
            return
    yield from _decoded(label, data, extract_html if unit.kind == "html" else None)


def _decoded(label: str, data: bytes, extract: Callable[[str], str] | None = None) -> Iterator[Text | Refused]:
    try:
        text = decode(data)
    except UnicodeDecodeError as error:
        yield Refused(source=label, rule="undecodable", detail=f"byte 0x{data[error.start]:02x} at {error.start} is not {error.encoding}")
        return
    if extract and not (text := extract(text)):
        yield Refused(source=label, rule="no_text", detail="the page has no main text")
        return
    yield Text(source=label, text=text)


def _too_long(label: str, value: int, limit: int) -> Refused:
    return Refused(
        source=label, rule="max_bytes", detail="raise read.max_bytes or set read.split_on", value=float(value), threshold=float(limit)
    )


def _rows(unit: Unit, config: ReadConfig) -> Iterator[tuple[str, bytes] | Refused]:
    """Non-empty lines of a unit with their labels."""
    with open_bytes(unit.file.path) as stream:
        if unit.start:
            stream.seek(unit.start)
        position, row = unit.start, unit.first_row - 1
        for line, length in lines(stream, config.max_bytes):
            row, position = row + 1, position + length
            label = f"{unit.file.label}#{row}"
            if line is None:
                yield _too_long(label, length, config.max_bytes)
            elif stripped := (line.removeprefix(BYTE_ORDER_MARKS[0][0]) if row == 1 else line).strip():
                yield label, stripped
            if 0 <= unit.stop <= position:
                return


def _read_jsonl(unit: Unit, config: ReadConfig) -> Iterator[Text | Refused]:
    for row in _rows(unit, config):
        if isinstance(row, Refused):
            yield row
            continue
        label, line = row
        try:
            value = json.loads(line)
        except UnicodeDecodeError as error:
            yield Refused(source=label, rule="undecodable", detail=_one_line(error))
        except (ValueError, RecursionError) as error:
            yield Refused(source=label, rule="malformed", detail=_one_line(error))
        else:
            yield _row_text(label, value, config)


def _row_text(label: str, row: Any, config: ReadConfig) -> Text | Refused:
    if not isinstance(row, dict):
        return Refused(source=label, rule="malformed", detail=f"a row should be an object, not {type(row).__name__}")
    columns = cast("dict[str, Any]", row)
    if config.text_column not in columns:
        return Refused(source=label, rule="no_column", detail=f"columns found: {', '.join(columns)}")
    text = columns[config.text_column]
    if not isinstance(text, str):
        return Refused(source=label, rule="not_text", detail=f"column {config.text_column!r} holds {type(text).__name__}")
    kept = {name: without_surrogates(str(columns[name])) for name in config.keep_columns if columns.get(name) is not None}
    return Text(source=label, text=text, metadata=kept)


def _read_parquet(unit: Unit, config: ReadConfig) -> Iterator[Text | Refused]:
    groups = range(unit.start, unit.stop) if unit.stop >= 0 else None
    rows = read_rows(unit.file.path, (config.text_column, *config.keep_columns), groups)
    for row, values in enumerate(rows, unit.first_row):
        entry = _row_text(f"{unit.file.label}#{row}", values, config)
        length = len(entry.text.encode("utf-8", "surrogatepass")) if isinstance(entry, Text) else 0
        yield entry if length <= config.max_bytes else _too_long(entry.source, length, config.max_bytes)


def _read_parts(unit: Unit, config: ReadConfig) -> Iterator[Text | Refused]:
    with open_bytes(unit.file.path) as stream:
        head = stream.read(HEAD_BYTES)
    if is_binary(head):
        yield Refused(source=unit.file.label, rule="binary", detail="the first bytes are no text")
    elif any(head.startswith(mark) for mark, _ in BYTE_ORDER_MARKS[1:]):
        yield Refused(source=unit.file.label, rule="undecodable", detail="only UTF-8 can be split: convert the file")
    elif config.split_on == "line":
        for row in _rows(unit, config):
            if isinstance(row, Refused):
                yield row
            else:
                yield from _decoded(*row)
    else:
        for number, (part, length) in enumerate(_parts(unit, config), 1):
            label = f"{unit.file.label}#{number}"
            if length > config.max_bytes:
                yield _too_long(label, length, config.max_bytes)
            else:
                yield from _decoded(label, part)


def _parts(unit: Unit, config: ReadConfig) -> Iterator[tuple[bytes, int]]:
    """Runs of lines, each beginning at a heading, with their full length; a part beyond the limit is not held."""
    heading = HEADINGS[config.split_on]
    part, total = bytearray(), 0
    with open_bytes(unit.file.path) as stream:
        for line, length in lines(stream, config.max_bytes):
            if line is not None and heading.match(line[:200].decode("utf-8", "replace")):
                if part.strip():
                    yield bytes(part), total
                part, total = bytearray(), 0
            total += length
            if line is not None and total <= config.max_bytes:
                part += line
    if part.strip() or total > config.max_bytes:
        yield bytes(part), total


def _refuse_format(unit: Unit, config: ReadConfig) -> Iterator[Text | Refused]:
    yield Refused(
        source=unit.file.label, rule="unsupported", detail=f"files of this kind ({printable(unit.file.path.suffix)}) are not read"
    )


def _one_line(error: BaseException) -> str:
    return without_surrogates(" ".join(str(error).split()))[:200]


READERS: dict[str, Callable[[Unit, ReadConfig], Iterator[Text | Refused]]] = {
    "text": _read_whole,
    "html": _read_whole,
    "parts": _read_parts,
    "jsonl": _read_jsonl,
    "parquet": _read_parquet,
    "unsupported": _refuse_format,
}
