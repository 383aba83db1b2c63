"""Lines or paragraphs that recur in many documents are boilerplate, and are cut out.

In: normalised texts, twice. Out: the hashes of what recurs, then texts without it. The idea: a first pass over the shards counts
in how many documents each line stands (once a document), a merge by ranges of hashes keeps those that recur often enough, and
only their 8 bytes each travel to the second pass. A document of which they would be more than half is left as it is: it is
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
RANGES = 16  # parts of the merge, so that it holds a sixteenth of all lines at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class LineJob:
    """Units of which lines are to be counted."""

    number: int
    units: tuple[Unit, ...]
    folder: Path
    read: ReadConfig
    repair: bool
    kind: Kind


def lines_file(folder: Path, shard: int) -> Path:
    """Counts of the lines of a shard; it exists when they are counted."""
    return folder / f"shard-{shard:05d}.lines.npy"


def recurring_file(folder: Path) -> Path:
    """Hashes of the lines of all shards that recur."""
    return folder / "recurring.npy"


def count_lines(job: LineJob) -> int:
    """Count in how many documents of the job each line stands; gives the bytes read."""
    counts: Counter[int] = Counter()
    for unit in job.units:
        for entry in read_unit(unit, job.read):
            if isinstance(entry, Text):
                counts.update({line_hash(line) for line in _pieces(normalize(entry.text, job.repair), job.kind)[::2] if line.strip()})
    table = np.array(sorted(counts.items()), dtype=COUNTED)
    write_atomically(lines_file(job.folder, job.number), lambda path: _save(path, table))
    return sum(unit.bytes for unit in job.units)


def find_recurring(folder: Path, num_shards: int, least: int) -> Path:
    """A file with the hashes of all lines that stand in at least `least` documents, in order."""
    path = recurring_file(folder)
    found = np.concatenate([_recurring(tables, least) for tables in _ranges(folder, num_shards)])
    write_atomically(path, lambda temporary: _save(temporary, found))
    return path


def without_recurring(text: str, recurring: Path, kind: Kind) -> tuple[str, int]:
    """The text without lines that recur, and how many were cut out; the text itself when they are more than half of it."""
    known = _known(recurring)
    pieces = _pieces(text, kind)
    cut = {place for place in range(0, len(pieces), 2) if pieces[place].strip() and line_hash(pieces[place]) in known}
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


def _ranges(folder: Path, num_shards: int) -> Iterator[list[NDArray[np.void]]]:
    """The counts of all shards, one range of hashes after the other."""
    borders = [(part << 64) // RANGES for part in range(RANGES)]
    for part, start in enumerate(borders):
        tables: list[NDArray[np.void]] = []
        for shard in range(num_shards):
            table: NDArray[np.void] = np.load(lines_file(folder, shard), mmap_mode="r", allow_pickle=False)
            first = int(np.searchsorted(table["hash"], np.uint64(start)))
            end = int(np.searchsorted(table["hash"], np.uint64(borders[part + 1]))) if part + 1 < RANGES else len(table)
            tables.append(np.array(table[first:end]))
        yield tables


def _recurring(tables: list[NDArray[np.void]], least: int) -> NDArray[np.uint64]:
    whole = np.concatenate([np.zeros(0, COUNTED), *tables])
    hashes, places = np.unique(whole["hash"], return_inverse=True)
    documents = np.bincount(places, weights=whole["documents"], minlength=len(hashes))
    return hashes[documents >= least]


@functools.lru_cache(1)
def _known(path: Path) -> frozenset[int]:
    return frozenset(np.load(path, allow_pickle=False).tolist())


def _save(path: Path, values: NDArray[np.generic]) -> None:
    with path.open("wb") as stream:
        np.save(stream, values, allow_pickle=False)
