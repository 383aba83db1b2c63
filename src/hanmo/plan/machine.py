"""What a machine can do, as measured numbers.

In: measurements. Out: `Machine`. Memory and disk are measured here; matrix products need torch and are handed in.
"""

import contextlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hanmo.base.storage import storage_errors

LOW_PRECISION_PAYS = 1.3
"""bf16 is worth its rounding where its matrix products are this much faster; the training loop decides by the same ratio."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Measured rates; 0 where nothing was measured."""

    cores: int
    memory_bytes: int
    """Main memory installed."""
    available_memory_bytes: int
    """Main memory that a new process can have now."""
    disk_free_bytes: int
    matrix_flops_fp32: float = 0.0
    """FLOP/s of large matrix products."""
    matrix_flops_bf16: float = 0.0
    memory_bytes_per_second: float = 0.0
    """Reading and writing together."""
    disk_bytes_per_second: float = 0.0
    """Writing with a sync at the end."""

    @property
    def bf16_is_fast(self) -> bool:
        """Whether computing in bf16 pays here."""
        return self.matrix_flops_bf16 > LOW_PRECISION_PAYS * self.matrix_flops_fp32


def memory_bytes_per_second(*, size: int = 1 << 27, repeats: int = 5) -> float:
    """Bytes read and written a second by copying `size` bytes with one thread: the best of `repeats`."""
    source = np.zeros(size, np.uint8)
    source[::4096] = 1
    target = source.copy()
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        np.copyto(target, source)
        best = min(best, time.perf_counter() - started)
    return 2 * size / best


def disk_bytes_per_second(folder: Path, *, size: int = 1 << 26) -> float:
    """Bytes a second of one new file in `folder`, written and synced; the file is removed.

    Raises StorageError where that cannot be.
    """
    block = os.urandom(1 << 20)
    size = max(len(block), min(size, disk_free_bytes(folder) // 4))  # a small disk is not filled by looking at it
    with storage_errors(folder), tempfile.TemporaryFile(dir=folder) as stream:
        started = time.perf_counter()
        for _ in range(size // len(block)):
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())
        return size / (time.perf_counter() - started)


def disk_free_bytes(folder: Path) -> int:
    """Free bytes on the disk that holds `folder`, or that will hold it once it is made."""
    for place in (folder.absolute(), *folder.absolute().parents):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return shutil.disk_usage(place).free
    return 0


def cuda_bytes(packages: Path) -> int:
    """Bytes of CUDA libraries among installed packages: NVIDIA's own, Triton, and PyTorch's GPU half.

    On a machine without a GPU they are of no use, and a build of PyTorch for the CPU has none of them.
    """
    places = [*packages.glob("nvidia*"), *packages.glob("triton*"), *packages.glob("torch/lib/*cuda*")]
    files = [file for place in places for file in (place.rglob("*") if place.is_dir() else [place])]
    return sum(file.stat().st_size for file in files if file.is_file() and not file.is_symlink())
