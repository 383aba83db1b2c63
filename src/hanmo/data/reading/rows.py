"""Tables become texts, a row each: JSON lines, JSON, CSV, Parquet.

In: a content. Out: a `Text` for every row that has the text column, a `Refused` for every other, both numbered from 1. The idea:
no row is held beyond `max_bytes`, and a broken row costs no other one.
"""

import html
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any, BinaryIO, cast

from hanmo.data.reading.beginnings import PEEKED_ROWS
from hanmo.data.reading.contents import Content, ReadConfig, fault, one_line, seekable, too_long, undecodable
from hanmo.data.reading.conversations import conversation, conversation_columns, rendered, turns_in
from hanmo.data.reading.delimited import Records
from hanmo.data.reading.formats import suffix_of
from hanmo.data.reading.inputs import Refused, Text
from hanmo.data.reading.normalize import without_surrogates
from hanmo.data.reading.streams import BLOCK_BYTES, UTF8_MARK, LineEnds, Rejoined, as_rows, as_utf8, lines
from hanmo.data.tables import UnreadRows, column_names, read_past_gaps

ESCAPED = re.compile("[\udc80-\udcff]")  # bytes that were no UTF-8
FIELD_MARK = "\x1f"  # ASCII's own unit separator
ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
MOST_BLANKS = 4096  # bytes between two rows
JSON_MARKS = re.compile(rb'["\\{}\[\],]')
STRING_MARKS = re.compile(rb'["\\]')


Decode = Callable[[bytes], tuple[str, str]]
Value = tuple[str, object, str]
"""What stands in a row, with its label before it and its encoding behind it."""


