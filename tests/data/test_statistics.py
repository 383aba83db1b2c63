from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanmo.data.statistics import Group, origin, statistics

ROWS = [
    {"id": "a", "source": "letters/1.txt", "kept": True, "language": "zh", "script": "Hans", "characters": 10, "pii_email": 2},
    {
        "id": "b",
        "source": "letters/2.txt",
        "kept": False,
        "rule": "exact_duplicate",
        "duplicate_of": "a",
        "language": "zh",
        "script": "Hans",
        "characters": 10,
        "pii_email": 1,
    },
    {"id": "c", "source": "https://user:secret@example.org/x", "kept": True, "language": "en", "characters": 7, "pii_email": 0},
    {"id": "d", "source": "rows.jsonl#4", "kept": False, "rule": "malformed"},
    {"id": "e", "source": "rows.jsonl#5", "kept": False, "rule": "min_letter_share", "characters": 3},
]
COLUMNS = ("id", "source", "kept", "rule", "duplicate_of", "language", "script", "characters")


def write(path: Path, columns: tuple[str, ...], group: int = 100) -> Path:
    pq.write_table(pa.table({name: [row.get(name) for row in ROWS] for name in columns}), path, row_group_size=group)
    return path


def test_languages_origins_copies_and_personal_data_are_summed(tmp_path: Path) -> None:
    found = statistics(write(tmp_path / "r.parquet", (*COLUMNS, "pii_email")))
    assert found.languages == {"zh-Hans": Group(2, 1, 10), "en": Group(1, 1, 7), "": Group(1, 0, 0)}
    assert found.origins == {"letters": Group(2, 1, 10), "example.org": Group(1, 1, 7), "rows.jsonl": Group(2, 0, 0)}
    assert dict(found.copies) == {"a": 1} and found.largest == [("letters/1.txt", 1)] and found.personal == {"email": (2, 1)}


def test_row_groups_change_nothing_and_absent_columns_leave_their_part_empty(tmp_path: Path) -> None:
    whole = statistics(write(tmp_path / "r.parquet", (*COLUMNS, "pii_email")))
    assert statistics(write(tmp_path / "s.parquet", (*COLUMNS, "pii_email"), group=2)) == whole
    bare = statistics(write(tmp_path / "t.parquet", tuple(name for name in COLUMNS if name not in ("language", "script"))))
    assert bare.personal == {} and set(bare.languages) == {""} and bare.origins == whole.origins


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("a/b/c.txt", "a"),
        ("warc/x.warc.gz#https://news.example.com:8080/a?b", "news.example.com"),
        ("f.jsonl#3", "f.jsonl"),
        ("one.txt", "one.txt"),
    ],
)
def test_an_origin_is_a_host_or_a_source(source: str, wanted: str) -> None:
    assert origin(source) == wanted
