"""One setting bounds the memory of preparing; what every step may hold follows from it.

In: `memory`, `workers`. Out: how many processes, and the bytes that each may hold at a time. The idea: the bound is on the sum of the
proportional set sizes of all processes; what Python and the libraries take in each is taken off first, and the rest is dealt. Nothing
that is dealt changes a byte of the data set: it decides how much is held before it is written, never what is written.

What grows with the data is on disk. In memory stay, for every document, at most DOCUMENT_BYTES while duplicates are found and splits
dealt (its id, two digests, its length, whom it repeats, its place in the mixture, and the arrays that sort them), and for every file
FILE_BYTES in the plan. A text is held whole: it costs about TEXT_BYTES a character while it is measured, so a long one waits until no
other long one is under way.
"""

import contextlib
import fcntl
import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import psutil

from hanmo.base.errors import ConfigError
from hanmo.base.progress import size
from hanmo.base.runtime import available_cores

PROCESS_BYTES = 170_000_000  # Python, the libraries, their tables
LEAST_SPARE = 60_000_000  # a process
DOCUMENT_BYTES = 260
ENOUGH = 200_000_000  # to hold in a process before it is written; holding more made nothing faster
FILE_BYTES = 2_500
TEXT_BYTES = {True: 40, False: 200}  # a character, by whether all are ASCII
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


@dataclass(frozen=True, slots=True)
class MemoryShare:
    """What one process may hold of its own, and besides, one process at a time, for a long text; `memory` is what the user set."""

    bytes: int = 400_000_000
    turn_bytes: int = 2_000_000_000
    memory: str = ""

    @property
    def held(self) -> int:
        """Bytes to gather before they are written: all that there are, or as many as help."""
        return min(self.bytes, ENOUGH)


@dataclass(frozen=True, slots=True)
class Budget:
    """How many processes work, what each may hold, and what the first holds while it decides about all documents."""

    workers: int
    share: MemoryShare
    table_bytes: int
    memory: str

    def check(self, count: int, each: int, what: str) -> None:
        """Raise ConfigError when `count` things of `each` bytes are too many."""
        if count * each > self.table_bytes:
            needed = size(2 * (count * each - self.table_bytes))  # half of what is added goes elsewhere
            raise ConfigError(f"memory (={self.memory}) is too small for {count:,} {what}: about {needed} more; what is done stays done")


def budget(memory: str, workers: int) -> Budget:
    """Deal the memory.

    workers: 0 for as many as there are cores and the memory allows. Raises ConfigError when it does not do for one, or for those asked for.
    """
    total = memory_bytes(memory) if memory else psutil.virtual_memory().total // 2
    said = memory or size(total)
    wanted = workers or available_cores()
    while wanted > 1 and not workers and _spare(total, wanted) < wanted * LEAST_SPARE:
        wanted -= 1
    spare = _spare(total, wanted)
    if spare < wanted * LEAST_SPARE:
        least = size(total - spare + wanted * LEAST_SPARE)
        fewer = f", or fewer workers (={wanted})" if wanted > 1 else ""
        raise ConfigError(f"memory (={said}) is too small: at least {least}{fewer}")
    return Budget(wanted, MemoryShare(spare // (2 * wanted), spare // 2, said), spare // 2, said)


def memory_bytes(text: str) -> int:
    """Bytes from a number and a unit.

    Raises ConfigError when it is none.

    >>> memory_bytes("1.5GB"), memory_bytes("512 MiB")
    (1500000000, 536870912)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", text.upper())
    if not found or found.group(2) not in UNITS:
        raise ConfigError(f"memory (={text!r}) should be a number and a unit, such as 2GB or 800MB")
    return int(float(found.group(1)) * UNITS[found.group(2)])


@contextlib.contextmanager
def room_for(text: str, source: str, share: MemoryShare, folder: Path) -> Generator[None]:
    """Inside, a text may be measured: at once when it is short, a long one when no other long one is.

    Raises ConfigError when it is too long for all that there is.
    """
    needed = TEXT_BYTES[text.isascii()] * len(text)
    if needed <= share.bytes:
        yield
        return
    if needed > share.bytes + share.turn_bytes:
        more = size(2 * (needed - share.bytes - share.turn_bytes))
        raise ConfigError(
            f"memory (={share.memory}) is too small for {source} with {len(text):,} characters: about {more} more, "
            "or lower read.max_bytes; what is done stays done"
        )
    with (folder / "long.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _spare(total: int, workers: int) -> int:
    return total - PROCESS_BYTES * (workers + 1 if workers > 1 else 1)
