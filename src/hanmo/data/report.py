"""The report of a data set as one page that opens offline, in English or Chinese.

In: the manifest and what was found. Out: HTML with sizes, reasons with examples (sources and values, no quotations), languages,
origins, lengths, diversity, and, where there are any, duplicates, contamination and personal data.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hanmo.base.page import Block, Cell, Details, Facts, Paragraph, Section, Table, Tiles, page, show
from hanmo.data import card
from hanmo.data.phrases import Language, Phrases
from hanmo.data.receipts import Counts
from hanmo.data.statistics import Findings

EXAMPLE_COLUMNS = ("source", "value", "threshold", "detail", "duplicate_of")
CONTAMINATED = "contaminated"
WIDEST_BAR = 40


def report(manifest: Mapping[str, Any], found: Findings, language: Language) -> str:
    """The report as one page of HTML."""
    say = Phrases(language)
    receipts = manifest["receipts"]
    total_bytes = sum(sums["bytes"] for sums in manifest["documents"].values())
    tiles = [(show(receipts["kept"]), say("kept")), (show(receipts["total"]), say("total")), (show(total_bytes), say("bytes"))]
    notes: list[Block] = [Paragraph(say("alarm", **alarm)) for alarm in manifest.get("warnings", [])]
    notes += [Paragraph(text, quiet=True) for text in (say("words_note"), say("split_note"), *card.moved(manifest, say))]
    sections = [
        Section(say("size"), [Tiles(tiles), Table(*card.size(manifest, say)), *notes]),
        Section(say("refused"), _refused(found.counts, say)),
        Section(say("languages"), [_drawn(*card.languages(found, say)), Paragraph(say("languages_note"), quiet=True)]),
        Section(say("origins"), [_drawn(*card.origins(found, say))]),
        Section(say("lengths"), [_lengths(found.counts, say)]),
        Section(say("diversity"), [Table(*card.diversity(found, say)), Paragraph(say("diversity_note"), quiet=True)]),
        *_where_found(found, say),
        Section(say("sources"), [_sources(manifest, say), Paragraph(card.inputs_note(manifest, say), quiet=True)]),
        Section(say("cleaning"), _made(manifest, say)),
    ]
    return page(f"{say('title')}: {card.names(manifest)}", sections, language)


def _refused(counts: Counts, say: Phrases) -> list[Block]:
    if not counts.rules:
        return [Paragraph(say("nothing"))]
    rows: list[list[Cell]] = [[rule, number] for rule, number in counts.rules.most_common()]
    examples = [Details(f"{rule}: {say('examples')}", [_examples(found, say)]) for rule, found in sorted(counts.examples.items())]
    return [_drawn([say("rule"), say("documents")], rows), *examples, Paragraph(say("receipts"), quiet=True)]


def _examples(found: Sequence[Mapping[str, object]], say: Phrases) -> Table:
    return Table([say(name) for name in EXAMPLE_COLUMNS], [[_cell(row.get(name)) for name in EXAMPLE_COLUMNS] for row in found])


def _where_found(found: Findings, say: Phrases) -> list[Section]:
    """Sections on duplicates, contamination and personal data, each only where there is something to say."""
    sections: list[Section] = []
    if found.statistics.copies:
        sections.append(Section(say("duplicates"), [Table(*card.duplicates(found, say))]))
    if number := found.counts.rules[CONTAMINATED]:
        examples = _examples(found.counts.examples.get(CONTAMINATED, []), say)
        sections.append(Section(say("contamination"), [Paragraph(say("contaminated", number=show(number))), examples]))
    if found.statistics.personal:
        sections.append(Section(say("personal"), [Table(*card.personal(found, say)), Paragraph(say("personal_note"), quiet=True)]))
    return sections


def _sources(manifest: Mapping[str, Any], say: Phrases) -> Table:
    keys = ("name", "license", "language", "citation")
    rows: list[list[Cell]] = [[source[key] or say("unknown") for key in keys] for source in manifest["sources"]]
    return Table([say("source"), *map(say, keys[1:])], rows)


def _made(manifest: Mapping[str, Any], say: Phrases) -> list[Block]:
    blocks: list[Block] = [Facts(card.settings(manifest))]
    if manifest.get("thresholds"):
        blocks.append(Table(*card.thresholds(manifest, say), caption=say("thresholds")))
    return [*blocks, Facts(list(manifest["versions"].items()))]


def _lengths(counts: Counts, say: Phrases) -> Table:
    """Documents by length, each row twice as long as the one before."""
    rows: list[list[Cell]] = [
        [2**power, 2 ** (power + 1), counts.lengths[power]]
        for power in range(min(counts.lengths, default=0), max(counts.lengths, default=-1) + 1)
    ]
    return _drawn([f"{say('characters')} {say('from')}", say("below"), say("documents")], rows)


def _drawn(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """A table whose last column of numbers is drawn as bars beside it."""
    numbers = [float(row[-1]) if isinstance(row[-1], int | float) else 0.0 for row in rows]
    most = max(numbers, default=0) or 1
    bars = ["█" * round(WIDEST_BAR * number / most) for number in numbers]
    return Table([*columns, ""], [[*row, bar] for row, bar in zip(rows, bars, strict=True)])


def _cell(value: object) -> Cell:
    return value if isinstance(value, str | int | float) else None
