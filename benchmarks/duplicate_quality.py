"""Planted near-duplicates in real text: how many are found, and how much of what is found was planted, English and Chinese.

    .venv/bin/python -m pip install datasketch              # its row is left out where it is absent
    .venv/bin/python benchmarks/duplicate_quality.py PATH... --json

Passages of 300 to 4,000 characters are cut from the texts in PATHs (files or folders); each may get one copy in which 5, 10, 15 or
20 % of the characters were replaced, dropped or inserted here and there (`characters`), or as many of its sentences were
replaced by others, dropped or inserted (`sentences`; where the passage has enough of them that this is at least one). A quarter
get a copy of which half is another text: not a duplicate. All go through `hanmo prepare`; a pair is found when one member's
receipt names the other. Precision is the share of such receipts that name the other member of a planted pair. Passages that share
a third of their 13 words in a row with earlier ones are left out before (real text repeats itself). datasketch sees the same
documents: MinHash of 128 values over word 5-grams, characters for Chinese, at the thresholds 0.7 and 0.5 that are usual; a
pair is found when one is among the other's matches. text-dedup's README gives 0.9587 precision and 0.9416 recall for its
MinHash on CORE, another set, for orientation.
"""

import argparse
import importlib.metadata
import json
import random
import re
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hanmo.data.duplicates.letters import mix, windows, words
from hanmo.data.mixing.split import SplitConfig
from hanmo.data.prepare import PrepareConfig, prepare
from hanmo.data.reading.items import read_items
from hanmo.data.tables import read_rows

SHARES = (0.05, 0.1, 0.15, 0.2)
KINDS = ("characters", "sentences")
SENTENCE = re.compile(r"(?<=[.!?。！？\n])")
HAN = re.compile("[\u4e00-\u9fff]")
SHORTEST, LONGEST = 300, 4000
TEXT_DEDUP = {"precision": 0.9587, "recall": 0.9416}


@dataclass(frozen=True)
class Planted:
    """A passage and its changed copy; `kind` is characters, sentences, or half for what is no duplicate."""

    text: str
    copy: str
    kind: str
    share: float

    @property
    def is_duplicate(self) -> bool:
        """Whether the two should be found."""
        return self.kind in KINDS


def passages(paths: list[Path], language: str, dice: random.Random) -> list[str]:
    """Passages that do not repeat each other, in random order."""
    found: list[str] = []
    for item in (item for path in paths for item in read_items(path)):
        if (len(HAN.findall(item.text)) > len(item.text) / 4) != (language == "zh"):
            continue
        start = 0
        while len(item.text) - start >= SHORTEST:
            stop = start + dice.randrange(SHORTEST, LONGEST)
            found.append(item.text[start:stop].strip())
            start = stop
    dice.shuffle(found)
    seen: set[int] = set()
    kept: list[str] = []
    for text in found:
        grams = set(mix(windows(words(text).hashes, 13)).tolist())
        if len(grams & seen) * 3 < len(grams):
            kept.append(text)
        seen |= grams
    return kept


