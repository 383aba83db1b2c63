"""Files become texts, each with a name; what gives no text comes out as a refusal with its reason.

In: a `Unit` (a file or a part of it), or a data set folder. Out: `Text` and `Refused` in the order of the file, `Document`s
from a finished data set. The idea: a reader never raises for bad input and never holds more than one document, so a single
line of any length costs no more than `max_bytes`. What a file holds is known by its first bytes, not by its name.
"""

import hashlib
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from hanmo.base.errors import DataError, HanmoError
from hanmo.base.progress import say
from hanmo.base.records import Document
from hanmo.data.reading.archives import read_tar, read_zip
from hanmo.data.reading.books import read_epub
from hanmo.data.reading.chapters import begins_chapter
from hanmo.data.reading.contents import Content, ReadConfig, fault, held, refusal, too_long, undecodable
from hanmo.data.reading.decode import decode, is_damaged
from hanmo.data.reading.extract import page_text
from hanmo.data.reading.formats import HEAD_BYTES, TABLES, Format, find_format, named_kind
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit, list_files, name_sources, place
from hanmo.data.reading.notebooks import read_notebook
from hanmo.data.reading.office import read_office
from hanmo.data.reading.passages import in_passages
from hanmo.data.reading.pdf import read_pdf
from hanmo.data.reading.remote import without_secrets
from hanmo.data.reading.rows import numbered_lines, read_csv, read_json, read_jsonl, read_parquet
from hanmo.data.reading.streams import READ_ERRORS, Guard, TooLargeError, as_utf8, file_size, lines, open_file, unpacked
from hanmo.data.reading.subtitles import read_subtitles
from hanmo.data.reading.warc import read_warc
from hanmo.data.tables import read_rows

MARKDOWN_HEADING = re.compile(r"#{1,6}\s")
LOOK_BYTES = 600  # of a line, enough to tell a heading
SPLITS = ("train", "validation", "test")


