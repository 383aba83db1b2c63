# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""A PDF becomes its text: the words of every page with their places by pdfium, put in order and made into paragraphs.

In: a PDF. Out: its text, pages with an empty line between them, and a receipt for every page that cannot be read. Scanned pages have
no text. The text says nothing of its places, so pdfium is asked where a word begins and ends; only where both cannot stand on one
line is it asked about every character.
"""

import contextlib
import ctypes
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any, cast

from hanmo.data.reading.contents import DOCUMENT_BYTES, Content, ReadConfig, held, too_long
from hanmo.data.reading.inputs import Refused, Text
from hanmo.data.reading.layout import CHINESE, DOWN, HYPHEN, Piece, in_reading_order
from hanmo.data.reading.normalize import without_surrogates
from hanmo.data.reading.paragraphs import glued, goes_on_elsewhere, paragraphs, with_whole_words

PASSWORD_ASKED = 4  # FPDF_ERR_PASSWORD
RUN = re.compile(r"\S+")
MARKS = str.maketrans({"\ufffe": HYPHEN, "\x00": "\ufffd"})
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")  # Hebrew, Arabic and their relatives
BOX_HEIGHT = 1.17  # of the size of the letters
STEP = 5  # degrees: less is a page that was scanned askew
LEAST_DOWN = 3  # characters below each other
MOST_PLACED = 100_000  # characters on a page whose places are asked for; a page of a newspaper has a quarter
MOST_UNREAD = 1000  # pages on end: a broken file can claim to have a million
MANY_PAGES = 20  # named in a note


@dataclass(frozen=True, slots=True)
class Pages:
    """The text of a document, the pages that could not be read, and those whose columns' order could not be told, from 1."""

    text: str
    unread: tuple[int, ...]
    untold: tuple[int, ...]
    number: int


