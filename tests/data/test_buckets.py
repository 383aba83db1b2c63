from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.conftest import rows_file, shard_job

import hanmo.data.buckets as buckets
from hanmo.data.buckets import BucketJob, do_bucket
from hanmo.data.budget import MemoryShare
from hanmo.data.shards import do_shard, folds_file, splits_file, verdicts_file
from hanmo.data.tables import read_rows, row_groups


def dealt_bytes(folder: Path, share: MemoryShare, num_parts: int) -> dict[str, bytes]:
    """The files of three buckets made from two shards, each with documents in all splits."""
    out = folder / "out"
    for number in range(2):
        work = replace(shard_job(folder, rows_file(folder / f"{number}.jsonl", 50), number, num_parts), share=share)
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
    assert len(dealt_bytes(tmp_path, MemoryShare(), 3)) == 9
    found = [row for n in range(3) for row in read_rows(tmp_path / "out" / f"train-0000{n}.parquet")]
    ids = [row["id"] for row in found]
    assert ids == sorted(ids) and len(set(ids)) == 26
    rank = {row["id"]: i for number in range(2) for i, row in enumerate(read_rows(verdicts_file(tmp_path, number)))}
    assert {rank[identifier] % 4 for identifier in ids} == {1} and len(rank) == 100
    assert all(row["metadata"] == {"fold": str(rank[row["id"]] % 3)} for row in found)


@pytest.mark.parametrize("group_bytes", [4 * 2**20, 150])
def test_what_a_process_may_hold_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group_bytes: int) -> None:
    monkeypatch.setattr(buckets, "GROUP_BYTES", group_bytes)
    for name in ("much", "little"):
        (tmp_path / name).mkdir()
    much, little = dealt_bytes(tmp_path / "much", MemoryShare(), 3), dealt_bytes(tmp_path / "little", MemoryShare(bytes=40_000), 12)
    assert much == little
    groups = [len(row_groups(verdicts_file(tmp_path / name, 0))) for name in ("much", "little")]
    assert groups[0] == 1 < groups[1]
    assert (len(row_groups(tmp_path / "much" / "out" / "train-00000.parquet")) > 1) == (group_bytes == 150)
