"""Delimited text becomes records: CSV with quotes, TSV without, and the habits of the programs that write them.

In: lines as UTF-8. Out: the names of the columns, then records, words for one that is broken, or the length of one that is too long. The
idea: a quotation mark that is never closed would eat every line behind it, so what a record spans is remembered: where it proves
broken, its first line alone is refused and the others are read again.
"""

import csv
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from hanmo.data.reading.contents import one_line
from hanmo.data.reading.streams import lines

DELIMITERS = ",\t;|"
TAB_FIRST = "\t,;|"
NAMED_DELIMITER = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)  # the first line of a file that Excel wrote
LOOKED_AT = 20  # lines behind a quotation mark that was not closed
MOST_REREAD = 50  # each costs up to read.max_bytes
NO_FIELDS: list[str] = []
Line = tuple[bytes | None, int]
END: Line = (b"", 0)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields are told apart: by which mark, whether quotation marks count, and whether a blank may stand before one."""

    delimiter: str = ","
    quoted: bool = True
    blanks: bool = False

    def records(self, texts: Iterable[str], strict: bool = False) -> Iterator[list[str]]:
        """Records as the csv module reads them; raises csv.Error, more readily when `strict`."""
        csv.field_size_limit(sys.maxsize)  # what a record may hold is our own limit
        quoting = csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE
        return csv.reader(texts, delimiter=self.delimiter, quoting=quoting, skipinitialspace=self.blanks, strict=strict)

    def fields(self, line: str) -> list[str]:
        """The fields of one line; none where it cannot be read."""
        try:
            return next(self.records([line]), NO_FIELDS)
        except csv.Error:
            return NO_FIELDS


class Records:
    """Records of delimited text, counted in bytes from the beginning of each, so that a mark never closed cannot eat all memory.

    `names` are those of the columns: `columns` where the table has no header, else the first record without the blanks around its
    fields, a name that stands twice numbered. The delimiter is the one that the file names, or under which the text column is found,
    or that cuts most. With `tabs`, tabs come first, and quotation marks are letters unless every name of the header is quoted.
    """

    def __init__(self, stream: BinaryIO, limit: int, text_column: str, columns: Sequence[str] = (), tabs: bool = False) -> None:
        self._lines, self._limit = lines(stream, limit), limit
        self._waiting, self._held = deque[Line](), list[Line]()
        self._ended, self._rereads = False, 0
        self.length, self.more = 0, True
        self.header: list[str] = []
        """The first record, where it holds the names."""
        self.names: list[str] = []
        self.twice: set[str] = set()
        """Names that stand twice in the header."""
        first, mark = self._first_line(), ""
        if first and (named := NAMED_DELIMITER.fullmatch(first)):
            first, mark = self._first_line(), named[1]
        self._form = _form_of(first or "", mark, text_column, list(columns), tabs)
        self.begins_too_long = first is None
        """Whether the first line is beyond the limit, of `length` bytes."""
        if first:
            self._waiting.append((first.encode("utf-8", "surrogateescape"), self.length))
            self._read_names(first, list(columns))

    def _first_line(self) -> str | None:
        """The next line that is not empty; None for one beyond the limit."""
        for line, length in self._lines:
            self.length = length
            if line is None:
                return None
            if line.strip():
                return line.decode("utf-8", "surrogateescape")
        return ""

    def _read_names(self, first: str, columns: list[str]) -> None:
        if columns and _stripped(self._form.fields(first)) != columns:
            self.names = columns
            return
        found = next(self._records(), None)
        self.header = _stripped(found) if isinstance(found, list) else []
        self.names = _each_once(self.header)
        self.twice = {name for name in self.header if self.header.count(name) > 1}

    def __iter__(self) -> Iterator[list[str] | str | int]:
        """Records; words for one that is broken, the length of one beyond the limit."""
        while self.more:
            yield from self._records()

    def _records(self) -> Iterator[list[str] | str | int]:
        """Records up to the end of the file, or to one that is broken; what follows that one is read anew."""
        self._held, self.length = list[Line](), 0
        try:
            for record in self._form.records(self._texts()):
                spanned, self._held, self.length = self._held, list[Line](), 0
                if broken := self._broken(spanned):
                    yield broken
                    return
                if record:
                    yield record
            self.more = False
        except _TooLongError:
            yield self._too_long()
        except csv.Error as error:
            yield one_line(error)

    def _texts(self) -> Iterator[str]:
        while True:
            line, length = self._waiting.popleft() if self._waiting else next(self._lines, END)
            if line == b"":
                self._ended = True
                return
            self._held.append((line, length))
            self.length += length
            if line is None or self.length > self._limit:
                raise _TooLongError
            yield line.decode("utf-8", "surrogateescape")

    def _broken(self, spanned: list[Line]) -> str:
        """Words when a quotation mark of a record is not closed where it should be; the lines behind its first are put back."""
        behind, open_at_end = len(spanned) - 1, self._ended
        self._ended = False
        if not open_at_end and (not behind or self._is_strict(spanned)):
            return ""
        apart = len(self.names) < 2 or self._are_rows(spanned[1:])
        if not apart and not open_at_end:
            return ""  # one record all the same, as lenient readers take it
        what = "never closed" if open_at_end else f"closed {_lines(behind)} later, inside a field"
        if behind and apart and self._put_back(spanned[1:]):
            return f"a quotation mark is {what}; it would take the {_lines(behind)} behind it, read on their own"
        self.more = self.more and not open_at_end
        return f"a quotation mark is {what}; it takes the {_lines(behind)} behind it"

    def _too_long(self) -> str | int:
        spanned, length = self._held, self.length
        if len(self.names) > 1 and self._are_rows(spanned[1:]) and self._put_back(spanned[1:]):
            return f"a quotation mark is not closed in the next {_lines(len(spanned) - 1)}, read on their own"
        return length

    def _is_strict(self, spanned: list[Line]) -> bool:
        """Whether every quotation mark that closes a field is followed by a delimiter or a line end."""
        try:
            return len(list(self._form.records(_decoded(spanned), strict=True))) == 1
        except csv.Error:
            return False

    def _are_rows(self, spanned: list[Line]) -> bool:
        """Whether most of the next lines have as many fields as there are names."""
        texts = [text for text in islice(_decoded(spanned), LOOKED_AT) if text.strip()]
        return sum(len(self._form.fields(text)) == len(self.names) for text in texts) * 2 > len(texts)

    def _put_back(self, spanned: list[Line]) -> bool:
        """Whether the lines may be read once more."""
        self._rereads += 1
        if self._rereads > MOST_REREAD:
            return False
        self._waiting.extendleft(reversed(spanned))
        return True


class _TooLongError(Exception):
    """A record beyond the limit."""


def _form_of(first: str, mark: str, text_column: str, columns: list[str], tabs: bool) -> Dialect:
    """How to read the lines of which this is the first; `mark` is what the file says of itself."""
    marks = mark or (TAB_FIRST if tabs else DELIMITERS)
    forms = [Dialect(each, quoted=not tabs, blanks=bool(re.search(rf'{re.escape(each)} +"', first))) for each in marks]

    def fit(form: Dialect) -> tuple[bool, int, int]:
        names = _stripped(form.fields(first))
        fits = len(names) == len(columns) if columns else text_column in _unquoted(names)
        return fits, len(names), -marks.index(form.delimiter)

    best = max(forms, key=fit)
    names = _stripped(best.fields(first))
    quoted = best.quoted or best.delimiter != "\t" or _unquoted(names) != names
    return Dialect(best.delimiter, quoted, best.blanks)


def _unquoted(names: list[str]) -> list[str]:
    """Names without the quotation marks, where all of them have such."""
    quoted = bool(names) and all(len(name) > 1 and name[0] == name[-1] == '"' for name in names)
    return [name[1:-1] for name in names] if quoted else names


def _stripped(names: list[str]) -> list[str]:
    return [name.strip() for name in names]


def _each_once(names: list[str]) -> list[str]:
    """Names of which the second of one kind is numbered.

    >>> _each_once(["text", "id", "text"])
    ['text', 'id', 'text (2)']
    """
    return [f"{name} ({names[:place].count(name) + 1})" if name in names[:place] else name for place, name in enumerate(names)]


def _lines(number: int) -> str:
    return "1 line" if number == 1 else f"{number:,} lines"


def _decoded(spanned: list[Line]) -> Iterator[str]:
    return (line.decode("utf-8", "surrogateescape") for line, _ in spanned if line is not None)
