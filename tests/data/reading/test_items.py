import gzip
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanmo.base.errors import DataError
from hanmo.data.prepare import prepare
from hanmo.data.reading.inputs import Refused
from hanmo.data.reading.items import Item, read_items
from hanmo.data.tables import ArrowTable, TableWriter

ROW = {"question": "哪条河最长？", "choices": ["长江", "黄河"], "answer": 0, "context": {"title": "河流"}}
TEXTS = {":question": "哪条河最长？", ":choices:0": "长江", ":choices:1": "黄河", ":context:title": "河流"}


def items(path: Path) -> dict[str, str]:
    return {item.name: item.text for item in read_items(path)}


def test_every_text_in_a_row_is_an_item_however_deep(tmp_path: Path) -> None:
    line = json.dumps(ROW, ensure_ascii=False)
    (tmp_path / "a.jsonl").write_text(f"\n\ufeff{line}\n", "utf-8")
    assert items(tmp_path / "a.jsonl") == {f"a.jsonl#2{name}": text for name, text in TEXTS.items()}
    (tmp_path / "b.json").write_text(f"[{line}]", "utf-8")
    assert items(tmp_path / "b.json") == {f"b.json#1{name}": text for name, text in TEXTS.items()}
    (tmp_path / "c.json").write_text(f'{{"data": {line}}}', "utf-8")
    assert items(tmp_path / "c.json") == {f"c.json:data{name}": text for name, text in TEXTS.items()}
    (tmp_path / "d.json").write_text(f"{line}\n{line}\n", "utf-8")
    assert len(items(tmp_path / "d.json")) == 8


def test_cells_are_items_the_first_row_too(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label\n"one, ""two""\nthree",x\n')
    assert items(tmp_path / "a.csv") == {
        "a.csv#1:1": "text",
        "a.csv#1:2": "label",
        "a.csv#2:1": 'one, "two"\nthree',
        "a.csv#2:2": "x",
    }
    (tmp_path / "a.tsv").write_text('1\t"open quote\n0\tplain, with comma\n')
    assert items(tmp_path / "a.tsv")["a.tsv#1:2"] == '"open quote' and items(tmp_path / "a.tsv")["a.tsv#2:2"] == "plain, with comma"


def test_parquet_packed_files_and_data_sets_are_read(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "a.parquet", {"text": "text", "note": "text"}) as writer:
        writer.write(ArrowTable.of([{"text": "uno", "note": None}, {"text": "dos", "note": "n"}], {"text": "text", "note": "text"}))
    assert items(tmp_path / "a.parquet") == {"a.parquet#1:text": "uno", "a.parquet#2:text": "dos", "a.parquet#2:note": "n"}
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "packed"}'))
    assert items(tmp_path / "b.jsonl.gz") == {"b.jsonl.gz#1:text": "packed"}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "t.txt").write_text("A letter lay on the table all winter.")
    prepare([tmp_path / "in"], tmp_path / "data")
    assert list(items(tmp_path / "data").values()) == ["A letter lay on the table all winter."]
    assert set(items(tmp_path / "in")) == {"in/t.txt"}


def test_a_text_file_is_one_item_whose_lines_have_names(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\rtwo")
    (item,) = read_items(tmp_path / "a.txt")
    assert item == Item("a.txt", "one\ntwo", by_line=True) and item.line_name(1) == "a.txt#2"
    assert Item("row", "text").line_name(1) == "row"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("a.json", b"{broken", "cannot be read"), ("a.txt", b"\xff\xfe\xfd", "cannot be read"), ("a.txt", b" \n", "gives no text")],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(read_items(tmp_path / name))
    with pytest.raises(DataError, match="does not exist"):
        list(read_items(tmp_path / "nothing"))


def test_files_behind_a_url_are_read_like_files_here(tmp_path: Path) -> None:
    system = pytest.importorskip("fsspec").filesystem("memory")
    (tmp_path / "exam").mkdir()
    with TableWriter(tmp_path / "exam" / "b.parquet", {"text": "text"}) as writer:
        writer.write(ArrowTable.of([{"text": "河岸上的灯"}], {"text": "text"}))
    (tmp_path / "exam" / "a.tsv").write_text("one\ttwo\n")
    for path in (tmp_path / "exam").iterdir():
        system.pipe_file(f"/items/exam/{path.name}", path.read_bytes())
    assert {item.name: item.text for item in read_items("memory://items/exam")} == items(tmp_path / "exam")
    with pytest.raises(DataError, match="memory://items/nothing does not exist"):
        list(read_items("memory://items/nothing"))
    system.pipe_file("/items/exam/manifest.json", b"{}")
    system.pipe_file("/items/exam/documents/train-00000.parquet", b"")
    with pytest.raises(DataError, match="a data set of ours behind a URL"):
        list(read_items("memory://items/exam"))
    system.rm("/items", recursive=True)


def test_what_is_broken_is_named_and_everything_else_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "exam"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"q": "one"}\n{broken\n{"q": "two"}\n')
    (folder / "b.json").write_text('[{"q": "three"}, {broken}, {"q": "four"}]')
    (folder / "c.csv").write_text('q\rfive\r"never closed\rsix\r')
    (folder / "d.txt").write_bytes(b"\xff\xfe\xfd")
    odd = {
        "q": pa.array(["seven"], pa.string()),
        "t": pa.array([1001], pa.timestamp("ns")),
        "m": pa.array([[("k", "eight"), ("k", "nine")]], pa.map_(pa.string(), pa.string())),
        "b": pa.array([b"ten\xff"], pa.binary()).view(pa.string()),
    }
    pq.write_table(pa.table(odd), folder / "e.parquet")
    (folder / "f.parquet").write_bytes(b"PAR1" + bytes(100))
    (folder / "g.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    (folder / "h.zip").write_bytes(b"PK\x03\x04 cut off")
    unread: list[Refused] = []
    found = {item.name: item.text for item in read_items(folder, unread.append)}
    assert list(found.items()) == [
        ("exam/a.jsonl#1:q", "one"),
        ("exam/a.jsonl#3:q", "two"),
        ("exam/b.json#1:q", "three"),
        ("exam/b.json#3:q", "four"),
        ("exam/c.csv#1:1", "q"),
        ("exam/c.csv#2:1", "five"),
        ("exam/c.csv#4:1", "six"),
        ("exam/e.parquet#1:q", "seven"),
        ("exam/e.parquet#1:t", "1970-01-01 00:00:00.000001001"),
        ("exam/e.parquet#1:m:0:0", "k"),
        ("exam/e.parquet#1:m:0:1", "eight"),
        ("exam/e.parquet#1:m:1:0", "k"),
        ("exam/e.parquet#1:m:1:1", "nine"),
        ("exam/e.parquet#1:b", "ten\ufffd"),
    ]
    assert [(entry.source, entry.rule) for entry in unread] == [
        ("exam/a.jsonl#2", "malformed"),
        ("exam/b.json#2", "malformed"),
        ("exam/c.csv#3", "malformed"),
        ("exam/d.txt", "undecodable"),
        ("exam/f.parquet", "unreadable"),
        ("exam/g.png", "binary"),
        ("exam/h.zip", "unreadable"),
    ]


def test_what_nobody_collects_is_told_and_pages_and_archives_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"q": "one"}\n{broken\n')
    with zipfile.ZipFile(tmp_path / "in" / "b.zip", "w") as archive:
        archive.writestr("c.txt", "two")
    assert items(tmp_path / "in") == {"in/a.jsonl#1:q": "one", "in/b.zip/c.txt": "two"}
    assert "not read: in/a.jsonl#2: malformed (Expecting" in capsys.readouterr().err
