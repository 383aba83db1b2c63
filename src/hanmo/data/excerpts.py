"""Two texts beside each other, with the words marked in which they differ, or which they share.

In: two texts. Out: a passage of each, with the places to mark. The idea: words are aligned by fewest edits; a Chinese character
is a word. Never here: personal data; whatever the data set does with it, an excerpt shows [EMAIL] and the like.
"""

import re
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein, Prefix

from hanmo.data.privacy.redact import RedactConfig, redact

SIGN = re.compile(r"[^\W\u3400-\u9fff]+|\S")
WORD = re.compile(r"[^\W\u3400-\u9fff]+|[\u3400-\u9fff]")
SHOWN = 500
BEFORE = 60  # characters of what is equal, shown ahead of the first difference
FEWEST_SHARED = 5  # words in a row; fewer are shared by chance
Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage of a text, whose it is, and the characters to mark, as (begin, end)."""

    name: str
    text: str
    marks: Spans = ()


def differing(a: Excerpt, b: Excerpt) -> tuple[Excerpt, Excerpt]:
    """Passages of two texts from shortly before they differ, with what differs marked.

    >>> [excerpt.marks for excerpt in differing(Excerpt("", "no more, no less"), Excerpt("", "no more no less"))]
    [((7, 8),), ()]
    """
    texts = [masked(excerpt.text) for excerpt in (a, b)]
    start = max(0, Prefix.similarity(*texts) - BEFORE)
    while start and texts[0][start - 1].isascii() and not texts[0][start - 1].isspace():
        start -= 1
    marks = _runs(*(text[start : start + 2 * SHOWN] for text in texts), shared=False)  # where one text breaks off it differs by chance
    return _part(a.name, texts[0], start, marks[0]), _part(b.name, texts[1], start, marks[1])


def sharing(a: Excerpt, b: Excerpt) -> tuple[Excerpt, Excerpt]:
    """Both texts with the words in a row marked that they share, case and punctuation apart."""
    texts = [masked(excerpt.text) for excerpt in (a, b)]
    marks = _runs(*texts, shared=True)
    return Excerpt(a.name, texts[0], marks[0]), Excerpt(b.name, texts[1], marks[1])


def masked(text: str) -> str:
    """A text without personal data.

    >>> masked("Write to li@hanmo.cn.")
    'Write to [EMAIL].'
    """
    return redact(text, RedactConfig(mode="mask"))[0]


def _part(name: str, text: str, start: int, marks: Spans) -> Excerpt:
    """What is shown of a text from `start` on, with the marks that fall into it."""
    ahead, behind = "… " if start else "", " …" if start + SHOWN < len(text) else ""
    shown = tuple((len(ahead) + begin, len(ahead) + min(end, SHOWN)) for begin, end in marks if begin < SHOWN)
    return Excerpt(name, ahead + text[start : start + SHOWN] + behind, shown)


def _runs(a: str, b: str, shared: bool) -> tuple[Spans, Spans]:
    """Where in each text the runs of words stand that are the same in both, or are not."""
    found = [list((WORD if shared else SIGN).finditer(text)) for text in (a, b)]
    words = [[match[0].casefold() if shared else match[0] for match in each] for each in found]
    spans: list[list[tuple[int, int]]] = [[], []]
    for step in Levenshtein.opcodes(*words):
        if (step.tag == "equal") != shared or (shared and step.src_end - step.src_start < FEWEST_SHARED):
            continue
        for side, (first, stop) in enumerate(((step.src_start, step.src_end), (step.dest_start, step.dest_end))):
            if stop > first:
                spans[side].append((found[side][first].start(), found[side][stop - 1].end()))
    return tuple(spans[0]), tuple(spans[1])
