"""Lines of a page become paragraphs as their author wrote them, words cut at the end of a line made whole.

In: columns of lines with their places. Out: text, a line for each paragraph. The idea: a line goes on in the next one when that one's
first word had no room left in it and does not begin a paragraph of its own; lines of Chinese then meet without a blank. Whether a
hyphen at the end of a line belongs to the word is told without a dictionary, by how the document writes the word elsewhere.
"""

import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from hanmo.data.reading.layout import CHINESE, HYPHEN, SENTENCE_END, Piece

ITEM = re.compile(r"[•‣▪▫◦●○■□◆◇►▶✓·*–—-]|[(（]?(\d{1,3}|[a-zA-Z]|[ivx]+)[.)）、]|[①-⑳㈠-㈩]|[一二三四五六七八九十]+、")
SOFT = "\u00ad"  # a hyphen that is seen only where it cuts a word
HYPHENS = ("-", "\u2010", SOFT, HYPHEN)
INDENT = 0.8  # of the size: a line that begins farther in begins a paragraph
NARROWEST = 10.0  # sizes: what is narrower is no paragraph, such as verse or a column of names
WIDE_GAP = 2.0  # sizes: between cells of a table, not words
LEAST_LINES, LEAST_FULL = 4, 0.7  # of a paragraph whose own lines show its right edge, and how full its middle line is
RAGGED = 0.2  # of the column's width: so much may be left free in the middle of a sentence
FAR = 1.4  # of the usual distance of two lines: a blank line lies between
CHINESE_ROOM = 1.6  # sizes: a mark that may not begin a line takes the character before it along
LEAST_CHINESE = 20  # characters: what is shorter may be a heading
WORD = re.compile(r"[^\W\d_][\w'’]*(?:-[\w'’]+)*")
CUT = re.compile(rf"([\w'’-]+){HYPHEN}([\w'’]+)")
BEFORE_HYPHEN = ("well", "ill", "self", "half", "ex")
"""What a hyphen follows more often than the rest of a word does; asked where the document says nothing."""
LEAST_TAIL = 4  # letters of a word behind such a hyphen
TAILS_OF_WORDS = ("less", "ness", "hood", "ishly")


def paragraphs(lines: Sequence[Piece]) -> list[str]:
    """The paragraphs of a column; a word cut at the end of a line keeps HYPHEN at the cut."""
    found: list[str] = []
    edge = max((line.right for line in lines), default=0.0)
    for stretch in _stretches(lines):
        margins = _margins(stretch, edge)
        text = stretch[0].text
        for one, two in pairwise(stretch):
            ended = len(lines) < LEAST_LINES and SENTENCE_END.search(one.text)  # the widest line may be wide by chance
            if margins and not ended and _goes_on(one, two, *margins):
                text = glued(text, two.text)
            else:
                found.append(text)
                text = two.text
        found.append(text)
    return found


def goes_on_elsewhere(end: str, begin: str) -> bool:
    """Whether a paragraph that ends a column or a page plainly goes on in the next one.

    >>> goes_on_elsewhere("the river and", "the hill."), goes_on_elsewhere("the river.", "The hill."), goes_on_elsewhere("inter-", "nal")
    (True, False, True)
    """
    if not end or not begin or SENTENCE_END.search(end):
        return False
    if CHINESE.match(end[-1]) and CHINESE.match(begin[0]):
        return min(len(end), len(begin)) >= LEAST_CHINESE
    return begin[0].islower() and (end[-1] in HYPHENS or (" " in end and (end[-1].islower() or end[-1] == ",")))


def glued(one: str, two: str) -> str:
    """Two lines of a paragraph as one."""
    if one[-1] in HYPHENS and two[0].isalpha() and one[-2:-1].isalpha():
        return f"{one[:-1]}{HYPHEN if one[-1] != SOFT else ''}{two}"
    meets = CHINESE.match(one[-1]) or CHINESE.match(two[0]) or (one[-1] in HYPHENS and one[-2:-1].isalnum())
    return f"{one}{'' if meets else ' '}{two}"


