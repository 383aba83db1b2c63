import bz2
import gzip
import io
import json
import lzma
import os
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanmo.base.errors import DataError
from hanmo.data.reading.contents import Content, ReadConfig
from hanmo.data.reading.formats import Format
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.read import READERS, format_of, read_dataset, read_texts, read_unit

CHINESE = "山下有一条小河，河边住着一位老人。"
ENGLISH = "An old man lived beside the river."


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
        stream.close()
    return sink.getvalue().to_pybytes()


def read(path: Path, **settings) -> list[Text | Refused]:
    file, config = InputFile(path=path, label=path.name), ReadConfig(**settings)
    return list(read_unit(Unit(file=file, format=format_of(file, config)), config))


def texts(entries: list[Text | Refused]) -> list[tuple[str, str]]:
    return [(entry.source, entry.text) for entry in entries if isinstance(entry, Text)]


def put(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rules(entries: list[Text | Refused]) -> list[str]:
    return [entry.rule if isinstance(entry, Refused) else "" for entry in entries]


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.py", "README", "a.txt.bak"])
def test_plain_and_code_files_are_one_text_each(tmp_path: Path, name: str) -> None:
    assert read(put(tmp_path / name, CHINESE + "\n")) == [Text(source=name, text=CHINESE + "\n", format="text", encoding="utf-8")]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, zstd], ids=["gz", "xz", "bz2", "zst"])
@pytest.mark.parametrize("name", ["a.txt.gz", "wrong.txt"])
def test_compression_is_known_by_content(tmp_path: Path, pack, name: str) -> None:
    rows = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in (CHINESE, ENGLISH)).encode()
    assert texts(read(put(tmp_path / name, pack(CHINESE.encode())))) == [(name, CHINESE)]
    assert [text for _, text in texts(read(put(tmp_path / "r.jsonl.zst", pack(rows))))] == [CHINESE, ENGLISH]


def test_two_zstandard_frames_are_one_file(tmp_path: Path) -> None:
    assert texts(read(put(tmp_path / "a.zst", zstd(b"one ") + zstd(b"two")))) == [("a.zst", "one two")]


ENCODINGS = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le", "gb18030": "gb18030", "utf-16-be": "utf-16-be"}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("split_on", ["none", "line", "heading"])
def test_the_encoding_is_found_and_told(tmp_path: Path, encoding: str, split_on: str) -> None:
    text = f"# 第一章\n{CHINESE}\n# 第二章\n{CHINESE}\n"
    found = read(put(tmp_path / "a.txt", text.encode(encoding)), split_on=split_on)
    assert "".join(entry.text for entry in found if isinstance(entry, Text)).replace("\n", "") == text.replace("\n", "")
    assert {entry.encoding for entry in found if isinstance(entry, Text)} == {ENCODINGS[encoding]}
    assert len(found) == {"none": 1, "line": 4, "heading": 2}[split_on]


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv"])
def test_tables_in_gbk_and_utf16_are_read(tmp_path: Path, ending: str) -> None:
    rows = [CHINESE, "又一行：" + CHINESE]
    content = {
        "jsonl": "\n".join(json.dumps({"text": row}, ensure_ascii=False) for row in rows),
        "json": json.dumps([{"text": row} for row in rows], ensure_ascii=False),
        "csv": "id,text\n" + "\n".join(f'{number},"{row}"' for number, row in enumerate(rows)),
    }[ending]
    for encoding in ("gb18030", "utf-16", "big5hkscs"):
        written = content if encoding != "big5hkscs" else content.replace("条", "條").replace("边", "邊").replace("着", "著")
        found = read(put(tmp_path / f"a.{ending}", written.encode(encoding)))
        assert [entry.source for entry in found] == [f"a.{ending}#1", f"a.{ending}#2"]
        assert [(e.text[-3:], e.encoding) for e in found if isinstance(e, Text)] == [
            ("老人。", encoding.replace("utf-16", "utf-16-le"))
        ] * 2


def test_rows_after_a_long_beginning_in_ascii_are_decoded_by_their_own_evidence(tmp_path: Path) -> None:
    rows = [json.dumps({"text": "plain words " * 20})] * 1000 + [json.dumps({"text": CHINESE}, ensure_ascii=False)]
    found = read(put(tmp_path / "a.jsonl", "\n".join(rows).encode("gb18030")))
    assert isinstance(found[-1], Text) and (found[-1].text, found[-1].encoding) == (CHINESE, "gb18030")


