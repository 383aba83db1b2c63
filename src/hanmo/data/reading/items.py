"""Files of examples become items: every text in every row and column, with a name that says where it stands.

In: files of any format that is read, folders of them here or behind a URL, or data set folders. Out: items in the order of the file,
and a word on everything that could not be read: a file, a row, a record. The idea: what may be a question, an answer or a passage is not
ours to guess, so every text counts, however deep it lies in a row. A text file is one item of many lines. Nothing is normalised here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import cast

from hanmo.base.errors import DataError, HanmoError
from hanmo.base.progress import say
from hanmo.data.reading.contents import ReadConfig, fault, refusal, undecodable
from hanmo.data.reading.decode import decode
from hanmo.data.reading.inputs import Refused, Unit, list_files, name_sources, place
from hanmo.data.reading.normalize import without_surrogates
from hanmo.data.reading.read import SPLITS, content_of, format_of, is_dataset, open_content, read_dataset, read_unit
from hanmo.data.reading.remote import is_url, without_secrets
from hanmo.data.reading.rows import json_lines, json_values, records_of
from hanmo.data.reading.streams import READ_ERRORS, open_file
from hanmo.data.tables import UnreadRows, read_past_gaps


@dataclass(frozen=True, slots=True)
class Item:
    """One text; `by_line` when it is a text file, of which each line has a number to be named by."""

    name: str
    text: str
    by_line: bool = False

    def line_name(self, line: int) -> str:
        """The name of a line, counted from 0."""
        return f"{self.name}#{line + 1}" if self.by_line else self.name


def read_items(source: Path | str, unread: Callable[[Refused], None] | None = None) -> Iterator[Item]:
    """All items of a file or folder, a path or a URL, one file at a time in memory.

    Each file, row or piece that cannot be read is handed to `unread`, or named on standard error. Raises DataError when the source does
    not exist, or holds no text.
    """
    remote, missed, found = is_url(str(source)), list[Refused](), False
    for item in _from_dataset(Path(source)) if not remote and is_dataset(source) else _from_files(source):
        if isinstance(item, Refused):
            missed.append(item)
            (unread or _tell)(item)
        elif item.text.strip():
            found = True
            yield item
    if not found:
        where = without_secrets(str(source)) if remote else source
        if missed:
            raise DataError(f"{where} cannot be read: {words_of(missed[0])}")
        raise DataError(f"{where} gives no text: nothing to compare")


def words_of(refused: Refused) -> str:
    """What was not read and why, in one line."""
    return f"{refused.source}: {refused.rule}{refused.detail and f' ({refused.detail})'}"


def _tell(refused: Refused) -> None:
    say(f"not read: {words_of(refused)}")


def _from_dataset(path: Path) -> Iterator[Item]:
    for split in SPLITS:
        for document in read_dataset(path, split):
            yield Item(f"{split}:{document.id}", document.text)


def _from_files(source: Path | str) -> Iterator[Item | Refused]:
    files, refused = list_files(name_sources([place(source)]))
    for file in files:
        if file.url and file.name == "manifest.json" and any("/documents/" in other.url for other in files):
            raise DataError(f"{without_secrets(str(source))} is a data set of ours behind a URL: copy it here first")
    yield from (entry for entry in refused if entry.rule != "hidden")
    for file in files:
        try:
            unit = Unit(file=file, format=format_of(file, CONFIG))
            yield from READERS.get(unit.format.kind, _from_texts)(unit)
        except READ_ERRORS as error:
            yield refusal(file.label, error)
        except (HanmoError, MemoryError):
            raise
        except Exception as error:
            yield fault(file.label, error)


def _from_text(unit: Unit) -> Iterator[Item | Refused]:
    with open_content(unit.file, CONFIG) as stream:
        data = stream.read()
    try:
        text = decode(data).text.replace("\r\n", "\n").replace("\r", "\n")
        yield Item(unit.file.label, text, by_line=True)
    except UnicodeDecodeError as error:
        yield undecodable(unit.file.label, data, error)


def _from_texts(unit: Unit) -> Iterator[Item | Refused]:
    """What pages, books and archives hold."""
    for entry in read_unit(unit, ReadConfig(split_on="none")):
        yield entry if isinstance(entry, Refused) else Item(entry.source, entry.text, by_line=True)


def _from_values(unit: Unit) -> Iterator[Item | Refused]:
    values = json_lines if unit.format.kind == "jsonl" else json_values
    for found in values(content_of(unit, CONFIG), CONFIG):
        if isinstance(found, Refused):
            yield found
        else:
            yield from _walk(found[1], found[0])


def _from_csv(unit: Unit) -> Iterator[Item | Refused]:
    """Cells, named by the first row; that row is read as well, since many files have no header."""
    content = content_of(unit, CONFIG)
    with content.open() as plain:
        records = records_of(content, plain, CONFIG)
        for number, row in enumerate(chain([records.header], records), 1):
            if not isinstance(row, list):
                words = row if isinstance(row, str) else f"a record of {row} bytes"
                yield Refused(source=f"{content.label}#{number}", rule="malformed", detail=words)
                continue
            for column, cell in enumerate(row, 1):
                yield Item(f"{content.label}#{number}:{column}", without_surrogates(cell))


def _from_parquet(unit: Unit) -> Iterator[Item | Refused]:
    label, number = unit.file.label, 1
    with open_file(unit.file) as stream:
        for row in read_past_gaps(stream):
            if isinstance(row, UnreadRows):
                yield Refused(source=f"{label}#{number}", rule="unreadable", detail=f"{row.rows} rows from here on: {row.reason}")
                number += row.rows
            else:
                yield from _walk(row, f"{label}#{number}")
                number += 1


def _walk(value: object, name: str) -> Iterator[Item]:
    """Every string inside lists and objects, named by its path."""
    if isinstance(value, str):
        yield Item(name, without_surrogates(value))
    elif isinstance(value, dict):
        for key, below in cast("dict[str, object]", value).items():
            yield from _walk(below, f"{name}:{key}")
    elif isinstance(value, list | tuple):
        for number, below in enumerate(cast("list[object]", value)):
            yield from _walk(below, f"{name}:{number}")


CONFIG = ReadConfig(max_bytes=2**31)
"""Rows of any length that memory can hold: an evaluation set may be one object."""
READERS: dict[str, Callable[[Unit], Iterator[Item | Refused]]] = {
    "text": _from_text,
    "jsonl": _from_values,
    "json": _from_values,
    "csv": _from_csv,
    "parquet": _from_parquet,
}
