"""Lines or paragraphs that recur in many documents are boilerplate, and are cut out.

In: normalised texts, twice. Out: the hashes of what recurs, then texts without it. The idea: a first pass over the shards counts
in how many documents each line stands (once a document), a merge by ranges of hashes keeps those that recur often enough, and
their 8 bytes each lie in a file that the second pass looks into. Counts that are too many to hold are written as pieces. A
document of which they would be more than half is left as it is: it is
a copy of another, or boilerplate altogether, and the rules for whole documents judge it; so copies never erase each other.
"""

import functools
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hanmo.base.storage import write_atomically
from hanmo.data.reading.inputs import Text, Unit
from hanmo.data.reading.normalize import normalize
from hanmo.data.reading.read import ReadConfig, read_unit

Kind = Literal["line", "paragraph"]
SEPARATORS: dict[Kind, re.Pattern[str]] = {"line": re.compile(r"(\n+)"), "paragraph": re.compile(r"(\n{2,})")}
COUNTED = np.dtype([("hash", "<u8"), ("documents", "<u4")])
LINE_BYTES = 150  # of a line while it is counted
MERGE_BYTES = 60  # while counts are merged


@dataclass(frozen=True, slots=True, kw_only=True)
class LineJob:
    """Units of which lines are to be counted."""

    number: int
    units: tuple[Unit, ...]
    folder: Path
    read: ReadConfig
    repair: bool
    kind: Kind
    held_bytes: int = 100_000_000


def lines_file(folder: Path, shard: int) -> Path:
    """Counts of the lines of a shard; it exists when they are counted."""
    return folder / f"shard-{shard:05d}.lines.npy"


def recurring_file(folder: Path) -> Path:
    """Hashes of the lines of all shards that recur."""
    return folder / "recurring.bin"


def count_lines(job: LineJob) -> int:
    """Count in how many documents of the job each line stands; gives the bytes read."""
    for old in _pieces_of(job.folder, job.number):
        old.unlink()
    counts: Counter[int] = Counter()
    pieces = 0
    for unit in job.units:
        for entry in read_unit(unit, job.read):
            if isinstance(entry, Text):
                counts.update({line_hash(line) for line in _pieces(normalize(entry.text, job.repair), job.kind)[::2] if line.strip()})
            if len(counts) * LINE_BYTES > job.held_bytes:
                pieces += 1
                _save(lines_file(job.folder, job.number).with_suffix(f".{pieces}.npy"), counts)
                counts = Counter()
    _save(lines_file(job.folder, job.number), counts)
    return sum(unit.bytes for unit in job.units)


def find_recurring(folder: Path, num_shards: int, least: int, held_bytes: int = 100_000_000) -> Path:
    """A file with the hashes of all lines that stand in at least `least` documents, in order."""
    path = recurring_file(folder)
    files = [file for shard in range(num_shards) for file in (lines_file(folder, shard), *_pieces_of(folder, shard))]
    total = sum(file.stat().st_size for file in files) // COUNTED.itemsize

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            for tables in _ranges(files, max(1, -(-total * MERGE_BYTES // held_bytes))):
                stream.write(_recurring(tables, least).tobytes())

    write_atomically(path, write)
    return path


def without_recurring(text: str, recurring: Path, kind: Kind) -> tuple[str, int]:
    """The text without lines that recur, and how many were cut out; the text itself when they are more than half of it."""
    pieces = _pieces(text, kind)
    places = [place for place in range(0, len(pieces), 2) if pieces[place].strip()]
    recurs = _recurs(np.array([line_hash(pieces[place]) for place in places], np.uint64), recurring)
    cut = {place for place, found in zip(places, recurs.tolist(), strict=True) if found}
    if not cut or 2 * sum(len(pieces[place]) for place in cut) > sum(map(len, pieces[::2])):
        return text, 0
    kept: list[str] = []
    gap = ""
    for place, piece in enumerate(pieces):
        if place % 2:
            gap = max(gap, piece, key=len)
        elif place not in cut:
            kept += [gap, piece]
            gap = ""
    return normalize("".join(kept), repair=False), len(cut)


def line_hash(line: str) -> int:
    """64 bits of a line without the blanks at its ends."""
    return int.from_bytes(hashlib.blake2b(line.strip().encode(), digest_size=8).digest(), "little")


def _pieces(text: str, kind: Kind) -> list[str]:
    """Lines at even places, what separates them at odd ones."""
    return SEPARATORS[kind].split(text)


def _ranges(files: list[Path], count: int) -> Iterator[list[NDArray[np.void]]]:
    """The counts in all files, one of `count` ranges of hashes after the other."""
    borders = [(part << 64) // count for part in range(count)]
    for part, start in enumerate(borders):
        tables: list[NDArray[np.void]] = []
        for file in files:
            table: NDArray[np.void] = np.load(file, mmap_mode="r", allow_pickle=False)
            first = int(np.searchsorted(table["hash"], np.uint64(start)))
            end = int(np.searchsorted(table["hash"], np.uint64(borders[part + 1]))) if part + 1 < count else len(table)
            tables.append(np.array(table[first:end]))
        yield tables


def _recurring(tables: list[NDArray[np.void]], least: int) -> NDArray[np.uint64]:
    whole = np.concatenate([np.zeros(0, COUNTED), *tables])
    hashes, places = np.unique(whole["hash"], return_inverse=True)
    documents = np.bincount(places, weights=whole["documents"], minlength=len(hashes))
    return hashes[documents >= least]


def _recurs(hashes: NDArray[np.uint64], recurring: Path) -> NDArray[np.bool_]:
    """Which of some lines recur; the file is mapped, and what is read of it is the same memory for all processes."""
    known = _known(recurring)
    if not len(known):
        return np.zeros(len(hashes), np.bool_)
    return known[np.minimum(np.searchsorted(known, hashes), len(known) - 1)] == hashes


@functools.lru_cache(1)
def _known(path: Path) -> NDArray[np.uint64]:
    return np.memmap(path, "<u8", "r") if path.stat().st_size else np.zeros(0, np.uint64)


def _pieces_of(folder: Path, shard: int) -> list[Path]:
    """Counts of a shard that were written before it was done."""
    return sorted(folder.glob(f"{lines_file(folder, shard).stem}.*.npy"))


def _save(path: Path, counts: Counter[int]) -> None:
    table = np.fromiter(counts.items(), COUNTED, len(counts))
    table.sort(order="hash")

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            np.save(stream, table, allow_pickle=False)

    write_atomically(path, write)
