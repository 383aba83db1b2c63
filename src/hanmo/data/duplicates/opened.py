"""What is known of all documents lies open in files, and a few documents at a time are looked at: their signatures, their letters.

In: files of documents and of signatures. Out: signatures by document and by value; the similarity of pairs of texts. The idea: each file is
read piece by piece at the place that is wanted, never mapped, so nothing of it counts as this process's memory; what is
read often is held, up to a bound.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hanmo.base.storage import storage_errors, write_atomically, write_bytes
from hanmo.data.duplicates.compare import SHORT_SKETCH, Side, Sides, aligned, brief, compare, hopeful, is_worth_comparing, short_sketch
from hanmo.data.duplicates.letters import letters, spell
from hanmo.data.duplicates.signatures import BANDS, FOLLOWING, SIGNATURE_VALUES, Pairs, Signatures, SignaturesInMemory, Store
from hanmo.data.parallel import run_jobs
from hanmo.data.tables import ArrowTable

ROW_BYTES = 4 * SIGNATURE_VALUES
COLUMNS = BANDS + FOLLOWING
FEW_FILES, FEW_TEXTS = 8, 2000  # are copied sooner than a process begins
PAIRS_PER_JOB = 2048
GAP, RUN = 32, 2048  # rows that are read along sooner than one by one, and rows read in one go
TEXTS_HELD = 64
SKETCHES_AT_ONCE = 256
MOST_OPEN = 192  # files of one process; systems allow 256 and more


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where the texts of documents lie: document i is row `rows[i]` of file `files[i]` among `paths`, ascending."""

    paths: tuple[Path, ...]
    files: NDArray[np.int64]
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SignaturesOnDisk:
    """Signatures on disk: row after row in one file, value after value in another."""

    rows: Path
    columns: Path
    count: int

    def __len__(self) -> int:
        return self.count

    def column(self, value: int) -> NDArray[np.uint32]:
        """One value of all documents."""
        return np.fromfile(self.columns, np.uint32, self.count, offset=4 * value * self.count)

    def take(self, rows: NDArray[np.int64]) -> Signatures:
        """All values of some documents, given in ascending order."""
        found = np.zeros((len(rows), SIGNATURE_VALUES), np.uint32)
        borders = [0, *(np.flatnonzero(np.diff(rows) > GAP) + 1).tolist(), len(rows)] if len(rows) else []
        with self.rows.open("rb", buffering=0) as stream:
            for start, stop in pairwise(borders):
                for first in range(int(rows[start]), int(rows[stop - 1]) + 1, RUN):
                    length = min(RUN, int(rows[stop - 1]) + 1 - first)
                    stream.seek(first * ROW_BYTES)
                    block = np.frombuffer(stream.read(length * ROW_BYTES), np.uint32).reshape(-1, SIGNATURE_VALUES)
                    inside = slice(
                        start + int(np.searchsorted(rows[start:stop], first)),
                        start + int(np.searchsorted(rows[start:stop], first + length)),
                    )
                    found[inside] = block[rows[inside] - first]
        return found


def lay_signatures(folder: Path, count: int, blocks: Iterable[Signatures], held_bytes: int) -> Store:
    """Signatures in the order of the blocks, in memory where they fit, else on disk."""
    if count * ROW_BYTES <= held_bytes:
        return SignaturesInMemory(np.concatenate([np.zeros((0, SIGNATURE_VALUES), np.uint32), *blocks]))
    laid = SignaturesOnDisk(folder / "signatures.rows", folder / "signatures.columns", count)
    with storage_errors(folder), laid.rows.open("wb") as rows, laid.columns.open("wb") as columns:
        done = 0
        for block in blocks:
            rows.write(block.tobytes())
            for value in range(COLUMNS):
                columns.seek(4 * (value * count + done))
                columns.write(np.ascontiguousarray(block[:, value]).tobytes())
            done += len(block)
    return laid


@dataclass(frozen=True, slots=True)
class CopyJob:
    """Texts of one file of documents to lay open for comparing."""

    path: Path
    rows: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CompareJob:
    """Pairs of texts to compare, each as (file, place, file, place) in what CopyJobs laid open.

    Of similarities below `least` only that is told: where lengths differ too much, or the sketches share too little, it is 0.
    """

    number: int
    least: float
    held_bytes: int
    paths: tuple[Path, ...]
    places: NDArray[np.int64]


