"""`hanmo run RECIPE --out RUN`: a whole life on one page.

Every stage runs in a process of its own, so that its memory is its own and a kill loses one stage at most; a stage whose
settings and inputs have not changed is not done again.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from hanmo.base.runs import Run
from hanmo.base.storage import read_json
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.pipeline.fitting import still_free
from hanmo.pipeline.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Options:
    """Take a recipe from files to a model and its report; the same command goes on after an interruption."""

    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    """What to do; any key can be changed by a dotted flag."""
    out: Path
    """Run folder to make, or to go on with."""
    only: str | None = None
    """Do this stage alone: prepare, tokenizer, plan, baselines, pretrain, evaluate, sample or report."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    options = parse_arguments(Options, words, "run", whole="recipe")
    return replace(options, recipe=replace(options.recipe, fitted=still_free(options.recipe.fitted, words)))


def run(options: Options) -> dict[str, object]:
    """Do every stage that is not done yet; gives the evaluation and where everything lies."""
    from hanmo.pipeline.life import live, live_one

    folder, started = Run(options.out), time.monotonic()
    if options.only:
        live_one(options.only, options.recipe, folder)
        return {"run": str(options.out), "stage": options.only}
    live(options.recipe, folder)
    parts = {"report": folder.report, "evaluation": folder.evaluation, "plan": folder.plan}
    made = {name: path for name, path in parts.items() if path.exists()}
    result: dict[str, object] = {"run": str(options.out), "seconds": time.monotonic() - started}
    return result | {name: str(path) if name == "report" else read_json(path) for name, path in made.items()}


def show(result: dict[str, object]) -> str:
    """What a person reads at the end: the table, the samples, forecast and fact."""
    if "stage" in result:
        return ""
    from hanmo.evaluate.report import summary

    return summary(Run(Path(str(result["run"]))))
