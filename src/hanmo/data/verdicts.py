"""The verdicts of all shards, a column at a time.

In: what the shards wrote. Out: arrays with a value for every row of all of them, in the order of the inputs. The idea: files are read a row
group at a time, so beside the array nothing grows with the data.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hanmo.data.shards import verdicts_file
from hanmo.data.tables import ArrowTable, row_groups

S = TypeVar("S", bound=np.generic)
ID: np.dtype[np.bytes_] = np.dtype("S24")


class Verdicts:
    """All rows; `borders` are the first ones of the shards, and the end."""

    def __init__(self, folder: Path, num_shards: int) -> None:
        self._paths = [verdicts_file(folder, shard) for shard in range(num_shards)]
        lengths = [sum(rows for rows, _ in row_groups(path)) for path in self._paths]
        self.borders = np.cumsum([0, *lengths], dtype=np.int64)

    def __len__(self) -> int:
        return int(self.borders[-1])

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[ArrowTable]:
        """A row group after the other."""
        for path in self._paths:
            yield from ArrowTable.groups(path, columns)

    def ids(self) -> NDArray[np.bytes_]:
        """The ids."""
        return self._filled("id", ID, (), lambda table: np.array(table.texts("id"), ID))

    def digests(self, column: str) -> NDArray[np.uint64]:
        """16-byte digests as pairs of numbers [rows, 2]."""
        return self._filled(column, np.uint64, (2,), lambda table: table.digests(column))

    def numbers(self, column: str) -> NDArray[np.int64]:
        """Whole numbers; null is 0."""
        return self._filled(column, np.int64, (), lambda table: table.numbers(column))

    def present(self, column: str) -> NDArray[np.bool_]:
        """Where a column is not null."""
        return self._filled(column, np.bool_, (), lambda table: table.present(column))

    def groups(self, column: str) -> tuple[list[str], NDArray[np.int32]]:
        """The names in a column of text in ascending order, and the number of each row's; null is the empty name."""
        known: dict[str, int] = {}
        codes = self._filled(
            column,
            np.int32,
            (),
            lambda table: np.array([known.setdefault(name or "", len(known)) for name in table.texts(column)], np.int32),
        )
        names = sorted(known)
        places = np.zeros(len(names), np.int32)
        for place, name in enumerate(names):
            places[known[name]] = place
        return names, places[codes]

    def _filled(
        self, column: str, kind: type[S] | np.dtype[S], shape: tuple[int, ...], read: Callable[[ArrowTable], NDArray[S]]
    ) -> NDArray[S]:
        found = np.empty((len(self), *shape), kind)
        done = 0
        for table in self.tables((column,)):
            found[done : done + len(table)] = read(table)
            done += len(table)
        return found