def test_a_byte_order_mark_at_the_beginning_of_any_line_costs_nothing(tmp_path: Path) -> None:
    row = "\ufeff" + json.dumps({"text": CHINESE}, ensure_ascii=False) + "\n"
    for content in ((row * 2).encode(), (row * 2).encode("utf-16-le")):
        assert [text for _, text in texts(read(put(tmp_path / "a.jsonl", content)))] == [CHINESE] * 2
    parts = texts(read(put(tmp_path / "b.txt", f"\ufeff# a\n{CHINESE}\n" * 2), split_on="heading"))
    assert [text for _, text in parts] == [f"# a\n{CHINESE}\n"] * 2


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
        ("a.txt", "爨".encode("gb18030"), "undecodable"),
        ("a.txt", b"fine until \xff\xfe", "undecodable"),
        ("a.txt", CHINESE.encode("gb18030")[:5] + CHINESE.encode()[:40], "undecodable"),
        ("a.txt", b"x" * 70_000 + b"\0", "binary"),
        ("a.docx", b"words", "wrong_format"),
        ("a.docx", b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml", "unreadable"),
        ("a.txt", b"PK\x03\x04" + b"\0" * 26 + b"[Content_Types].xml", "unreadable"),
        ("a.zip", b"PK\x03\x04 no zip", "unreadable"),
        ("a.pdf", b"%PDF-1.7 no pdf", "unreadable"),
        ("a.pdf", b"plain text", "wrong_format"),
        ("a.zip", b"plain text", "wrong_format"),
        ("a.parquet", b"plain text", "wrong_format"),
        ("a.warc", b"plain text", "wrong_format"),
        ("a.jsonl", b"plain text\nin lines\n", "wrong_format"),
        ("a.json", b"plain text", "wrong_format"),
        ("a.txt.gz", gzip.compress(gzip.compress(b"twice", mtime=0), mtime=0), "nested_archive"),
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
    entries = read(put(tmp_path / name, content), max_bytes=100_000 if rule in ("binary", "unreadable") else 1000)
    assert rules(entries) == [rule]
    assert isinstance(entries[0], Refused) and "\n" not in entries[0].detail


def test_an_empty_file_is_an_empty_text(tmp_path: Path) -> None:
    for name in ("a.txt", "a.zip", "a.parquet", "a.jsonl", "a.pdf"):
        assert texts(read(put(tmp_path / name, b""))) == [(name, "")]


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
    assert entries[0] == Text(source="a.jsonl#1", text="one", metadata={"year": "1999"}, format="jsonl", encoding="utf-8")
    assert [entry.source for entry in entries[-2:]] == ["a.jsonl#10", "a.jsonl#11"]
    assert "content" in str(entries[3])
    assert isinstance(entries[8], Refused) and entries[8].value == 200_013


def test_parquet_rows_are_documents_with_their_number(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"body": [CHINESE, None, ENGLISH, "z" * 300], "lang": ["zh", "zh", "en", "en"], "other": [1, 2, 3, 4]})
    pq.write_table(table, path, row_group_size=2)
    entries = read(path, text_column="body", keep_columns=("lang",), max_bytes=200)
    assert rules(entries) == ["", "not_text", "", "max_bytes"]
    assert entries[0] == Text(source="a.parquet#1", text=CHINESE, metadata={"lang": "zh"}, format="parquet")
    part = Unit(file=InputFile(path=path, label="a"), format=Format("parquet"), start=1, stop=2, first_row=3)
    assert [entry.source for entry in read_unit(part, ReadConfig(text_column="body"))] == ["a#3", "a#4"]


