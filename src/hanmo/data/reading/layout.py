"""Words with places on a page become lines in the order in which a reader reads them.

In: words, each with its place, in the order in which the file stores them. Out: lines in reading order, and whether that order could
be told. The idea: the order of the file is right nearly always, so it is kept until the places speak against it: two columns stored
row by row go column by column where both are prose, rows of a table stay rows; lines stored upwards, and vertical Chinese, which
pdfium gives last column first, go by their places. All places are turned first, so that every text runs to the right and its lines
run down; vertical writing is then only another turn.
"""

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

CHINESE = re.compile("[\u2e80-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
SENTENCE_END = re.compile(r"[.!?。！？…:：;；][\"'”’」』）)\]]*$")
HYPHEN = "\x02"  # as pdfium marks one at the end of a line
DOWN = 90  # the turn of vertical writing, in degrees with the clock
WORD_GAP = 0.25  # of the size
GUTTER = 0.7  # of the size: a wider gap may part columns
LEAST_LINES = 4  # on both sides of a gutter
LEAST_STEPS = 2  # upwards
NARROWEST = 8.0  # a column of prose, in sizes
FULL, LEAST_FULL = 0.8, 0.6  # the median line's share of its column: prose, and where it may be prose
MOST_SENTENCES = 0.7  # of the lines at the left that end one: more are rows of a table
MOST_DIGITS = 0.3  # of the characters of prose
MOST_PLACES = 16
MOST_DEPTH = 8  # columns inside columns


class Piece(NamedTuple):
    """A word, or a run of words, that stands on one line: its place in points, the turn of its text in degrees with the clock.

    `base` is the height of the line it stands on. `apart` says that a blank stands before it; `gap` is the widest one inside.
    """

    text: str
    left: float
    right: float
    base: float
    size: float
    turn: int = 0
    apart: bool = False
    gap: float = 0.0


@dataclass(frozen=True, slots=True)
class Ordered:
    """The lines of a page, one list a column; `told` is False where columns are stored row by row and may be prose or a table."""

    blocks: tuple[tuple[Piece, ...], ...]
    told: bool = True


def in_reading_order(words: Sequence[Piece]) -> Ordered:
    """The lines of a page; text in the direction of most characters comes first, the rest (stamps at the edge) after it."""
    letters: Counter[int] = Counter()
    for word in words:
        letters[word.turn] += len(word.text)
    blocks: list[tuple[Piece, ...]] = []
    told = True
    for turn, _ in letters.most_common():
        segments = _segments([word for word in words if word.turn == turn])
        by_place = turn == DOWN or _runs_upwards(segments)
        for block, certain in _regions(segments, by_place):
            blocks += _columns(_lines(block, by_place))
            told = told and certain
    return Ordered(tuple(blocks), told)


def on_one_line(one: Piece, other: Piece) -> bool:
    """Whether two pieces stand on the same line; a raised number does."""
    return abs(one.base - other.base) < 0.5 * max(one.size, other.size)


def joined(one: Piece, other: Piece) -> Piece:
    """Two pieces on one line, the first at the left, with a blank where one is seen."""
    gap, size = _gap(one, other), max(one.size, other.size)
    chinese = CHINESE.match(one.text[-1]) and CHINESE.match(other.text[0])
    blank = other.apart or gap > (GUTTER if chinese else WORD_GAP) * size
    larger = one if len(one.text) >= len(other.text) else other
    begin = one.text.removesuffix(HYPHEN) + "-" if one.text.endswith(HYPHEN) else one.text
    return one._replace(
        text=f"{begin}{' ' if blank else ''}{other.text}",
        left=min(one.left, other.left),
        right=max(one.right, other.right),
        base=larger.base,
        size=larger.size,
        gap=max(one.gap, other.gap, gap),
    )


def _gap(one: Piece, two: Piece) -> float:
    """How far two pieces of a line are apart; a Latin word inside Hebrew stands at the other side of the one before it."""
    return max(two.left - one.right, one.left - two.right)


def _segments(words: Sequence[Piece]) -> list[Piece]:
    """Runs of words that follow each other without a gap in which a gutter could lie."""
    found: list[Piece] = []
    for word in words:
        last = found[-1] if found else None
        if last and on_one_line(last, word) and -0.6 < _gap(last, word) / max(last.size, word.size, 0.1) < GUTTER:
            found[-1] = joined(last, word)
        else:
            found.append(word)
    return found


def _lines(segments: Sequence[Piece], by_place: bool) -> list[Piece]:
    """Segments on one line joined; stored order, or by their places."""
    if by_place:
        return [_one_line(sorted(row, key=lambda piece: piece.left)) for row in _rows(segments)]
    found: list[Piece] = []
    for segment in segments:
        if found and on_one_line(found[-1], segment) and segment.left > found[-1].right - 0.6 * segment.size:
            found[-1] = joined(found[-1], segment)
        else:
            found.append(segment)
    return found


def _columns(lines: Sequence[Piece]) -> list[tuple[Piece, ...]]:
    """Lines cut where the next one stands higher: a column ends there."""
    found: list[list[Piece]] = []
    for line in lines:
        if found and line.base < found[-1][-1].base + line.size:
            found[-1].append(line)
        else:
            found.append([line])
    return [tuple(column) for column in found]


def _one_line(row: Sequence[Piece]) -> Piece:
    line = row[0]
    for piece in row[1:]:
        line = joined(line, piece)
    return line


def _rows(segments: Sequence[Piece]) -> list[list[Piece]]:
    """Segments by line, the highest line first."""
    rows: list[list[Piece]] = []
    for piece in sorted(segments, key=lambda piece: -piece.base):
        if rows and on_one_line(rows[-1][0], piece):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return rows


def _runs_upwards(segments: Sequence[Piece]) -> bool:
    """Whether most lines stand above the line that is stored before them."""
    steps = [two.base - one.base for one, two in pairwise(segments) if not on_one_line(one, two)]
    return len(steps) >= LEAST_STEPS and sum(step > 0 for step in steps) > 0.6 * len(steps)


def _regions(segments: Sequence[Piece], by_place: bool, depth: int = 0) -> Iterator[tuple[Sequence[Piece], bool]]:
    """Columns and what stands above and below them, and whether each one's order could be told."""
    band = _widest_band(segments) if depth < MOST_DEPTH else None
    kind = _kind(band) if band and (by_place or _is_interleaved(band)) else "stored"
    if not band or kind != "prose":
        yield segments, kind != "unclear"
        return
    top, bottom = band.top, band.bottom
    above = [piece for piece in segments if piece.base > top]
    below = [piece for piece in segments if piece.base < bottom]
    for part in (above, band.left, band.right, below):
        if part:
            yield from _regions(part, by_place, depth + 1)


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of lines that nothing crosses at the place where a column begins; pieces in the order of the file."""

    pieces: list[Piece]
    place: float

    @property
    def top(self) -> float:
        """The height of its first line."""
        return max(piece.base for piece in self.pieces)

    @property
    def bottom(self) -> float:
        """The height of its last line."""
        return min(piece.base for piece in self.pieces)

    @property
    def left(self) -> list[Piece]:
        """What stands to the left of the place."""
        return [piece for piece in self.pieces if piece.left < self.place]

    @property
    def right(self) -> list[Piece]:
        """What stands to the right of the place."""
        return [piece for piece in self.pieces if piece.left >= self.place]


def _widest_band(segments: Sequence[Piece]) -> Band | None:
    """The largest band with columns on both sides."""
    if len(segments) < 2 * LEAST_LINES:
        return None
    best: Band | None = None
    rows = _rows(segments)
    for place in _column_starts(segments):
        for stretch in _uncrossed(rows, place):
            if len(stretch) <= (len(best.pieces) if best else 2 * LEAST_LINES - 1):
                continue
            top, bottom = max(piece.base for piece in stretch), min(piece.base for piece in stretch)
            band = Band([piece for piece in segments if bottom <= piece.base <= top], place)
            if _stand_side_by_side(band.left, band.right):
                best = band
    return best


def _column_starts(segments: Sequence[Piece]) -> list[float]:
    """Places just before those at which several lines begin; the left edge of all is none of them."""
    half = max(0.5 * statistics.median(piece.size for piece in segments), 0.1)
    counts = Counter(round(piece.left / half) for piece in segments)
    places: list[float] = []
    for number in sorted(counts):
        before, after = counts[number - 1], counts[number + 1]
        if before + counts[number] + after >= LEAST_LINES and counts[number] >= max(before, after):
            places.append((number - 1) * half)
    return places[1:MOST_PLACES]


def _uncrossed(rows: Sequence[Sequence[Piece]], place: float) -> Iterator[list[Piece]]:
    """Stretches of lines in which no segment reaches over a place."""
    stretch: list[Piece] = []
    for row in (*rows, None):
        if row is not None and not any(piece.left < place < piece.right for piece in row):
            stretch += row
        elif stretch:
            yield stretch
            stretch = []


def _stand_side_by_side(left: Sequence[Piece], right: Sequence[Piece]) -> bool:
    if min(len(_rows(left)), len(_rows(right))) < LEAST_LINES:
        return False
    lowest_top = min(max(piece.base for piece in side) for side in (left, right))
    highest_bottom = max(min(piece.base for piece in side) for side in (left, right))
    return lowest_top > highest_bottom


def _is_interleaved(band: Band) -> bool:
    """Whether the file goes from one side to the other and back again and again."""
    sides = [piece.left < band.place for piece in band.pieces]
    changes = sum(one != two for one, two in pairwise(sides))
    return changes >= max(LEAST_LINES, 0.5 * min(len(_rows(band.left)), len(_rows(band.right))))


def _kind(band: Band) -> str:
    """What two sides that are stored row by row are: prose, a table, or unclear."""
    left, right = [_one_line(row) for row in _rows(band.left)], [_one_line(row) for row in _rows(band.right)]
    letters = "".join(line.text for line in (*left, *right))
    if sum(character.isdigit() for character in letters) > MOST_DIGITS * len(letters):
        return "table"
    if sum(bool(SENTENCE_END.search(line.text)) for line in left) >= MOST_SENTENCES * len(left):
        return "table"
    fullness = min(_fullness(left), _fullness(right))
    return "prose" if fullness >= FULL else "unclear" if fullness >= LEAST_FULL else "table"


def _fullness(lines: Sequence[Piece]) -> float:
    """How far the middle one of a column's lines reaches to its right edge; 0 for a column too narrow for prose."""
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    if right - left < NARROWEST * statistics.median(line.size for line in lines):
        return 0.0
    return statistics.median(line.right - left for line in lines) / (right - left)