def plant(texts: list[str], count: int, dice: random.Random) -> Iterator[Planted]:
    """Copies of every kind and share in turn, then halves."""
    pool = [sentence for text in texts for sentence in SENTENCE.split(text) if len(sentence.strip()) > 4]
    alphabet = sorted(set("".join(texts[:200])))
    for number, text in enumerate(texts[:count]):
        share = SHARES[number % 4]
        if number // 4 % 2 and len(SENTENCE.split(text)) * share >= 1:
            yield Planted(text, _sentences(text, share, pool, dice), "sentences", share)
        else:
            yield Planted(text, _characters(text, share, alphabet, dice), "characters", share)
    for text, other in zip(texts[count : count + count // 4], texts[count + count // 4 :], strict=False):
        half = len(text) // 2
        yield Planted(text, text[:half] + "\n" + (other * (1 + half // len(other)))[:half], "half", 0.5)


def _characters(text: str, share: float, alphabet: list[str], dice: random.Random) -> str:
    changed: list[str] = []
    for character in text:
        if dice.random() >= share:
            changed.append(character)
            continue
        changed.append(dice.choice(["", dice.choice(alphabet), character + dice.choice(alphabet)]))
    return "".join(changed)


def _sentences(text: str, share: float, pool: list[str], dice: random.Random) -> str:
    parts = SENTENCE.split(text)
    for place in sorted(dice.sample(range(len(parts)), int(share * len(parts))), reverse=True):
        way = dice.choice(["replace", "drop", "insert"])
        parts[place : place + 1] = {"replace": [dice.choice(pool)], "drop": [], "insert": [parts[place], dice.choice(pool)]}[way]
    return "".join(parts)


def found_by_hanmo(documents: list[str], folder: Path) -> set[tuple[int, int]]:
    """Pairs (smaller number first) of which one's receipt names the other."""
    source = folder / "documents.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in documents), "utf-8")
    prepare([source], folder / "data", PrepareConfig(split=SplitConfig(validation=0, test=0)))
    numbers: dict[str, int] = {}
    repeats: list[tuple[int, str]] = []
    for number, row in enumerate(read_rows(folder / "data" / "receipts.parquet", ("id", "rule", "duplicate_of"))):
        numbers[str(row["id"])] = number
        if row["duplicate_of"]:
            repeats.append((number, str(row["duplicate_of"])))
    return {(min(a, numbers[b]), max(a, numbers[b])) for a, b in repeats}


def found_by_datasketch(documents: list[str], language: str, threshold: float) -> set[tuple[int, int]]:
    """Pairs that its index gives for each other."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=threshold, num_perm=128)
    found: set[tuple[int, int]] = set()
    for number, text in enumerate(documents):
        units = list(re.sub(r"\s", "", text)) if language == "zh" else text.lower().split()
        value = MinHash(num_perm=128)
        value.update_batch([" ".join(units[i : i + 5]).encode() for i in range(max(1, len(units) - 4))])
        found |= {(int(other), number) for other in index.query(value)}
        index.insert(str(number), value)
    return found


def score(planted: list[Planted], found: set[tuple[int, int]]) -> dict[str, Any]:
    """Documents 2 i and 2 i + 1 are pair i."""
    wanted = {(2 * i, 2 * i + 1): f"{each.kind} {each.share:.0%}" for i, each in enumerate(planted) if each.is_duplicate}
    right = found & set(wanted)
    totals, hits = Counter(wanted.values()), Counter(wanted[pair] for pair in right)
    return {
        "planted": len(wanted),
        "found": len(found),
        "right": len(right),
        "recall": round(len(right) / len(wanted), 4),
        "precision": round(len(right) / len(found), 4) if found else 1.0,
        "by_kind": {kind: f"{hits[kind]}/{total}" for kind, total in sorted(totals.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--pairs", type=int, default=1000, help="planted pairs a language")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    for language in ("en", "zh"):
        dice = random.Random(options.seed)
        texts = passages(options.paths, language, dice)
        planted = list(plant(texts, min(options.pairs, len(texts) * 2 // 3), dice))
        documents = [text for each in planted for text in (each.text, each.copy)]
        with tempfile.TemporaryDirectory() as place:
            results[f"hanmo {language}"] = score(planted, found_by_hanmo(documents, Path(place)))
        try:
            for threshold in (0.7, 0.5):
                results[f"datasketch {threshold} {language}"] = score(planted, found_by_datasketch(documents, language, threshold))
        except ImportError:
            print("datasketch is not here: its rows are left out")
    for name, result in results.items():
        counts = f"{result['right']} of {result['planted']} planted, {result['found']} found"
        print(f"{name:20} recall {result['recall']:.4f} precision {result['precision']:.4f}: {counts}")
        print(f"    {result['by_kind']}")
    print(f"text-dedup, published, CORE: {TEXT_DEDUP}")
    if options.json:
        versions = {"hanmo": importlib.metadata.version("hanmo"), "numpy": importlib.metadata.version("numpy")}
        print(json.dumps({"results": results, "text_dedup_published": TEXT_DEDUP, "versions": versions}))


if __name__ == "__main__":
    main()
