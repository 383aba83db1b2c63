"""One self-contained page of HTML: opens offline, light and dark, English and Chinese.

In: a title and sections made of blocks. Out: the page as text, with every figure inside it; no script and no address
outside, which the page's own content policy forbids. All text is escaped. What the numbers mean is the caller's business.

    page("Shakespeare", [Section("Result", [Table(["model", "bits per byte"], [["LSTM", Interval(2.1, 2.0, 2.2)]])])])
"""

import base64
import functools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

import jinja2

Language = Literal["en", "zh"]

_NUMBER = re.compile(r"^[−+-]?[\d.,  ]+(\s?(%|‰|[A-Za-zµ]+(/[A-Za-z]+)?))?( \[.*\])?$")


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its interval: printed as `2.104 [2.081, 2.130]` and drawn on a line that a column shares."""

    value: float
    low: float
    high: float
    digits: int = 3

    def __str__(self) -> str:
        value, low, high = (number(each, self.digits) for each in (self.value, self.low, self.high))
        return f"{value} [{low}, {high}]"


@dataclass(frozen=True, slots=True)
class Bar:
    """A share of the longest bar, drawn without words beside the number that it shows."""

    share: float

    def __str__(self) -> str:
        return ""


Cell = str | int | float | Interval | Bar | None


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; `quiet` sets it smaller and paler, for definitions and caveats."""

    kind: ClassVar[str] = "paragraph"
    text: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Tiles:
    """A few large figures with a caption under each: (figure, caption)."""

    kind: ClassVar[str] = "tiles"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and what they stand for, one a line: (name, value)."""

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under column names; a column of numbers stands to the right, one of `Interval` is also drawn.

    `marked` are the numbers of rows set in bold.
    """

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    marked: Sequence[int] = ()

    def __post_init__(self) -> None:
        """Raise ValueError when a row has not one cell a column."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of {len(row)} cells under {len(self.columns)} columns: {row!r}")

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers only."""
        return [all(_is_number(row[i]) for row in self.rows) for i in range(len(self.columns))]

    @property
    def drawn(self) -> list[bool]:
        """Which columns have intervals to draw."""
        return [any(self.drawing(i, row[i]) for row in self.rows) for i in range(len(self.columns))]

    def drawing(self, column: int, cell: Cell) -> dict[str, float] | None:
        """Where a cell's interval lies on its column's line, in percent; None when there is nothing to compare."""
        drawn = [each for row in self.rows if isinstance(each := row[column], Interval)]
        if not isinstance(cell, Interval) or len(drawn) < 2:
            return None
        low, high = min(each.low for each in drawn), max(each.high for each in drawn)
        if not (math.isfinite(low) and math.isfinite(high) and high > low):
            return None
        place = [100 * (each - low) / (high - low) for each in (cell.low, cell.value, cell.high)]
        return {"start": place[0], "middle": place[1], "length": place[2] - place[0]}


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture as SVG text or PNG bytes, kept inside the page; `dark` replaces it on a dark screen."""

    kind: ClassVar[str] = "figure"
    image: str | bytes
    caption: str = ""
    dark: str | bytes | None = None

    @property
    def sources(self) -> tuple[str, str | None]:
        """Data addresses of the light and the dark picture."""
        return _data_address(self.image), None if self.dark is None else _data_address(self.dark)


@dataclass(frozen=True, slots=True)
class Code:
    """Text in which every space counts: commands, versions."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A text of the model or of the data, line breaks kept; `opening` is what it was given to continue.

    `marks` are (begin, end) of characters to underline, in order.
    """

    kind: ClassVar[str] = "passage"
    text: str
    opening: str = ""
    caption: str = ""
    marks: Sequence[tuple[int, int]] = ()

    @property
    def runs(self) -> list[tuple[str, bool]]:
        """Pieces of the text in order, and whether each is marked."""
        borders = [0, *(border for mark in self.marks for border in mark), len(self.text)]
        pieces = [(self.text[begin:end], number % 2 == 1) for number, (begin, end) in enumerate(pairwise(borders))]
        return [(piece, marked) for piece, marked in pieces if piece]


@dataclass(frozen=True, slots=True)
class Beside:
    """Passages next to each other, one under the other where the screen is narrow."""

    kind: ClassVar[str] = "beside"
    passages: Sequence[Passage]


@dataclass(frozen=True, slots=True)
class Details:
    """Blocks folded away under one line."""

    kind: ClassVar[str] = "details"
    summary: str
    blocks: Sequence["Block"]


Block = Paragraph | Tiles | Facts | Table | Figure | Code | Passage | Beside | Details


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: Sequence[Block] = field(default_factory=tuple[Block, ...])


def page(title: str, sections: Sequence[Section], language: Language = "en", *, subtitle: str = "") -> str:
    """The whole page as HTML text; `subtitle` is one pale line under the title."""
    return _template().render(
        title=title, sections=sections, language={"en": "en", "zh": "zh-Hans"}[language], subtitle=subtitle, show=show
    )


def show(cell: Cell) -> str:
    """A cell as text.

    >>> show(1234567), show(0.12345), show(None), show(Interval(2.1, 2.0, 2.25, digits=2))
    ('1,234,567', '0.1235', '–', '2.10 [2.00, 2.25]')
    """
    if cell is None:
        return "–"
    if isinstance(cell, str | Interval | Bar):
        return str(cell)
    if isinstance(cell, int):
        return f"{cell:,}"
    if not math.isfinite(cell):
        return "–"
    return f"{cell:,.0f}" if abs(cell) >= 10_000 else f"{cell:.4g}"


def number(value: float, digits: int) -> str:
    """A number with a fixed number of decimals, a true minus sign, and – for none."""
    return f"{value:,.{digits}f}".replace("-", "−") if math.isfinite(value) else "–"


def _is_number(cell: Cell) -> bool:
    return not isinstance(cell, str) or cell in ("", "–") or bool(_NUMBER.match(cell))


def _data_address(image: str | bytes) -> str:
    content, kind = (image.encode(), "svg+xml") if isinstance(image, str) else (image, "png")
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


@functools.cache
def _template() -> jinja2.Template:
    text = Path(__file__).with_name("page.html").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text)
