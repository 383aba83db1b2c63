"""Mutants worth keeping, one for each answer, as differences from the seeds they came from."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.seeds import Files, Seed

CORPUS = Path(__file__).parent / "corpus.jsonl"
LARGEST = 600
"""Bytes of a difference that is kept."""


@dataclass(frozen=True)
class Case:
    """A mutant of a seed, with the gist of the answer it got."""

    seed: str
    files: Files
    gist: str


def gist(answer: str) -> str:
    """An answer without numbers and quotations, to tell answers of another kind from the same with other numbers."""
    place = re.match(r"\w+ at [^:]+:\d+", answer)
    if place:
        return place[0]
    plain = re.sub(r"/[^ ']*", "PATH", answer)
    plain = (plain.partition(": ")[2] or plain).strip("'\"")
    plain = re.sub(r"\\?['\"][^'\"]{0,200}?\\?['\"]", "Q", plain)
    plain = re.sub(r"(\(=).*?(\))", r"\1V\2", plain)
    plain = re.sub(r"\[[^\]]*\]", "[]", plain)
    return f"{answer.partition(': ')[0]}: {re.sub(r'[0-9][0-9,.]*', 'N', plain)}"[:160] if ": " in answer else answer


def difference(old: bytes | None, new: bytes | None) -> list[object] | None:
    """[bytes kept at the front, bytes kept at the end, what stands between]; None for a file that is gone."""
    if new is None:
        return None
    old = old or b""
    front = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    room = min(len(old), len(new)) - front
    back = next((at for at in range(room) if old[-1 - at] != new[-1 - at]), room)
    return [front, back, base64.b64encode(new[front : len(new) - back]).decode()]


def changed(old: bytes | None, change: list[object]) -> bytes:
    """The new bytes of `difference`."""
    front, back, between = change
    old = old or b""
    return old[:front] + base64.b64decode(str(between)) + (old[len(old) - back :] if back else b"")  # pyright: ignore[reportIndexIssue, reportOperatorIssue]


def write_corpus(path: Path, seeds: Mapping[str, Seed], cases: Iterable[Case], findings: set[str]) -> None:
    """One line a mutant, in order; large ones and findings are left out (a finding becomes a test of its own)."""
    rows = []
    for case in cases:
        old = seeds[case.seed].files
        names = sorted(name for name in old.keys() | case.files.keys() if old.get(name) != case.files.get(name))
        changes = {name: difference(old.get(name), case.files.get(name)) for name in names}
        row = json.dumps({"seed": case.seed, "gist": case.gist, "changes": changes})
        if changes and case.gist not in findings and len(row) <= LARGEST:
            rows.append(row)
    path.write_text("".join(f"{row}\n" for row in sorted(rows)))


def read_corpus(path: Path, seeds: Mapping[str, Seed]) -> list[Case]:
    """The mutants of a corpus, none where there is no file."""
    cases: list[Case] = []
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        row = json.loads(line)
        files = dict(seeds[row["seed"]].files)
        for name, change in row["changes"].items():
            if change is None:
                files.pop(name, None)
            else:
                files[name] = changed(files.get(name), change)
        cases.append(Case(row["seed"], files, row["gist"]))
    return cases