def read_jsonl(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """One document a line."""
    yield from _texts(content, json_lines(content, config), config)


def read_json(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """One document for each element of an array, or one for a file that holds one object; rows where each line is an object."""
    yield from _texts(content, json_values(content, config), config)


def _texts(content: Content, values: Iterable[Value | Refused], config: ReadConfig) -> Iterator[Text | Refused]:
    for found in values:
        yield found if isinstance(found, Refused) else row_text(content, found[0], found[1], config, found[2])


def json_lines(content: Content, config: ReadConfig) -> Iterator[Value | Refused]:
    """What stands in each line."""
    for row in numbered_lines(content, config):
        yield row if isinstance(row, Refused) else _parsed(content, *row, content.decode_row)


def json_values(content: Content, config: ReadConfig) -> Iterator[Value | Refused]:
    """The elements of an array, or what a file holds that is none; the lines where each is an object.

    Rows are told by the first line, as far as one may be long, since a look at the beginning may not see its end.
    """
    with content.open() as plain:
        stream = io.BufferedReader(LineEnds(as_utf8(plain, content.format.encoding)), BLOCK_BYTES)
        first, second = stream.readline(config.max_bytes + 1), b"\n"
        seen = bytearray(first)
        while second.isspace() and len(seen) <= len(first) + MOST_BLANKS:
            second = stream.readline(config.max_bytes + 1)
            seen += second
        stream = io.BufferedReader(Rejoined(bytes(seen), stream), BLOCK_BYTES)
        if _are_rows(first, second, config.max_bytes):
            for row in _numbered(content, stream, config.max_bytes):
                yield row if isinstance(row, Refused) else _parsed(content, *row, content.decode)
            return
        for row, (data, length) in enumerate(_elements(stream, config.max_bytes)):
            label = f"{content.label}#{row}" if row else content.label
            if data is None:
                yield too_long(label, length, config.max_bytes)
            elif data.strip():
                yield _parsed(content, label, data.strip(), content.decode)


def numbered_lines(content: Content, config: ReadConfig) -> Iterator[tuple[str, bytes] | Refused]:
    """Non-empty lines of a content with their labels, each in its own encoding; those of UTF-16 and UTF-32 as UTF-8."""
    with content.open() as plain:
        if content.start:
            plain.seek(content.start)
        yield from _numbered(content, as_rows(plain, content.format.encoding), config.max_bytes)


def _numbered(content: Content, stream: BinaryIO, limit: int) -> Iterator[tuple[str, bytes] | Refused]:
    position, row = content.start, content.first_row - 1
    for line, length in lines(stream, limit):
        row, position = row + 1, position + length
        label = f"{content.label}#{row}"
        if line is None:
            yield too_long(label, length, limit)
        elif stripped := line.strip():
            yield label, stripped
        if 0 <= content.stop <= position:
            return


def _parsed(content: Content, label: str, data: bytes, decode: Decode) -> Value | Refused:
    try:
        text, encoding = decode(data)
        return label, json.loads(text), encoding
    except UnicodeDecodeError as error:
        return undecodable(label, data, error)
    except (ValueError, RecursionError) as error:
        return Refused(source=label, rule="malformed", detail=one_line(error))


def row_text(content: Content, label: str, row: Any, config: ReadConfig, encoding: str = "") -> Text | Refused:
    """The text of a row, or why it has none; what nobody expected costs this row alone."""
    try:
        return _row_text(content, label, row, config, encoding)
    except MemoryError:
        raise
    except Exception as error:
        return fault(label, error)


def _row_text(content: Content, label: str, row: Any, config: ReadConfig, encoding: str) -> Text | Refused:
    columns = _named(row, config)
    if columns is None:
        return Refused(source=label, rule="malformed", detail=f"a row should be an object, not {type(row).__name__}")
    own_id = _own_id(columns, config)
    text, note = _text_in(columns, config)
    if text is None:
        refused = no_column(label, columns) if not note else Refused(source=label, rule="not_text", detail=note)
        return replace(refused, own_id=own_id)
    kept = {name: without_surrogates(str(columns[name])) for name in config.keep_columns if columns.get(name) is not None}
    if own_id:
        kept.setdefault(config.id_column, own_id)
    text = ENTITY.sub(lambda found: html.unescape(found[0]), text) if config.entities else text
    return content.text(text, label=label, encoding=encoding, metadata=kept, note=note, own_id=own_id)


def _named(row: Any, config: ReadConfig) -> dict[str, Any] | None:
    """A row by the names of its columns; None where it has none, and read.columns does not fit."""
    if isinstance(row, list) and config.columns and len(cast("list[Any]", row)) == len(config.columns):
        return dict(zip(config.columns, cast("list[Any]", row), strict=True))
    return cast("dict[str, Any]", row) if isinstance(row, dict) else None


def _text_in(row: dict[str, Any], config: ReadConfig) -> tuple[str | None, str]:
    """The text of a row, and a word on where it comes from; None and why when it has none, or nothing when the column is missing."""
    text = row.get(config.text_column)
    if isinstance(text, str):
        return text, ""
    turns = turns_in(text) if text is not None else conversation(row) if gives_text(row, config) else []
    if turns and config.conversation != "none":
        return rendered(turns, config.conversation), f"a conversation, written as read.conversation={config.conversation} says"
    if config.text_column in row:
        return None, f"column {config.text_column!r} holds {type(text).__name__}"
    return None, "no conversation in its columns" if gives_text(row, config) else ""


def gives_text(columns: Collection[str], config: ReadConfig) -> bool:
    """Whether rows with these columns have the text column, or a conversation where no other column was asked for."""
    return config.text_column in columns or (_may_be_conversation(config) and bool(conversation_columns(columns)))


def _may_be_conversation(config: ReadConfig) -> bool:
    return config.conversation != "none" and config.text_column == ReadConfig.text_column


def _own_id(row: dict[str, Any], config: ReadConfig) -> str:
    """What a row is called where it comes from; empty where it has no such name."""
    value = row.get(config.id_column) if config.id_column else None
    return without_surrogates(str(value)) if isinstance(value, str | int) else ""


def no_column(label: str, columns: Iterable[str]) -> Refused:
    """The refusal of a row or a table without the text column."""
    return Refused(source=label, rule="no_column", detail=without_surrogates(f"columns found: {', '.join(columns) or 'none'}"))


def _are_rows(first: bytes, second: bytes, limit: int) -> bool:
    """Whether a JSON file that begins with these lines holds a row a line: one of two is an object, or too long to hold."""
    if not first.removeprefix(UTF8_MARK).lstrip().startswith(b"{"):
        return False
    return len(first) > limit or bool(second and (_names([first.removeprefix(UTF8_MARK)]) or _names([second])))


def _elements(stream: BinaryIO, limit: int) -> Iterator[tuple[bytes | None, int]]:
    """The whole of a JSON value as element 0 (empty for an array), then the elements of an array; None for one beyond the limit.

    Only brackets, commas and quotation marks are looked at, so that an element which is no JSON costs no other one.
    """
    block = stream.read(BLOCK_BYTES).removeprefix(UTF8_MARK).lstrip()
    is_array = block.startswith(b"[")
    if is_array:
        yield b"", 0
        block = block[1:]
    scanner, held, length = _Scanner(), bytearray(), 0
    while block:
        begin = 0
        for end in scanner.borders(block) if is_array else ():
            piece, length = block[begin:end], length + end - begin
            yield (bytes(held + piece) if length <= limit else None), length
            held, length, begin = bytearray(), 0, end + 1
            if scanner.depth < 0:
                return
        length += len(block) - begin
        held = held + block[begin:] if length <= limit else bytearray()
        block = stream.read(BLOCK_BYTES)
    if held.strip() or length > limit:
        yield (bytes(held) if length <= limit else None), length


class _Scanner:
    """Where the elements of an array end; remembers from block to block whether it stands inside a string."""

    def __init__(self) -> None:
        self.depth = 0
        self._in_string: bool = False
        self._escaped: bool = False

    def borders(self, block: bytes) -> Iterator[int]:
        position = 1 if self._escaped else 0
        self._escaped = False
        while found := (STRING_MARKS if self._in_string else JSON_MARKS).search(block, position):
            mark, position = found[0], found.end()
            if mark == b"\\":
                self._escaped = position == len(block)
                position += 1
            elif mark == b'"':
                self._in_string = not self._in_string
            elif mark in b"{[":
                self.depth += 1
            elif mark in b"}]":
                self.depth -= 1
                if self.depth < 0:
                    yield found.start()
                    return
            elif self.depth == 0:
                yield found.start()


def read_csv(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """One document a record, by the names in the first record."""
    with content.open() as plain:
        records = records_of(content, plain, config)
        if records.begins_too_long:
            yield too_long(content.label, records.length, config.max_bytes)
            return
        if records.names and not gives_text(records.names, config):
            yield no_column(content.label, records.names)
            return
        for row, record in enumerate(records, 1):
            label = f"{content.label}#{row}"
            if isinstance(record, list):
                yield _record_text(content, label, records, record, config)
            elif isinstance(record, str):
                yield Refused(source=label, rule="malformed", detail=record)
            else:
                yield too_long(label, record, config.max_bytes)


def records_of(content: Content, plain: BinaryIO, config: ReadConfig) -> Records:
    """The records of a delimited file, by what its name says of its quotes."""
    tabs = suffix_of(content.label) == ".tsv"
    return Records(as_utf8(plain, content.format.encoding), config.max_bytes, config.text_column, config.columns, tabs)


def _record_text(content: Content, label: str, records: Records, record: list[str], config: ReadConfig) -> Text | Refused:
    if len(record) != len(records.names):
        who = "the first record" if records.header else "read.columns"
        return Refused(source=label, rule="malformed", detail=f"{len(record)} fields where {who} has {len(records.names)}")
    if records.header and [field.strip() for field in record] == records.header:
        return Refused(source=label, rule="malformed", detail="the header again")
    if any("\0" in field for field in record):
        return Refused(source=label, rule="binary", detail="a NUL character: no text has one")
    encoding, note = "", f"column {config.text_column!r} stands twice: the first is read" if config.text_column in records.twice else ""
    if any(map(ESCAPED.search, record)):
        data = FIELD_MARK.join(record).encode("utf-8", "surrogateescape")
        try:
            text, encoding = content.decode(data)
        except UnicodeDecodeError as error:
            return undecodable(label, data, error)
        if text.count(FIELD_MARK) != len(record) - 1:
            return Refused(source=label, rule="undecodable", detail="bytes that are not utf-8, and marks between fields that are not ours")
        record = text.split(FIELD_MARK)
    entry = row_text(content, label, dict(zip(records.names, record, strict=True)), config, encoding)
    return replace(entry, note="; ".join(filter(None, (entry.note, note)))) if note and isinstance(entry, Text) else entry


def read_parquet(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """One document a row, of all row groups or of those from `start` to `stop`."""
    groups = range(content.start, content.stop) if content.stop >= 0 else None
    with seekable(content, config) as stream:
        if not gives_text(columns := column_names(stream), config):
            yield no_column(content.label, columns)
            return
        row, turns = content.first_row, () if config.text_column in columns else conversation_columns(columns)
        for found in read_past_gaps(stream, (config.text_column, config.id_column, *config.keep_columns, *turns), groups):
            label = f"{content.label}#{row}"
            if isinstance(found, UnreadRows):
                yield Refused(source=label, rule="unreadable", detail=f"{found.rows} rows from here on: {found.reason}")
                row += found.rows
            else:
                yield _stored_text(content, label, found, config)
                row += 1


def _stored_text(content: Content, label: str, row: dict[str, object], config: ReadConfig) -> Text | Refused:
    """The text of a row whose strings may hold bytes that are not UTF-8, as lone surrogates."""
    encoding, text = "", row.get(config.text_column)
    if isinstance(text, str) and ESCAPED.search(text):
        data = text.encode("utf-8", "surrogateescape")
        try:
            text, encoding = content.decode(data)
        except UnicodeDecodeError as error:
            return undecodable(label, data, error)
        row = {**row, config.text_column: text}
    entry = row_text(content, label, row, config, encoding)
    length = len(entry.text.encode("utf-8", "surrogatepass")) if isinstance(entry, Text) else 0
    return entry if length <= config.max_bytes else too_long(label, length, config.max_bytes)


def peeked_columns(content: Content, config: ReadConfig) -> list[str]:
    """Names of the columns in the first rows, in order of appearance; none where that cannot be told."""
    kind = content.format.kind
    if kind == "parquet":
        with seekable(content, config) as stream:
            return column_names(stream)
    with content.open() as plain:
        if kind == "csv":
            return records_of(content, plain, config).names
        stream = as_utf8(plain, content.format.encoding)
        pieces = lines(stream, config.max_bytes) if kind == "jsonl" else _elements(stream, config.max_bytes)
        return _names(data for data, _ in islice(pieces, PEEKED_ROWS))


def _names(rows: Iterable[bytes | None]) -> list[str]:
    found: dict[str, None] = {}
    for data in rows:
        try:
            row = json.loads(data or b"null")
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            found |= dict.fromkeys(cast("dict[str, object]", row))
    return list(found)