@pytest.mark.parametrize(
    ("split_on", "text", "parts"),
    [
        ("line", "one\n\n  two \r\nthree", ["one", "two", "three"]),
        ("heading", "# A\nx\n## B\n#tag\ny\n", ["# A\nx\n", "## B\n#tag\ny\n"]),
        ("heading", "preface\n# A\nx", ["preface\n", "# A\nx"]),
        ("chapter", "序\n第一回 出山\n甲\n　　第十二章　归来\n乙第三回\n", ["序\n", "第一回 出山\n甲\n", "　　第十二章　归来\n乙第三回\n"]),
        ("chapter", "CHAPTER I\na\nChapter 2. On\nb\nchapters end\n", ["CHAPTER I\na\n", "Chapter 2. On\nb\nchapters end\n"]),
        (
            "chapter",
            "第一章 雨\n第二集团军\n第三节课\n正文 第二章\n番外\n甲\n",
            ["第一章 雨\n第二集团军\n第三节课\n", "正文 第二章\n", "番外\n甲\n"],
        ),
        ("chapter", "Prologue\na\nChapter Two\nChapter two is dull.\n", ["Prologue\na\n", "Chapter Two\nChapter two is dull.\n"]),
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


def test_what_cannot_be_cut_has_one_receipt(tmp_path: Path) -> None:
    assert rules(read(put(tmp_path / "a.txt", b"\x89PNG\n"), split_on="line")) == ["binary"]


@pytest.mark.parametrize(
    ("name", "content", "kind", "text"),
    [
        ("a.html", "no tag here, only words", "text", "no tag here, only words"),
        ("a.txt", f"<!DOCTYPE html><html><body><article><p>{CHINESE * 9}</p></article></body></html>", "html", CHINESE * 9),
        ("a.jsonl", json.dumps([{"text": ENGLISH}], indent=1), "json", ENGLISH),
        ("a.json", json.dumps({"text": ENGLISH}) + "\n" + json.dumps({"text": ENGLISH}) + "\n", "jsonl", ENGLISH),
    ],
)
def test_the_content_wins_over_the_name_and_a_note_says_so(tmp_path: Path, name: str, content: str, kind: str, text: str) -> None:
    entry = read(put(tmp_path / name, content))[0]
    assert isinstance(entry, Text) and (entry.text, entry.format) == (text, kind)
    assert kind in entry.note and name[1:] in entry.note


@pytest.mark.parametrize("ending", ["txt", "txt.zst", "jsonl", "parquet"])
def test_a_file_name_that_is_no_utf8_is_read_all_the_same(tmp_path: Path, ending: str) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9t\xe9." + ending.encode()))
    row = json.dumps({"text": ENGLISH}).encode()
    if ending == "parquet":
        pq.write_table(pa.table({"text": [ENGLISH]}), tmp_path / "t")
        (tmp_path / "t").rename(path)
    else:
        put(path, {"txt": ENGLISH.encode(), "txt.zst": zstd(ENGLISH.encode()), "jsonl": row}[ending])
    file = InputFile(path=path, label="x")
    unit = Unit(file=file, format=format_of(file, ReadConfig()))
    assert [entry.text for entry in read_unit(unit, ReadConfig()) if isinstance(entry, Text)] == [ENGLISH]


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
    assert "left out texts/c.txt: undecodable (byte 0x" in capsys.readouterr().err
    assert next(read_texts(folder / "b.txt")).id == next(read_texts(folder / "b.txt")).id


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gives no text"):
        list(read_texts(put(tmp_path / "a.txt", " \n")))


def test_a_folder_that_is_no_data_set_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="hanmo prepare"):
        read_dataset(tmp_path, "train")
    with pytest.raises(DataError, match="unknown split 'dev'"):
        read_dataset(tmp_path, "dev")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", "\n \n"),
        ("a.json", "[]"),
        ("a.csv", "text,n\n"),
        ("a.csv", ""),
        ("a.jsonl", ""),
        ("a.jsonl.gz", gzip.compress(b"\n", mtime=0)),
        ("a.zip", b"PK\x05\x06" + bytes(18)),
        ("a.tar", bytes(10240)),
    ],
)
def test_a_file_without_any_text_has_its_refusal(tmp_path: Path, name: str, content: bytes | str) -> None:
    (entry,) = read(put(tmp_path / name, content))
    assert entry.source == name and (entry.rule == "empty" if isinstance(entry, Refused) else entry.text == "")


