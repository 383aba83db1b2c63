"""How far language identification and quality filters agree with labels that others gave.

    python benchmarks/filter_agreement.py [--data FOLDER] [--json]

Languages: the pages of chinesewebtext are Chinese; those of dolma_cc carry the language and its probability that CCNet's fastText
gave them, and what CCNet counted (characters, lines). Quality: chinesewebtext's own ten clean and ten dirty pages, against
each preset; the pages of dolma_cc passed CCNet's perplexity filter (bucket head), so that a preset should keep most.
Nothing is trained or tuned on these pages; with so few of them the counts say more than the shares.
"""

import argparse
import gzip
import json
from collections import Counter
from pathlib import Path

from hanmo.base.runtime import machine, versions
from hanmo.data.cleaning.filters import PRESETS, FilterConfig, judge
from hanmo.data.cleaning.language import identify, sampled
from hanmo.data.cleaning.measures import measure
from hanmo.data.reading.normalize import normalize

DATA = Path(__file__).parents[2] / "shared" / "data"
PAGES = {
    "chinesewebtext": ("clean.jsonl", "dirty.jsonl"),
    "dolma_cc": ("000.json.gz", "cc_en_head-0091.jsonl", "cc_en_head-0174.jsonl"),
}
Page = dict


def read(path: Path) -> list[Page]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.split(b"\n") if line.strip()]


def all_pages(data: Path) -> dict[str, list[Page]]:
    """Pages by file; a page that dolma_cc has twice counts once."""
    missing = [f"{folder}/{name}" for folder, names in PAGES.items() for name in names if not (data / folder / name).is_file()]
    if missing:
        raise SystemExit(f"missing in {data}: {', '.join(missing)}: give the folder that holds chinesewebtext and dolma_cc with --data")
    return {f"{folder}/{name}": read(data / folder / name) for folder, names in PAGES.items() for name in names}


def agreement_of_languages(pages: dict[str, list[Page]]) -> list[dict]:
    rows = []
    for name, found in pages.items():
        wanted = [page.get("metadata", {}).get("language", "zh") for page in found]
        guesses = [identify(normalize(page["text"])) for page in found]
        others = Counter(guess.code for guess, code in zip(guesses, wanted, strict=True) if guess.code != code)
        scores = [page["metadata"]["language_score"] for page in found if "metadata" in page]
        pieces = [(code, piece) for page, code in zip(found, wanted, strict=True) for piece in cut(page["text"])]
        short = sum(identify(piece).code == code for code, piece in pieces)
        row = {"file": name, "pages": len(found), "agree": sum(g.code == code for g, code in zip(guesses, wanted, strict=True))}
        row |= {"others": dict(others), "scripts": dict(Counter(g.script for g in guesses if g.script))}
        row |= {"lines": len(pieces), "lines_agree": short}
        if scores:
            row["mean_score_difference"] = sum(abs(g.score - s) for g, s in zip(guesses, scores, strict=True)) / len(scores)
        rows.append(row)
    return rows


def cut(text: str, least: int = 20) -> list[str]:
    """Lines of some length, as short texts of the language of their page."""
    return [sampled(line) for line in text.split("\n") if len(line.strip()) >= least]


def agreement_of_counts(pages: dict[str, list[Page]]) -> dict:
    """Whether we count what CCNet counted, for pages that were not cut after it counted."""
    whole = [page for name, found in pages.items() if name.endswith("000.json.gz") for page in found]
    same = sum(measure("", page["text"])["characters"] == page["metadata"]["length"] for page in whole)
    lines = sum(len(page["text"].split("\n")) == page["metadata"]["nlines"] for page in whole)
    return {"pages": len(whole), "characters_agree": same, "lines_agree": lines}


def agreement_of_quality(pages: dict[str, list[Page]]) -> list[dict]:
    values = {name: [measure(page["text"], normalize(page["text"])) for page in found] for name, found in pages.items()}
    rows = []
    for preset in PRESETS:
        config = FilterConfig(preset=preset)
        verdicts = {name: [judge(each, config).rule for each in found] for name, found in values.items()}
        clean, dirty = verdicts["chinesewebtext/clean.jsonl"], verdicts["chinesewebtext/dirty.jsonl"]
        head = [rule for name, found in verdicts.items() if name.startswith("dolma_cc") for rule in found]
        right = clean.count("") + len(dirty) - dirty.count("")
        rows.append(
            {
                "preset": preset,
                **{f"{kind}_kept": [found.count(""), len(found)] for kind, found in (("clean", clean), ("dirty", dirty), ("head", head))},
                "agree": [right, len(clean) + len(dirty)],
                "reasons": {k: dict(Counter(r for r in v if r)) for k, v in (("clean", clean), ("dirty", dirty), ("head", head))},
            }
        )
    return rows


def show(result: dict) -> None:
    print(f"{'language of':34} pages agree    lines agree    |score difference|")
    for row in result["languages"]:
        score = f"{row['mean_score_difference']:.3f}" if "mean_score_difference" in row else "-"
        pages, lines = f"{row['agree']}/{row['pages']}", f"{row['lines_agree']}/{row['lines']}"
        print(f"{row['file']:34} {pages:>14} {lines:>14} {score:>10}  {row['others'] or ''} {row['scripts'] or ''}")
    counts = result["counts"]
    print(
        f"counts of CCNet met: characters {counts['characters_agree']}/{counts['pages']}, lines {counts['lines_agree']}/{counts['pages']}"
    )
    print(f"\n{'preset':10} clean kept  dirty kept  agree   CCNet head kept")
    for row in result["quality"]:
        kept = [f"{row[name][0]}/{row[name][1]}" for name in ("clean_kept", "dirty_kept", "agree", "head_kept")]
        print(f"{row['preset']:10} {kept[0]:>10} {kept[1]:>11} {kept[2]:>6} {kept[3]:>10}  refused: {row['reasons']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    pages = all_pages(options.data)
    result = {
        "languages": agreement_of_languages(pages),
        "counts": agreement_of_counts(pages),
        "quality": agreement_of_quality(pages),
        "machine": machine(),
        "versions": versions(),
    }
    show(result)
    if options.json:
        print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main()
