"""What a text that is kept looks like, where that is not what its author wrote: JSON, a page, RTF, letters of a wrong decoding.

In: a text. Out: a name, or nothing. It refuses nobody: a text about JSON may begin with JSON. Counted over a data set, it says
that a column, a format or an encoding was taken for another.
"""

import re

LOOKS = ("begins_like_json", "begins_like_page", "begins_like_rtf", "wrong_decoding")
BEGINNING = 2_000
"""Characters that are looked at."""
JSON = re.compile(r'\s*(?:\[\s*)?\{\s*"[^"\n]{1,100}"\s*:')
PAGE = re.compile(r"\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
RTF = re.compile(r"\s*\{\\rtf\d")
MISTAKEN_FOR = ("cp1252", "latin-1", "cp1251", "koi8-r", "cp1250", "cp1253", "cp866", "mac-roman", "gb18030", "big5", "euc-kr")
"""Encodings in which UTF-8 is read by mistake."""
FEWEST_SIGNS = 6
LETTER = re.compile(r"[^\W\d_]")
ACCENTED = re.compile(r"[ªµºÀ-ÖØ-öø-ÿ]{3,}")
"""Runs that no language of Latin letters has."""
TURNED = re.compile(r"\b[а-яё][А-ЯЁ]{2,}")
"""KOI8-R read as cp1251, and the other way round, turns capitals and small letters about."""
CAPITAL = re.compile(r"[А-ЯЁ]")
MOST_ODD = 0.5


def looks_like(text: str) -> str:
    r"""One of LOOKS, or an empty name.

    >>> looks_like('{"text": "a"}'), looks_like("<html><p>a"), looks_like(r"{\rtf1 a}"), looks_like("A sentence.")
    ('begins_like_json', 'begins_like_page', 'begins_like_rtf', '')
    >>> looks_like("Вчера мы пошли в парк".encode("cp1251").decode("cp1252"))
    'wrong_decoding'
    """
    beginning = text[:BEGINNING]
    for name, pattern in zip(LOOKS, (JSON, PAGE, RTF), strict=False):
        if pattern.match(beginning):
            return name
    return "wrong_decoding" if not beginning.isascii() and _is_wrongly_decoded(beginning) else ""


def _is_wrongly_decoded(text: str) -> bool:
    """Whether words are written in letters that stand for other ones."""
    letters = len(LETTER.findall(text))
    if sum(map(len, ACCENTED.findall(text))) > max(FEWEST_SIGNS, MOST_ODD * letters):
        return True
    if TURNED.search(text) and len(CAPITAL.findall(text)) > MOST_ODD * letters:
        return True
    return any(_was_utf8(line) for line in text.splitlines()[:20])


def _was_utf8(line: str) -> bool:
    """Whether a line is UTF-8 read in another encoding: written back it is whole UTF-8, which no chance makes of many signs."""
    signs = sum(not sign.isascii() for sign in line)
    if signs < FEWEST_SIGNS:
        return False
    for encoding in MISTAKEN_FOR:
        try:
            meant = line.encode(encoding).decode("utf-8")
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
        if not meant.isascii() and len(meant) < len(line):
            return True
    return False
