from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hanmo.data.shards as shards
from hanmo.data.budget import Share
from hanmo.data.cleaning.filters import FilterConfig
from hanmo.data.reading.formats import Format
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.read import ReadConfig
from hanmo.data.shards import BucketJob, ShardJob, do_bucket, do_shard, folds_file, judged, part_of, splits_file, verdicts_file
from hanmo.data.tables import read_rows, row_groups


def job(folder: Path, path: Path, number: int = 0, num_parts: int = 1) -> ShardJob:
    unit = Unit(
        file=InputFile(path=path, label=path.name, license="MIT", language="zh"), format=Format("jsonl", "utf-8"), bytes=path.stat().st_size
    )
    return ShardJob(
        number=number, units=(unit,), folder=folder, read=ReadConfig(), repair=True, filters=FilterConfig(), num_parts=num_parts
    )


def rows(path: Path, count: int) -> Path:
    path.write_text("".join(f'{{"text": "第{i}天，我们沿着河岸慢慢走回家。"}}\n' for i in range(count)))
    return path


@given(st.text("0123456789abcdef", min_size=24, max_size=24), st.integers(1, 300))
def test_parts_cut_the_ids_in_order(identifier: str, num_parts: int) -> None:
    part = part_of(identifier, num_parts)
    assert 0 <= part < num_parts
    assert part <= part_of("f" * 24, num_parts) == num_parts - 1


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


def dealt_bytes(folder: Path, share: Share, num_parts: int) -> dict[str, bytes]:
    """The files of three buckets made from two shards, each with documents in all splits."""
    out = folder / "out"
    for number in range(2):
        work = replace(job(folder, rows(folder / f"{number}.jsonl", 50), number, num_parts), share=share)
        do_shard(work)
        count = sum(1 for _ in read_rows(verdicts_file(folder, number)))
        np.save(splits_file(folder, number), np.array([i % 4 - 1 for i in range(count)], dtype=np.int8))
        np.save(folds_file(folder, number), np.array([i % 3 for i in range(count)], dtype=np.int16))
    each = num_parts // 3
    jobs = [
        BucketJob(number=n, first=n * each, stop=(n + 1) * each, num_parts=num_parts, num_shards=2, folder=folder, out=out)
        for n in range(3)
    ]
    assert sum(map(do_bucket, jobs)) == 74
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def test_buckets_together_hold_every_document_once_sorted_by_id(tmp_path: Path) -> None:
    assert len(dealt_bytes(tmp_path, Share(), 3)) == 9
    found = [row for n in range(3) for row in read_rows(tmp_path / "out" / f"train-0000{n}.parquet")]
    ids = [row["id"] for row in found]
    assert ids == sorted(ids) and len(set(ids)) == 26
    rank = {row["id"]: i for number in range(2) for i, row in enumerate(read_rows(verdicts_file(tmp_path, number)))}
    assert {rank[identifier] % 4 for identifier in ids} == {1} and len(rank) == 100
    assert all(row["metadata"] == {"fold": str(rank[row["id"]] % 3)} for row in found)


@pytest.mark.parametrize("group_bytes", [4 * 2**20, 150])
def test_what_a_process_may_hold_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group_bytes: int) -> None:
    monkeypatch.setattr(shards, "GROUP_BYTES", group_bytes)
    for name in ("much", "little"):
        (tmp_path / name).mkdir()
    much, little = dealt_bytes(tmp_path / "much", Share(), 3), dealt_bytes(tmp_path / "little", Share(bytes=40_000), 12)
    assert much == little
    groups = [len(row_groups(verdicts_file(tmp_path / name, 0))) for name in ("much", "little")]
    assert groups[0] == 1 < groups[1]
    assert (len(row_groups(tmp_path / "much" / "out" / "train-00000.parquet")) > 1) == (group_bytes == 150)
