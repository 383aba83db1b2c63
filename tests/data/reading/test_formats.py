import pytest

from hanmo.data.reading.formats import HEAD_BYTES, find_format, named_kind, suffix_of

TAR = b"a.txt".ljust(257, b"\0") + b"ustar\x0000".ljust(255, b"\0")
OLD_TAR = b"a.txt".ljust(148, b"\0") + b"005012\0 ".ljust(364, b"\0")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text"),
        ("a.py", "text"),
        ("README", "text"),
        ("A.JSONL.GZ", "jsonl"),
        ("a.ndjson.zst", "jsonl"),
        ("a.tsv", "csv"),
        ("a.tar.xz", "tar"),
        ("a.tgz", "tar"),
        ("a.warc.gz", "warc"),
        ("a.xhtml", "html"),
        ("a.docx", "office"),
        ("a.xlsx", "unsupported"),
        ("a.epub.gz", "epub"),
        ("a.ipynb", "notebook"),
        ("a.SRT", "subtitles"),
        ("a.gz", "text"),
        ("log.jsonl.1", "jsonl"),
        ("log.jsonl.2.gz", "jsonl"),
        ("rows.csv.2024", "csv"),
        ("index.html?id=3", "html"),
        ("index.html?v=1.2", "html"),
        ("is it true?.txt", "text"),
        ("chapter.1", "text"),
        ("part-00000", "text"),
    ],
)
def test_a_name_promises_a_format(name: str, kind: str) -> None:
    assert named_kind(name) == kind


def test_the_ending_counts_without_that_of_compression() -> None:
    assert [suffix_of(name) for name in ("a.b.csv.bz2", ".hidden", "x.tar.gz", "中.文.txt")] == [".csv", "", ".tar", ".txt"]


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.html", b"%PDF-1.4 ...", "pdf"),
        ("a.txt", b"PK\x03\x04....", "zip"),
        ("a.txt", b"PK\x05\x06" + b"\0" * 18, "zip"),
        ("a.epub", b"PK\x03\x04....", "epub"),
        ("a.xlsx", b"PK\x03\x04....", "office"),
        ("a.zip", b"PK\x03\x04" + b"\0" * 26 + b"mimetypeapplication/epub+zip", "epub"),
        ("a.bin", b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml", "office"),
        ("old", b"filedesc://x.arc 0.0.0.0 19970101000000 text/plain 1\n", "warc"),
        ("a.bin", b"PAR1....", "parquet"),
        ("a.txt", b"WARC/1.0\r\n", "warc"),
        ("a.txt", TAR, "tar"),
        ("a.tar", OLD_TAR, "tar"),
        ("a.tar", b"words " * 200, "wrong"),
        ("a.txt", b"\x1f\x8b\x08", "packed"),
        ("a.txt", b"\x89PNG", "binary"),
        ("a.doc", b"\xd0\xcf\x11\xe0", "binary"),
        ("a.html", "<p>一段</p>".encode(), "html"),
        ("a.htm", b"words only", "text"),
        ("page", b"<!-- saved --><HTML><p>x</p>", "html"),
        ("a.php", b"<html><?php echo 1 ?>", "text"),
        ("a.md", b"<html> is a tag", "text"),
        ("a.json", b'{"text": "x"}', "json"),
        ("a.json", b'[{"text": "x"}]', "json"),
        ("a.json", b'{"text": "x"}\n{"text": "y"}\n', "jsonl"),
        ("a.json", b'{\n "text": "x"\n}', "json"),
        ("a.json", b"words", "wrong"),
        ("a.jsonl", b'{"text": "x"}\n', "jsonl"),
        ("a.jsonl", b'[\n {"text": "x"}\n]', "json"),
        ("a.jsonl", b"{broken\n{broken\n", "jsonl"),
        ("a.jsonl", b"words\nwords\n", "wrong"),
        ("a.jsonl", b"x" * HEAD_BYTES, "jsonl"),
        ("a.jsonl", b" \n", "jsonl"),
        ("a.csv", b"text\nx\n", "csv"),
        ("a.pdf", b"words", "wrong"),
        ("a.zip", b"", "text"),
        ("a.docx", b"words", "wrong"),
        ("a.csv", b"<!DOCTYPE html><p>404</p>", "wrong"),
        ("a.doc", b"{\\rtf1 words}", "recognised"),
        ("a.xls", b"<html><table>", "html"),
        ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\nwords\n", "subtitles"),
        ("a.srt", b"words only", "text"),
        ("a.ipynb", b'{"cells": []}', "notebook"),
        ("a.ipynb", b"words", "wrong"),
        ("a.json", b'{"cells": [{"cell_type": "code"}], "nbformat": 4}', "notebook"),
    ],
)
def test_the_first_bytes_tell_the_format(name: str, head: bytes, kind: str) -> None:
    assert find_format(name, head).kind == kind


