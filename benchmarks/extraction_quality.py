"""How much of an article, and how little else, comes out of a web page: F1 beside the published figure of trafilatura.

    python benchmarks/extraction_quality.py [--data FOLDER] [--json]

FOLDER holds the article extraction benchmark of Scrapinghub: `html/ID.html.gz`, `ground-truth.json` and the stored output of
trafilatura, `trafilatura.json`. Text is cut into runs of four words, counted as often as they stand there; a shorter text is one
run. True positives of a page are the runs that text and truth share. Precision and recall are means over pages, without those
where there is nothing to divide by; F1 is their harmonic mean.
"""

import argparse
import gzip
import importlib.metadata
import json
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from hanmo.data.reading.decode import decode
from hanmo.data.reading.extract import extract_html

PUBLISHED = 0.958
"""F1 of trafilatura 2.0.0 in the README of the benchmark's repository, commit 4a3bc979f76c."""
DATA = Path(__file__).parents[2] / "shared" / "data" / "article_extraction"
WORD = re.compile(r"\w+", re.UNICODE)
RUN = 4
RESAMPLES = 1000


def runs(text: str) -> Counter[tuple[str, ...]]:
    """Runs of four words with how often they stand in a text."""
    words = WORD.findall(text)
    if len(words) < RUN:
        return Counter([tuple(words)] if words else [])
    return Counter(tuple(words[place : place + RUN]) for place in range(len(words) - RUN + 1))


def precision_recall(truth: str, found: str) -> tuple[float | None, float | None]:
    """Shares of the runs found that are true, and of the true ones that are found; None where there is nothing to divide by."""
    true, mine = runs(truth), runs(found)
    shared = (true & mine).total()
    return (shared / mine.total() if mine else None), (shared / true.total() if true else None)


def f1(pages: Sequence[tuple[float | None, float | None]]) -> tuple[float, float, float]:
    """Mean precision, mean recall, and their harmonic mean."""
    precision, recall = (statistics.fmean(page[side] for page in pages if page[side] is not None) for side in (0, 1))
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def interval(pages: Sequence[tuple[float | None, float | None]], seed: int = 1) -> tuple[float, float]:
    """The middle 95 % of F1 over resampled pages."""
    dice = random.Random(seed)
    found = sorted(f1(dice.choices(pages, k=len(pages)))[2] for _ in range(RESAMPLES))
    return found[int(0.025 * RESAMPLES)], found[int(0.975 * RESAMPLES)]


def measured(truth: Mapping[str, Mapping[str, str]], found: Mapping[str, str]) -> dict[str, object]:
    """All figures of one extractor."""
    pages = [precision_recall(facts["articleBody"], found.get(name, "")) for name, facts in truth.items()]
    precision, recall, both = f1(pages)
    return {"f1": both, "interval": interval(pages), "precision": precision, "recall": recall}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not (options.data / "ground-truth.json").exists():
        raise SystemExit(f"{options.data / 'ground-truth.json'} is missing: give the article extraction benchmark's folder with --data")
    truth = json.loads((options.data / "ground-truth.json").read_text("utf-8"))
    paths = {name: path for name in truth if (path := options.data / "html" / f"{name}.html.gz").exists()}
    if not paths:
        raise SystemExit(f"{options.data / 'html'} holds no page of ground-truth.json: give the article extraction benchmark's folder")
    pages = {name: gzip.decompress(path.read_bytes()) for name, path in paths.items()}
    started = time.perf_counter()
    ours = {name: extract_html(decode(data, page=True).text) for name, data in pages.items()}
    seconds = time.perf_counter() - started
    rows = {"hanmo": measured({name: truth[name] for name in pages}, ours)}
    stored = options.data / "trafilatura.json"
    if stored.exists():
        theirs = {name: facts["articleBody"] for name, facts in json.loads(stored.read_text("utf-8"))["output"].items()}
        rows["stored output of trafilatura"] = measured({name: truth[name] for name in pages}, theirs)
        rows["the same, all pages of the truth"] = measured(truth, theirs)
    print(f"{len(pages)} of {len(truth)} pages, {len(pages) / seconds:.1f} pages/s; published F1 of trafilatura 2.0.0 {PUBLISHED:.3f}")
    print(f"{'':33s} {'F1':>7s} {'95 % interval':>17s} {'precision':>10s} {'recall':>7s}")
    for name, row in rows.items():
        low, high = row["interval"]
        print(f"{name:33s} {row['f1']:7.3f} {low:8.3f} to {high:5.3f} {row['precision']:10.3f} {row['recall']:7.3f}")
    if options.json:
        result = {
            "pages": len(pages),
            "pages_per_second": len(pages) / seconds,
            "published_f1": PUBLISHED,
            **rows["hanmo"],
            "extractors": rows,
        }
        print(
            json.dumps(
                {
                    **result,
                    "ratio": rows["hanmo"]["f1"] / PUBLISHED,
                    "versions": {name: importlib.metadata.version(name) for name in ("hanmo", "trafilatura", "lxml")},
                }
            )
        )


if __name__ == "__main__":
    main()
