"""Fuzz everything that reads a model: `make fuzz`, or `python -m tests.fuzz --minutes 10 --corpus tests/fuzz/corpus.jsonl`.

Mutants whose answer nobody has given before are kept and mutated further, so the answers themselves guide the search to new
lines of the readers. The corpus holds them as differences from a seed; findings are printed at once and counted at the end.
"""

import argparse
import json
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ |= {"TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}

from tests.fuzz.corpus import CORPUS, Case, gist, read_corpus, write_corpus
from tests.fuzz.judge import Verdict, judge, judge_all
from tests.fuzz.mutants import mutate
from tests.fuzz.seeds import Seed, make_seeds

AT_ONCE = 40
TOLD = 20
"""Every so many rounds it says how far it is."""


class Search:
    """What has been seen, and which mutants to go on from."""

    def __init__(self, seeds: dict[str, Seed], corpus: list[Case], chance: random.Random) -> None:
        self.seeds, self.chance = seeds, chance
        self.cases = {(case.seed, case.gist): case for case in corpus if case.seed in seeds}
        self.answers: Counter[str] = Counter()
        self.findings: dict[str, list[Case]] = {}
        self.readers: Counter[str] = Counter()
        few = Counter(seed.reader for seed in seeds.values())
        self.shares = {name: few.total() / 3 / few[seed.reader] ** 0.5 for name, seed in seeds.items()}

    def draw(self) -> Case:
        """A mutant of a seed, or of one that gave a new answer."""
        name = self.chance.choices(list(self.shares), list(self.shares.values()))[0]
        bases = [case.files for key, case in self.cases.items() if key[0] == name]
        files = self.chance.choice(bases) if bases and self.chance.random() < 0.5 else self.seeds[name].files
        return Case(name, mutate(self.chance, files), "")

    def take(self, case: Case, verdict: Verdict) -> None:
        """Count a verdict; keep the mutant where it is new."""
        told = gist(verdict.answer)
        case = Case(case.seed, case.files, told)
        self.answers[told] += 1
        self.readers[self.seeds[case.seed].reader] += 1
        if verdict.finding:
            known = self.findings.setdefault(told, [])
            if not known:
                print(f"FINDING in {case.seed}: {verdict.answer}", flush=True)
            known.append(case)
        self.cases.setdefault((case.seed, told), case)


def main() -> int:
    """Fuzz; 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--corpus", type=Path, default=CORPUS)
    parser.add_argument("--findings", type=Path, default=Path("runs/fuzz"), help="where files of findings are written")
    parser.add_argument("--seed", type=int, default=None, help="of the chance; by default another in each run")
    parser.add_argument("--only", default="", help="part of a seed's name")
    parser.add_argument("--replay", action="store_true", help="judge the corpus first and leave it as it is")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as temporary:
        every = make_seeds_apart(Path(temporary))
        seeds = {name: seed for name, seed in every.items() if options.only in name}
        search = Search(seeds, read_corpus(options.corpus, every), chance)
        rounds = 0
        for name, seed in seeds.items():  # in this process, so that forks begin with everything imported
            if (verdict := judge(seed.reader, seed.files, Path(temporary))).answer != "read":
                print(f"the seed {name} is not read: {verdict.answer}", flush=True)
        kept = list(search.cases.values()) if options.replay else []
        verdicts = judge_all([(seeds[case.seed].reader, case.files) for case in kept], Path(temporary))
        for case, verdict in zip(kept, verdicts, strict=True):
            search.take(case, verdict)
        started = time.monotonic()
        while time.monotonic() - started < 60 * options.minutes:
            cases = [search.draw() for _ in range(AT_ONCE)]
            verdicts = judge_all([(seeds[case.seed].reader, case.files) for case in cases], Path(temporary))
            for case, verdict in zip(cases, verdicts, strict=True):
                search.take(case, verdict)
            rounds += 1
            if rounds % TOLD == 0:
                told = f"{sum(search.answers.values())} mutants, {len(search.answers)} answers, {len(search.findings)} findings"
                print(f"{time.monotonic() - started:.0f}s {told}", flush=True)
    if not options.replay:
        write_corpus(options.corpus, every, search.cases.values(), set(search.findings))
    for number, (told, cases) in enumerate(search.findings.items()):
        smallest = min(cases, key=lambda case: sum(map(len, case.files.values())))
        for name, content in smallest.files.items():
            path = options.findings / f"{number:02d}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (options.findings / f"{number:02d}" / "answer.txt").write_text(f"{smallest.seed}\n{told}\n{len(cases)} times\n")
    total = sum(search.answers.values())
    facts = {"mutants": total, "read": search.answers["read"], "answers": len(search.answers), "readers": dict(search.readers)}
    print(json.dumps({**facts, "findings": {told: len(cases) for told, cases in search.findings.items()}}, indent=1))
    return 1 if search.findings else 0


def make_seeds_apart(place: Path) -> dict[str, Seed]:
    """The seeds; made by another process, as threads of libraries that were started here would be missing in forks."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    (place / "seeds").mkdir()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(make_seeds, place / "seeds").result()


if __name__ == "__main__":
    raise SystemExit(main())
