from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanmo.data.tables import (
    ArrowTable,
    BlockWriter,
    TableError,
    TableWriter,
    UnreadRows,
    column_names,
    read_past_gaps,
    read_rows,
    row_groups,
)

COLUMNS = {"id": "text", "metadata": "metadata", "n": "count", "share": "number", "kept": "flag", "digest": "digest"}
ROWS = [
    {"id": "a", "metadata": {"k": "值"}, "n": 1, "share": 0.5, "kept": True, "digest": b"0123456789abcdef"},
    {"id": "b", "metadata": {}, "n": 2, "share": None, "kept": False, "digest": None},
]


def write(path: Path, *pieces: list[dict]) -> Path:
    with TableWriter(path, COLUMNS) as writer:
        for piece in pieces:
            writer.write(ArrowTable.of(piece, COLUMNS))
    return path


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", ROWS, ROWS[:1])
    assert list(read_rows(path)) == [*ROWS, ROWS[0]]
    with path.open("rb") as stream:
        assert [rows for rows, _ in row_groups(stream)] == [2, 1]
        assert column_names(stream) == list(COLUMNS)
        assert list(read_rows(stream)) == [*ROWS, ROWS[0]]
    assert list(read_rows(path, columns=("n", "absent"), groups=[1])) == [{"n": 1}]
    assert [table.texts("id") for table in ArrowTable.groups(path, ("id",))] == [["a", "b"], ["a"]]


def test_blocks_are_read_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "blocks"
    with BlockWriter(path, COLUMNS) as writer:
        for piece in (ROWS, ROWS[1:], ROWS[:1]):
            writer.write(ArrowTable.of(piece, COLUMNS))
    assert [table.rows() for table in ArrowTable.blocks(path)] == [ROWS, ROWS[1:], ROWS[:1]]
    assert [table.rows() for table in ArrowTable.blocks(path, ("n",), [2, 0])] == [[{"n": 1}], [{"n": 1}, {"n": 2}]]


def test_numbers_of_a_column_with_nulls_have_zeros(tmp_path: Path) -> None:
    table = ArrowTable.of([{"n": 2, "kept": True}, {}], {"n": "count", "kept": "flag"})
    assert table.numbers("n").tolist() == [2, 0] and table.numbers("kept").tolist() == [1, 0]


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a", ROWS).read_bytes() == write(tmp_path / "b", ROWS).read_bytes()


def test_a_file_without_rows_is_still_a_table(tmp_path: Path) -> None:
    path = write(tmp_path / "empty.parquet", [])
    assert list(read_rows(path)) == []
    with path.open("rb") as stream:
        assert column_names(stream) == list(COLUMNS) and row_groups(stream) == []


def test_columns_become_arrays() -> None:
    table = ArrowTable.of(ROWS, COLUMNS)
    assert table.numbers("n").tolist() == [1, 2]
    assert table.present("share").tolist() == [True, False]
    assert table.digests("digest").view("S16").ravel().tolist() == [b"0123456789abcdef", b""]
    taken = ArrowTable.concatenate([table, table]).take(np.array([3, 0])).sorted_by("id").with_column("more", "text", ["x", None])
    assert taken.texts("id") == ["a", "b"] and taken.names[-1] == "more" and len(taken) == 2
    assert taken.select(["n"]).names == ["n"]
    assert table.num_bytes > 0


@pytest.mark.parametrize("content", [b"", b"no table", b"PAR1 broken PAR1"])
def test_a_broken_file_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.parquet"
    path.write_bytes(content)
    for function in (column_names, row_groups, lambda p: list(read_rows(p))):
        with pytest.raises(TableError) as caught, path.open("rb") as stream:
            function(stream)
        assert "\n" not in str(caught.value)


def test_an_error_while_writing_is_the_error_that_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyError), TableWriter(tmp_path / "t.parquet", COLUMNS):
        raise KeyError("mine")


def test_other_tools_read_the_files(tmp_path: Path) -> None:
    assert pq.read_table(write(tmp_path / "t.parquet", ROWS)).column("id").to_pylist() == ["a", "b"]


def test_values_that_python_has_no_form_for_become_text(tmp_path: Path) -> None:
    columns = {
        "nanoseconds": pa.array([1001], pa.timestamp("ns")),
        "year": pa.array([2**48], pa.timestamp("ms")),
        "zone": pa.array([3000], pa.timestamp("ms", "Mars/Phobos")),
        "map": pa.array([[("a", "1"), ("a", "2")]], pa.map_(pa.string(), pa.string())),
        "inside": pa.array([{"when": [1001]}], pa.struct([("when", pa.list_(pa.timestamp("ns")))])),
        "coded": not_utf8(b"a\xffb").dictionary_encode(),
        "text": not_utf8(b"\xb9\xe3"),
        "plain": pa.array(["as ever"]),
    }
    pq.write_table(pa.table(columns), tmp_path / "odd.parquet")
    (row,) = read_rows(tmp_path / "odd.parquet")
    assert row == {
        "nanoseconds": "1970-01-01 00:00:00.000001001",
        "year": "10889-08-02 05:31:50.656",
        "zone": "1970-01-01 00:00:03.000 Mars/Phobos",
        "map": [("a", "1"), ("a", "2")],
        "inside": {"when": ["1970-01-01 00:00:00.000001001"]},
        "coded": "a\udcffb",
        "text": "\udcb9\udce3",
        "plain": "as ever",
    }


def not_utf8(*values: bytes) -> pa.Array:
    """A column of strings whose bytes nobody checked."""
    return pa.array(values, pa.binary()).view(pa.string())


def test_a_broken_row_group_is_a_gap_and_the_next_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "broken.parquet"
    pq.write_table(pa.table({"text": [f"row {number}" for number in range(30)]}), path, row_group_size=10, compression="none")
    place = pq.read_metadata(path).row_group(1).column(0)
    data = bytearray(path.read_bytes())
    data[place.dictionary_page_offset : place.data_page_offset + 4] = bytes(place.data_page_offset + 4 - place.dictionary_page_offset)
    path.write_bytes(data)
    found = list(read_past_gaps(path))
    gaps = [(number, row) for number, row in enumerate(found) if isinstance(row, UnreadRows)]
    assert [(number, gap.rows) for number, gap in gaps] == [(10, 10)] and gaps[0][1].reason
    assert found[:10] + found[11:] == [{"text": f"row {number}"} for number in (*range(10), *range(20, 30))]
    with pytest.raises(TableError):
        list(read_rows(path))
