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
from hanmo.data.receipts import ReceiptCounts, in_words

SAID = {
    "begins_like_json": "begin like JSON, so --read.text-column or the format may be another",
    "begins_like_page": "begin like a web page, whose marks are kept as text",
    "begins_like_rtf": "begin like RTF, whose marks are kept as text",
    "wrong_decoding": "have the letters of a wrong decoding",
}
MOST = 0.5
SHOWN = 5  # of the reasons
FEW = 3  # documents left out need no warning


@dataclass(frozen=True, slots=True)
class SuspiciousRule:
    """A rule, how many documents it left out, and how many it saw; or what kept documents look like, and how many do."""

    rule: str
    left_out: int
    seen: int


def suspicious_rules(counts: ReceiptCounts) -> list[SuspiciousRule]:
    """Rules that left out most documents, the worst first; duplicates are looked for among what filters let pass."""
    rules = {rule: number for rule, number in counts.rules.items() if rule != MIXED_OUT}
    passed = counts.kept + counts.rules[MIXED_OUT] + counts.rules[EXACT_DUPLICATE] + counts.rules[NEAR_DUPLICATE]
    late = (EXACT_DUPLICATE, NEAR_DUPLICATE)
    found = [SuspiciousRule(rule, number, passed if rule in late else counts.total) for rule, number in rules.items()]
    most = [rule for rule in found if rule.rule == FAULT or (rule.left_out > MOST * rule.seen and rule.left_out > FEW)]
    seen = [SuspiciousRule(look, number, counts.kept) for look, number in counts.looks.items()]
    return sorted([*most, *seen], key=lambda rule: (-rule.left_out, rule.rule))


def lines_to_tell(counts: ReceiptCounts, warnings: Sequence[SuspiciousRule], split: SplitConfig, num_moved: int) -> list[str]:
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


def reasons(counts: ReceiptCounts) -> list[str]:
    """The first receipts in words where more was refused than kept: one of each rule, the worst rule first, then more of these."""
    asked = counts.rules[MIXED_OUT]
    if counts.total - counts.kept - asked <= counts.kept:
        return []
    shown = [counts.examples.get(rule, []) for rule, _ in counts.rules.most_common() if rule not in (MIXED_OUT, "hidden")]
    rounds = [examples[turn] for turn in range(SHOWN) for examples in shown if turn < len(examples)]
    return [f"  {in_words(row)}" for row in rounds[:SHOWN]]


def loud(rule: SuspiciousRule) -> str:
    """The line for standard error."""
    if rule.rule == FAULT:
        return (
            f"WARNING: {FAULT}: a fault in hanmo's own code cost {rule.left_out:,} of {rule.seen:,} inputs; "
            "receipts.parquet names each file and place: please report it"
        )
    share = rule.left_out / rule.seen
    if rule.rule in LOOKS:
        examples = f"look at rows of receipts.parquet whose looks_like is {rule.rule}"
        return f"WARNING: {rule.left_out:,} of {rule.seen:,} kept documents {SAID[rule.rule]}: {examples}"
    return (
        f"WARNING: {rule.rule} left out {rule.left_out:,} of {rule.seen:,} documents ({share:.0%}): "
        "look at some of them in receipts.parquet before you trust this data set"
    )
