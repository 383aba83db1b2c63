import dataclasses
from pathlib import Path

import pytest

from hanmo.base.errors import StorageError
from hanmo.plan import machine
from hanmo.plan.machine import Machine, cuda_bytes, disk_bytes_per_second, disk_free_bytes, memory_bytes_per_second

MACHINE = Machine(cores=2, memory_bytes=8 << 30, available_memory_bytes=4 << 30, disk_free_bytes=1 << 40)


def test_low_precision_pays_only_where_it_is_clearly_faster() -> None:
    fast = dataclasses.replace(MACHINE, matrix_flops_fp32=1e11, matrix_flops_bf16=5e11)
    slow = dataclasses.replace(MACHINE, matrix_flops_fp32=1e11, matrix_flops_bf16=1.2e11)
    assert fast.bf16_is_fast and not slow.bf16_is_fast and not MACHINE.bf16_is_fast


def test_rates_are_rates(tmp_path: Path) -> None:
    assert 1e7 < memory_bytes_per_second(size=1 << 22, repeats=2) < 1e13
    assert 1e5 < disk_bytes_per_second(tmp_path, size=1 << 21) < 1e12
    assert list(tmp_path.iterdir()) == []


def test_disk_of_a_folder_to_be_made_is_that_of_the_nearest_one(tmp_path: Path) -> None:
    there = disk_free_bytes(tmp_path)
    assert there > 0 and abs(disk_free_bytes(tmp_path / "not" / "yet") - there) < 1 << 30


def test_disk_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="something else has this name"):
        disk_bytes_per_second(tmp_path / "file" / "inner")


def test_a_small_disk_is_not_filled_by_looking_at_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    real = machine.os.fsync
    monkeypatch.setattr(machine, "disk_free_bytes", lambda folder: 12 << 20)
    monkeypatch.setattr(machine.os, "fsync", lambda number: (written.append(machine.os.fstat(number).st_size), real(number)))
    assert disk_bytes_per_second(tmp_path) > 0 and written == [3 << 20]


def test_cuda_libraries_are_found_among_packages_and_links_are_not_counted_twice(tmp_path: Path) -> None:
    for name, size in (("nvidia/cublas/lib.so", 5), ("triton/a.so", 7), ("torch/lib/libtorch_cuda.so", 11), ("torch/lib/libtorch.so", 13)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * size)
    (tmp_path / "nvidia" / "link.so").symlink_to(tmp_path / "nvidia" / "cublas" / "lib.so")
    assert cuda_bytes(tmp_path) == 23
    assert cuda_bytes(tmp_path / "nothing") == 0
