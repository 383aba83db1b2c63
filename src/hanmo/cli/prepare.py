"""`hanmo prepare SOURCE... --out DIR`: turn files into clean documents, with a receipt for each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from hanmo.cli.arguments import parse as parse_arguments
from hanmo.data.prepare import PrepareConfig


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make a data set; the same command goes on after an interruption, and does nothing when nothing has changed."""

    sources: Annotated[Positional[tuple[str, ...]], arg(metavar="SOURCE...")] = ()
    """Catalogue names, files, folders, or URLs such as s3://bucket/folder."""
    out: Path
    """Data set folder to make, or to go on with."""
    replay: str = ""
    """Tell from the receipts of --out what other filters would keep, such as "filters.min_words=20,filters.preset=web"; nothing is made."""
    show_receipts: bool = False
    """Show from the receipts of --out what was refused, each with its row and reason, also where nothing was kept.
    Without sources nothing is made; with them, they are prepared first."""
    prepare: Annotated[PrepareConfig, arg(name="")] = field(default_factory=PrepareConfig)
    """How."""


USED_MOST = (
    "--out",
    "--read.text-column",
    "--read.split-on",
    "--filters.none",
    "--filters.preset",
    "--filters.min-words",
    "--duplicates.near",
    "--contamination.against",
    "--workers",
    "--show-receipts",
)
MOST_SHOWN = 50


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb; a recipe may come first."""
    return parse_arguments(Options, words, "prepare", sections=("sources", "prepare"), first=USED_MOST)


def run(options: Options) -> dict[str, Any]:
    """Make the data set, or replay its receipts; gives its folder and manifest, or what would change."""
    if options.show_receipts:
        from hanmo.data.prepare import prepare
        from hanmo.data.receipts import refused_rows

        if options.sources:
            prepare(options.sources, options.out, options.prepare)
        return {"out": str(options.out), "receipts": list(refused_rows(options.out / "receipts.parquet"))}
    if options.replay:
        from hanmo.data.replay import replay

        return {"out": str(options.out), **replay(options.out, options.replay)}
    from hanmo.data.prepare import prepare

    return {"out": str(options.out), **prepare(options.sources, options.out, options.prepare)}


def show(result: dict[str, Any]) -> str:
    """What a person reads at the end."""
    if "replay" in result:
        return _show_replay(result)
    if isinstance(result["receipts"], list):
        return _show_receipts(result)
    receipts, documents = result["receipts"], result["documents"]
    splits = ", ".join(f"{split} {sums['documents']:,}" for split, sums in documents.items())
    size = sum(sums["bytes"] for sums in documents.values()) / 1e6
    lines = [f"{result['out']}: kept {receipts['kept']:,} of {receipts['total']:,} documents, {size:,.1f} MB ({splits})"]
    lines += [f"  refused by {rule}: {number:,}" for rule, number in receipts["refused"].items()]
    return "\n".join((*lines, *_mixture(result)))


def _mixture(result: dict[str, Any]) -> list[str]:
    """The share of each group that was reached, beside what was asked."""
    unit = "taken_bytes" if result["settings"]["mix"]["total_bytes"] else "taken_documents"
    total = sum(share[unit] for share in result["mixture"]) or 1
    lines = [f"  mixture: {share['group']} {share[unit] / total:.1%}, asked {share['wanted']:.1%}" for share in result["mixture"]]
    mix, out = result["settings"]["mix"], result["receipts"]["refused"].get("mixed_out", 0)
    spent = [share["group"] for share in result["mixture"] if share["taken_documents"] == share["documents"] * mix["max_repeats"]]
    if not (mix["total_documents"] or mix["total_bytes"]) and out > result["receipts"]["kept"]:
        held = f"{out:,} documents stay out because {', '.join(spent)} has no more"
        lines.append(f"  {held}: a weight of 0, or mix.total_documents, frees them")
    return lines


def _show_replay(result: dict[str, Any]) -> str:
    """Counts before and after, and some of the documents that change sides."""
    from hanmo.data.receipts import in_words

    changes = ", ".join(f"{key} = {value}" for key, value in result["replay"].items())
    lines = [f"{result['out']} with {changes}, from the receipts of {result['total']:,} inputs:"]
    lines += [f"  {name}: {result[name]['before']:,} -> {result[name]['after']:,}" for name in ("kept", "words", "characters")]
    for rule, pair in result["refused"].items():
        if pair["before"] != pair["after"]:
            lines.append(f"  refused by {rule}: {pair['before']:,} -> {pair['after']:,}")
    for change in ("gained", "lost"):
        if result[change]:
            lines.append(f"  {change} {result[change]:,} documents, such as")
            lines += [f"    {in_words(example)}" for example in result["examples"][change]]
    if result["uncompared"]:
        lines.append(f"  {result['uncompared']:,} of the gained were never compared with others: some may prove to be duplicates")
    return "\n".join(lines)


def _show_receipts(result: dict[str, Any]) -> str:
    """What was refused, the first of it."""
    from hanmo.data.receipts import in_words

    rows: list[dict[str, object]] = result["receipts"]
    lines = [
        f"{result['out']}: {len(rows):,} inputs were refused{':' if rows else ''}",
        *(f"  {in_words(row)}" for row in rows[:MOST_SHOWN]),
    ]
    return "\n".join((*lines, *([f"  ... and {len(rows) - MOST_SHOWN:,} more: --json lists all"] if len(rows) > MOST_SHOWN else [])))
