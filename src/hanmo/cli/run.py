"""`hanmo run RECIPE --out RUN`: a whole life on one page.

Every stage runs in a process of its own, so that its memory is its own and a kill loses one stage at most; a stage whose
settings and inputs have not changed is not done again.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from hanmo.base.config import to_toml
from hanmo.base.errors import ConfigError, HanmoError
from hanmo.base.progress import duration, say
from hanmo.base.runs import Run
from hanmo.base.storage import read_json, write_text
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.cli.recipe import Recipe

Stage = Literal["prepare", "tokenizer", "plan", "baselines", "pretrain", "evaluate", "sample", "report"]
STAGES: tuple[Stage, ...] = ("prepare", "tokenizer", "plan", "baselines", "pretrain", "evaluate", "sample", "report")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Take a recipe from files to a model and its report; the same command goes on after an interruption."""

    recipe: Annotated[Recipe, tyro.conf.arg(name="")]
    """What to do; any key can be changed by a dotted flag."""
    out: Path
    """Run folder to make, or to go on with."""
    only: Stage | None = None
    """Do this stage alone."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    return parse_arguments(Options, words, "run", whole="recipe")


def run(options: Options) -> dict[str, object]:
    """Do every stage that is not done yet; gives the evaluation and where everything lies."""
    recipe, folder = options.recipe, Run(options.out)
    if not recipe.sources:
        raise ConfigError('the recipe names no sources: add sources = ["..."] with catalogue names, files or folders')
    recipe.train.check_limits()
    folder.create()
    write_text(folder.recipe, to_toml(recipe))
    if options.only:
        from hanmo.cli import stages

        stages.do(options.only, recipe, folder)
        return {"run": str(options.out), "stage": options.only}
    started = time.monotonic()
    for stage in STAGES:
        _in_own_process(stage, folder)
    result = {"run": str(options.out), "report": str(folder.report), "seconds": time.monotonic() - started}
    return {**result, "evaluation": read_json(folder.evaluation), "plan": read_json(folder.plan)}


def _in_own_process(stage: Stage, folder: Run) -> None:
    import subprocess

    from hanmo.cli import stages

    recipe = stages.read(folder)
    if stages.is_done(stage, recipe, folder):
        say(f"— {stage}: done before")
        return
    say(f"— {stage}")
    started = time.monotonic()
    command = [sys.executable, "-m", "hanmo.cli.main", "run", str(folder.recipe), "--out", str(folder.folder), "--only", stage]
    child = subprocess.Popen(command, stdout=sys.stderr)
    try:
        code = child.wait()
    except KeyboardInterrupt:
        child.wait()
        raise
    if code:
        raise HanmoError(f"the stage {stage!r} did not finish; the same command goes on from here")
    say(f"  {stage}: {duration(time.monotonic() - started)}")


def show(result: dict[str, object]) -> str:
    """What a person reads at the end: the table, the samples, forecast and fact."""
    if "stage" in result:
        return ""
    from hanmo.evaluate.report import summary

    return summary(Run(Path(str(result["run"]))))
