"""`hanmo compare MODEL MODEL --data FILE_OR_DATASET`: two models on the same text, paired."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hanmo.cli.arguments import parse as parse_arguments
from hanmo.cli.evaluate import number, spread
from hanmo.pipeline.measure import MeasureOptions, measure, read_documents


@dataclass(frozen=True, kw_only=True)
class Options(MeasureOptions):
    """Compare two models on the same text, document by document; their tokenizers may differ."""

    first: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """Model folder, run, GGUF file, fetched name or hub name."""
    second: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """Another one."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    return parse_arguments(Options, words, "compare")


def run(options: Options) -> dict[str, object]:
    """Score every document with both; gives the difference in bits per byte, first minus second, and both results."""
    from hanmo.data.reading.remote import without_secrets
    from hanmo.evaluate.compare import as_row
    from hanmo.evaluate.measurement import difference

    first, second = (measure(path, read_documents(options), options) for path in (options.first, options.second))
    return {
        "first": {"model": str(options.first), **first.summary()},
        "second": {"model": str(options.second), **second.summary()},
        "data": without_secrets(options.data),
        "unit": first.unit,
        "units": first.measurement.units,
        "least_p_value": first.measurement.least_p_value,
        **as_row(difference(first.measurement, second.measurement)),
    }


def show(result: dict[str, object]) -> str:
    """What a person reads."""
    both = [result["first"], result["second"]]
    rows = [each for each in both if isinstance(each, dict)]
    width = max(len(str(row["model"])) for row in rows)
    lines = [f"{row['model']!s:<{width}}  {number(row['bits_per_byte'])} bits per byte   {spread(row['interval'])}" for row in rows]
    difference = result["difference"]
    assert isinstance(difference, float)
    better = "the first is better" if difference < 0 else "the second is better"
    verdict = better if result["apart"] else "no difference can be told apart from chance"
    paired = f"paired over {result['units']:,} {result['unit']}s"
    seen = f"differences from {number(result['detectable'])} on would be seen four times out of five"
    lines += [
        f"{'difference':<{width}}  {difference:+.4f}   {spread(result['interval'], '+')}, {paired}",
        f"{'':<{width}}  {verdict}, p = {number(result['p_value'])}{few(result['least_p_value'])}; {seen}",
    ]
    return "\n".join(lines)


def few(least: object) -> str:
    """What to say of a p-value where so few units cannot give a small one."""
    return f" (so few units give no less than {least:.3g}: read the interval)" if isinstance(least, float) and least > 0.01 else ""
