from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanmo.data.statistics import Cluster, Group, Pair, origin, statistics

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
    assert dict(found.copies) == {"a": 1} and found.largest == [Cluster("letters/1.txt", 1, 0)] and found.personal == {"email": (2, 1)}


def test_row_groups_change_nothing_and_absent_columns_leave_their_part_empty(tmp_path: Path) -> None:
    whole = statistics(write(tmp_path / "r.parquet", (*COLUMNS, "pii_email")))
    assert statistics(write(tmp_path / "s.parquet", (*COLUMNS, "pii_email"), group=2)) == whole
    bare = statistics(write(tmp_path / "t.parquet", tuple(name for name in COLUMNS if name not in ("language", "script"))))
    assert bare.personal == {} and set(bare.languages) == {""} and bare.origins == whole.origins


def test_formats_encodings_mojibake_clusters_and_leaks_are_counted(tmp_path: Path) -> None:
    def near(name: str, value: float) -> dict:
        return {"id": name, "source": name, "kept": False, "rule": "near_duplicate", "duplicate_of": "k", "value": value, "mojibake": False}

    read = {"format": "text", "encoding": "gb18030", "characters": 4, "mojibake": True}
    leak = {"kept": False, "rule": "contaminated", "detail": "exam#3:q: 13 of 14 words", **read}
    rows = [
        {"id": "k", "source": "s/k", "kept": True, **read},
        near("x", 0.7),
        near("y", 0.9),
        near("z", 0.8),
        {"id": "l", "source": "s/l", **leak},
        {"id": "m", "source": "s/m", **leak},
        {"id": "n", "source": "s/n", "kept": False, "rule": "binary"},
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), tmp_path / "r.parquet", row_group_size=2)
    found = statistics(tmp_path / "r.parquet")
    assert found.formats == {"text": Group(3, 1, 4)} and found.encodings == {"gb18030": Group(3, 1, 4)} and found.mojibake == Group(3, 1, 4)
    assert found.extremes == (Pair(0.7, "x", "k"), Pair(0.9, "y", "k")) and found.largest == [Cluster("s/k", 0, 3)]
    assert dict(found.leaked) == {"exam#3:q": 2}


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
