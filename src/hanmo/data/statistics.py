"""What the receipts say of a data set besides counts: languages, origins, duplicates, personal data.

In: `receipts.parquet`. Out: numbers for the card and the report, in an order that depends on nothing but the receipts. The idea:
columns are read one row group at a time, and what is not there (a column that another step adds) leaves its part empty.
Never here: no document's text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path

from hanmo.data.duplicates.contamination import CONTAMINATED, item_of
from hanmo.data.receipts import NEAR_DUPLICATE
from hanmo.data.tables import ArrowTable, column_names

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/@]*@)?([^/:?#]+)")
PII = "pii_"
GROUPED = ("format", "encoding")
NEEDED = ("id", "source", "kept", "rule", "duplicate_of", "value", "detail", "language", "script", "characters", "mojibake", *GROUPED)
LARGEST = 5


@dataclass(slots=True)
class Group:
    """Inputs with something in common."""

    inputs: int = 0
    kept: int = 0
    characters: int = 0
    """Of those kept."""


@dataclass(frozen=True, slots=True, order=True)
class Pair:
    """A document that was left out and the one that was kept in its place; pairs stand in the order of their similarity."""

    similarity: float
    left_out: str
    kept: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """A kept document by its source, and how many equal and nearly equal ones it stands for."""

    source: str
    equal: int
    near: int


@dataclass(slots=True)
class Statistics:
    """Sums over all receipts."""

    languages: dict[str, Group] = field(default_factory=dict[str, Group])
    """By code and script of what was recognised; empty where there are no letters."""
    origins: dict[str, Group] = field(default_factory=dict[str, Group])
    """By host for addresses, else by the name of the source."""
    copies: Counter[str] = field(default_factory=Counter[str])
    """Inputs refused as a copy, by the id of the document that was kept."""
    near: Counter[str] = field(default_factory=Counter[str])
    """Those of the copies that were nearly, but not quite the same."""
    largest: list[Cluster] = field(default_factory=list[Cluster])
    """Documents with most copies."""
    extremes: tuple[Pair, ...] = ()
    """The least alike and the most alike of all near-duplicates."""
    leaked: Counter[str] = field(default_factory=Counter[str])
    """Documents refused for holding an item of an evaluation set, by the item of which they hold most."""
    formats: dict[str, Group] = field(default_factory=dict[str, Group])
    """By what was read."""
    encodings: dict[str, Group] = field(default_factory=dict[str, Group])
    """By the encoding that texts were in."""
    mojibake: Group = field(default_factory=Group)
    """Texts in which mojibake was undone."""
    personal: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    """Places found and documents they stand in, by kind, in kept documents."""


def statistics(receipts: Path) -> Statistics:
    """Read the receipts of a data set."""
    there = column_names(receipts)
    personal = [name for name in there if name.startswith(PII)]
    columns = [name for name in there if name in NEEDED or name in personal]
    found = Statistics()
    for table in ArrowTable.groups(receipts, columns):
        _add(found, table, personal)
    most = sorted(found.copies.items(), key=lambda pair: (-pair[1], pair[0]))[:LARGEST]
    names = _sources(receipts, {identifier for identifier, _ in most})
    found.largest = [Cluster(names.get(name, name), number - found.near[name], found.near[name]) for name, number in most]
    return found


def origin(source: str) -> str:
    """Where a document comes from: the host of an address, else the name of the source.

    >>> origin("https://example.org/a/b"), origin("letters/1901/a.txt"), origin("rows.jsonl#12")
    ('example.org', 'letters', 'rows.jsonl')
    """
    found = ADDRESS.search(source)
    return found.group(1) if found else re.split(r"[/#]", source, maxsplit=1)[0]


def _add(found: Statistics, table: ArrowTable, personal: Sequence[str]) -> None:
    kept = [bool(each) for each in table.numbers("kept")]
    characters = [float(each) for each in table.floats("characters")]
    measured = [bool(each) for each in table.present("characters")]
    codes, scripts = (table.texts(name) if name in table.names else [None] * len(table) for name in ("language", "script"))
    tags = [f"{code}-{script}" if script else code or "" for code, script in zip(codes, scripts, strict=True)]
    _group(found.languages, compress(tags, measured), compress(kept, measured), compress(characters, measured))
    _group(found.origins, map(origin, table.texts("source")), kept, characters)
    for name, groups in zip(GROUPED, (found.formats, found.encodings), strict=True):
        if name in table.names:
            there = table.present(name)
            _group(groups, compress(table.texts(name), there), compress(kept, there), compress(characters, there))
    if "mojibake" in table.names:
        undone = table.numbers("mojibake")
        _group({"": found.mojibake}, [""] * int(undone.sum()), compress(kept, undone), compress(characters, undone))
    _add_copies(found, table)
    if "detail" in table.names:
        pairs = zip(table.texts("rule"), table.texts("detail"), strict=True)
        found.leaked.update(item_of(detail) for rule, detail in pairs if rule == CONTAMINATED)
    for column in personal:
        numbers = [number for number, stays in zip(map(float, table.floats(column)), kept, strict=True) if stays and number > 0]
        places, documents = found.personal.get(column.removeprefix(PII), (0, 0))
        found.personal[column.removeprefix(PII)] = (places + int(sum(numbers)), documents + len(numbers))


def _add_copies(found: Statistics, table: ArrowTable) -> None:
    found.copies.update(name for name in table.texts("duplicate_of") if name)
    near = [rule == NEAR_DUPLICATE for rule in table.texts("rule")]
    if not any(near):
        return
    kept, left_out = (list(compress(table.texts(name), near)) for name in ("duplicate_of", "id"))
    found.near.update(kept)
    pairs = sorted({*map(Pair, compress(map(float, table.floats("value")), near), left_out, kept), *found.extremes})
    found.extremes = (pairs[0], pairs[-1]) if len(pairs) > 1 else (pairs[0],)


def _group(groups: dict[str, Group], names: Iterable[str], kept: Iterable[bool], characters: Iterable[float]) -> None:
    for name, stays, length in zip(names, kept, characters, strict=True):
        group = groups.setdefault(name, Group())
        group.inputs += 1
        if stays:
            group.kept += 1
            group.characters += int(length)


def _sources(receipts: Path, wanted: set[str]) -> dict[str, str]:
    """Sources of some ids."""
    names: dict[str, str] = {}
    for table in ArrowTable.groups(receipts, ("id", "source")) if wanted else ():
        names |= {i: name for i, name in zip(table.texts("id"), table.texts("source"), strict=True) if i in wanted}
    return names
