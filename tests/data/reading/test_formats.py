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
        ("a.docx", "unsupported"),
        ("a.gz", "text"),
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
        ("a.epub", b"PK\x03\x04....", "unsupported"),
        ("a.zip", b"PK\x03\x04" + b"\0" * 26 + b"mimetypeapplication/epub+zip", "unsupported"),
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
    ],
)
def test_the_first_bytes_tell_the_format(name: str, head: bytes, kind: str) -> None:
    assert find_format(name, head).kind == kind


def test_a_note_says_where_the_name_promised_something_else() -> None:
    assert find_format("a.html", b"%PDF-1.4").note == "named .html, holds pdf"
    assert find_format("letter", b"%PDF-1.4").note == "named without an ending, holds pdf"
    assert find_format("a.jsonl", b"words\nwords\n").note == "named .jsonl, but holds plain text"
    assert [find_format(name, b'{"text": "x"}').note for name in ("a.jsonl", "a.json", "a.txt")] == ["", "", ""]


def test_the_encoding_comes_with_the_format_of_text() -> None:
    assert find_format("a.txt", "一行字，读得懂的中文。".encode("gb18030")).encoding == "gb18030"
    assert find_format("a.csv", "text\n一行字\n".encode("utf-16")).encoding == "utf-16-le"
    assert find_format("a.json", '[{"text": "一行字，读得懂的中文。"}]'.encode("gb18030")).kind == "json"
