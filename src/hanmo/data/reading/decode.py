"""Bytes become text with the name of their encoding, or a refusal.

In: the bytes of a file or of one line, and the encoding they declare. Out: text. The idea: a byte order mark is believed, then
escapes in what is else ASCII, validity as UTF-8, then what the page declares, then the evidence of the characters (charset). A few
damaged places become U+FFFD, which filters.max_replacement_share judges; what is UTF-8 with such places is never taken for something else.
"""

import codecs
import re
import unicodedata
from dataclasses import dataclass

from hanmo.data.reading.alphabets import mean_spelled
from hanmo.data.reading.charset import (
    ALPHABETIC,
    ASCII_BYTES,
    ASCII_LOG,
    HYPOTHESES,
    detect,
    errors_of,
    first_beyond_ascii,
    log_probability,
    mean_log_probability,
    read_damaged,
    read_part,
    readings,
    reads_well,
    weigh,
)
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
MODELS = ("hans", "hant", "japanese", "korean")
MOST_LOST = 0.05  # of all characters; what may be lost in a document that is kept is a filter's question
ESCAPES = (
    (re.compile(rb"\x1b\$\)C"), "iso2022_kr"),
    (re.compile(rb"\x1b(\$[@B]|\$\([D@B]|\([IJ])"), "iso2022_jp_ext"),
    (re.compile(rb"~\{(?:[!-}][!-~])+~\}"), "hz"),
)
"""Encodings made of ASCII bytes, with the sign of each."""
FOREIGN = re.compile(r"[^\W\d_a-zA-Z]")
LEAST_ESCAPED = -9.7
ENCODINGS = tuple(
    dict.fromkeys(
        (
            "utf-8",
            *(encoding for _, encoding in BYTE_ORDER_MARKS),
            *(hypothesis.encoding for hypothesis in HYPOTHESES),
            *(encoding for _, encoding in ESCAPES),
            *ALPHABETIC,
        )
    )
)
"""Every encoding that is read without being declared, by its name in Python."""
LEAST_EXPECTED = -9.5  # mean log p of what may still be signs and rare letters
SHORT_BYTES = 8
WIDE = ("utf-16", "utf-32")
ROWS_LEAD = 10.0  # nats by which another reading of a row has to beat the encoding that its file began with
MOST_CONTROLS = 0.05
NO_TEXT = bytes((*range(9), *range(14, 27), *range(28, 32)))


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text and the encoding it was in."""

    text: str
    encoding: str


def decode(data: bytes, page: bool = False, declared: str = "") -> Decoded:
    """The text in `data`; a `page` may declare its charset inside, or come with one `declared` outside, and have a few broken bytes.

    A few damaged places, and NUL characters in what is text otherwise, come out as U+FFFD. Raises UnicodeDecodeError when no encoding
    explains it, or two do equally well; it names the encoding that comes nearest, and its bad place.
    """
    decoded = _marked(data) or _plain(data) or _by_evidence(data, page, declared)
    return Decoded(decoded.text.replace("\0", "\ufffd"), decoded.encoding)


def decode_row(data: bytes, expected: str) -> Decoded:
    """One row of a file that began in the encoding `expected`: it may be in another one, and be too short to tell by itself.

    Raises UnicodeDecodeError as `decode` does.
    """
    alphabetic, marked = expected in ALPHABETIC, expected in ("", "ascii", "utf-8")
    short = not alphabetic and not marked and len(data.translate(None, ASCII_BYTES)) <= SHORT_BYTES
    if decoded := _plain(data):
        narrow = not data.isascii() and max(decoded.text) < "\u0800"  # pairs of GBK may look like UTF-8 of two bytes
        if alphabetic or marked or not narrow:
            return decoded
        text = read_part(data, expected, whole=True) if short else reads_well(data, expected)
        return Decoded(text, expected) if text else decoded
    if text := (read_part(data, expected, whole=True) if short else reads_well(data, expected)):
        return Decoded(text, expected)
    findings = weigh(data)
    mine = next((finding for finding in findings if finding.encoding == expected), None)
    beaten = findings and findings[0].believable and (not mine or findings[0].score - mine.score >= ROWS_LEAD)
    likely = mine and not beaten and (not alphabetic or mine.mean >= LEAST_EXPECTED)
    text = read_damaged(data, expected) if likely else None
    return Decoded(text, expected) if text is not None and _few_lost(text) else decode(data)


def _marked(data: bytes) -> Decoded | None:
    """Text behind a byte order mark, or in UTF-16 or UTF-32 without one; None where there is none of these.

    Raises UnicodeDecodeError where much of it is damaged.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding, "replace")
            return Decoded(text if _few_lost(text) else data.decode(encoding), encoding)
    wide = wide_encoding(data)
    return Decoded(data.decode(wide, "replace"), wide) if wide else None


