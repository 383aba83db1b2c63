"""Files of examples become items: every text in every row and column, with a name that says where it stands.

In: txt, jsonl, json, csv, tsv and parquet files, packed or not, folders of them here or behind a URL, or data set folders. Out:
items in the order of the file. The idea: what may be a question, an answer or a passage is not ours to guess, so every text counts,
however deep it lies in a row. A text file is one item of many lines. Nothing is normalised here.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from hanmo.base.errors import DataError
from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.decode import decode
from hanmo.data.reading.formats import suffix_of
from hanmo.data.reading.inputs import InputFile, list_files, name_sources, place
from hanmo.data.reading.read import SPLITS, is_dataset, open_content, read_dataset
from hanmo.data.reading.remote import is_url, without_secrets
from hanmo.data.reading.streams import READ_ERRORS, open_file
from hanmo.data.tables import read_rows


@dataclass(frozen=True, slots=True)
class Item:
    """One text; `by_line` when it is a text file, of which each line has a number to be named by."""

    name: str
    text: str
    by_line: bool = False

    def line_name(self, line: int) -> str:
        """The name of a line, counted from 0."""
        return f"{self.name}#{line + 1}" if self.by_line else self.name


def read_items(source: Path | str) -> Iterator[Item]:
    """All items of a file or folder, a path or a URL, one file at a time in memory.

    Raises DataError when it does not exist, cannot be read, or holds no text.
    """
    found, remote = False, is_url(str(source))
    for item in _from_dataset(Path(source)) if not remote and is_dataset(source) else _from_files(source):
        if item.text.strip():
            found = True
            yield item
    if not found:
        raise DataError(f"{without_secrets(str(source)) if remote else source} gives no text: nothing to compare")


def _from_dataset(path: Path) -> Iterator[Item]:
    for split in SPLITS:
        for document in read_dataset(path, split):
            yield Item(f"{split}:{document.id}", document.text)


def _from_files(source: Path | str) -> Iterator[Item]:
    files, _ = list_files(name_sources([place(source)]))
    for file in files:
        if file.url and file.name == "manifest.json" and any("/documents/" in other.url for other in files):
            raise DataError(f"{without_secrets(str(source))} is a data set of ours behind a URL: copy it here first")
    for file in files:
        reader = READERS.get(suffix_of(file.name), _from_text)
        try:
            yield from reader(file)
        except (*READ_ERRORS, ValueError, csv.Error, RecursionError) as error:
            raise DataError(f"{without_secrets(file.url) or file.path} cannot be read: {' '.join(str(error).split())[:200]}") from error


def _content(file: InputFile) -> str:
    with open_content(file, ReadConfig()) as stream:
        return decode(stream.read()).text


def _from_text(file: InputFile) -> Iterator[Item]:
    yield Item(file.label, _content(file), by_line=True)


def _from_json(file: InputFile) -> Iterator[Item]:
    text = _content(file)
    try:
        value = json.loads(text)
    except ValueError:  # many files named .json hold one object a line
        value = [json.loads(line) for line in text.split("\n") if line.strip()]
    if isinstance(value, list):
        for number, row in enumerate(cast("list[object]", value), 1):
            yield from _walk(row, f"{file.label}#{number}")
    else:
        yield from _walk(value, file.label)


def _from_jsonl(file: InputFile) -> Iterator[Item]:
    for number, line in enumerate(_content(file).split("\n"), 1):
        if line.strip():
            yield from _walk(json.loads(line), f"{file.label}#{number}")


def _from_csv(file: InputFile) -> Iterator[Item]:
    """Cells, named by the first row; that row is read as well, since many files have no header."""
    csv.field_size_limit(2**31 - 1)
    tabs = ".tsv" in Path(file.name).suffixes
    stream = io.StringIO(_content(file), newline="")
    rows = csv.reader(stream, delimiter="\t" if tabs else ",", quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL)
    for number, row in enumerate(rows, 1):
        for column, cell in enumerate(row, 1):
            yield Item(f"{file.label}#{number}:{column}", cell)


def _from_parquet(file: InputFile) -> Iterator[Item]:
    with open_file(file) as stream:
        for number, row in enumerate(read_rows(stream), 1):
            yield from _walk(row, f"{file.label}#{number}")


def _walk(value: object, name: str) -> Iterator[Item]:
    """Every string inside lists and objects, named by its path."""
    if isinstance(value, str):
        yield Item(name, value)
    elif isinstance(value, dict):
        for key, below in cast("dict[str, object]", value).items():
            yield from _walk(below, f"{name}:{key}")
    elif isinstance(value, list | tuple):
        for number, below in enumerate(cast("list[object]", value)):
            yield from _walk(below, f"{name}:{number}")


READERS: dict[str, Callable[[InputFile], Iterator[Item]]] = {
    ".json": _from_json,
    ".jsonl": _from_jsonl,
    ".ndjson": _from_jsonl,
    ".csv": _from_csv,
    ".tsv": _from_csv,
    ".parquet": _from_parquet,
}
