"""`hanmo evaluate MODEL --data FILE_OR_DATASET`: bits per byte and perplexity, with an interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hanmo.cli.arguments import parse as parse_arguments
from hanmo.pipeline.measure import MeasureOptions, measure, read_documents


@dataclass(frozen=True, kw_only=True)
class Options(MeasureOptions):
    """Measure how well a model predicts a text."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """Model folder, run, GGUF file, fetched name or hub name."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    return parse_arguments(Options, words, "evaluate")


def run(options: Options) -> dict[str, object]:
    """Score every document; gives the numbers under their stable names."""
    from hanmo.convert.sources import local_model
    from hanmo.data.reading.remote import without_secrets

    local_model(options.model)
    found = measure(options.model, read_documents(options), options)
    return {"model": str(options.model), "data": without_secrets(options.data), **found.summary()}


def show(result: dict[str, object]) -> str:
    """What a person reads."""
    lines = [
        f"{result['model']} on {result['data']}: {result['documents']:,} documents, {result['bytes']:,} bytes",
        f"  bits per byte      {number(result['bits_per_byte'])}   {spread(result['interval'])}",
        f"  perplexity, token  {number(result['perplexity'], 2)}   ({result['tokens']:,} tokens)",
        f"  perplexity, word   {number(result['word_perplexity'], 2)}   ({result['words']:,} words)",
        *(f"  {part}" for part in str(result["definition"]).split("; ")),
    ]
    return "\n".join(lines)


def number(value: object, digits: int = 4) -> str:
    """A number with a fixed number of decimals, or a dash where there is none."""
    return f"{value:,.{digits}f}" if isinstance(value, float) else "-"


def spread(interval: object, sign: str = "") -> str:
    """An interval in words."""
    if not isinstance(interval, list):
        return "no interval: too little text"
    low, high = interval
    return f"95 % interval {low:{sign}.4f} to {high:{sign}.4f}"