def _plain(data: bytes) -> Decoded | None:
    """Text in valid UTF-8, or in an encoding made of ASCII and escapes; None where it is neither."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    escaped = escaped_encoding(data)
    return Decoded(data.decode(escaped), escaped) if escaped else Decoded(text, "utf-8")


def escaped_encoding(data: bytes) -> str:
    """The encoding of bytes that are all ASCII and hold its escapes; empty where none reads them as a language."""
    if not (b"~{" in data or b"\x1b" in data) or not data.isascii():
        return ""
    for sign, encoding in ESCAPES:
        if sign.search(data) and (text := read_part(data, encoding, whole=True)) and len(FOREIGN.findall(text)) > 1:
            languages = ("japanese", "korean") if encoding.startswith("iso") else ("hans",)
            if mean_log_probability(text, languages) >= LEAST_ESCAPED:
                return encoding
    return ""


def _by_evidence(data: bytes, page: bool, declared: str) -> Decoded:
    text = data.decode("utf-8", "replace")
    lost, beyond = text.count("\ufffd"), len(text) - len(data) + len(data.translate(None, ASCII_BYTES))
    if beyond > 2 * lost and (not page or lost <= max(1, MOST_BROKEN * len(text))) and _few_lost(text):
        return Decoded(text, "utf-8")
    for candidate in _candidates(data, page, declared):
        if candidate and (found := _read(data, candidate, page)) is not None:
            return Decoded(found, candidate)
    best, near = readings(data)
    if lost <= max(1, MOST_BROKEN * len(text)) and _few_lost(text) and not best:
        return Decoded(text, "utf-8")
    if best and near:
        raise _either(data, best.encoding, near[0].encoding)
    raise _nearest(data)


def _few_lost(text: str) -> bool:
    return text.count("\ufffd") <= MOST_LOST * len(text)


def _either(data: bytes, first: str, second: str) -> UnicodeDecodeError:
    """The error for what two encodings read about equally well, at the first place where they differ."""
    place = len(data) - len(data.lstrip(ASCII_BYTES))
    return UnicodeDecodeError(first, data, place, place + 1, f"{first} and {second} read it about equally well: convert it to UTF-8")


def _nearest(data: bytes) -> UnicodeDecodeError:
    """The error of the likeliest encoding, at the first byte that it cannot read, or that makes no sense in it."""
    found = max(weigh(data), key=lambda finding: (finding.believable, finding.mean), default=None)
    name = found.encoding if found else "utf-8"
    errors = [error for encoding in ("utf-8", name) if (error := _error(data, encoding))]
    if len(errors) == 2:
        return max(errors, key=lambda error: error.start)
    begin = len(data) - len(data.lstrip(ASCII_BYTES))
    why = f"{name} comes nearest, but what it gives is no language that is written in it"
    return UnicodeDecodeError(name, data, begin, begin + 1, why)


def _error(data: bytes, encoding: str) -> UnicodeDecodeError | None:
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        return UnicodeDecodeError(encoding, data, error.start, error.end, f"{encoding} comes nearest, and it is not valid there")
    return None


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
    sample = data[: min(WIDE_SAMPLE, len(data) // 2 * 2)]  # an odd byte at the end is a cut character
    if b"\0" not in sample:
        return ""
    found: list[tuple[float, str]] = []
    for encoding, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        text = read_part(sample, encoding, whole=False)
        kinds = set(map(unicodedata.category, BLANKS.sub("", text or "")))
        if text is not None and len(sample) >= LEAST_WIDE * width and not NEVER_IN_TEXT & kinds:
            characters = max(log_probability(text, language) for language in MODELS) / max(1, len(text))
            found.append((max(characters, mean_spelled(text, ASCII_LOG)), encoding))
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
    """In words, what the first bytes of a file are when they are no text: a signature, or many NUL bytes outside UTF-16 and UTF-32."""
    if words := known_bytes(head):
        return words
    marked = any(head.startswith(mark) for mark, _ in BYTE_ORDER_MARKS)
    return "bytes that are no text" if is_damaged(head) and not marked and not wide_encoding(head) else ""


def is_damaged(data: bytes) -> bool:
    """Whether NUL bytes stand in most lines, or beside many other control characters: a few in a text cost only their row."""
    if b"\0" not in data:
        return False
    lines = data.strip(b"\n").split(b"\n")
    struck = sum(b"\0" in line for line in lines)
    return 2 * struck > len(lines) or len(data) - len(data.translate(None, NO_TEXT)) > MOST_CONTROLS * len(data)


def _other_than_utf8(data: bytes, whole: bool = True) -> str:
    """The encoding that the characters speak for; none for UTF-8 with broken places, which GB18030 can read as nonsense."""
    start = first_beyond_ascii(data)
    sample = data[start : start + WIDE_SAMPLE].decode("utf-8", "replace")
    broken = sample.count("\ufffd")
    beyond = sum(character >= "\x80" for character in sample) - broken
    return "" if beyond > broken else detect(data, whole)


def _read(data: bytes, encoding: str, page: bool) -> str | None:
    """The text with a few damaged places as U+FFFD; None where there are too many of them."""
    if not page:
        found = read_damaged(data, encoding)
        return found if found is not None and _few_lost(found) else None
    text = data.decode(encoding, errors_of(encoding))
    return text if text.count("\ufffd") <= max(1, MOST_BROKEN * len(text)) else None
