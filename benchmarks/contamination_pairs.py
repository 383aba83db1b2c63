"""How much of every dev and test set stands in its own train set: hanmo contamination over all pairs found in a folder.

    .venv/bin/python benchmarks/contamination_pairs.py FOLDER --json

A pair is two files that are named alike but for the word train, dev, valid, validation, val or test (or lie in folders so named);
the first is what a model learns from. `hit_items` counts items of the second that the first holds, `own_items` those held in
passages that at most ten texts of the first have, `leaked_items` those of 13 words or more of which more than half are held so;
`examples` shows a few with both texts. Nothing is downloaded; FOLDER is any folder of data sets.
"""

import argparse
import itertools
import json
import re
import time
from collections import defaultdict
from pathlib import Path

from hanmo.base.errors import DataError
from hanmo.data.duplicates.comparison import compare_files

SPLITS = {"train": 0, "training": 0, "trn": 0, "dev": 1, "valid": 1, "validation": 1, "val": 1, "trial": 1, "test": 2}
NAME = re.compile(r"(?<![a-z])(" + "|".join(sorted(SPLITS, key=len, reverse=True)) + r")(?![a-z])", re.IGNORECASE)
KINDS = {".txt", ".tsv", ".csv", ".json", ".jsonl", ".parquet"}
EXAMPLES = 3


def pairs_in(folder: Path) -> list[tuple[Path, Path]]:
    """(earlier split, later split) of every set of files that differ in the name of their split."""
    groups: dict[tuple[str, str], dict[int, Path]] = defaultdict(dict)
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        found = NAME.findall(relative)
        packed = path.suffix in (".gz", ".zst", ".xz")
        if not found or not path.is_file() or Path(path.stem if packed else path.name).suffix not in KINDS:
            continue
        kind = found[-1]
        head, _, tail = relative.rpartition(kind)
        groups[head, tail].setdefault(SPLITS[kind.lower()], path)
    return [(group[a], group[b]) for _, group in sorted(groups.items()) for a, b in itertools.combinations(sorted(group), 2)]


def measure(training: Path, evaluation: Path, folder: Path) -> dict[str, object]:
    started = time.perf_counter()
    result = compare_files(training, evaluation)
    return {
        "training": training.relative_to(folder).as_posix(),
        "evaluation": evaluation.relative_to(folder).as_posix(),
        "items": result["items"],
        "hit_items": result["hit_items"],
        "own_items": result["own_items"],
        "leaked_items": result["leaked_items"],
        "hits": len(result["hits"]),
        "seconds": round(time.perf_counter() - started, 2),
        "examples": result["hits"][:EXAMPLES],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    for training, evaluation in pairs_in(options.folder):
        try:
            row = measure(training, evaluation, options.folder)
        except DataError as error:
            print(f"left out: {error}")
            continue
        rows.append(row)
        counts = ", ".join(f"{row[f'{name}_items']:,} {name}" for name in ("hit", "own", "leaked"))
        print(f"{row['training']} -> {row['evaluation']}: {row['items']:,} items, {counts}, {row['seconds']} s", flush=True)
        for hit in row["examples"]:  # pyright: ignore[reportGeneralTypeIssues]
            print(f"    {hit['item']} in {hit['document']}: {hit['covered']} of {hit['length']}")
            print(f"        {hit['item_text'][:160]}\n        {hit['document_text'][:160]}")
    if options.json:
        print(json.dumps({"pairs": rows, "with_hits": sum(bool(row["hit_items"]) for row in rows)}, ensure_ascii=False))


if __name__ == "__main__":
    main()
