import bz2
import codecs
import gzip
import io
import json
import lzma
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError, DataError
from hanmo.data.inputs import InputFile, Refused, Text, Unit
from hanmo.data.read import ReadConfig, kind_of, lines, read_dataset, read_texts, read_unit

CHINESE = "山下有一条小河，河边住着一位老人。"
ENGLISH = "An old man lived beside the river."


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
        stream.close()
    return sink.getvalue().to_pybytes()


def read(path: Path, **settings) -> list[Text | Refused]:
    return list(read_unit(Unit(file=InputFile(path=path, label=path.name), kind=kind_of(path)), ReadConfig(**settings)))


def put(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rules(entries: list[Text | Refused]) -> list[str]:
    return [entry.rule if isinstance(entry, Refused) else "" for entry in entries]


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.py", "README", "a.txt.bak"])
def test_plain_and_code_files_are_one_text_each(tmp_path: Path, name: str) -> None:
    assert read(put(tmp_path / name, CHINESE + "\n")) == [Text(source=name, text=CHINESE + "\n")]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, zstd], ids=["gz", "xz", "bz2", "zst"])
@pytest.mark.parametrize("name", ["a.txt.gz", "wrong.txt"])
def test_compression_is_known_by_content(tmp_path: Path, pack, name: str) -> None:
    rows = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in (CHINESE, ENGLISH)).encode()
    assert read(put(tmp_path / name, pack(CHINESE.encode())))[0] == Text(source=name, text=CHINESE)
    assert [e.text for e in read(put(tmp_path / "r.jsonl.zst", pack(rows))) if isinstance(e, Text)] == [CHINESE, ENGLISH]


def test_two_zstandard_frames_are_one_file(tmp_path: Path) -> None:
    assert read(put(tmp_path / "a.zst", zstd(b"one ") + zstd(b"two")))[0] == Text(source="a.zst", text="one two")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_believed(tmp_path: Path, encoding: str) -> None:
    assert read(put(tmp_path / "a.txt", CHINESE.encode(encoding))) == [Text(source="a.txt", text=CHINESE)]


def test_a_page_gives_its_article_and_an_empty_page_a_receipt(tmp_path: Path) -> None:
    page = f"<html><body><article>{''.join(f'<p>{CHINESE}{n}</p>' for n in range(20))}</article></body></html>"
    entry = read(put(tmp_path / "a.html", page))[0]
    assert isinstance(entry, Text) and CHINESE in entry.text and "<p>" not in entry.text
    assert rules(read(put(tmp_path / "b.htm", "<html></html>"))) == ["no_text"]


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n....", "binary"),
        ("a.txt", b"text\x00more", "binary"),
        ("a.txt", "好".encode("gb18030"), "undecodable"),
        ("a.txt", b"fine until \xff\xfe", "undecodable"),
        ("a.json", b"[]", "unsupported"),
        ("a.pdf", b"%PDF-1.7", "unsupported"),
        ("a.txt.gz", gzip.compress(CHINESE.encode() * 100, mtime=0)[:-20], "unreadable"),
        ("a.txt.xz", lzma.compress(CHINESE.encode() * 100)[:-20], "unreadable"),
        ("a.txt.zst", zstd(CHINESE.encode() * 100)[:-5], "unreadable"),
        ("a.parquet", b"PAR1 no table PAR1", "unreadable"),
        ("a.txt", b"x" * 1001, "max_bytes"),
        ("a.txt.gz", gzip.compress(b"x" * 1001, mtime=0), "max_bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_what_gives_no_text_has_one_receipt(tmp_path: Path, name: str, content: bytes, rule: str) -> None:
    entries = read(put(tmp_path / name, content), max_bytes=1000)
    assert rules(entries) == [rule]
    assert isinstance(entries[0], Refused) and "\n" not in entries[0].detail


def test_an_empty_file_is_an_empty_text(tmp_path: Path) -> None:
    assert read(put(tmp_path / "a.txt", b"")) == [Text(source="a.txt", text="")]


def test_each_row_of_json_lines_is_a_document_or_a_receipt(tmp_path: Path) -> None:
    rows = [
        b'\xef\xbb\xbf{"text": "one", "year": 1999, "note": null}',
        b"",
        b"{broken",
        b"[1, 2]",
        b'{"content": "x"}',
        b'{"text": 5}',
        b'{"text": "\xff"}',
        b'{"text": "\\ud800 lone"}',
        b"[" * 100_000,
        b'{"text": "' + b"y" * 200_000 + b'"}',
        b'{"text": "last"}',
    ]
    entries = read(put(tmp_path / "a.jsonl", b"\n".join(rows)), keep_columns=("year", "note"), max_bytes=150_000)
    assert rules(entries) == ["", "malformed", "malformed", "no_column", "not_text", "undecodable", "", "malformed", "max_bytes", ""]
    assert entries[0] == Text(source="a.jsonl#1", text="one", metadata={"year": "1999"})
    assert [entry.source for entry in entries[-2:]] == ["a.jsonl#10", "a.jsonl#11"]
    assert "content" in str(entries[3])
    assert isinstance(entries[8], Refused) and entries[8].value == 200_013


def test_parquet_rows_are_documents_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"body": [CHINESE, None, ENGLISH, "z" * 300], "lang": ["zh", "zh", "en", "en"], "other": [1, 2, 3, 4]})
    pq.write_table(table, path, row_group_size=2)
    entries = read(path, text_column="body", keep_columns=("lang",), max_bytes=200)
    assert rules(entries) == ["", "not_text", "", "max_bytes"]
    assert entries[0] == Text(source="a.parquet#1", text=CHINESE, metadata={"lang": "zh"})
    part = Unit(file=InputFile(path=path, label="a"), kind="parquet", start=1, stop=2, first_row=3)
    assert [entry.source for entry in read_unit(part, ReadConfig(text_column="body"))] == ["a#3", "a#4"]


