"""What a file holds, told by its first bytes; its name is asked only where the bytes leave it open.

In: a name and the beginning of the content, decompressed. Out: the format, and a word where name and content disagree. The idea:
a signature wins over a name that lies; a name that promises a table, a page or a document whose content is something else
gives a receipt that says so, since nobody knows what was meant.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from hanmo.base.storage import without_marks
from hanmo.data.reading.beginnings import (
    PAGE,
    PEEKED_ROWS,
    has_cues,
    is_notebook,
    is_page_of_a_server,
    json_values,
    text_kind,
    unread_words,
)
from hanmo.data.reading.decode import binary_kind, encoding_of

PACKED_TARS = {".tgz": ".tar", ".tzst": ".tar", ".txz": ".tar", ".tbz2": ".tar"}
COMPRESSED = {".gz": ".gz", ".zst": ".zst", ".xz": ".xz", ".bz2": ".bz2", **PACKED_TARS}
ENDINGS = {
    "jsonl": ".jsonl .ndjson",
    "json": ".json",
    "csv": ".csv .tsv",
    "parquet": ".parquet",
    "html": ".html .htm .xhtml .shtml",
    "pdf": ".pdf",
    "office": ".docx .docm .dotx .odt",
    "epub": ".epub",
    "notebook": ".ipynb",
    "subtitles": ".srt .vtt .ass .ssa",
    "warc": ".warc .wet .wat",
    "zip": ".zip",
    "tar": ".tar",
}
"""Formats that are read, and the endings that promise them."""
UNSUPPORTED = {
    "an old Word document": ".doc",
    "an Excel workbook": ".xls .xlsx .xlsm",
    "a PowerPoint file": ".ppt .pptx",
    "an OpenDocument file": ".ods .odp",
    "a RAR archive": ".rar",
    "a 7z archive": ".7z",
    "a file of Arrow": ".arrow .feather",
    "a book of Kindle": ".mobi .azw .azw3",
}
"""Formats that are known by their endings and not read."""
NOT_READ = {ending: "unsupported" for endings in UNSUPPORTED.values() for ending in endings.split()}
BY_NAME = NOT_READ | {ending: kind for kind, endings in ENDINGS.items() for ending in endings.split()}
WORDS = ".md .markdown .rst .tex .org .adoc .patch .diff .toml .yaml .yml .ini .cfg .hbs .ejs .j2 .jinja .tmpl .twig .erb"
CODE = (
    ".py .pyi .c .h .cc .cpp .hpp .cs .java .kt .scala .go .rs .rb .pl .lua .r .jl .js .mjs .ts .jsx .tsx .vue .svelte .css .scss "
    ".less .sh .bash .ps1 .bat .sql .swift .m .mm .hs .ml .clj .erl .ex .dart .f90 .asm"
)
WORDS_AND_CODE = frozenset(f"{WORDS} {CODE}".split())
"""Names that promise words or a program: what begins like a page or like JSON there is an example of it, and stays as it is."""
OF_SERVERS = {".php", ".php3", ".phtml", ".asp", ".aspx", ".jsp", ".jspx", ".cgi", ".do", ".action", ".cfm"}
"""A page that was asked for under such a name, or the program that makes it."""
SIGNATURES = {
    b"%PDF-": "pdf",
    b"PAR1": "parquet",
    b"WARC/": "warc",
    b"filedesc://": "warc",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
PACKED = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"\xfd7zXZ\0": "xz", b"BZh": "bz2"}
OFFICE = re.compile(rb"\[Content_Types\]\.xml|_rels/|docProps/|word/|mimetypeapplication/vnd\.oasis")
EPUB = re.compile(rb"mimetypeapplication/epub")
HELD_AS_BYTES = ("pdf", "parquet", "warc", "zip", "tar", "office", "epub", "unsupported")
TABLES = ("jsonl", "json", "csv", "parquet")
HEAD_BYTES = 65536
"""How much of a file is looked at."""


@dataclass(frozen=True, slots=True)
class Format:
    """How to read a file: `kind` is a reader's name, `encoding` that of text; `note` tells where the name says something else."""

    kind: str = "text"
    encoding: str = ""
    note: str = ""


def suffix_of(name: str) -> str:
    """The ending that tells the format, in small letters; those of compression, numbers and what a server was asked are left out.

    >>> suffix_of("a.JSONL.gz"), suffix_of("b.tgz"), suffix_of("c.csv.1"), suffix_of("index.html?id=3"), suffix_of("README")
    ('.jsonl', '.tar', '.csv', '.html', '')
    """
    suffix = _last_suffix(name)
    asked = _last_suffix(name.partition("?")[0])
    return asked if suffix not in BY_NAME and asked in (*BY_NAME, *OF_SERVERS) else suffix


def _last_suffix(name: str) -> str:
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    while suffixes:
        last = suffixes.pop()
        if COMPRESSED.get(last) == ".tar":
            return ".tar"
        if last not in COMPRESSED and not (last[1:].isdigit() and suffixes):
            return last
    return ""