def test_a_note_says_where_the_name_promised_something_else() -> None:
    assert find_format("a.html", b"%PDF-1.4").note == "named .html, holds pdf"
    assert find_format("letter", b"%PDF-1.4").note == "named without an ending, holds pdf"
    assert find_format("a.jsonl", b"words\nwords\n").note == "named .jsonl, but holds plain text"
    assert find_format("a.xls", b"<html><table>").note == "named .xls, holds html"
    notes = [find_format(name, b'{"text": "x"}').note for name in ("a.jsonl", "a.json", "a.jsonl.1", "a.txt", "part-00000")]
    assert notes == ["", "", "", "named .txt, holds jsonl", "named without an ending, holds jsonl"]


ROW = b'{"text": "' + b"x" * 40 + b'"}\n'
LONG_ROW = b'{"text": "' + b"x" * 2 * HEAD_BYTES
PAGE = b"<!DOCTYPE html>\n<html><body><p>words</p>"
CUES = b"1\n00:00:01,000 --> 00:00:02,000\nwords\n\n2\n"
PROMISE_NOTHING = ("part-00000", "a.txt", "a.jsonl-20240101", "a.dat", "LICENSE")


@pytest.mark.parametrize("name", PROMISE_NOTHING)
@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (ROW * 3, "jsonl"),
        (b"\xef\xbb\xbf" + ROW * 3, "jsonl"),
        (ROW, "jsonl"),
        ((b'{"text": "cut\n' + ROW * 4), "jsonl"),
        (LONG_ROW[:HEAD_BYTES], "jsonl"),
        ((ROW + LONG_ROW)[:HEAD_BYTES], "jsonl"),
        (b'[{"text": "x"},\n {"text": "y"}]', "json"),
        (b'{\n  "text": "x",\n  "id": 1\n}', "json"),
        (b'{\n "cells": [\n  {\n   "cell_type": "markdown",', "notebook"),
        (PAGE, "html"),
        (b"<?xml version='1.0'?><!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0'><html>", "html"),
        (CUES, "subtitles"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nwords", "subtitles"),
        (b"[Script Info]\nTitle: x\n", "subtitles"),
        (b"{\\rtf1\\ansi words}", "recognised"),
        (b"<?xml version='1.0'?><feed><entry/></feed>", "recognised"),
        (b"%!PS-Adobe-3.0\n", "recognised"),
        (b"words and words", "text"),
        (b"{a set} of words", "text"),
        (b"[1] A. Uthor, a title.\n[2] ...", "text"),
        (b'{"a": 1} is an object, and this a sentence.', "text"),
        (b"[]", "text"),
        (b'"quoted"\n"words"', "text"),
        (b'<doc id="1" title="x">\nwords\n</doc>', "text"),
        (b"1\nThe first chapter\n\n", "text"),
        (b"WEBVTT is a format for subtitles.", "text"),
    ],
)
def test_the_first_bytes_decide_where_a_name_promises_nothing(name: str, head: bytes, kind: str) -> None:
    assert find_format(name, head).kind == kind


@pytest.mark.parametrize("name", ["a.md", "a.py", "a.vue", "a.yaml"])
def test_a_name_that_promises_words_or_a_program_keeps_its_examples(name: str) -> None:
    assert {find_format(name, head).kind for head in (ROW, PAGE, CUES, b"<?xml version='1.0'?><a/>")} == {"text"}


@pytest.mark.parametrize("name", ["index.php", "view.aspx", "show.jsp", "read.cgi?id=3"])
def test_a_page_under_the_name_of_a_program_is_a_page_and_a_program_is_text(name: str) -> None:
    assert find_format(name, PAGE).kind == find_format(name, b"<div>a part</div>").kind == "html"
    assert find_format(name, b"<?php echo 1;").kind == find_format(name, PAGE + b"<?php echo 1; ?>").kind == "text"
    assert find_format(name, b"<html><% Response.Write(1) %>").kind == find_format(name, b"words").kind == "text"


def test_the_encoding_comes_with_the_format_of_text() -> None:
    assert find_format("a.txt", "一行字，读得懂的中文。".encode("gb18030")).encoding == "gb18030"
    assert find_format("a.csv", "text\n一行字\n".encode("utf-16")).encoding == "utf-16-le"
    assert find_format("a.json", '[{"text": "一行字，读得懂的中文。"}]'.encode("gb18030")).kind == "json"
