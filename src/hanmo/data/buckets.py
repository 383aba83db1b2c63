"""A bucket of ids becomes files of the data set, one of each split.

In: the documents of all shards, and the split of each. Out: whole files, or none, so that work goes on where a kill struck. The idea: a
bucket takes part after part of the ids from every shard, sorts it and writes it, so a process holds one part. How large that is
shows nowhere in the files: buckets and their row groups are cut by what the documents are.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from hanmo.base.storage import write_atomically, write_json
from hanmo.data.mixing.augment import AugmentConfig
from hanmo.data.mixing.copies import Sums, with_copies
from hanmo.data.mixing.folds import FOLD
from hanmo.data.reading.read import SPLITS
from hanmo.data.shards import DOCUMENT_COLUMNS, documents_file, folds_file, parts_file, repeats_file, splits_file
from hanmo.data.tables import ArrowTable, Row, TableWriter

N = TypeVar("N", bound=np.integer)
GROUP_BYTES = 4 * 2**20  # of text in a row group


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketJob:
    """One range of ids to collect from all shards: parts `first` to `stop` - 1 of `num_parts`, one at a time."""

    number: int
    first: int
    stop: int
    num_parts: int
    num_shards: int
    folder: Path
    out: Path
    augment: AugmentConfig = field(default_factory=AugmentConfig)


def split_file(folder: Path, split: str, bucket: int) -> Path:
    """A file of the finished data set."""
    return folder / f"{split}-{bucket:05d}.parquet"


def copies_file(folder: Path, bucket: int) -> Path:
    """Sums over the augmented copies in a bucket; it exists when the bucket is done."""
    return folder / f"bucket-{bucket:05d}.copies.json"


def do_bucket(job: BucketJob) -> int:
    """Collect one range of ids from all shards and write a file for each split; gives the number of documents."""
    paths = [split_file(job.out, split, job.number) for split in SPLITS]
    count = 0

    def write(temporaries: tuple[Path, ...]) -> None:
        nonlocal count
        if len(temporaries) < len(paths):
            write_atomically(paths[-1 - len(temporaries)], lambda path: write((path, *temporaries)))
            return
        with contextlib.ExitStack() as stack:
            writers = [
                stack.enter_context(SplitWriter(path, job.augment if not i else AugmentConfig())) for i, path in enumerate(temporaries)
            ]
            for part, splits, times in _parts(job):
                count += len(part)
                for number, writer in enumerate(writers):
                    rows = np.flatnonzero(splits == number)
                    writer.add(part.take(rows), times[rows])
        write_json(copies_file(job.folder, job.number), writers[0].sums)

    write(())
    return count


class SplitWriter:
    """One file of documents in the making: rows come by id, and leave with their copies in groups of a few MB of text."""

    def __init__(self, path: Path, augment: AugmentConfig) -> None:
        self._writer, self._augment = TableWriter(path, DOCUMENT_COLUMNS), augment
        self._waiting: list[tuple[ArrowTable, NDArray[np.int32]]] = []
        self._bytes = 0
        self.sums: Sums = {}

    def add(self, table: ArrowTable, times: NDArray[np.int32]) -> None:
        """Take rows; a group ends with the document that fills it, wherever the tables end."""
        start = 0
        for row, size in enumerate(table.lengths("text").tolist()):
            self._bytes += size
            if self._bytes >= GROUP_BYTES:
                self._wait(table, times, start, row + 1)
                self._put()
                start = row + 1
        self._wait(table, times, start, len(table))

    def _wait(self, table: ArrowTable, times: NDArray[np.int32], start: int, stop: int) -> None:
        if start < stop:
            self._waiting.append((table.take(np.arange(start, stop)), times[start:stop]))

    def _put(self) -> None:
        if self._waiting:
            whole, times = (
                ArrowTable.concatenate([table for table, _ in self._waiting]),
                np.concatenate([each for _, each in self._waiting]),
            )
            table, more = with_copies(whole, times, self._augment, DOCUMENT_COLUMNS)
            self.sums = {name: self.sums.get(name, 0) + number for name, number in more.items()}
            self._writer.write(table, group_rows=len(table))
        self._waiting, self._bytes = [], 0

    def __enter__(self) -> "SplitWriter":
        self._writer.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._put()
        self._writer.__exit__(kind)


def _parts(job: BucketJob) -> Iterator[tuple[ArrowTable, NDArray[np.int8], NDArray[np.int32]]]:
    """The documents of each part that are in some split, in the order of their ids, with their splits and how often they stand there."""
    places: dict[int, dict[int, list[int]]] = {}
    for shard in range(job.num_shards):
        for block, part in enumerate(np.load(parts_file(job.folder, shard)).tolist()):
            if job.first <= part < job.stop:
                places.setdefault(part, {}).setdefault(shard, []).append(block)
    for part in range(job.first, job.stop):
        found = [dealt for shard, blocks in places.get(part, {}).items() for dealt in _dealt(job.folder, shard, blocks)]
        if found:
            whole = ArrowTable.concatenate([table for table, _, _ in found])
            order = whole.order_by("id")
            splits, times = np.concatenate([each for _, each, _ in found]), np.concatenate([each for _, _, each in found])
            yield whole.take(order), splits[order], times[order]


def _dealt(folder: Path, shard: int, blocks: list[int]) -> Iterator[tuple[ArrowTable, NDArray[np.int8], NDArray[np.int32]]]:
    """The documents of each block that are in some split, with their splits and how often they stand there."""
    repeats, folds = repeats_file(folder, shard), folds_file(folder, shard)
    for table in ArrowTable.blocks(documents_file(folder, shard), chosen=blocks):
        rows = table.numbers("row")
        splits = _values(splits_file(folder, shard), np.int8)[rows]
        kept = np.flatnonzero(splits >= 0)
        times = _values(repeats, np.int32)[rows[kept]] if repeats.exists() else np.ones(len(kept), dtype=np.int32)
        table = table.take(kept).select(DOCUMENT_COLUMNS)
        if folds.exists():
            noted = zip(table.rows(), _values(folds, np.int16)[rows[kept]].tolist(), strict=True)
            table = ArrowTable.of([_with_fold(row, fold) for row, fold in noted], DOCUMENT_COLUMNS)
        yield table, splits[kept], times


def _with_fold(row: Row, fold: int) -> Row:
    return {**row, "metadata": {**cast("dict[str, str]", row["metadata"]), FOLD: str(fold)}}


def _values(path: Path, kind: type[N]) -> NDArray[N]:
    values: NDArray[N] = np.load(path, mmap_mode="r")
    assert values.dtype == kind
    return values
