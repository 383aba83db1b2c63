"""One long text becomes many documents, cut by its own structure, so that a part of it can be held out.

In: a text. Out: contiguous passages, which joined give the text again, and what they were cut at. The idea: an author's own borders are
the best ones, so chapters go before headings, those before blank lines, lines and sentences; a finer border is asked for only
inside a passage that is still too long. Where a passage ends depends on this text alone.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from hanmo.data.reading.chapters import begins_chapter
from hanmo.data.reading.inputs import Refused, Text

SHORTEST = 500
"""Characters that a passage has at least, so that a filter of short documents and a chapter's bare title cost nothing."""
FEWEST = 20
"""A passage is at most one part in so many: a held-out share is then never one huge chapter."""
USUAL = 100
"""About how many passages there are where the text has no borders of its own but lines and sentences."""
LOOK = 200
"""Characters of a line that are looked at."""
HEADING = re.compile(r"^#{1,6}\s[^\n]*\w[^\n]*\n[^\S\n]*\n", re.MULTILINE)
"""A markdown heading with a blank line behind it: a comment in code has none."""
LINE = re.compile(r"[^\n]*\n|[^\n]+")
AFTER_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
BEFORE_MARGIN = re.compile(AFTER_BLANK_LINES.pattern + r"(?=\S)")
"""Where the next line is not indented: in code, what stands there begins something new."""
AFTER_LINE = re.compile(r"\n+(?=[^\n])")
AFTER_SENTENCE = re.compile(r"(?:[.!?](?=[\s\"'”’)\]])[\"'”’)\]]*|[。！？…][”’」』）】]*)\s*(?=\S)")


@dataclass(frozen=True, slots=True)
class Passages:
    """Pieces of a text in order, none lost; `borders` names what they were cut at, none for a text that stays whole."""

    texts: tuple[str, ...]
    borders: tuple[str, ...]

    @property
    def words(self) -> str:
        """The borders in words, for a receipt.

        >>> Passages(("a", "b"), ("chapters", "blank lines")).words
        'cut at chapters and blank lines'
        """
        return f"cut at {' and '.join(self.borders)}" if self.borders else ""


def cut(text: str) -> Passages:
    """The passages of a text; one alone where it is too short for twenty.

    >>> book = "".join(f"CHAPTER {n}\\n" + "The rain went on. " * 40 + "\\n" for n in range(1, 31))
    >>> found = cut(book)
    >>> len(found.texts), found.borders, found.texts[1][:9]
    (30, ('chapters',), 'CHAPTER 2')
    """
    pieces, borders = [text], list[str]()
    if len(text) < FEWEST * SHORTEST:
        return Passages((text,), ())
    usual = max(SHORTEST, len(text) // USUAL)
    most = max(2 * usual, len(text) // FEWEST)
    for name, starts, is_authors in BORDERS:
        finer = [part for piece in pieces for part in _pieces(piece, starts, SHORTEST if is_authors else usual, most)]
        if len(finer) > len(pieces) and name not in borders:
            borders.append(name)
        pieces = finer
    return Passages(tuple(pieces), tuple(borders))


def _pieces(text: str, starts: Callable[[str], Iterator[int]], least: int, most: int) -> Iterator[str]:
    """A text that is too long in pieces of `least` characters or more, each beginning at one of its borders."""
    begin = 0
    if len(text) > most:
        for start in starts(text):
            if start - begin >= least and len(text) - start >= least:
                yield text[begin:start]
                begin = start
    yield text[begin:]


def in_passages(entries: Iterable[Text | Refused]) -> Iterator[Text | Refused]:
    """The same texts, a long one as its passages, numbered over all texts of that name; each says what it was cut at."""
    numbers = Counter[str]()
    for entry in entries:
        found = Passages((), ()) if isinstance(entry, Refused) else cut(entry.text)
        if isinstance(entry, Refused) or not (found.borders or numbers[entry.source]):
            yield entry
            continue
        note = "; ".join(filter(None, (entry.note, found.words)))
        for passage in found.texts:
            numbers[entry.source] += 1
            yield replace(entry, source=f"{entry.source}#{numbers[entry.source]}", text=passage, note=note)


def _chapters(text: str) -> Iterator[int]:
    """Where lines begin that open a chapter."""
    return (line.start() for line in LINE.finditer(text) if begins_chapter(line[0][:LOOK]))


def _begins_of(border: re.Pattern[str]) -> Callable[[str], Iterator[int]]:
    """Where the pattern is found."""
    return lambda text: (found.start() for found in border.finditer(text))


def _ends_of(border: re.Pattern[str]) -> Callable[[str], Iterator[int]]:
    """Where something begins after what the pattern finds."""
    return lambda text: (found.end() for found in border.finditer(text))


def _everywhere(text: str) -> Iterator[int]:
    """Any place at all, where nothing else is left."""
    return iter(range(SHORTEST, len(text), SHORTEST))


BORDERS: tuple[tuple[str, Callable[[str], Iterator[int]], bool], ...] = (
    ("chapters", _chapters, True),
    ("headings", _begins_of(HEADING), True),
    ("blank lines", _ends_of(BEFORE_MARGIN), False),
    ("blank lines", _ends_of(AFTER_BLANK_LINES), False),
    ("lines", _ends_of(AFTER_LINE), False),
    ("sentences", _ends_of(AFTER_SENTENCE), False),
    ("lengths", _everywhere, False),
)
"""What a text is cut at, the author's own borders first: name, where pieces may begin, and whether the author meant it."""
