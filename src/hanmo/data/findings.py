"""All that the card and the report tell besides the manifest: numbers, and a few texts beside each other.

In: the work folder of a data set that is nearly done. Out: `Findings`. The idea: what was left out stands in no data set, so its
texts are quoted while the shards are still here; a handful of each kind, the same ones for any number of workers.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np

from hanmo.data.diversity import Diversity, diversity
from hanmo.data.duplicates.contamination import item_of, item_texts
from hanmo.data.excerpts import Excerpt, differing, sharing
from hanmo.data.mixing.folds import AUGMENTED_BY, REPEAT_OF
from hanmo.data.mixing.groups import group_of
from hanmo.data.receipts import ReceiptCounts
from hanmo.data.shards import documents_file, verdicts_file
from hanmo.data.statistics import Statistics, statistics
from hanmo.data.tables import ArrowTable, Row

EXAMPLES = 5
DOMAINS = ("url", "domain")


@dataclass(frozen=True, slots=True)
class Example:
    """Two texts beside each other, and in how much they agree: a similarity, or the share of an item that a document holds."""

    value: float
    left: Excerpt
    right: Excerpt


@dataclass(frozen=True, slots=True)
class Findings:
    """Counts and statistics of the receipts, diversity of the texts, and what the documents' metadata and the shards say.

    `domains` counts kept documents by web domain, `operations` augmented copies by what was done to them; `near` are pairs of
    near-duplicates, `leaks` items of evaluation sets beside the documents that hold them.
    """

    counts: ReceiptCounts
    statistics: Statistics
    diversity: Diversity
    domains: Counter[str] = field(default_factory=Counter[str])
    operations: Counter[str] = field(default_factory=Counter[str])
    near: tuple[Example, ...] = ()
    leaks: tuple[Example, ...] = ()


def find(work: Path, counts: ReceiptCounts, against: Sequence[str], keep_columns: Sequence[str], copies: int) -> Findings:
    """Everything about the data set whose documents, receipts and shards lie in `work`."""
    found = statistics(work / "receipts.parquet")
    has_domains = bool(set(DOMAINS) & set(keep_columns))
    domains, operations = _from_metadata(work / "documents", has_domains) if copies or has_domains else (Counter[str](), Counter[str]())
    return Findings(
        counts=counts,
        statistics=found,
        diversity=diversity(work / "documents"),
        domains=domains,
        operations=operations,
        near=tuple(_near(work, found)),
        leaks=tuple(_leaks(work, against)) if against else (),
    )


def _from_metadata(documents: Path, has_domains: bool) -> tuple[Counter[str], Counter[str]]:
    domains, operations = Counter[str](), Counter[str]()
    for path in sorted(documents.glob("*.parquet")):
        for table in ArrowTable.groups(path, ("metadata",)):
            for row in table.rows():
                metadata = cast("dict[str, str]", row["metadata"])
                if AUGMENTED_BY in metadata:
                    operations[metadata[AUGMENTED_BY]] += 1
                elif has_domains and REPEAT_OF not in metadata:
                    domains[group_of("domain", "", "", metadata)] += 1
    return domains, operations


def _near(work: Path, found: Statistics) -> Iterator[Example]:
    texts = _texts(work, {name for pair in found.extremes for name in (pair.left_out, pair.kept)})
    for pair in found.extremes:
        yield Example(pair.similarity, *differing(texts[pair.left_out], texts[pair.kept]))


def _texts(work: Path, wanted: set[str]) -> dict[str, Excerpt]:
    """Source and text of some documents that passed the filters, by id."""
    found: dict[str, Excerpt] = {}
    for path in _shards(work, documents_file) if wanted else ():
        for number, ids in enumerate(ArrowTable.blocks(path, ("id",))):
            if places := [place for place, name in enumerate(ids.texts("id")) if name in wanted]:
                for table in ArrowTable.blocks(path, ("id", "source", "text"), [number]):
                    rows = table.take(np.array(places)).rows()
                    found |= {str(row["id"]): Excerpt(str(row["source"]), str(row["text"])) for row in rows}
    return found


def _leaks(work: Path, against: Sequence[str]) -> Iterator[Example]:
    """The first hits in the order of the inputs, both texts beside each other."""
    hits: list[Row] = []
    for path in _shards(work, verdicts_file):
        table = ArrowTable.read(path, columns=("source", "detail", "value", "passage"))
        hits += table.take(np.flatnonzero(table.present("passage"))[:EXAMPLES]).rows()
        if len(hits) >= EXAMPLES:
            break
    names = [item_of(str(row["detail"])) for row in hits[:EXAMPLES]]
    texts = item_texts(against, names)
    for name, row in zip(names, hits, strict=False):
        item, document = Excerpt(name, texts.get(name, "")), Excerpt(str(row["source"]), str(row["passage"]))
        yield Example(cast("float", row["value"]), *sharing(item, document))


def _shards(work: Path, place: Callable[[Path, int], Path]) -> Iterator[Path]:
    """The files of one kind of all shards."""
    return itertools.takewhile(Path.exists, (place(work, shard) for shard in itertools.count()))