class ComparableTexts:
    """Texts of some documents, laid open in files beside the documents."""

    def __init__(self, corpus: Corpus, members: NDArray[np.int64], workers: int, held_bytes: int) -> None:
        self._workers, self._held_bytes = workers, held_bytes
        self._paths = corpus.paths
        self._files = corpus.files
        self._places = np.zeros(len(corpus.files), np.int64)
        jobs: list[CopyJob] = []
        borders = np.searchsorted(corpus.files[members], np.arange(len(corpus.paths) + 1))
        for path, (start, stop) in zip(corpus.paths, pairwise(borders.tolist()), strict=True):
            self._places[members[start:stop]] = np.arange(stop - start)
            if stop > start:
                jobs.append(CopyJob(path=path, rows=corpus.rows[members[start:stop]]))
        for _ in run_jobs(_copy, jobs, workers if len(jobs) > FEW_FILES or len(members) > FEW_TEXTS else 1):
            pass

    def compare(self, parts: Iterable[Pairs], least: float) -> Iterator[tuple[Pairs, NDArray[np.float64]]]:
        """Pairs with their similarities, in no promised order."""
        waiting: dict[int, Pairs] = {}

        def jobs() -> Iterator[CompareJob]:
            number = 0
            for pairs in parts:
                for start in range(0, len(pairs), PAIRS_PER_JOB):
                    part = waiting[number] = pairs[start : start + PAIRS_PER_JOB]
                    places = np.stack(
                        [each for side in (0, 1) for each in (self._files[part[:, side]], self._places[part[:, side]])], axis=1
                    )
                    yield CompareJob(number, least, self._held_bytes, self._paths, places)
                    number += 1

        for number, values in run_jobs(_compare, jobs(), self._workers):
            yield waiting.pop(number), values


def _copy(job: CopyJob) -> int:
    """Write the letters of the wanted rows one after the other, and where each begins and ends."""
    borders, sketches = np.zeros((len(job.rows), 2), "<i8"), np.zeros(len(job.rows), SHORT_SKETCH)

    def write(path: Path) -> None:
        done = 0
        with path.open("wb") as stream:
            for table in ArrowTable.blocks(job.path, ("row", "text")):
                rows = table.numbers("row")
                places = np.minimum(np.searchsorted(job.rows, rows), len(job.rows) - 1)
                wanted = np.flatnonzero(job.rows[places] == rows)
                for place, text in zip(places[wanted].tolist(), _texts(table, wanted), strict=True):
                    spelt = spell(letters(text)[0])
                    sketches[place] = short_sketch(Side(spelt).sketch)
                    size = stream.write(spelt.encode())
                    borders[place] = done, done + size
                    done += size

    write_atomically(_letters_file(job.path), write)
    write_bytes(_borders_file(job.path), borders.tobytes())
    write_bytes(_sketches_file(job.path), sketches.tobytes())
    return len(job.rows)


def _texts(table: ArrowTable, places: NDArray[np.int64]) -> Iterator[str]:
    for start in range(0, len(places), TEXTS_HELD):
        yield from table.take(places[start : start + TEXTS_HELD]).texts("text")


def _compare(job: CompareJob) -> tuple[int, NDArray[np.float64]]:
    values = np.zeros(len(job.places), np.float64)
    with _Pieces() as pieces:

        def sketch(file: int, place: int) -> bytes:
            return pieces.read(_sketches_file(job.paths[file]), SHORT_SKETCH.itemsize * place, SHORT_SKETCH.itemsize)

        def text(file: int, place: int) -> str:
            path = job.paths[file]
            start, stop = np.frombuffer(pieces.read(_borders_file(path), 16 * place, 16), "<i8").tolist()
            return pieces.read(_letters_file(path), start, stop - start).decode()

        sides = Sides(job.held_bytes)
        for pair, hope in _possible(job, sketch):
            a, i, b, j = job.places[pair].tolist()
            one, other = sides.get((a, i), lambda: text(a, i)), sides.get((b, j), lambda: text(b, j))  # noqa: B023 - called at once
            worth = is_worth_comparing(one, other, job.least) if hope else aligned(one, other, job.least) >= job.least
            values[pair] = compare(one, other, job.least) if worth else 0.0
    return job.number, values


def _possible(job: CompareJob, sketch: Callable[[int, int], bytes]) -> Iterator[tuple[int, bool]]:
    """Pairs that their sketches do not rule out, those of one text together, and whether these allow it or judge no text so brief."""
    changes = np.flatnonzero((job.places[1:, :2] != job.places[:-1, :2]).any(axis=1)) + 1
    for start, stop in pairwise([0, *changes.tolist(), len(job.places)]):
        for first in range(start, stop, SKETCHES_AT_ONCE):
            group = job.places[first : min(first + SKETCHES_AT_ONCE, stop)].tolist()
            one = np.frombuffer(sketch(*group[0][:2]), SHORT_SKETCH)[0]
            others = np.frombuffer(b"".join(sketch(file, place) for _, _, file, place in group), SHORT_SKETCH)
            hope = hopeful(one, others, job.least)
            chosen = np.flatnonzero(hope | brief(one, others, job.least))
            yield from zip((first + chosen).tolist(), hope[chosen].tolist(), strict=True)


class _Pieces:
    """Pieces of many files; those read last stay open."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, BinaryIO] = OrderedDict()

    def read(self, path: Path, start: int, size: int) -> bytes:
        stream = self._open.pop(path, None) or path.open("rb", buffering=0)
        self._open[path] = stream
        if len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        stream.seek(start)
        return stream.read(size)

    def __enter__(self) -> "_Pieces":
        return self

    def __exit__(self, *_: object) -> None:
        for stream in self._open.values():
            stream.close()


def _sketches_file(path: Path) -> Path:
    return path.with_suffix(".looks")


def _letters_file(path: Path) -> Path:
    return path.with_suffix(".letters")


def _borders_file(path: Path) -> Path:
    return path.with_suffix(".borders")