def test_a_table_without_rows_or_without_the_text_column_says_so_once(tmp_path: Path) -> None:
    pq.write_table(pa.table({"words": [ENGLISH, CHINESE], "n": [1, 2]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "b.parquet")
    (wrong,), (empty,) = read(tmp_path / "a.parquet"), read(tmp_path / "b.parquet")
    assert isinstance(wrong, Refused) and (wrong.rule, wrong.detail) == ("no_column", "columns found: words, n")
    assert isinstance(empty, Refused) and empty.rule == "empty"


def test_a_text_split_into_no_part_has_its_refusal(tmp_path: Path) -> None:
    for way in ("line", "heading"):
        assert rules(read(put(tmp_path / "a.md", "\n\n"), split_on=way)) == ["empty"]


class Surprise(Exception):
    """What no reader expects."""


def zip_of(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_a_surprise_in_a_reader_costs_the_rest_of_its_file_and_names_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(content: Content, config: ReadConfig):
        yield content.text("before", label=f"{content.label}#1")
        raise Surprise("nobody\nthought of this")

    monkeypatch.setitem(READERS, "csv", odd)
    path = put(tmp_path / "a.csv", "text\nx\n")
    kept, refused = read(path)
    assert isinstance(kept, Text) and isinstance(refused, Refused)
    assert (refused.source, refused.rule) == ("a.csv", "reader_fault")
    assert re.fullmatch(r"Surprise: nobody thought of this at \w+\.py:\d+, behind a\.csv#1", refused.detail)
    packed = put(tmp_path / "a.zip", zip_of({"one.csv": b"text\nx\n", "two.txt": ENGLISH.encode()}))
    assert [getattr(entry, "rule", "kept") for entry in read(packed)] == ["kept", "reader_fault", "kept"]


def test_a_surprise_in_a_row_costs_that_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(text: str) -> str:
        if text == "bad":
            raise Surprise(text)
        return text

    monkeypatch.setattr("hanmo.data.reading.rows.without_surrogates", odd)
    rows = "".join(json.dumps({"text": word, "more": word}) + "\n" for word in ("good", "bad", "fine"))
    entries = read(put(tmp_path / "a.jsonl", rows), keep_columns=("more",))
    assert [getattr(entry, "rule", "kept") for entry in entries] == ["kept", "reader_fault", "kept"]


@pytest.mark.parametrize(
    ("name", "content", "settings", "texts"),
    [
        ("a.csv", "id,text\r1,one\r2,two\r", {}, ["one", "two"]),
        ("a.jsonl", '{"text": "one"}\r{"text": "two"}\r', {}, ["one", "two"]),
        ("a.txt", "one\rtwo\rthree", {"split_on": "line"}, ["one", "two", "three"]),
        ("a.txt", "one\r\ntwo\rthree\nfour", {"split_on": "line"}, ["one", "two", "three", "four"]),
        ("a.txt", "# one\rwords\r# two\rmore", {"split_on": "heading"}, ["# one\nwords\n", "# two\nmore"]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_carriage_return_alone_ends_a_line(
    tmp_path: Path, name: str, content: str, settings: dict, texts: list[str], encoding: str
) -> None:
    entries = read(put(tmp_path / name, content.encode(encoding)), **settings)
    assert [entry.text if isinstance(entry, Text) else entry for entry in entries] == texts


def test_a_parquet_row_that_is_broken_costs_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    words = pa.array([b"one", b"\xff\xfe\xfa", "二".encode()], pa.binary()).view(pa.string())
    odd = {
        "when": pa.array([1001, 1, 2], pa.timestamp("ns")),
        "map": pa.array([[("k", "1"), ("k", "2")]] * 3, pa.map_(pa.string(), pa.string())),
    }
    pq.write_table(pa.table({"text": words, **odd}), path)
    first, broken, last = read(path, keep_columns=("when", "map"))
    assert isinstance(first, Text) and first.metadata == {"when": "1970-01-01 00:00:00.000001001", "map": "[('k', '1'), ('k', '2')]"}
    assert isinstance(broken, Refused) and (broken.source, broken.rule) == ("a.parquet#2", "undecodable")
    assert isinstance(last, Text) and last.text == "二"


def test_a_broken_row_group_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"row {number}" for number in range(1, 31)]}), path, row_group_size=10, compression="none")
    column = pq.read_metadata(path).row_group(1).column(0)
    data = bytearray(path.read_bytes())
    data[column.dictionary_page_offset : column.data_page_offset + 4] = bytes(column.data_page_offset + 4 - column.dictionary_page_offset)
    entries = read(put(path, bytes(data)))
    assert [entry.source for entry in entries] == [f"a.parquet#{number}" for number in (*range(1, 12), *range(21, 31))]
    assert isinstance(entries[10], Refused) and entries[10].rule == "unreadable" and entries[10].detail.startswith("10 rows from here on")
