"""What the first characters of a text say it is, whatever its name.

In: the beginning of a text, and whether it is the whole of it. Out: the kind that a reader takes, or, in words, what is known and
not read. The idea: a beginning counts only where no prose and no program would begin so; everything else stays text.
"""

import json
import re
from collections.abc import Iterator
from typing import cast

PEEKED_ROWS = 20
COMMENT = r"<!--(?>.*?-->)\s*"
PROLOG = rf"(?:<\?[a-z][^>]*>\s*|{COMMENT})*+"
PAGE = re.compile(rf"\s*(?!<\?php){PROLOG}<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
ELEMENTS = r"!doctype\s+(?!html\b)\w|(?:svg|rss|mediawiki|TEI|FictionBook|tmx|xliff)\b|[a-z_][\w.:-]*\s[^<>]*?\bxmlns\b"
XML = re.compile(rf"\s*(?:<\?xml\b|(?:{COMMENT})*+<(?:{ELEMENTS}))", re.IGNORECASE | re.DOTALL)
ROOT = re.compile(rf"\s*{PROLOG}(?:<!doctype[^>\[]*(?:\[[^\]]*\]\s*)?>\s*{PROLOG})?<([a-z_][\w.:-]*)", re.IGNORECASE | re.DOTALL)
FRAGMENT = re.compile(r"\s*<[a-z!]", re.IGNORECASE)
PROGRAM = re.compile(r"<\?(?:php|=)|<%", re.IGNORECASE)
OBJECT = re.compile(r'\s*(?:\[\s*)?\{\s*"(?:[^"\\]|\\.)*"\s*:')
CUT_OFF = re.compile(r"|t(ru?)?|f(a(ls?)?)?|n(ul?)?|-|\\?(u[0-9a-fA-F]{0,4})?")
NOTEBOOK = re.compile(r'\s*\{\s*"(?:cells|metadata|nbformat|nbformat_minor|worksheets)"\s*:')
CUE = re.compile(r"^[ \t]*(?:\d+:)?\d{1,2}:\d{2}[,.]\d{1,3}[ \t]*-->[ \t]*(?:\d+:)?\d{1,2}:\d{2}[,.]\d{1,3}", re.MULTILINE)
SUBTITLES = re.compile(r"\s*(?:WEBVTT\b|\[Script Info\]|(?:\d+[ \t]*\r?\n)?[ \t]*(?:\d+:)?\d{1,2}:\d{2}[,.]\d{1,3}[ \t]*-->)")
HEADER = re.compile(r"([A-Za-z][\w-]*):[ \t]|[ \t]+\S|([A-Za-z][\w-]*):$")
BY_PEOPLE = {"from", "to", "subject", "date", "cc", "newsgroups"}
BY_MACHINES = {"received", "message-id", "mime-version", "return-path", "delivered-to", "content-type", "dkim-signature", "x-mailer"}
MAILBOX = re.compile(r"From \S+ +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} ")
UNREAD = {
    "an RTF document": (re.compile(r"\s*\{\\rtf"), "save it as docx, text or a page"),
    "PostScript": (re.compile(r"%!PS"), "save it as PDF"),
    "a pointer of Git LFS": (re.compile(r"version https://git-lfs\.github\.com/"), "fetch the file itself with git lfs pull"),
    "a key or a certificate": (re.compile(r"-----BEGIN (?!PGP SIGNED)[A-Z0-9 ]+-----\r?\n"), "it holds no text"),
    "a calendar or a card": (re.compile(r"BEGIN:V(?:CALENDAR|CARD)\r?\n", re.IGNORECASE), "save what it says as text"),
    "a patch in a mail": (re.compile(r"From [0-9a-f]{40} Mon Sep 17 00:00:00 2001\r?\n"), "name it .patch to keep it as text"),
}
"""What is known by its beginning alone and not read: its name, the beginning, what to do."""
MAIL, MAILS, SAVED_PAGE, MARKUP = "an e-mail", "a mailbox", "a page saved as MHTML", "XML"
OTHERS = {
    MAIL: "save its words as text",
    MAILS: "save the words of its mails as text",
    SAVED_PAGE: "save the page as HTML",
    MARKUP: "make text, a page or JSON lines of it",
}


def text_kind(text: str, whole: bool) -> str:
    """The kind of reader that a beginning asks for; empty where it asks for none.

    >>> text_kind("<!DOCTYPE html><p>x", True), text_kind('{"text": "x"}', True), text_kind("words", True)
    ('html', 'jsonl', '')
    """
    if PAGE.match(text):
        return "html"
    if SUBTITLES.match(text) and ("[Script Info]" in text or CUE.search(text)):
        return "subtitles"
    return untold_json(text, whole)


def unread_words(text: str) -> str:
    """What is known and not read, in words, with what to do; empty for everything else."""
    words = next((words for words, (begin, _) in UNREAD.items() if begin.match(text)), "") or _mail(text)
    if words:
        return f"{words} is not read: {UNREAD[words][1] if words in UNREAD else OTHERS[words]}"
    if XML.match(text) and not PAGE.match(text):
        root = ROOT.match(text)
        return f"{MARKUP}{f' <{root[1][:40]}>' if root else ''} is not read: {OTHERS[MARKUP]}"
    return ""


def has_cues(text: str) -> bool:
    """Whether somewhere a line tells from when to when something is said."""
    return bool(SUBTITLES.match(text) or CUE.search(text))


def is_notebook(text: str) -> bool:
    """Whether a JSON text begins as notebooks do."""
    return bool(NOTEBOOK.match(text)) and ('"cell_type"' in text or '"nbformat"' in text)


def is_page_of_a_server(text: str) -> bool:
    """Whether what a server was asked for is the page that it gave, and not the program that makes it."""
    is_page = bool(PAGE.match(text)) or (bool(FRAGMENT.match(text)) and not XML.match(text))
    return is_page and not PROGRAM.search(text)


def untold_json(text: str, whole: bool) -> str:
    """JSON under a name that does not promise it: rows that are objects, or one value over many lines; else empty."""
    if text.lstrip()[:1] not in ("{", "["):
        return ""
    if is_notebook(text):
        return "notebook"
    rows = [row for row in text.split("\n")[: PEEKED_ROWS + 1] if row.strip()]
    if len(rows) > 1 and not whole and text.count("\n") < PEEKED_ROWS:
        rows.pop()  # cut by the end of the look
    objects = sum(isinstance(value, dict) and value != {} for value in json_values(rows))
    if 2 * objects >= len(rows) and objects:
        return "jsonl"
    if len(rows) == 1 and not whole and text.lstrip()[:1] == "{" and is_json_so_far(text):
        return "jsonl"
    return "json" if OBJECT.match(text) and is_json_so_far(text) else ""


def json_values(rows: list[str]) -> Iterator[object]:
    """What the rows that are JSON hold."""
    for row in rows:
        try:
            yield json.loads(row)
        except (ValueError, RecursionError):
            continue


def is_json_so_far(text: str) -> bool:
    """Whether a text is JSON, or may become it with what follows.

    >>> is_json_so_far('{"a": [1, "tw'), is_json_so_far('{"a": 1} is a row'), is_json_so_far('{a: 1}')
    (True, False, False)
    """
    try:
        json.loads(text)
    except RecursionError:
        return False
    except json.JSONDecodeError as error:
        return error.msg.startswith("Unterminated string") or bool(CUT_OFF.fullmatch(text[error.pos :].strip()))
    return True


def _mail(text: str) -> str:
    """An e-mail, a mailbox or a saved page by the lines before its first blank one; empty for what only looks like a letter."""
    is_box = bool(MAILBOX.match(text))
    names: set[str] = set()
    rows = text.split("\n")[1 if is_box else 0 :]
    for row in rows:
        if not row.strip():
            break
        if not (found := HEADER.match(row.rstrip("\r"))):
            return ""
        names.add(cast("str", found[1] or found[2] or "").lower())
    if len(names & BY_PEOPLE) < 2 or not (is_box or names & BY_MACHINES):
        return ""
    if is_box:
        return MAILS
    head = "\n".join(rows[: rows.index("")] if "" in rows else rows).lower()
    return SAVED_PAGE if "multipart/related" in head and "text/html" in head else MAIL