def document_id(source: str, text: str) -> str:
    """24 hex digits of SHA-256 over the origin and the text."""
    return hashlib.sha256(f"{source}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:24]


def is_dataset(folder: Path | str) -> bool:
    """Whether `folder` was made by hanmo prepare."""
    folder = Path(folder)
    return (folder / "manifest.json").is_file() and (folder / "documents").is_dir()


def read_dataset(folder: Path | str, split: str) -> Iterator[Document]:
    """The documents of one split in the order of their ids, a few at a time in memory.

    Raises DataError when the folder is no data set or the split is unknown.
    """
    if split not in SPLITS:
        raise DataError(f"unknown split {split!r}: one of {', '.join(SPLITS)}")
    if not is_dataset(folder):
        raise DataError(f"{folder} is no data set: make one with hanmo prepare SOURCE --out {folder}")
    return _read_split(Path(folder), split)


def _read_split(folder: Path, split: str) -> Iterator[Document]:
    for path in sorted((folder / "documents").glob(f"{split}-*.parquet")):
        for row in read_rows(path):
            yield Document(**cast("dict[str, Any]", row))


def read_any(place: Path | str, split: str) -> Iterator[Document]:
    """The documents of one split of a data set, or all of a bare file or folder; raises what these two raise."""
    return read_dataset(place, split) if is_dataset(place) else read_texts(place)


def read_texts(path: Path | str, config: ReadConfig | None = None) -> Iterator[Document]:
    """The documents of a bare file or folder, here or behind a URL, unchanged, in the order of their names.

    What gives no text is named on standard error. Raises DataError when nothing can be read.
    """
    config = config or ReadConfig()
    files, refused = list_files(name_sources([place(path)]))
    found = 0
    for entry in (*refused, *(e for file in files for e in read_unit(Unit(file=file, format=format_of(file, config)), config))):
        if isinstance(entry, Refused):
            if entry.rule != "hidden":
                say(f"left out {entry.source}: {entry.rule}{entry.detail and f' ({entry.detail})'}")
            continue
        if entry.text.strip():
            found += 1
            yield Document(id=document_id(entry.source, entry.text), text=entry.text, source=entry.source, metadata=entry.metadata)
    if not found:
        raise DataError(f"{without_secrets(str(path))} gives no text: nothing to read")


def format_of(file: InputFile, config: ReadConfig) -> Format:
    """What a file holds, by its first bytes; what its name says where they cannot be read, and then its reader says why."""
    try:
        with open_content(file, config) as stream:
            return find_format(file.name, stream.peek(HEAD_BYTES)[:HEAD_BYTES])
    except READ_ERRORS:
        return Format(named_kind(file.name))


@contextmanager
def open_content(file: InputFile, config: ReadConfig) -> Generator[Any]:
    """A file's content from its beginning, decompressed."""
    with open_file(file) as stream, unpacked(stream, Guard(file_size(file), config.max_ratio, config.max_unpacked)) as plain:
        yield plain


def content_of(unit: Unit, config: ReadConfig) -> Content:
    """A unit as what readers read."""
    size = 0 if unit.refused else file_size(unit.file)
    opened = partial(open_content, unit.file, config)
    place = {"start": unit.start, "stop": unit.stop, "first_row": unit.first_row}
    return Content(label=unit.file.label, format=unit.format, open=opened, size=size, **place)


def read_unit(unit: Unit, config: ReadConfig) -> Iterator[Text | Refused]:
    """Every text in a unit, and a refusal for every piece that gives none."""
    if unit.refused:
        yield unit.refused
        return
    try:
        yield from read_content(content_of(unit, config), config)
    except READ_ERRORS as error:
        yield refusal(_piece(unit.file.label, unit.start, unit.first_row), error)


def _piece(label: str, start: int, first_row: int) -> str:
    """The name of a file, or of a later piece of it, so that what breaks two pieces has two receipts."""
    return f"{label}#{first_row}" if start else label


def read_content(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """Every text in a file or a member of an archive, or a refusal where there is none.

    What a reader did not expect costs this content what is behind it, no other one. Raises one of READ_ERRORS where it breaks off.
    """
    last = ""
    try:
        for entry in _entries(content, config):
            last = entry.source
            yield entry
    except PASSED_ON:
        raise
    except Exception as error:
        label = _piece(content.label, content.start, content.first_row)
        yield fault(label, error, behind=last)
        last = label
    if not last and content.start == 0 and content.stop < 0:
        yield Refused(source=content.label, rule="empty", detail=f"no text in this {content.format.kind} file", value=0.0, threshold=1.0)


def _entries(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    kind = content.format.kind
    if kind in ("zip", "tar"):
        yield from (read_zip if kind == "zip" else read_tar)(content, config, read_content)
    elif kind in REFUSED:
        yield Refused(source=content.label, rule=REFUSED[kind][0], detail=content.format.note or REFUSED[kind][1])
    else:
        entries = READERS["parts" if kind == "text" and config.split_on in IN_PARTS else kind](content, config)
        yield from in_passages(entries) if config.split_on == "passage" and kind not in TABLES else entries


def _read_whole(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    try:
        data = held(content, config.max_bytes)
    except TooLargeError:
        if config.split_on != "passage" or content.format.kind != "text":
            raise
        yield from _read_blocks(content, config)
        return
    if content.format.kind == "html":
        yield page_text(content, data)
    elif content.format.encoding in ("ascii", "utf-8") and is_damaged(data):
        yield Refused(source=content.label, rule="binary", detail="bytes that are no text")
    else:
        yield _decoded(content, content.label, data)


def _decoded(content: Content, label: str, data: bytes) -> Text | Refused:
    try:
        decoded = decode(data)
    except UnicodeDecodeError as error:
        return undecodable(label, data, error)
    return content.text(decoded.text, label=label, encoding=decoded.encoding)


def _read_parts(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    if config.split_on == "line":
        for row in numbered_lines(content, config):
            yield row if isinstance(row, Refused) else _row(content, *row)
        return
    for number, (part, length) in enumerate(_parts(content, config), 1):
        label = f"{content.label}#{number}"
        yield too_long(label, length, config.max_bytes) if length > config.max_bytes else _part(content, label, part)


def _read_blocks(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """A text of any length as runs of whole lines, none of them beyond the limit."""
    block = bytearray()
    with content.open() as plain:
        for line, length in lines(as_utf8(plain, content.format.encoding), config.max_bytes):
            if block and len(block) + length > config.max_bytes:
                yield _part(content, content.label, bytes(block))
                block = bytearray()
            if line is None:
                yield too_long(content.label, length, config.max_bytes)
            else:
                block += line
    if block.strip():
        yield _part(content, content.label, bytes(block))


def _row(content: Content, label: str, data: bytes) -> Text | Refused:
    if b"\0" in data:
        return Refused(source=label, rule="binary", detail="a NUL character: no text has one")
    try:
        text, encoding = content.decode_row(data)
        return content.text(text, label=label, encoding=encoding)
    except UnicodeDecodeError as error:
        return undecodable(label, data, error)


def _part(content: Content, label: str, data: bytes) -> Text | Refused:
    try:
        text, encoding = content.decode(data)
        return content.text(text, label=label, encoding=encoding)
    except UnicodeDecodeError as error:
        return undecodable(label, data, error)


def _parts(content: Content, config: ReadConfig) -> Iterator[tuple[bytes, int]]:
    """Runs of lines, each beginning at a heading, with their full length; a part beyond the limit is not held."""
    begins = BEGINNINGS[config.split_on]
    part, total = bytearray(), 0
    with content.open() as plain:
        for line, length in lines(as_utf8(plain, content.format.encoding), config.max_bytes):
            if line is not None and begins(line[:LOOK_BYTES].decode("utf-8", "replace")):
                if part.strip():
                    yield bytes(part), total
                part, total = bytearray(), 0
            total += length
            if line is not None and total <= config.max_bytes:
                part += line
    if part.strip() or total > config.max_bytes:
        yield bytes(part), total


BEGINNINGS: dict[str, Callable[[str], bool]] = {
    "heading": lambda line: bool(MARKDOWN_HEADING.match(line)),
    "chapter": begins_chapter,
}
"""What tells that a line begins a new part."""
IN_PARTS = ("line", *BEGINNINGS)
PASSED_ON = (*READ_ERRORS, HanmoError, MemoryError)
"""What `read_content` leaves to others: a broken file to its receipt, an error of the user or the machine to the user."""
REFUSED = {
    "binary": ("binary", "the first bytes are no text"),
    "packed": ("nested_archive", "packed twice: unpack it once"),
    "unsupported": ("unsupported", "files of this kind are not read"),
    "recognised": ("unsupported", "files of this kind are known and not read"),
    "wrong": ("wrong_format", "the content is not what the name promises"),
}
"""Formats that are not read: the rule, and why."""
READERS: dict[str, Callable[[Content, ReadConfig], Iterator[Text | Refused]]] = {
    "text": _read_whole,
    "html": _read_whole,
    "parts": _read_parts,
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "parquet": read_parquet,
    "pdf": read_pdf,
    "office": read_office,
    "epub": read_epub,
    "notebook": read_notebook,
    "subtitles": read_subtitles,
    "warc": read_warc,
}