def with_whole_words(text: str) -> str:
    """The text with every HYPHEN decided: gone where it only cut a word, a hyphen where it belongs to one.

    >>> with_whole_words("inter\\x02national, well\\x02known, Anglo\\x02Saxon, long\\x02range, long-term")
    'international, well-known, Anglo-Saxon, long-range, long-term'
    """
    if HYPHEN not in text:
        return text
    words = Counter(word.lower() for word in WORD.findall(CUT.sub(" ", text)))
    heads = {word.split("-")[0] for word in words if "-" in word}
    while (mended := CUT.sub(lambda cut: _decided(cut[1], cut[2], words, heads), text)) != text:
        text = mended
    return text.replace(HYPHEN, "-")


def _decided(head: str, tail: str, words: Counter[str], heads: set[str]) -> str:
    """A cut word, whole or with its hyphen."""
    whole, parted = f"{head}{tail}", f"{head}-{tail}"
    if not (tail[0].islower() and head[-1].islower()) and not (head.isupper() and tail.isupper() and len(head) > 1):
        return parted  # Anglo-Saxon, COVID-19
    if "-" in head or words[whole.lower()] != words[parted.lower()]:
        return parted if "-" in head or words[parted.lower()] > words[whole.lower()] else whole
    first = head.lower()
    compound = first in BEFORE_HYPHEN and len(tail) >= LEAST_TAIL and not tail.startswith(TAILS_OF_WORDS)
    return parted if compound or first in heads else whole


def _stretches(lines: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Lines of one size at the usual distance from each other."""
    if not lines:
        return
    steps = [one.base - two.base for one, two in pairwise(lines) if one.base > two.base]
    usual = statistics.median_low(steps) if steps else 0.0
    stretch = [lines[0]]
    for line in lines[1:]:
        last = stretch[-1]
        apart = line.right < last.left or last.right < line.left
        alike = 0.85 < line.size / max(last.size, 0.1) < 1.18
        if alike and not apart and 0 < last.base - line.base <= FAR * usual:
            stretch.append(line)
        else:
            yield stretch
            stretch = [line]
    yield stretch


def _margins(stretch: Sequence[Piece], edge: float) -> tuple[float, float] | None:
    """Where the lines of a stretch begin and where they are full; nothing where it is too narrow for prose.

    Few lines, or lines of any length such as verse and code, do not show how far they could reach: that is the `edge` of their column.
    """
    left, right = min(line.left for line in stretch), max(line.right for line in stretch)
    fullness = statistics.median(line.right - left for line in stretch) / max(right - left, 0.1)
    if len(stretch) < LEAST_LINES or fullness < LEAST_FULL:
        right = edge
    return (left, right) if right - left >= NARROWEST * statistics.median(line.size for line in stretch) else None


def _goes_on(one: Piece, two: Piece, left: float, right: float) -> bool:
    """Whether a line's sentence goes on in the next line, in a stretch of lines between two margins."""
    size = max(one.size, two.size)
    indented = two.left > max(left, one.left) + INDENT * size
    if max(one.gap, two.gap) > WIDE_GAP * size or ITEM.match(two.text) or (indented and not ITEM.match(one.text)):
        return False
    if one.text[-1] in HYPHENS:
        return True
    middle_of_sentence = two.text[0].islower() and not SENTENCE_END.search(one.text)
    room = RAGGED * (right - left) if middle_of_sentence else _room_needed(two)
    return right - one.right < room


def _room_needed(line: Piece) -> float:
    """How wide the beginning of a line is that may not be cut."""
    if CHINESE.match(line.text[0]):
        return CHINESE_ROOM * line.size
    first = line.text.split()[0]
    return (line.right - line.left) * len(first) / len(line.text) + 0.3 * line.size
