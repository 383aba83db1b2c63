"""Subtitles become what is said: cues joined as spoken text, their numbers, times and places gone.

In: SubRip (.srt), WebVTT (.vtt), SubStation Alpha (.ass, .ssa). Out: one text, a line for every sentence or speaker as far as the
cues tell. The idea: the end of a line is layout where the sentence goes on, which a small letter or an open comma shows; a cue that
is broken costs itself.
"""

import html
import re
from collections.abc import Iterator

from hanmo.data.reading.beginnings import CUE
from hanmo.data.reading.contents import Content, ReadConfig, held, undecodable
from hanmo.data.reading.decode import decode
from hanmo.data.reading.inputs import Refused, Text

STYLE = re.compile(r"\{\\[^{}]*\}|</?(?:[a-zA-Z][^<>]*|\d[\d:.]*)>")
MARK = re.compile(r"(\{\\[^{}]*\})")
DRAWING = re.compile(r"\\p(\d)")
ROLLING = re.compile(r"<\d+:\d{2}(?::\d{2})?\.\d{3}>")
NO_CUES = ("NOTE", "STYLE", "REGION", "WEBVTT")
NUMBER = re.compile(r"\d+")
TIMES = re.compile(r"\d+|[\d:.,\s]*-+>[\d:.,\s]*")
SPEAKER = re.compile(r"[-–—]\s*\S|[^\W\d_]{1,20}[:：]|>>")
ENDED = re.compile(r"[.!?…。！？♪\])）】][\"'”’」』]*$")
CHINESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
ASS_TEXT = 9  # fields before the text where the file does not name them


def read_subtitles(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """What is said, as one text."""
    data = held(content, config.max_bytes)
    try:
        decoded = decode(data)
    except UnicodeDecodeError as error:
        yield undecodable(content.label, data, error)
        return
    text = spoken(decoded.text)
    if text:
        yield content.text(text, encoding=decoded.encoding)
    else:
        yield Refused(source=content.label, rule="no_text", detail="no cue holds words")


def spoken(text: str) -> str:
    """The words of subtitles.

    >>> spoken("1\\n00:00:01,000 --> 00:00:02,000\\nI never\\nthought\\n\\n2\\n00:00:02,100 --> 00:00:03,000\\nthat it rains.\\n")
    'I never thought that it rains.'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    is_script = "[Script Info]" in text or re.search(r"^Dialogue:", text, re.MULTILINE)
    cues = _script_cues(text) if is_script else _timed_cues(text)
    rolling = bool(ROLLING.search(text))
    said: list[list[str]] = []
    last = ""
    for cue in cues:
        lines = [line for row in cue.split("\n") if (line := _clean(row))]
        if rolling and lines:  # captions that roll show every line twice
            lines, last = [line for line in lines if line != last], lines[-1]
        for place, line in enumerate(lines):
            if said and _goes_on(said[-1][-1], line, inside=place > 0):
                said[-1] += ["" if said[-1][-1][-1] in "，、；：" else " ", line]
            else:
                said.append([line])
    return "\n".join(map("".join, said))


def _timed_cues(text: str) -> Iterator[str]:
    """The words below every line of times, up to a blank line before the next."""
    begun = False
    for block in re.split(r"\n[ \t]*(?=\n)", text):
        rows = [row.strip() for row in block.strip("\n").split("\n")]
        times = [place for place, row in enumerate(rows) if CUE.match(row)]
        if not times and rows[0].split(" ")[0] in NO_CUES:
            continue
        for place, begin in enumerate(times):
            end = times[place + 1] if place + 1 < len(times) else len(rows)
            words = rows[begin + 1 : end]
            if end < len(rows) and words and NUMBER.fullmatch(words[-1]):
                words.pop()  # the number of a cue without a blank line before it
            yield "\n".join(words)
        if begun and not times:  # a blank line stood inside a cue, or its times are broken
            yield "\n".join(row for row in rows if not TIMES.fullmatch(row))
        begun = begun or bool(times)


def _script_cues(text: str) -> Iterator[str]:
    """The text of every line of dialogue, in the place that the file names for it."""
    before, events = ASS_TEXT, not re.search(r"^\[Events\]", text, re.MULTILINE)
    for row in text.split("\n"):
        row = row.strip()
        if row.startswith("["):
            events = row.lower() == "[events]"
        elif events and row.startswith("Format:"):
            names = [name.strip().lower() for name in row.partition(":")[2].split(",")]
            before = names.index("text") if "text" in names else before
        elif events and row.startswith("Dialogue:"):
            fields = row.partition(":")[2].split(",", before)
            if len(fields) > before:
                yield _without_drawings(fields[before]).replace("\\N", "\n").replace("\\n", " ").replace("\\h", " ")


def _without_drawings(words: str) -> str:
    """Words without what is drawn between a mark that begins a drawing (p1) and one that ends it (p0)."""
    kept: list[str] = []
    draws = False
    for place, piece in enumerate(MARK.split(words)):
        if place % 2:  # a mark; words stand between them
            found = DRAWING.findall(piece)
            draws = found[-1] != "0" if found else draws
        elif not draws:
            kept.append(piece)
    return "".join(kept)


def _clean(row: str) -> str:
    """A line without marks of style, its blanks and entities as text has them."""
    return " ".join(html.unescape(STYLE.sub("", row)).replace("\ufeff", "").split())


def _goes_on(said: str, line: str, inside: bool) -> bool:
    """Whether a line goes on with the sentence before it: inside a cue unless another speaks, or in another language."""
    if SPEAKER.match(line) or bool(CHINESE.search(said)) != bool(CHINESE.search(line)):
        return False
    if inside:
        return not (SPEAKER.match(said) and ENDED.search(said)) or line[0].islower()
    return not ENDED.search(said) and (line[0].islower() or said[-1] in ",，、;；")
