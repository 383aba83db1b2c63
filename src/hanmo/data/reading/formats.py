"""What a file holds, told by its first bytes; its name is asked only where the bytes leave it open.

In: a name and the beginning of the content, decompressed. Out: the format, and a word where name and content disagree. The idea:
a signature wins over a name that lies; a name that promises a table, a page or a document whose content is something else
gives a receipt that says so, since nobody knows what was meant.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from hanmo.data.reading.decode import binary_kind, encoding_of

COMPRESSED = {".gz": ".gz", ".zst": ".zst", ".xz": ".xz", ".bz2": ".bz2", ".tgz": ".tar", ".tzst": ".tar", ".txz": ".tar", ".tbz2": ".tar"}
BY_NAME = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".shtml": "html",
    ".pdf": "pdf",
    ".warc": "warc",
    ".zip": "zip",
    ".tar": "tar",
}
UNSUPPORTED = {
    ".doc",
    ".docx",
    ".xls",
    ".xlsx",
    ".ppt",
    ".pptx",
    ".odt",
    ".ods",
    ".odp",
    ".epub",
    ".rar",
    ".7z",
    ".wet",
    ".arrow",
    ".feather",
}
SIGNATURES = {b"%PDF-": "pdf", b"PAR1": "parquet", b"WARC/": "warc", b"PK\x03\x04": "zip", b"PK\x05\x06": "zip"}
PACKED = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst", b"\xfd7zXZ\0": "xz", b"BZh": "bz2"}
OFFICE = re.compile(rb"\[Content_Types\]\.xml|mimetype")
PAGE = re.compile(r"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
TABLES = ("jsonl", "json", "csv", "parquet")
PEEKED_ROWS = 20
HEAD_BYTES = 65536
"""How much of a file is looked at."""


@dataclass(frozen=True, slots=True)
class Format:
    """How to read a file: `kind` is a reader's name, `encoding` that of text; `note` tells where the name says something else."""

    kind: str = "text"
    encoding: str = ""
    note: str = ""


def suffix_of(name: str) -> str:
    """The ending that tells the format, in small letters, that of compression left out.

    >>> suffix_of("a.JSONL.gz"), suffix_of("b.tgz"), suffix_of("README")
    ('.jsonl', '.tar', '')
    """
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        last = COMPRESSED[suffixes.pop()]
        if last == ".tar":
            return last
    return suffixes[-1] if suffixes else ""


def named_kind(name: str) -> str:
    """The format that a name promises; text where it promises nothing."""
    suffix = suffix_of(name)
    return "unsupported" if suffix in UNSUPPORTED else BY_NAME.get(suffix, "text")


def find_format(name: str, head: bytes) -> Format:
    """The format of a file with this name and beginning; an empty file is an empty text whatever its name."""
    named = named_kind(name)
    if not head:
        return Format("text", "utf-8")
    signed = _signed(head, named)
    if signed:
        differs = signed != named and signed not in ("packed", "unsupported")
        return Format(signed, note=f"named {suffix_of(name) or 'without an ending'}, holds {signed}" if differs else "")
    if words := binary_kind(head):
        return Format("binary", note=words)
    if named == "unsupported":
        return Format("unsupported")
    if named in ("pdf", "parquet", "warc", "zip", "tar"):
        return Format("wrong", note=f"named {suffix_of(name)}, but begins like text")
    return _text_format(name, named, head)


def _signed(head: bytes, named: str) -> str:
    """The format that the signature says; empty without one."""
    if any(head.startswith(magic) for magic in PACKED):
        return "packed"
    if head[257:262] == b"ustar" or (named == "tar" and _is_old_tar(head)):
        return "tar"
    kind = next((kind for magic, kind in SIGNATURES.items() if head.startswith(magic)), "")
    return "unsupported" if kind == "zip" and (named == "unsupported" or OFFICE.match(head, 30)) else kind


def _is_old_tar(head: bytes) -> bool:
    """Whether a tar header without the word ustar begins here: its checksum is in octal digits at byte 148."""
    return len(head) >= 512 and bool(re.fullmatch(rb"[0-7 \0]{8}", head[148:156]))


def _text_format(name: str, named: str, head: bytes) -> Format:
    encoding = encoding_of(head)
    text = head.decode(encoding, "ignore").lstrip("\ufeff")
    kind, note = named, ""
    if named in ("jsonl", "json"):
        kind = _json_kind(text, named)
        if kind == "wrong":
            note = f"named {suffix_of(name)}, but holds plain text"
        elif kind != named:
            note = f"named {suffix_of(name)}, holds {kind}"
    elif named == "html" and "<" not in text:
        kind, note = "text", f"named {suffix_of(name)}, holds text"
    elif suffix_of(name) in ("", ".txt") and PAGE.match(text):
        kind, note = "html", f"named {suffix_of(name) or 'without an ending'}, holds html"
    return Format(kind, encoding, note)


def _json_kind(text: str, named: str) -> str:
    """JSON lines, one JSON value over many lines, or neither."""
    rows = [row for row in text.split("\n")[: PEEKED_ROWS + 1] if row.strip()]
    if not rows:
        return named
    if _is_open_array(rows[0]):
        return "json"
    if any(isinstance(value, dict) for value in _values(rows)):
        alone = len(rows) == 1 and named == "json"  # one object in one line is one value as well as one row
        return "json" if alone else "jsonl"
    begin = text.lstrip()[:1]
    if begin not in ("{", "["):
        whole_rows = len(rows) > 1 or len(text.encode("utf-8", "replace")) < HEAD_BYTES  # else one endless row, which its reader refuses
        return "wrong" if whole_rows else named
    return named


def _values(rows: list[str]) -> Iterator[object]:
    for row in rows:
        try:
            yield json.loads(row)
        except (ValueError, RecursionError):
            continue


def _is_open_array(row: str) -> bool:
    """Whether a line opens an array of objects, as the first line of a JSON file does, and never a row that is merely broken."""
    return bool(re.match(r"\s*\[\s*(\{|$)", row))
