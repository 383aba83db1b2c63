import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.base.errors import DataError
from hanmo.data.reading.formats import Format
from hanmo.data.reading.inputs import InputFile, Source, Text, Unit, name_sources
from hanmo.data.reading.read import ReadConfig, read_unit
from hanmo.data.reading.scan import Plan, make_plan, scan_file


def plan(path: Path, shard_bytes: int = 100, **settings) -> Plan:
    return make_plan(name_sources([Source(path=path)]), ReadConfig(**settings), shard_bytes)


def rows(path: Path, count: int, column: str = "text") -> Path:
    path.write_text("".join(json.dumps({column: f"row {i} " + "x" * (i % 7)}) + "\n" for i in range(count)))
    return path


def all_entries(found: Plan, config: ReadConfig) -> list[str]:
    return [f"{e.source} {e.text}" for shard in found.shards for unit in shard for e in read_unit(unit, config) if isinstance(e, Text)]


@given(st.integers(1, 60), st.integers(10, 400))
def test_pieces_of_a_file_read_as_the_whole(tmp_path_factory: pytest.TempPathFactory, count: int, piece: int) -> None:
    path = rows(tmp_path_factory.mktemp("s") / "a.jsonl", count)
    whole = list(read_unit(Unit(file=InputFile(path=path, label="a.jsonl"), format=Format("jsonl", "utf-8")), ReadConfig()))
    cut = scan_file(InputFile(path=path, label="a.jsonl"), ReadConfig(), piece)
    assert [e for unit in cut.units for e in read_unit(unit, ReadConfig())] == whole
    assert sum(unit.bytes for unit in cut.units) == path.stat().st_size


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "字", "\r", "\n", "\r\n"]), min_size=1, max_size=40), st.integers(2, 9), st.integers(1, 20))
def test_pieces_of_lines_with_any_ends_read_as_the_whole(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], block: int, piece: int
) -> None:
    path, config = tmp_path_factory.mktemp("s") / "a.txt", ReadConfig(split_on="line")
    path.write_bytes("".join(parts).encode())
    file = InputFile(path=path, label="a.txt")
    whole = list(read_unit(Unit(file=file, format=Format("text", "utf-8")), config))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hanmo.data.reading.scan.BLOCK_BYTES", block)
        cut = scan_file(file, config, piece).units
    texts = [(e.source, e.text) for unit in cut for e in read_unit(unit, config) if isinstance(e, Text)]
    assert texts == [(e.source, e.text) for e in whole if isinstance(e, Text)]


def test_large_line_files_are_cut_at_line_ends_with_their_row_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("".join(f"line {i} of a long file\n" for i in range(200_000)))
    config = ReadConfig(split_on="line")
    found = make_plan(name_sources([Source(path=path)]), config, 1_000_000)
    assert len(found.shards) >= 4
    assert all_entries(found, config) == [f"a.txt#{i + 1} line {i} of a long file" for i in range(200_000)]


def test_parquet_is_cut_at_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(100)]}), path, row_group_size=10)
    found = plan(path, 200)
    assert len(found.shards) > 2
    assert all_entries(found, ReadConfig()) == [f"a.parquet#{i + 1} text {i}" for i in range(100)]
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    assert all_entries(plan(path), ReadConfig()) == []


def test_the_digest_sees_content_names_and_links(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a.txt").write_text("one")
    before = plan(folder).digest
    assert plan(folder).digest == before
    (folder / "a.txt").write_text("two")
    changed = plan(folder).digest
    (folder / "a.txt").rename(folder / "b.txt")
    renamed = plan(folder).digest
    (folder / ".hidden").write_text("")
    assert len({before, changed, renamed, plan(folder).digest}) == 4


def test_shards_hold_about_what_was_asked_in_the_order_of_labels(tmp_path: Path) -> None:
    for i in range(10):
        (tmp_path / f"{i}.txt").write_text("x" * 40)
    shards = plan(tmp_path, 100).shards
    assert [len(shard) for shard in shards] == [2] * 5
    assert [unit.file.path.name for shard in shards for unit in shard] == [f"{i}.txt" for i in range(10)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_a_wrong_column_is_an_error_that_names_the_columns_found(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.table({"content": ["x"], "title": ["y"]}), path)
    else:
        content = b'{"content": "x", "title": "y"}\n'
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    with pytest.raises(DataError, match=r"no column 'text'; columns found: content, title: name the right one with --read.text-column"):
        plan(path)


def test_one_wrong_file_among_right_ones_is_a_receipt(tmp_path: Path) -> None:
    rows(tmp_path / "a.jsonl", 1)
    rows(tmp_path / "b.jsonl", 1, column="content")
    refused = [unit.refused for shard in plan(tmp_path).shards for unit in shard if unit.refused]
    assert [entry.rule for entry in refused] == ["no_column"]


@pytest.mark.parametrize(("name", "content"), [("a.parquet", b"PAR1"), ("a.jsonl", b"not json\n"), ("a.jsonl.gz", b"\x1f\x8b broken")])
def test_a_broken_table_is_left_to_its_receipt(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert plan(tmp_path / name).num_files == 1


def test_a_file_that_cannot_be_opened_is_a_receipt(tmp_path: Path) -> None:
    scan = scan_file(InputFile(path=tmp_path / "vanished.txt", label="v"), ReadConfig(), 100)
    assert [unit.refused.rule for unit in scan.units if unit.refused] == ["unreadable"]


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file to read"):
        plan(tmp_path)


def test_a_folder_with_nothing_to_read_says_why(tmp_path: Path) -> None:
    (tmp_path / ".notes").touch()
    with pytest.raises(DataError, match=r"no file to read in .*\.notes is hidden"):
        plan(tmp_path)


def test_a_column_to_keep_that_no_table_has_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows(tmp_path / "a.jsonl", 2)
    make_plan(name_sources([Source(path=tmp_path)]), ReadConfig(keep_columns=("text", "authr")), 100)
    told = capsys.readouterr().err
    assert "no column 'authr' in the first rows; columns found: text" in told and "no column 'text'" not in told
