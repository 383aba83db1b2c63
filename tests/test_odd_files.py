"""A folder of odd files, and pages in four kinds of bytes, go through `prepare`: it finishes, and every one has its receipt."""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.odd_files import ENGLISH, STORY, TRADITIONAL, article, make_folder, number, page

from hanmo.base.storage import sha256
from hanmo.data.prepare import PrepareConfig, prepare
from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.read import SPLITS, read_dataset


def receipts(out: Path) -> dict[str, dict]:
    rows = pq.read_table(out / "receipts.parquet").to_pylist()
    found = {row["source"].split("/", 1)[1]: row for row in rows}
    assert len(found) == len(rows) == len({row["id"] for row in rows})
    return found


def test_a_folder_of_odd_files_is_prepared_and_every_one_has_its_receipt(tmp_path: Path) -> None:
    wanted = make_folder(tmp_path / "odd") | {"00-good.txt": ""}
    (tmp_path / "odd" / "00-good.txt").write_text(number(STORY, 0), "utf-8")
    read = ReadConfig(keep_columns=("when", "map"))
    prepare([tmp_path / "odd"], tmp_path / "one", PrepareConfig(workers=1, shard_bytes=10_000, read=read))
    found = receipts(tmp_path / "one")
    assert {name: row["rule"] or "" for name, row in found.items()} == wanted
    assert found["02-zip.jsonl/a.txt"]["encoding"] == "utf-8" and found["14-utf16-bare.txt"]["encoding"] == "utf-16-le"
    assert found["36-chat.jsonl#1"]["own_id"] == "c-1" and found["36-chat.jsonl#4"]["own_id"] == "c-4"
    assert "2 lines behind it" in found["27-quote.csv#1"]["detail"] and "conversation" in found["36-chat.jsonl#3"]["detail"]
    assert found["02-zip.jsonl/a.txt"]["format"] == "text" and found["06-bomb.zip/zeros.jsonl"]["threshold"] == 200
    kept = {document.source: document.text for split in SPLITS for document in read_dataset(tmp_path / "one", split)}
    assert kept["odd/00-good.txt"] == kept["odd/40-letter.docx"].replace("第40", "第0") == number(STORY, 0)
    prepare([tmp_path / "odd"], tmp_path / "two", PrepareConfig(workers=2, shard_bytes=10_000, read=read))
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")
    texts = {document.source.split("/", 1)[1]: document.text for split in SPLITS for document in read_dataset(tmp_path / "one", split)}
    assert texts["80-cut-words.pdf"].startswith("The fishermen of the lower town are international: they came from well-known harbours,")
    assert "half a morning, or to sleep" in texts["82-columns.pdf"] and texts["81-missing-page.pdf"].count("\n") == 2
    assert "東京" in texts["84-ruby.html"] and texts["85-radicals.txt"] == number(STORY, 85)


READ_AS_NOBODY = """
import os, sys
from pathlib import Path
from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.inputs import Source, list_files
from hanmo.data.reading.read import format_of
from hanmo.data.reading.scan import scan_file
os.getuid() or os.setuid(65534)
files, refused = list_files([Source(path=Path(sys.argv[1]), name="t")])
units = [unit for file in files for unit in scan_file(file, ReadConfig(), 100).units]
print([(entry.source, entry.rule) for entry in refused])
print([(unit.file.label, unit.refused and unit.refused.rule) for unit in units])
"""


def test_a_file_without_permission_has_its_receipt() -> None:
    """Root may read everything, so a process that has become nobody does the reading, in a folder that everybody may enter."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "locked.txt").write_text(STORY, "utf-8")
        (folder / "open.txt").write_text(ENGLISH)
        (folder / "locked").mkdir()
        folder.chmod(0o755)
        for path in (folder / "locked.txt", folder / "locked"):
            path.chmod(0)
        try:
            done = subprocess.run([sys.executable, "-c", READ_AS_NOBODY, temporary], capture_output=True, text=True, check=False)
        finally:
            (folder / "locked").chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[('t/locked', 'unreadable')]", "[('t/locked.txt', 'unreadable'), ('t/open.txt', None)]"]


@pytest.mark.slow
def test_a_line_of_a_gigabyte_costs_no_memory(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.txt", "c.csv"):
        with (tmp_path / name).open("wb") as stream:
            for _ in range(1024):
                stream.write(b"x" * 2**20)
            stream.write(b"\n" + json.dumps({"text": STORY}).encode() + b"\n")
    code = "import sys; from hanmo.data.prepare import *; prepare([sys.argv[1]], Path(sys.argv[2]), PrepareConfig(workers=1))"
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.jsonl", "b.txt", "c.csv"):
        (tmp_path / name).rename(folder / name)
    limit = 900 * 2**20
    subprocess.run(
        [sys.executable, "-c", code, str(folder), str(tmp_path / "out")],
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )
    assert {name: row["rule"] for name, row in receipts(tmp_path / "out").items()} == {
        "a.jsonl#1": "max_bytes",
        "a.jsonl#2": None,
        "b.txt": "max_bytes",
        "c.csv": "max_bytes",
    }


PAGES = {
    "a-utf8.html": (page(STORY, "utf-8").encode(), article(STORY), "utf-8"),
    "b-gbk.html": (page(STORY, "gbk").encode("gbk"), article(STORY), "gb18030"),
    "c-big5.html": (
        page(TRADITIONAL, "big5").replace("关于", "關於").replace("首页", "首頁").encode("big5"),
        article(TRADITIONAL),
        "big5hkscs",
    ),
    "d-lies.html": (page(STORY, "iso-8859-1").encode("gbk"), article(STORY), "gb18030"),
    "e-silent.txt": (article(TRADITIONAL).encode("big5"), article(TRADITIONAL), "big5hkscs"),
    "f-latin.txt": (article(STORY).encode("gbk").decode("latin-1").encode(), article(STORY), "utf-8"),
    "g-cp1252.txt": (article(STORY).encode().decode("latin-1").encode(), article(STORY), "utf-8"),
    "h-gbk.txt": (
        "".join(f"{row}\n" for row in ["天气很好", "我们来了", "大家都在这里"]).encode().decode("gb18030").encode(),
        None,
        "utf-8",
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_comes_out_as_a_chinese_reader_expects(tmp_path: Path, name: str) -> None:
    content, text, encoding = PAGES[name]
    (tmp_path / name).write_bytes(content)
    prepare([tmp_path / name], tmp_path / "out", PrepareConfig(workers=1))
    (document,) = [document for split in SPLITS for document in read_dataset(tmp_path / "out", split)]
    assert document.text == (text or "天气很好\n我们来了\n大家都在这里")
    (row,) = pq.read_table(tmp_path / "out" / "receipts.parquet").to_pylist()
    assert row["encoding"] == encoding


def test_what_cannot_be_repaired_is_refused_as_broken(tmp_path: Path) -> None:
    (tmp_path / "lost.txt").write_text("锟斤拷锟斤拷锟斤拷，这一页锟斤拷锟斤拷锟斤拷坏了。" * 5, "utf-8")
    (tmp_path / "good.txt").write_text(STORY, "utf-8")
    prepare([tmp_path / "lost.txt", tmp_path / "good.txt"], tmp_path / "out", PrepareConfig(workers=1))
    rows = {row["source"]: row for row in pq.read_table(tmp_path / "out" / "receipts.parquet").to_pylist()}
    assert rows["lost.txt"]["rule"] == "max_replacement_share" and rows["lost.txt"]["value"] > 0.5
    assert rows["good.txt"]["kept"]
