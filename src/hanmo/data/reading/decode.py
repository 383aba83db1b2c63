"""Bytes become text with the name of their encoding, or a refusal.

In: the bytes of a file or of one line, and the encoding they declare. Out: text. The idea: a byte order mark is believed, then
validity as UTF-8, then what the page declares, then the evidence of the characters (charset). What is UTF-8 with a few broken
bytes is refused and never taken for something else.
"""

import codecs
import re
import unicodedata
from dataclasses import dataclass

from hanmo.data.reading.charset import ASCII_BYTES, detect, first_beyond_ascii, log_probability, read_part
from hanmo.data.reading.signatures import known_bytes

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
DECLARED = re.compile(
    rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]+)|<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)
DECLARED_WITHIN = 4096
READ_AS = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "latin-1": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "hz": "gb18030",
    "big5": "big5hkscs",
    "cp950": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "utf-16": "utf-16-le",
}
"""Supersets of what is declared, as browsers read it (WHATWG Encoding Standard)."""
NO_CHARSETS = {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"}
MUCH_EVIDENCE = 40  # bytes beyond ASCII
MOST_BROKEN = 0.001  # of a page's characters; browsers show such pages too
WIDE_SAMPLE = 4096
LEAST_WIDE, LEAST_WIDE_MEAN = 4, -9.0  # characters, and log p of one
NEVER_IN_TEXT = {"Cc", "Cn", "Co", "Cs"}
BLANKS = re.compile("[\t\n\f\r]+")
MODELS = ("hans", "hant", "japanese", "korean", "latin")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text and the encoding it was in."""

    text: str
    encoding: str


def decode(data: bytes, page: bool = False, declared: str = "") -> Decoded:
    """The text in `data`; a `page` may declare its charset inside, or come with one `declared` outside, and have a few broken bytes.

    Raises UnicodeDecodeError when no encoding explains it.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return Decoded(data[len(mark) :].decode(encoding), encoding)
    if wide := wide_encoding(data):
        return Decoded(data.decode(wide), wide)
    try:
        return Decoded(data.decode("utf-8"), "utf-8")
    except UnicodeDecodeError as error:
        for candidate in _candidates(data, page, declared):
            if candidate and (text := _read(data, candidate, page)) is not None:
                return Decoded(text, candidate)
        if page and (text := _read(data, "utf-8", page)) is not None:
            return Decoded(text, "utf-8")
        raise error


def _candidates(data: bytes, page: bool, declared: str) -> list[str]:
    """Encodings to try, the best first: a page that declares one and is written in another is common, so much evidence beats a word."""
    evidence = _other_than_utf8(data)
    said = (known(declared) or declared_encoding(data)) if page else ""
    plenty = len(data.translate(None, ASCII_BYTES)) >= MUCH_EVIDENCE
    return [evidence, said] if plenty else [said, evidence]


def encoding_of(head: bytes) -> str:
    """The encoding of the beginning of a file that is read in pieces; UTF-8 where nothing speaks for another.

    A beginning in ASCII alone is called so: what follows may be anything.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return wide_encoding(head) or _other_than_utf8(head, whole=False) or "utf-8"
    return wide_encoding(head) or ("ascii" if head.isascii() else "utf-8")


def wide_encoding(data: bytes) -> str:
    """UTF-16 or UTF-32 without a mark, where NUL bytes speak against everything else and the characters make sense; else empty."""
    sample = data[:WIDE_SAMPLE]
    if b"\0" not in sample or len(data) % 2:
        return ""
    found: list[tuple[float, str]] = []
    for encoding, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        text = read_part(sample, encoding, whole=len(sample) == len(data))
        kinds = set(map(unicodedata.category, BLANKS.sub("", text or "")))
        if text is not None and len(sample) >= LEAST_WIDE * width and not NEVER_IN_TEXT & kinds:
            found.append((max(log_probability(text, language) for language in MODELS) / max(1, len(text)), encoding))
    score, encoding = max(found, default=(0.0, ""))
    return encoding if score >= LEAST_WIDE_MEAN else ""


def declared_encoding(data: bytes) -> str:
    """What a page says of itself in its XML declaration or a meta tag, as a codec; empty when it says nothing known."""
    found = DECLARED.search(data[:DECLARED_WITHIN])
    return known((found[1] or found[2]).decode("ascii", "ignore")) if found else ""


def known(name: str) -> str:
    """The codec that reads what is called `name`; empty when Python has none for text.

    >>> known("GB2312"), known("ISO-8859-1"), known("x-klingon"), known("base64")
    ('gb18030', 'cp1252', '', '')
    """
    try:
        found = codecs.lookup(name.strip()).name
        b"text".decode(found)
    except (LookupError, ValueError):
        return ""
    return "" if found in NO_CHARSETS else READ_AS.get(found, found)


def is_binary(head: bytes) -> bool:
    """Whether the first bytes of a file belong to something that is no text.

    >>> is_binary(b"plain text"), is_binary(b"\\x00\\x01"), is_binary(b"\\x89PNG")
    (False, True, True)
    """
    return bool(binary_kind(head))


def binary_kind(head: bytes) -> str:
    """In words, what the first bytes of a file are when they are no text: a known signature, or NUL bytes outside UTF-16 and UTF-32."""
    if words := known_bytes(head):
        return words
    marked = any(head.startswith(mark) for mark, _ in BYTE_ORDER_MARKS)
    return "bytes that are no text" if b"\0" in head and not marked and not wide_encoding(head) else ""


def _other_than_utf8(data: bytes, whole: bool = True) -> str:
    """The encoding that the characters speak for; none for UTF-8 with broken places, which GB18030 can read as nonsense."""
    start = first_beyond_ascii(data)
    sample = data[start : start + WIDE_SAMPLE].decode("utf-8", "replace")
    broken = sample.count("\ufffd")
    beyond = sum(character >= "\x80" for character in sample) - broken
    return "" if beyond > broken else detect(data, whole)


def _read(data: bytes, encoding: str, page: bool) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        if not page:
            return None
    text = data.decode(encoding, "replace")
    return text if text.count("\ufffd") <= max(1, MOST_BROKEN * len(text)) else None
