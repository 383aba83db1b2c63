from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hanmo.data.shards as shards
from hanmo.data.cleaning.filters import FilterConfig
from hanmo.data.reading.formats import Format
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.read import ReadConfig
from hanmo.data.shards import BucketJob, ShardJob, bucket_of, do_bucket, do_shard, documents_file, judged, splits_file, verdicts_file
from hanmo.data.tables import read_rows


def job(folder: Path, path: Path, number: int = 0, num_buckets: int = 1) -> ShardJob:
    unit = Unit(
        file=InputFile(path=path, label=path.name, license="MIT", language="zh"), format=Format("jsonl", "utf-8"), bytes=path.stat().st_size
    )
    return ShardJob(
        number=number, units=(unit,), folder=folder, read=ReadConfig(), repair=True, filters=FilterConfig(), num_buckets=num_buckets
    )


def rows(path: Path, count: int) -> Path:
    path.write_text("".join(f'{{"text": "第{i}天，我们沿着河岸慢慢走回家。"}}\n' for i in range(count)))
    return path


@given(st.text("0123456789abcdef", min_size=24, max_size=24), st.integers(1, 300))
def test_buckets_cut_the_ids_in_order(identifier: str, num_buckets: int) -> None:
    bucket = bucket_of(identifier, num_buckets)
    assert 0 <= bucket < num_buckets
    assert bucket <= bucket_of("f" * 24, num_buckets) == num_buckets - 1


def test_a_verdict_carries_every_measured_value_and_the_document_its_origin(tmp_path: Path) -> None:
    work = job(tmp_path, rows(tmp_path / "a.jsonl", 1))
    row, document = judged(Text(source="a#1", text="河水　清清，鱼儿游来游去。\r\n", metadata={"year": "2020"}), work.units[0].file, work)
    assert document is not None
    assert (document["text"], document["license"], document["language"], document["metadata"]) == (
        "河水　清清，鱼儿游来游去。",
        "MIT",
        "zh",
        {"year": "2020"},
    )
    assert row["rule"] is None and row["characters"] == 13 and row["bytes"] == 39 and row["id"] == document["id"]
    row, document = judged(Refused(source="b", rule="binary", detail="why"), work.units[0].file, work)
    assert document is None and row["rule"] == "binary" and row["id"]


def test_buckets_together_hold_every_document_once_sorted_by_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "HELD_BYTES", 200)  # several flushes a shard
    out = tmp_path / "out"
    for number in range(2):
        do_shard(job(tmp_path, rows(tmp_path / f"{number}.jsonl", 50), number, num_buckets=3))
        verdicts = list(read_rows(verdicts_file(tmp_path, number)))
        np.save(splits_file(tmp_path, number), np.array([i % 4 - 1 for i in range(len(verdicts))], dtype=np.int8))
    assert sum(1 for _ in read_rows(documents_file(tmp_path, 0))) == 50
    assert sum(do_bucket(BucketJob(number=n, num_buckets=3, num_shards=2, folder=tmp_path, out=out)) for n in range(3)) == 74
    ids = [row["id"] for n in range(3) for row in read_rows(out / f"train-0000{n}.parquet")]
    assert ids == sorted(ids) and len(set(ids)) == 26
    wanted = {row["id"] for number in range(2) for i, row in enumerate(read_rows(verdicts_file(tmp_path, number))) if i % 4 == 1}
    assert set(ids) == wanted
