import gzip
import json
from pathlib import Path

import pytest

from hanmo.base.errors import DataError
from hanmo.data.prepare import prepare
from hanmo.data.reading.items import Item, read_items
from hanmo.data.tables import Table, TableWriter

ROW = {"question": "哪条河最长？", "choices": ["长江", "黄河"], "answer": 0, "context": {"title": "河流"}}
TEXTS = {":question": "哪条河最长？", ":choices:0": "长江", ":choices:1": "黄河", ":context:title": "河流"}


def items(path: Path) -> dict[str, str]:
    return {item.name: item.text for item in read_items(path)}


def test_every_text_in_a_row_is_an_item_however_deep(tmp_path: Path) -> None:
    line = json.dumps(ROW, ensure_ascii=False)
    (tmp_path / "a.jsonl").write_text(f"\n{line}\n", "utf-8")
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
        writer.write(Table.of([{"text": "uno", "note": None}, {"text": "dos", "note": "n"}], {"text": "text", "note": "text"}))
    assert items(tmp_path / "a.parquet") == {"a.parquet#1:text": "uno", "a.parquet#2:text": "dos", "a.parquet#2:note": "n"}
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "packed"}'))
    assert items(tmp_path / "b.jsonl.gz") == {"b.jsonl.gz#1:text": "packed"}
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "t.txt").write_text("A letter lay on the table all winter.")
    prepare([tmp_path / "in"], tmp_path / "data")
    assert list(items(tmp_path / "data").values()) == ["A letter lay on the table all winter."]
    assert set(items(tmp_path / "in")) == {"in/t.txt"}


def test_a_text_file_is_one_item_whose_lines_have_names(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo")
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
        writer.write(Table.of([{"text": "河岸上的灯"}], {"text": "text"}))
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