@pytest.mark.parametrize(
    ("split_on", "text", "parts"),
    [
        ("line", "one\n\n  two \r\nthree", ["one", "two", "three"]),
        ("heading", "# A\nx\n## B\n#tag\ny\n", ["# A\nx\n", "## B\n#tag\ny\n"]),
        ("heading", "preface\n# A\nx", ["preface\n", "# A\nx"]),
        ("chapter", "序\n第一回 出山\n甲\n　　第十二章　归来\n乙第三回\n", ["序\n", "第一回 出山\n甲\n", "　　第十二章　归来\n乙第三回\n"]),
        ("chapter", "CHAPTER I\na\nChapter 2. On\nb\nchapters end\n", ["CHAPTER I\na\n", "Chapter 2. On\nb\nchapters end\n"]),
        ("chapter", "no chapter at all", ["no chapter at all"]),
    ],
)
def test_a_long_file_can_be_cut_into_documents(tmp_path: Path, split_on: str, text: str, parts: list[str]) -> None:
    entries = read(put(tmp_path / "a.txt", text), split_on=split_on)
    assert [entry.text for entry in entries if isinstance(entry, Text)] == parts


def test_a_part_too_long_or_broken_does_not_hide_the_others(tmp_path: Path) -> None:
    path = put(tmp_path / "a.txt", b"# A\nfine\n# B\n" + b"x" * 500 + b"\n# C\n\xff\n# D\nfine\n# E\n" + b"word\n" * 100)
    entries = read(path, split_on="heading", max_bytes=100)
    assert rules(entries) == ["", "max_bytes", "undecodable", "", "max_bytes"]
    assert rules(read(path, split_on="line", max_bytes=100)).count("max_bytes") == 1


@pytest.mark.parametrize(("content", "rule"), [(b"\x89PNG\n", "binary"), (codecs.BOM_UTF16_LE + "a\nb".encode("utf-16-le"), "undecodable")])
def test_what_cannot_be_cut_has_one_receipt(tmp_path: Path, content: bytes, rule: str) -> None:
    assert rules(read(put(tmp_path / "a.txt", content), split_on="line")) == [rule]


@pytest.mark.parametrize("ending", ["txt", "txt.zst", "jsonl", "parquet"])
def test_a_file_name_that_is_no_utf8_is_read_all_the_same(tmp_path: Path, ending: str) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9t\xe9." + ending.encode()))
    row = json.dumps({"text": ENGLISH}).encode()
    if ending == "parquet":
        pq.write_table(pa.table({"text": [ENGLISH]}), tmp_path / "t")
        (tmp_path / "t").rename(path)
    else:
        put(path, {"txt": ENGLISH.encode(), "txt.zst": zstd(ENGLISH.encode()), "jsonl": row}[ending])
    unit = Unit(file=InputFile(path=path, label="x"), kind=kind_of(path))
    assert [entry.text for entry in read_unit(unit, ReadConfig()) if isinstance(entry, Text)] == [ENGLISH]


@given(st.lists(st.binary(max_size=12)), st.integers(1, 10))
def test_lines_within_the_limit_come_whole_and_the_lengths_add_up(pieces: list[bytes], limit: int) -> None:
    content = b"\n".join(pieces)
    found = list(lines(io.BytesIO(content), limit))
    assert sum(length for _, length in found) == len(content)
    wanted = (
        [line if len(line.rstrip(b"\n")) <= limit else None for line in content.splitlines(keepends=True)] if b"\r" not in content else None
    )
    if wanted is not None and not set(content) & set(b"\x0b\x0c\x1c\x1d\x1e\x85"):
        assert [line for line, _ in found] == wanted


def test_a_very_long_line_is_read_past_without_being_held(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as stream:
        for _ in range(200):
            stream.write(b"x" * 1_000_000)
        stream.write(b'\n{"text": "after it"}\n')
    entries = read(path)
    assert rules(entries) == ["max_bytes", ""]
    assert isinstance(entries[0], Refused) and entries[0].value == 200_000_001


def test_bare_files_and_folders_are_read_unchanged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    put(folder / "b.txt", "second \r\n")
    put(folder / "a.jsonl", '{"text": "first"}\n')
    put(folder / "c.txt", b"\xff")
    put(folder / ".hidden", "no")
    assert [(d.source, d.text) for d in read_texts(folder)] == [("texts/a.jsonl#1", "first"), ("texts/b.txt", "second \r\n")]
    assert "left out texts/c.txt: undecodable" in capsys.readouterr().err
    assert next(read_texts(folder / "b.txt")).id == next(read_texts(folder / "b.txt")).id


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gives no text"):
        list(read_texts(put(tmp_path / "a.txt", " \n")))


def test_a_folder_that_is_no_data_set_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="hanmo prepare"):
        read_dataset(tmp_path, "train")
    with pytest.raises(DataError, match="unknown split 'dev'"):
        read_dataset(tmp_path, "dev")


def test_the_limit_has_to_be_positive() -> None:
    with pytest.raises(ConfigError, match=r"read\.max_bytes \(=0\)"):
        ReadConfig(max_bytes=0)
