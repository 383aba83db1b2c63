"""The same mutants, steered by atheris towards lines of ours that no mutant has reached: `make fuzz-guided`.

A run of bytes decides which seed is taken and what is changed (`Choices`); libFuzzer changes the bytes and keeps those that reach new
lines. Everything happens in one process, so the first finding ends it. What gave a new answer goes to the corpus that all fuzzing shares.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ |= {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}

EVERY = 60
"""Seconds after which the corpus is written again, as libFuzzer ends the process by itself."""


class Choices(random.Random):
    """Chance whose numbers are read from bytes; those of a fixed seed where they end, as whoever draws until two differ would wait."""

    def __init__(self, content: bytes) -> None:
        super().__init__(0)
        self._left = content

    def _take(self, count: int) -> int:
        taken, self._left = self._left[:count], self._left[count:]
        return int.from_bytes(taken, "little") if len(taken) == count else super().getrandbits(8 * count)

    def random(self) -> float:
        """In [0, 1), of two bytes."""
        return self._take(2) / (1 << 16)

    def getrandbits(self, k: int, /) -> int:
        """A number of k bits, of as many bytes as they need."""
        return self._take((k + 7) // 8) & ((1 << k) - 1)


def target(place: Path, seconds: float, corpus: Path) -> Callable[[bytes], None]:
    """What libFuzzer calls with bytes; raises AssertionError for a finding. To be imported under instrumentation."""
    from tests.fuzz.__main__ import Search, make_seeds_apart
    from tests.fuzz.corpus import read_corpus, write_corpus
    from tests.fuzz.judge import judge

    seeds = make_seeds_apart(place)
    search = Search(seeds, read_corpus(corpus, seeds), random.Random(0))
    started, last = time.monotonic(), time.monotonic() + seconds - 5
    due = min(started + EVERY, last)

    def one(content: bytes) -> None:
        nonlocal due
        search.chance = Choices(content)
        case = search.draw()
        verdict = judge(seeds[case.seed].reader, case.files, place)
        search.take(case, verdict)
        if verdict.finding:
            raise AssertionError(f"{case.seed}: {verdict.answer}")
        if (now := time.monotonic()) > due:
            due = now + EVERY if now > last else min(now + EVERY, last)
            write_corpus(corpus, seeds, search.cases.values(), set(search.findings))
            print(f"{now - started:.0f}s {search.answers.total()} mutants, {len(search.answers)} answers", flush=True)

    return one


def _too_long(number: int, frame: object) -> None:
    raise TimeoutError("takes too much processor time")


def main() -> None:
    """Fuzz; libFuzzer ends the process, with 77 when something was found."""
    import atheris  # pyright: ignore[reportMissingImports]

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--corpus", type=Path, default=Path(__file__).parent / "corpus.jsonl")
    parser.add_argument("--bytes", type=Path, default=Path("runs/fuzz/bytes"), help="where libFuzzer keeps what reached new lines")
    options = parser.parse_args()
    options.bytes.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGPROF, _too_long)
    seconds = 60 * options.minutes
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as temporary:
        with atheris.instrument_imports(include=["hanmo"], enable_loader_override=False):
            one = target(Path(temporary), seconds, options.corpus)
        found = options.bytes.parent / "finding-"
        limits = [f"-max_total_time={seconds:.0f}", "-max_len=96", "-timeout=60", "-rss_limit_mb=6000", f"-artifact_prefix={found}"]
        atheris.Setup([sys.argv[0], *limits, str(options.bytes)], one, internal_libfuzzer=True)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
