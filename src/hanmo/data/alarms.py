"""A rule that leaves out most of what it sees is more often a mistake than a finding, and is said loudly; a fault of ours always is.

In: what the receipts add up to. Out: a warning for each such rule, for standard error, the manifest and the report, and the
first reasons where little was kept. Mixing out is nobody's
mistake: it was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hanmo.data.cleaning.looks import LOOKS
from hanmo.data.decisions import EXACT_DUPLICATE, MIXED_OUT, NEAR_DUPLICATE
from hanmo.data.mixing.split import SplitConfig
from hanmo.data.reading.contents import FAULT
from hanmo.data.receipts import Counts, in_words

SAID = {
    "begins_like_json": "begin like JSON, so --read.text-column or the format may be another",
    "begins_like_page": "begin like a web page, whose marks are kept as text",
    "begins_like_rtf": "begin like RTF, whose marks are kept as text",
    "wrong_decoding": "have the letters of a wrong decoding",
}
MOST = 0.5
SHOWN = 5  # of the reasons
FEW = 3  # documents left out alarm nobody


@dataclass(frozen=True, slots=True)
class Alarm:
    """A rule, how many documents it left out, and how many it saw; or what kept documents look like, and how many do."""

    rule: str
    left_out: int
    seen: int


def alarms(counts: Counts) -> list[Alarm]:
    """Rules that left out most documents, the worst first; duplicates are looked for among what filters let pass."""
    rules = {rule: number for rule, number in counts.rules.items() if rule != MIXED_OUT}
    passed = counts.kept + counts.rules[MIXED_OUT] + counts.rules[EXACT_DUPLICATE] + counts.rules[NEAR_DUPLICATE]
    late = (EXACT_DUPLICATE, NEAR_DUPLICATE)
    found = [Alarm(rule, number, passed if rule in late else counts.total) for rule, number in rules.items()]
    most = [alarm for alarm in found if alarm.rule == FAULT or (alarm.left_out > MOST * alarm.seen and alarm.left_out > FEW)]
    seen = [Alarm(look, number, counts.kept) for look, number in counts.looks.items()]
    return sorted([*most, *seen], key=lambda alarm: (-alarm.left_out, alarm.rule))


def lines_to_tell(counts: Counts, warnings: Sequence[Alarm], split: SplitConfig, num_moved: int) -> list[str]:
    """What a person should know of a data set just made, a line each."""
    lines = [*map(loud, warnings), *reasons(counts)]
    empty = [name for name in ("validation", "test") if getattr(split, name) > 0 and not counts.splits[name]["documents"]]
    if empty:
        few = f"the groups of split.group_by (={split.group_by!r})" if split.group_by else f"{counts.kept} documents"
        lines.append(f"warning: no document for {' and '.join(empty)}: {few} are too few; --read.split-on passage cuts long texts")
    if num_moved:
        lines.append(
            f"note: {num_moved} of {counts.kept} documents moved so that no split stays empty; "
            "with more documents, or larger shares under split, the hash alone decides"
        )
    return lines


def reasons(counts: Counts) -> list[str]:
    """The first receipts in words where more was refused than kept: one of each rule, the worst rule first, then more of these."""
    asked = counts.rules[MIXED_OUT]
    if counts.total - counts.kept - asked <= counts.kept:
        return []
    shown = [counts.examples.get(rule, []) for rule, _ in counts.rules.most_common() if rule not in (MIXED_OUT, "hidden")]
    rounds = [examples[turn] for turn in range(SHOWN) for examples in shown if turn < len(examples)]
    return [f"  {in_words(row)}" for row in rounds[:SHOWN]]


def loud(alarm: Alarm) -> str:
    """The line for standard error."""
    if alarm.rule == FAULT:
        return (
            f"WARNING: {FAULT}: a fault in hanmo's own code cost {alarm.left_out:,} of {alarm.seen:,} inputs; "
            "receipts.parquet names each file and place: please report it"
        )
    share = alarm.left_out / alarm.seen
    if alarm.rule in LOOKS:
        examples = f"look at rows of receipts.parquet whose looks_like is {alarm.rule}"
        return f"WARNING: {alarm.left_out:,} of {alarm.seen:,} kept documents {SAID[alarm.rule]}: {examples}"
    return (
        f"WARNING: {alarm.rule} left out {alarm.left_out:,} of {alarm.seen:,} documents ({share:.0%}): "
        "look at some of them in receipts.parquet before you trust this data set"
    )
