"""The elements of a document become lines: a paragraph a line, the cells of a row side by side.

In: the beginnings, ends and characters of elements, as a parser of XML or HTML tells them. Out: lines. The idea: office documents
and books differ only in the names of their elements.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hanmo.data.reading.streams import TooLargeError

CHINESE = "\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
BREAK_IN_CHINESE = re.compile(rf"(?<=[{CHINESE}])[ \t]*\n\s*(?=[{CHINESE}])")
BLANKS = re.compile(r"[ \t\r\n]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Elements:
    """Which elements mean what; `words` names those whose characters count, all where it is empty.

    `has_layout` says that blanks and line ends mean nothing, but in `verbatim` elements.
    """

    paragraphs: frozenset[str]
    rows: frozenset[str]
    cells: frozenset[str]
    skipped: frozenset[str]
    breaks: Mapping[str, str]
    words: frozenset[str] = frozenset()
    verbatim: frozenset[str] = frozenset()
    has_layout: bool = False


class Prose:
    """Collects the lines of a document."""

    def __init__(self, elements: Elements, limit: int) -> None:
        self._elements, self._limit = elements, limit
        self._lines: list[list[str]] = [[]]
        self._rows: list[tuple[list[str], int]] = []  # cells of a row, and how deep it stands in other cells
        self._parts: list[list[str]] = [[]]
        self._skipped, self._skipped_tag = 0, ""
        self._words = self._verbatim = self._length = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        known = self._elements
        if self._skipped:
            self._skipped += tag == self._skipped_tag  # by name, as what is inside may never be closed
        elif tag in known.skipped:
            self._skipped, self._skipped_tag = 1, tag
        elif tag in known.breaks:
            self._parts[-1].append(known.breaks[tag])
        elif tag in known.paragraphs:
            self._flush()
            self._parts.append([])
            self._verbatim += tag in known.verbatim
        elif tag in known.rows:
            self._flush()
            self._rows.append(([], len(self._lines)))
        elif tag in known.cells:
            self._close_cells()
            self._lines.append([])
        elif tag in known.words:
            self._words += 1

    def end(self, tag: str) -> None:
        """An element ends."""
        known = self._elements
        if self._skipped:
            self._skipped -= tag == self._skipped_tag
        elif tag in known.paragraphs and len(self._parts) > 1:
            self._flush()
            self._parts.pop()
            self._verbatim -= tag in known.verbatim
        elif tag in known.cells:
            self._close_cells()
        elif tag in known.rows and self._rows:
            self._close_row()
        elif tag in known.words:
            self._words -= 1

    def data(self, text: str) -> None:
        """Characters.

        Raises TooLargeError when the document is longer than it may be.
        """
        if self._skipped or (self._elements.words and not self._words):
            return
        self._length += len(text.encode("utf-8", "surrogatepass"))
        if self._length > self._limit:
            raise TooLargeError("raise read.max_bytes", self._length, self._limit)
        self._parts[-1].append(text)

    def text(self) -> str:
        """All lines; what was never closed ends here."""
        while self._rows:
            self._close_row()
        self._close_cells()
        return "\n".join(line for line in self._lines[0] if line.strip())

    def _close_row(self) -> None:
        self._close_cells()
        cells, _ = self._rows.pop()
        self._lines[-1].append("\t".join(cells).rstrip("\t"))

    def _close_cells(self) -> None:
        """The cells of this row that are open end; those of rows around it stay open."""
        self._flush()
        cells, depth = self._rows[-1] if self._rows else (self._lines[0], 1)
        while len(self._lines) > depth:
            cells.append(" ".join(self._lines.pop()))

    def _flush(self) -> None:
        line = "".join(self._parts[-1])
        self._parts[-1].clear()
        if self._elements.has_layout and not self._verbatim:
            line = BLANKS.sub(" ", BREAK_IN_CHINESE.sub("", line)).replace("\v", "\n")
            line = "\n".join(part.strip(" ") for part in line.split("\n"))
        if line.strip():
            self._lines[-1].append(line.rstrip())
