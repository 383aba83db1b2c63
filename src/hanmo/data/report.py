"""The report of a data set as one page that opens offline, in English or Chinese.

In: the manifest and what was found. Out: HTML with sizes, mixture, reasons with examples (sources and values), languages, origins,
lengths, diversity, formats, duplicates and contamination with a few texts beside each other, personal data, and how it was made.
A section appears only where there is something to say.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hanmo.base.page import Bar, Beside, Block, Cell, Details, Facts, Language, Paragraph, Passage, Section, Table, Tiles, page, show
from hanmo.base.phrases import Phrases
from hanmo.data import card
from hanmo.data.cleaning.looks import LOOKS
from hanmo.data.duplicates.contamination import CONTAMINATED
from hanmo.data.excerpts import Excerpt
from hanmo.data.findings import Example, Findings
from hanmo.data.phrases import data_phrases
from hanmo.data.reading.contents import FAULT
from hanmo.data.receipts import ReceiptCounts
from hanmo.data.steps import steps

EXAMPLE_COLUMNS = ("source", "value", "threshold", "detail", "duplicate_of")


def _phrase(rule: str) -> str:
    """The words for a warning about a rule, or about what kept documents look like."""
    return "fault" if rule == FAULT else rule if rule in LOOKS else "alarm"


def report(manifest: Mapping[str, Any], found: Findings, language: Language) -> str:
    """The report as one page of HTML."""
    say = data_phrases(language)
    receipts = manifest["receipts"]
    total_bytes = sum(sums["bytes"] for sums in manifest["documents"].values())
    tiles = [(show(receipts["kept"]), say("kept")), (show(receipts["total"]), say("total")), (show(total_bytes), say("bytes"))]
    notes: list[Block] = [Paragraph(say(_phrase(alarm["rule"]), **alarm)) for alarm in manifest.get("warnings", [])]
    notes += [Paragraph(text, quiet=True) for text in (say("words_note"), *card.moved(manifest, say))]
    sections = [
        Section(say("size"), [Tiles(tiles), Table(*card.size(manifest, say)), *notes]),
        *_chosen(manifest, found, say),
        Section(say("refused"), _refused(found.counts, say)),
        Section(say("languages"), [_drawn(*card.languages(found, say)), Paragraph(say("languages_note"), quiet=True)]),
        Section(say("origins"), [_drawn(*card.origins(found, say))]),
        *([Section(say("domains"), [_drawn(*card.domains(found, say))])] if found.domains else []),
        Section(say("lengths"), [_lengths(found.counts, say)]),
        Section(say("diversity"), [Table(*card.diversity(found, say)), Paragraph(say("diversity_note"), quiet=True)]),
        *_where_found(found, say),
        Section(say("sources"), [_sources(manifest, say), Paragraph(card.inputs_note(manifest, say), quiet=True)]),
        Section(say("cleaning"), _made(manifest, found, say)),
    ]
    return page(say.named(say("title"), card.names(manifest)), sections, language)


def _refused(counts: ReceiptCounts, say: Phrases) -> list[Block]:
    if not counts.rules:
        return [Paragraph(say("nothing"))]
    rows: list[list[Cell]] = [[rule, number] for rule, number in counts.rules.most_common()]
    examples = [Details(say.named(rule, say("examples")), [_examples(found, say)]) for rule, found in sorted(counts.examples.items())]
    return [_drawn([say("rule"), say("documents")], rows), *examples, Paragraph(say("receipts"), quiet=True)]


def _examples(found: Sequence[Mapping[str, object]], say: Phrases) -> Table:
    return Table([say(name) for name in EXAMPLE_COLUMNS], [[_cell(row.get(name)) for name in EXAMPLE_COLUMNS] for row in found])


def _chosen(manifest: Mapping[str, Any], found: Findings, say: Phrases) -> list[Section]:
    """Sections on what was taken how often, and what was made of it."""
    mixed, made = card.mixture(manifest, say), card.operations(found, say)
    sections = [Section(say("mixture"), [Table(*mixed), *_quiet(card.mixture_notes(manifest, say))])] if mixed[1] else []
    return [*sections, Section(say("augmented"), [_drawn(*made), *_quiet([say("augmented_note")])])] if made[1] else sections


def _where_found(found: Findings, say: Phrases) -> list[Section]:
    """Sections on formats, duplicates, contamination and personal data, each only where there is something to say."""
    sections: list[Section] = []
    if found.statistics.formats:
        tables = [_drawn(*card.formats(found, say)), _drawn(*card.encodings(found, say))]
        sections.append(Section(say("formats"), [*tables, Paragraph(card.mojibake(found, say)), *_quiet([say("formats_note")])]))
    if found.statistics.copies:
        sections.append(Section(say("duplicates"), _duplicates(found, say)))
    if found.counts.rules[CONTAMINATED]:
        sections.append(Section(say("contamination"), _contamination(found, say)))
    if found.statistics.personal:
        sections.append(Section(say("personal"), [_drawn(*card.personal(found, say)), *_quiet([say("personal_note")])]))
    return sections


def _duplicates(found: Findings, say: Phrases) -> list[Block]:
    heads = [say("near_example", value=show(example.value)) for example in found.near]
    pairs = [block for head, example in zip(heads, found.near, strict=True) for block in (Paragraph(head), _beside(example))]
    note = _quiet([say("near_examples_note")]) if pairs else []
    return [Table(*card.duplicates(found, say)), Table(*card.largest(found, say), caption=say("largest")), *pairs, *note]


def _contamination(found: Findings, say: Phrases) -> list[Block]:
    heads = [say("leak_example", share=f"{example.value:.0%}", item=example.left.name) for example in found.leaks]
    leaks = [block for head, example in zip(heads, found.leaks, strict=True) for block in (Paragraph(head), _beside(example))]
    return [Table(*card.contamination(found, say)), *_quiet([say("leaks_note")]), *leaks]


def _beside(example: Example) -> Beside:
    return Beside([_passage(excerpt) for excerpt in (example.left, example.right)])


def _passage(excerpt: Excerpt) -> Passage:
    return Passage(excerpt.text, caption=excerpt.name, marks=excerpt.marks)


def _quiet(notes: Iterable[str]) -> list[Block]:
    return [Paragraph(note, quiet=True) for note in notes]


def _sources(manifest: Mapping[str, Any], say: Phrases) -> Table:
    keys = ("name", "license", "language", "citation")
    rows: list[list[Cell]] = [[source[key] or say("unknown") for key in keys] for source in manifest["sources"]]
    return Table([say("source"), *map(say, keys[1:])], rows)


def _made(manifest: Mapping[str, Any], found: Findings, say: Phrases) -> list[Block]:
    blocks: list[Block] = [Facts(steps(manifest, found, say))]
    if manifest.get("thresholds"):
        blocks.append(Table(*card.thresholds(manifest, say), caption=say("thresholds")))
    return [*blocks, Details(say("settings"), [Facts(card.settings(manifest))]), Facts(list(manifest["versions"].items()))]


def _lengths(counts: ReceiptCounts, say: Phrases) -> Table:
    """Documents by length, each row twice as long as the one before."""
    rows: list[list[Cell]] = [
        [2**power, 2 ** (power + 1), counts.lengths[power]]
        for power in range(min(counts.lengths, default=0), max(counts.lengths, default=-1) + 1)
    ]
    return _drawn([say("from"), say("below"), say("documents")], rows)


def _drawn(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Table:
    """A table whose last column of numbers is drawn as bars beside it."""
    numbers = [float(row[-1]) if isinstance(row[-1], int | float) else 0.0 for row in rows]
    most = max(numbers, default=0) or 1
    return Table([*columns, ""], [[*row, Bar(number / most)] for row, number in zip(rows, numbers, strict=True)])


def _cell(value: object) -> Cell:
    return value if isinstance(value, str | int | float) else None
