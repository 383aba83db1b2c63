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

    sources: Positional[tuple[str, ...]] = ()
    """Catalogue names, files, folders, or URLs such as s3://bucket/folder."""
    out: Path
    """Data set folder to make, or to go on with."""
    prepare: Annotated[PrepareConfig, arg(name="")] = field(default_factory=PrepareConfig)
    """How."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb; a recipe may come first."""
    return parse_arguments(Options, words, "prepare", sections=("sources", "prepare"))


def run(options: Options) -> dict[str, Any]:
    """Make the data set; gives its folder and manifest."""
    return {"out": str(options.out), **prepare_sources(options.sources, options.out, options.prepare)}


def prepare_sources(sources: Sequence[str], out: Path, config: PrepareConfig) -> dict[str, Any]:
    """Make the data set `out` and give its manifest; for `hanmo run`."""
    from hanmo.data.prepare import prepare

    return prepare(sources, out, config)


def show(result: dict[str, Any]) -> str:
    """What a person reads at the end."""
    receipts, documents = result["receipts"], result["documents"]
    splits = ", ".join(f"{split} {sums['documents']:,}" for split, sums in documents.items())
    size = sum(sums["bytes"] for sums in documents.values()) / 1e6
    lines = [f"{result['out']}: kept {receipts['kept']:,} of {receipts['total']:,} documents, {size:,.1f} MB ({splits})"]
    lines += [f"  refused by {rule}: {number:,}" for rule, number in receipts["refused"].items()]
    return "\n".join(lines)