def named_kind(name: str) -> str:
    """The format that a name promises; text where it promises nothing."""
    return BY_NAME.get(suffix_of(name), "text")


def find_format(name: str, head: bytes) -> Format:
    """The format of a file with this name and beginning; an empty file is an empty text whatever its name."""
    named = named_kind(name)
    if not head:
        return Format("text", "utf-8")
    signed = _signed(head, named)
    if signed:
        differs = signed != named and signed not in ("packed", "unsupported")
        return Format(signed, note=_note(name, signed) if differs else "")
    if words := binary_kind(head):
        return Format("binary", note=words)
    encoding = encoding_of(head)
    text = without_marks(head.decode(encoding, "ignore").replace("\r\n", "\n").replace("\r", "\n"))
    if named in HELD_AS_BYTES:
        return _text_in_disguise(name, text, encoding)
    kind, note = _text_format(name, named, text, whole=len(head) < HEAD_BYTES)
    return Format(kind, encoding, note or (_note(name, kind) if kind != named else ""))


def _note(name: str, kind: str) -> str:
    return f"named {suffix_of(name) or 'without an ending'}, holds {kind}"


def _signed(head: bytes, named: str) -> str:
    """The format that the signature says; empty without one."""
    if any(head.startswith(magic) for magic in PACKED):
        return "packed"
    if head[257:262] == b"ustar" or (named == "tar" and _is_old_tar(head)):
        return "tar"
    kind = next((kind for magic, kind in SIGNATURES.items() if head.startswith(magic)), "")
    if kind != "zip":
        return kind
    if EPUB.match(head, 30) or named == "epub":
        return "epub"
    return "office" if OFFICE.match(head, 30) or named in ("office", "unsupported") else "zip"


def _is_old_tar(head: bytes) -> bool:
    """Whether a tar header without the word ustar begins here: its checksum is in octal digits at byte 148."""
    return len(head) >= 512 and bool(re.fullmatch(rb"[0-7 \0]{8}", head[148:156]))


def _text_in_disguise(name: str, text: str, encoding: str) -> Format:
    """A text under a name that promises bytes: old Word files are often RTF or pages."""
    if words := unread_words(text):
        return Format("recognised", note=words)
    if named_kind(name) == "unsupported" and PAGE.match(text):
        return Format("html", encoding, _note(name, "html"))
    return Format("wrong", note=f"named {suffix_of(name)}, but begins like text")


def _text_format(name: str, named: str, text: str, whole: bool) -> tuple[str, str]:
    """The kind of a text, and a note where it needs other words than that it is not what was promised."""
    suffix = suffix_of(name)
    if named in ("jsonl", "json"):
        kind = _json_kind(text, named)
        return kind, f"named {suffix}, but holds plain text" if kind == "wrong" else ""
    if named == "notebook":
        return ("notebook", "") if text.lstrip()[:1] == "{" else ("wrong", f"named {suffix}, but holds plain text")
    if named == "csv" and PAGE.match(text):
        return "wrong", f"named {suffix}, but holds a page"
    if named == "csv" or suffix in WORDS_AND_CODE:
        return named, ""
    if named == "subtitles" and has_cues(text):
        return named, ""
    if named == "html" and "<" in text:
        return named, ""
    return _told_by_content(text, suffix, whole)


def _told_by_content(text: str, suffix: str, whole: bool) -> tuple[str, str]:
    """The kind of a text whose name promises nothing."""
    if suffix in OF_SERVERS and is_page_of_a_server(text):
        return "html", ""
    kind = text_kind(text, whole)
    if kind and not (kind == "html" and suffix in OF_SERVERS):
        return kind, ""
    words = unread_words(text)
    return ("recognised", words) if words else ("text", "")


def _json_kind(text: str, named: str) -> str:
    """JSON lines, one JSON value over many lines, or neither."""
    rows = [row for row in text.split("\n")[: PEEKED_ROWS + 1] if row.strip()]
    if not rows:
        return named
    if named == "json" and is_notebook(text):
        return "notebook"
    if _is_open_array(rows[0]):
        return "json"
    if any(isinstance(value, dict) for value in json_values(rows)):
        alone = len(rows) == 1 and named == "json"  # one object in one line is one value as well as one row
        return "json" if alone else "jsonl"
    begin = text.lstrip()[:1]
    if begin not in ("{", "["):
        whole_rows = len(rows) > 1 or len(text.encode("utf-8", "replace")) < HEAD_BYTES  # else one endless row, which its reader refuses
        return "wrong" if whole_rows else named
    return named


def _is_open_array(row: str) -> bool:
    """Whether a line opens an array of objects, as the first line of a JSON file does, and never a row that is merely broken."""
    return bool(re.match(r"\s*\[\s*(\{|$)", row))
