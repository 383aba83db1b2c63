"""Two files or data sets are compared: which items of an evaluation set stand in the training text, both texts shown.

In: a training set and an evaluation set. Out: every hit, and counts. The idea: a passage that stands in many training texts is a
stock phrase ("what can be learned from the dialogue?", a notice under every page) and tells nothing about one item; Brown et al.
2020, appendix C, drop what stands in more than ten. So a first pass counts in how many texts each passage stands, a second one
finds the hits, and each hit says how many of its words are of its own. Nothing is hidden: stock phrases are listed behind the others.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hanmo.base.progress import Progress
from hanmo.data.duplicates.contamination import SHORTEST, WINDOW, Index, Integers, build_index, find_hits, found_places, passage
from hanmo.data.duplicates.letters import words
from hanmo.data.reading.inputs import Refused
from hanmo.data.reading.items import Item, read_items

MOST_TEXTS = 10


@dataclass(frozen=True, slots=True)
class Frequencies:
    """In how many training texts each 13 words of the items stand, and each short item."""

    windows: Integers
    whole: Integers


def compare_files(training: Path | str, evaluation: Path | str, most_texts: int = MOST_TEXTS) -> dict[str, Any]:
    """Every hit of the items of one file or data set in the texts of another (paths or URLs), both texts beside each other, and counts.

    A hit's `own` words stand in passages that at most `most_texts` training texts hold (0: any number); a row, a cell and a line of a
    text file count as texts. `own_items` have such words, `leaked_items` are those of 13 words or more of which more than half are
    a text's and their own: the likeliest to be leaks.
    `unread` names the files and rows that could not be read. Raises DataError when one of them cannot be read or holds no text.
    """
    texts, unread = list[str](), list[Refused]()
    index = build_index(_remembered(read_items(evaluation, unread.append), texts))
    rare = without_common(index, _frequencies(training, index), most_texts) if most_texts else index
    found: list[dict[str, Any]] = []
    with Progress("looking for items", total=None, unit="texts") as progress:
        for item in read_items(training, unread.append):
            hits = find_hits(item.text, index)
            own = {hit.item: hit.covered for hit in find_hits(item.text, rare)} if hits else {}
            for hit in hits:
                document = item.line_name(item.text.count("\n", 0, hit.span[0]))
                counts = {"covered": hit.covered, "length": hit.length, "share": round(hit.share, 4), "own": own.get(hit.item, 0)}
                shown = {"item_text": passage(texts[hit.item]), "document_text": passage(item.text, hit.span)}
                found.append({"item": index.names[hit.item], "document": document, **counts, **shown})
            progress.advance()
    found.sort(key=lambda hit: (-(hit["own"] / hit["length"]), -hit["length"]))
    return {
        "items": len(index.names),
        "short_items": int((index.lengths < SHORTEST).sum()),
        "hit_items": len({hit["item"] for hit in found}),
        "own_items": len({hit["item"] for hit in found if hit["own"]}),
        "leaked_items": len({hit["item"] for hit in found if hit["length"] >= WINDOW and hit["own"] > hit["length"] / 2}),
        "most_texts": most_texts,
        "unread": [{"source": entry.source, "rule": entry.rule, "detail": entry.detail} for entry in unread],
        "hits": found,
    }


def _silent(_: Refused) -> None:
    """What is read twice is told once."""


def without_common(index: Index, frequencies: Frequencies, most_texts: int) -> Index:
    """The index without what stands in more than `most_texts` texts."""
    kept = frequencies.windows <= most_texts
    counts = np.diff(index.borders)
    whole = frequencies.whole[np.searchsorted(index.whole, index.whole)] <= most_texts  # equal items are counted at the first
    return dataclasses.replace(
        index,
        windows=index.windows[kept],
        borders=np.concatenate([[0], np.cumsum(counts[kept])]).astype(np.int64),
        places=index.places[np.repeat(kept, counts)],
        whole=index.whole[whole],
        whole_items=index.whole_items[whole],
    )


def _frequencies(training: Path | str, index: Index) -> Frequencies:
    found = Frequencies(np.zeros(len(index.windows), np.int64), np.zeros(len(index.whole), np.int64))
    with Progress("counting passages", total=None, unit="texts") as progress:
        for item in read_items(training, _silent):
            count(item, index, found)
            progress.advance()
    return found


def count(item: Item, index: Index, found: Frequencies) -> None:
    """Add a training text, each line of which is one where `by_line` says so."""
    text = words(item.text)
    for (numbers, at), sums in zip(found_places(text, index), (found.windows, found.whole), strict=True):
        lines = text.lines[at] if item.by_line else np.zeros(len(at), np.int64)
        pairs = np.unique(np.stack([numbers, lines], axis=1), axis=0)
        np.add.at(sums, pairs[:, 0], 1)


def _remembered(items: Iterable[Item], texts: list[str]) -> Iterator[Item]:
    """The items, their texts added to a list as the index names them."""
    for item in items:
        found = item.text.split("\n") if item.by_line else [item.text]
        texts += [text for text in found if len(words(text))]
        yield item
