"""`hanmo contamination TRAINING EVALUATION`: which pieces of an evaluation set stand in the training text, both texts shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tyro.conf import Positional

from hanmo.base.errors import UsageError
from hanmo.cli.arguments import parse as parse_arguments


@dataclass(frozen=True, kw_only=True)
class Options:
    """List every item of the second file or data set that the first one holds: 13 words in a row, or a short item whole."""

    paths: Positional[tuple[str, ...]] = ()
    """What a model learns from, then what it is measured on: files of any format that prepare reads, folders, URLs or data sets."""
    most: int = 10
    """Hits to print; --json lists all of them."""
    most_texts: int = 10
    """A passage in more texts of the first than this (rows, cells, lines) is a stock phrase, told apart; 0 for no such limit."""


MOST_UNREAD = 5


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    options = parse_arguments(Options, words, "contamination")
    if options.most_texts < 0:
        raise UsageError(f"--most-texts (={options.most_texts}) should be at least 0")
    if len(options.paths) != 2:
        raise UsageError(f"hanmo contamination takes two paths, {len(options.paths)} given: hanmo contamination TRAINING EVALUATION")
    return options


def run(options: Options) -> dict[str, Any]:
    """Find the hits; gives their list and the counts."""
    from hanmo.data.duplicates.comparison import compare_files

    training, evaluation = options.paths
    found = compare_files(training, evaluation, options.most_texts)
    return {"training": training, "evaluation": evaluation, "most": options.most, **found}


def show(result: dict[str, Any]) -> str:
    """What a person reads at the end."""
    counts = (
        f"{result['hit_items']:,} of {result['items']:,} items of {result['evaluation']} stand in {result['training']}"
        f" ({result['short_items']:,} are too short to say)"
    )
    stock = result["hit_items"] - result["own_items"]
    lines = [counts, f"  {result['leaked_items']:,} of them have 13 words or more, and more than half of them stand there"]
    lines += [f"  {stock:,} of them are there by phrases alone that more than {result['most_texts']:,} texts hold"] if stock else []
    for hit in result["hits"][: result["most"]]:
        lines += [
            f"  {hit['item']} in {hit['document']}: {hit['covered']} of {hit['length']} words{'' if hit['own'] else ', a stock phrase'}",
            f"    evaluation: {hit['item_text']}",
            f"    training:   {hit['document_text']}",
        ]
    if unread := result["unread"]:
        first = "; ".join(_unread(entry) for entry in unread[:MOST_UNREAD])
        more = f"; and {len(unread) - MOST_UNREAD:,} more, which --json lists" if len(unread) > MOST_UNREAD else ""
        lines.append(f"  not read, so nothing is known of it: {first}{more}")
    if len(result["hits"]) > result["most"]:
        lines.append(f"  ... and {len(result['hits']) - result['most']:,} more: --json lists all")
    return "\n".join(lines)


def _unread(entry: dict[str, str]) -> str:
    return f"{entry['source']}: {entry['rule']}{entry['detail'] and ' (' + entry['detail'] + ')'}"