def read_pdf(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """The text of a PDF, pages below each other, and a refusal for every page that cannot be read.

    Raises TooLargeError, or another of READ_ERRORS.
    """
    import pypdfium2

    data = held(content, DOCUMENT_BYTES * config.max_bytes)
    try:
        with contextlib.closing(pypdfium2.PdfDocument(data)) as document:
            pages = _read_pages(document, config.max_bytes)
    except pypdfium2.PdfiumError as error:  # its words and code may be those of an earlier file
        locked = b"/Encrypt" in data and getattr(error, "err_code", None) == PASSWORD_ASKED
        words = "the document asks for a password" if locked else "no PDF that can be read, or one without pages"
        yield Refused(source=content.label, rule="encrypted" if locked else "unreadable", detail=words)
        return
    if len(pages.unread) == pages.number:
        yield Refused(source=content.label, rule="unreadable", detail="no page can be read")
        return
    yield _entry(content, config, pages)
    for first, last in runs(pages.unread):
        words = f"page {first} cannot be read" if first == last else f"pages {first} to {last} cannot be read"
        yield Refused(source=f"{content.label}#{first}", rule="unreadable", detail=words)


def runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of numbers that follow each other.

    >>> list(runs([2, 3, 4, 7]))
    [(2, 4), (7, 7)]
    """
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        found = [number for _, number in run]
        yield found[0], found[-1]


def _entry(content: Content, config: ReadConfig, pages: Pages) -> Text | Refused:
    length = len(pages.text.encode("utf-8", "surrogatepass"))
    if length > config.max_bytes:
        return too_long(content.label, length, config.max_bytes)
    if not pages.text.strip():
        return Refused(source=content.label, rule="no_text", detail="no page has text: scanned pages are not read")
    entry = content.text(pages.text)
    if not pages.untold:
        return entry
    some = ", ".join(map(str, pages.untold[:MANY_PAGES])) + (" ..." if len(pages.untold) > MANY_PAGES else "")
    words = f"columns or a table, which could not be told: kept row by row on page {some}"
    return replace(entry, note="; ".join(filter(None, (entry.note, words))))


def _read_pages(document: Any, limit: int) -> Pages:
    """The text of all pages, read until the limit is passed."""
    import pypdfium2

    parts, unread, untold = list[str](), list[int](), list[int]()
    length = 0
    for number in range(1, len(document) + 1):
        try:
            with contextlib.closing(document[number - 1]) as page, contextlib.closing(page.get_textpage()) as found:
                columns, told = _columns(PlacedText(found))
        except pypdfium2.PdfiumError:
            unread.append(number)
            if len(unread) >= MOST_UNREAD and unread[-MOST_UNREAD] == number - MOST_UNREAD + 1:
                unread += range(number + 1, len(document) + 1)
                break
            continue
        if not told:
            untold.append(number)
        between = "\n\n"
        for column in columns:
            _add_column(parts, column, between)
            between = "\n"
            length += sum(map(len, column))
        if length > limit:
            break
    return Pages(with_whole_words("".join(parts).strip()), tuple(unread), tuple(untold), len(document))


def _columns(page: "PlacedText") -> tuple[list[list[str]], bool]:
    """The paragraphs of a page by columns, none of them empty, and whether their order could be told."""
    if len(page.text) > MOST_PLACED:
        return [[line for line in page.text.splitlines() if line.strip()]], False
    ordered = in_reading_order(page.words())
    return [paragraphs(block) for block in ordered.blocks if block], ordered.told


def _add_column(parts: list[str], column: Sequence[str], between: str) -> None:
    """Put the paragraphs of a column below the others; a sentence that goes on in it stays whole."""
    for place, passage in enumerate(column):
        if place == 0 and parts and goes_on_elsewhere(parts[-1], passage):
            parts[-1] = glued(parts[-1], passage)
        else:
            parts += [between if place == 0 else "\n", passage]


Box = tuple[float, float, float, float, int]  # left, right, base and size in reading direction, and its turn


class PlacedText:
    """The text of one page as pdfium found it, and the place of every character; a page of Hebrew or Arabic is seen in a mirror."""

    def __init__(self, found: Any) -> None:
        from pypdfium2 import raw

        self._raw, self._page = raw, found.raw
        self._box, self._x, self._y = raw.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
        count = cast("int", found.count_chars())
        text = cast("str", found.get_text_range()) if count else ""
        if len(text) != count:  # characters beyond U+FFFF are two, and what pdfium leaves out of its text is a character too
            text = "".join(chr(raw.FPDFText_GetUnicode(self._page, place)) for place in range(count))
        self.text = text.translate(MARKS)
        letters = sum(map(str.isalpha, self.text))
        self._mirrored = len(RIGHT_TO_LEFT.findall(self.text)) > 0.5 * letters

    def words(self) -> list[Piece]:
        """All words in the order of the file, each on one line and with the turn of its text."""
        found: list[Piece] = []
        end = 0
        for run in RUN.finditer(self.text):
            apart = " " in self.text[end : run.start()] or "\t" in self.text[end : run.start()]
            end = run.end()
            found += self._on_one_line(run.start(), end, apart)
        return _turned_down(found)

    def _on_one_line(self, start: int, stop: int, apart: bool) -> list[Piece]:
        """The characters from `start` to `stop` as one piece, or as one each where they cannot stand on one line."""
        left, right, base, size, turn = self._place(start)
        text, count = self.text[start:stop], stop - start
        last_left, last_right, last_base, _, last_turn = self._place(stop - 1) if count > 1 else (left, right, base, size, turn)
        widest = count * size * (1.1 if CHINESE.match(text) else 1.4) + 0.5 * size
        level = last_turn == turn and abs(last_base - base) < 0.5 * size
        begin, end = min(left, last_left), max(right, last_right)
        if count == 1 or (level and end - begin <= widest):
            return [Piece(without_surrogates(text), begin, end, base, size, turn, apart)]
        pieces: list[Piece] = []
        for place in range(start, stop):
            letter = self.text[place]
            if pieces and "\udc00" <= letter <= "\udfff":
                pieces[-1] = pieces[-1]._replace(text=without_surrogates(pieces[-1].text + letter))
            else:
                left, right, base, size, turn = self._place(place)
                pieces.append(Piece(letter, left, right, base, size, turn, apart and place == start))
        return pieces

    def _place(self, place: int) -> Box:
        left, right, base, size, turn = self._place_on_page(place)
        return (-right, -left, base, size, turn) if self._mirrored else (left, right, base, size, turn)

    def _place_on_page(self, place: int) -> Box:
        raw, page, box = self._raw, self._page, self._box
        raw.FPDFText_GetLooseCharBox(page, place, box)
        raw.FPDFText_GetCharOrigin(page, place, self._x, self._y)
        radians = raw.FPDFText_GetCharAngle(page, place)
        x, y = self._x.value, self._y.value
        if radians <= 0.0:  # below 0 where pdfium cannot tell
            return box.left, box.right, y, (box.top - box.bottom) / BOX_HEIGHT, 0
        turn = STEP * round(math.degrees(radians) / STEP) % 360
        return read_along(turn, (box.left, box.bottom, box.right, box.top), (x, y))


def read_along(turn: int, box: tuple[float, float, float, float], origin: tuple[float, float]) -> Box:
    """A character's box (left, bottom, right, top) and origin on the page as left, right, base and size along its text."""
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    wide, high = box[2] - box[0], box[3] - box[1]
    middle = (box[0] + box[2]) / 2 * cos - (box[1] + box[3]) / 2 * sin
    if turn % 90:
        half, height = (wide + high) / 8, (wide + high) / 2  # the box is one around a slanted one
    else:
        half, height = (abs(wide * cos) + abs(high * sin)) / 2, abs(wide * sin) + abs(high * cos)
    return middle - half, middle + half, origin[0] * sin + origin[1] * cos, height / BOX_HEIGHT, turn


def _turned_down(words: Sequence[Piece]) -> list[Piece]:
    """The words, with upright Chinese characters that stand below each other turned as vertical writing is."""
    below = [
        one.turn == two.turn == 0
        and len(one.text) == len(two.text) == 1
        and bool(CHINESE.match(one.text) and CHINESE.match(two.text))
        and abs(one.left + one.right - two.left - two.right) < 0.8 * one.size
        and 0.6 * one.size < one.base - two.base < 2 * one.size
        for one, two in pairwise(words)
    ]
    down: set[int] = set()
    start = 0
    for place in range(len(below) + 1):
        if place == len(below) or not below[place]:
            if place - start >= LEAST_DOWN - 1:
                down.update(range(start, place + 1))
            start = place + 1
    single = {place for place, word in enumerate(words) if word.turn == 0 and len(word.text) == 1 and CHINESE.match(word.text)}
    if len(down) > 0.5 * sum(len(word.text) for word in words):
        down |= single  # the short last columns of paragraphs
    return [_turn_down(word) if place in down else word for place, word in enumerate(words)]


def _turn_down(word: Piece) -> Piece:
    """An upright character that is read downwards: its height becomes its width."""
    middle = (word.left + word.right) / 2
    return word._replace(left=-word.base - 0.88 * word.size, right=-word.base + 0.12 * word.size, base=middle, turn=DOWN)
