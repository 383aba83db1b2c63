"""Records that may be more than memory holds: dealt to files by ranges of a number, and read back a range at a time.

In: arrays of records with a number each. Out: the same records, range after range; their order inside a range is nobody's promise.
The idea: a few are held and written together; when all fit, no file is made.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hanmo.base.storage import make_folder, storage_errors

S = TypeVar("S", bound=np.generic)


class Spill(Generic[S]):
    """Records keyed by numbers from 0 to `keys` - 1, in `parts` ranges of equal width, under `folder`, which is emptied first."""

    def __init__(self, folder: Path, dtype: np.dtype[S], keys: int, parts: int, held_bytes: int) -> None:
        self._folder, self._dtype, self._limit = folder, dtype, held_bytes
        self._width = max(1, -(-keys // max(1, parts)))
        self._parts = max(1, -(-keys // self._width))
        self._held: list[tuple[NDArray[np.int64], NDArray[S]]] = []
        self._bytes, self._written = 0, False
        shutil.rmtree(folder, ignore_errors=True)

    def add(self, keys: NDArray[np.int64], records: NDArray[S]) -> None:
        """Take records.

        Raises StorageError when the disk is full.
        """
        if len(records):
            self._held.append((keys // self._width, records.astype(self._dtype, copy=False)))
            self._bytes += keys.nbytes + records.nbytes
        if self._bytes >= self._limit:
            self._write()

    def parts(self) -> Iterator[NDArray[S]]:
        """The records of each range, empty ones too."""
        if self._written and self._held:
            self._write()
        numbers, records = self._joined()
        borders = np.searchsorted(numbers, np.arange(self._parts + 1))
        for number in range(self._parts):
            path = self._path(number)
            if self._written and path.exists():
                yield np.fromfile(path, self._dtype)
            else:
                yield records[borders[number] : borders[number + 1]]

    def drop(self) -> None:
        """Forget everything."""
        self._held, self._bytes = [], 0
        shutil.rmtree(self._folder, ignore_errors=True)

    def _joined(self) -> tuple[NDArray[np.int64], NDArray[S]]:
        """What is held, by range."""
        numbers = np.concatenate([np.zeros(0, np.int64), *(each for each, _ in self._held)])
        records = np.concatenate([np.zeros(0, self._dtype), *(each for _, each in self._held)])
        order = np.argsort(numbers, kind="stable")
        return numbers[order], records[order]

    def _write(self) -> None:
        numbers, records = self._joined()
        make_folder(self._folder)
        present, firsts = np.unique(numbers, return_index=True)
        with storage_errors(self._folder):
            for number, first, end in zip(present.tolist(), firsts.tolist(), [*firsts[1:].tolist(), len(records)], strict=True):
                with self._path(number).open("ab") as stream:
                    stream.write(records[first:end].tobytes())
        self._held, self._bytes, self._written = [], 0, True

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.bin"
