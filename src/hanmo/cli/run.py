"""`hanmo run RECIPE --out RUN`: a whole life on one page.

Every stage runs in a process of its own, so that its memory is its own and a kill loses one stage at most; a stage whose
settings and inputs have not changed is not done again.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from hanmo.base.config import to_toml
from hanmo.base.errors import ConfigError, HanmoError, Interrupted, UsageError
from hanmo.base.progress import duration, say
from hanmo.base.runs import Run
from hanmo.base.runtime import end_with_parent
from hanmo.base.storage import read_json, write_text
from hanmo.batches.config import network_kind
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
    from hanmo.cli import stages

    recipe, folder = options.recipe, Run(options.out)
    if not recipe.sources:
        raise ConfigError('the recipe names no sources: add sources = ["..."] with catalogue names, files or folders')
    recipe.train.check_limits()
    if (kind := network_kind(recipe.train.objective, recipe.network)) != "decoder":
        raise ConfigError(
            f"train.objective.name (={recipe.train.objective.name}) is for network {kind!r}, and hanmo run compares models that "
            "give every next token a probability: hanmo plan forecasts it, hanmo pretrain trains it"
        )
    recipe.baselines.recurrent_train.check_limits()
    folder.create()
    if options.only:
        with folder.alone("training", wait=True):
            _begin(recipe, folder)
            stages.do(options.only, recipe, folder)
        return {"run": str(options.out), "stage": options.only}
    started = time.monotonic()
    with folder.alone("run"):
        _begin(recipe, folder)
        for stage in STAGES:
            _in_own_process(stage, folder)
    result = {"run": str(options.out), "report": str(folder.report), "seconds": time.monotonic() - started}
    return {**result, "evaluation": read_json(folder.evaluation), "plan": read_json(folder.plan)}


def _begin(recipe: Recipe, folder: Run) -> None:
    from hanmo.cli import stages

    stages.refuse_other_training(recipe, folder)
    write_text(folder.recipe, to_toml(recipe))


def _in_own_process(stage: Stage, folder: Run) -> None:
    from hanmo.cli import stages

    recipe = stages.read(folder)
    if stages.is_done(stage, recipe, folder):
        say(f"— {stage}: done before")
        return
    say(f"— {stage}")
    started = time.monotonic()
    command = [sys.executable, "-m", "hanmo.cli.main", "run", str(folder.recipe), "--out", str(folder.folder), "--only", stage]
    with _handing_on_signals() as hear:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, process_group=0, preexec_fn=end_with_parent)  # noqa: PLW1509
        hear.watch(child)
        code = child.wait()
    if hear.signal_name:
        raise Interrupted(f"asked to stop ({hear.signal_name}) in the stage {stage!r}; the same command goes on from there")
    _raise_for(code, stage)
    say(f"  {stage}: {duration(time.monotonic() - started)}")


def _raise_for(code: int, stage: Stage) -> None:
    if code < 0:
        why = "most likely because memory ran out" if code == -signal.SIGKILL else "which should not happen"
        raise HanmoError(f"the system ended the stage {stage!r} ({signal.Signals(-code).name}), {why}; the same command tries it again")
    if code == UsageError.exit_code:
        raise UsageError(f"the stage {stage!r} was refused: mend what it says above")
    if code:
        raise HanmoError(f"the stage {stage!r} did not finish; the same command goes on from here")


class _Hearing:
    """The first signal that asked us to stop, and the process it is handed on to."""

    def __init__(self) -> None:
        self.signal_name = ""
        self._child: subprocess.Popen[bytes] | None = None

    def watch(self, child: "subprocess.Popen[bytes]") -> None:
        """Hand signals on to this process."""
        self._child = child
        if self.signal_name:  # it came before the process was there
            child.terminate()

    def receive(self, number: int, frame: object) -> None:
        """Note a signal and hand it on, as the one that no process meets with a traceback."""
        self.signal_name = self.signal_name or signal.Signals(number).name
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.terminate()


@contextmanager
def _handing_on_signals() -> Generator[_Hearing]:
    """While inside, whoever asks us to stop asks the stage: it has a group of its own, so Ctrl-C reaches it once, through us."""
    hearing = _Hearing()
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, hearing.receive) for number in numbers}
    try:
        yield hearing
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def show(result: dict[str, object]) -> str:
    """What a person reads at the end: the table, the samples, forecast and fact."""
    if "stage" in result:
        return ""
    from hanmo.evaluate.report import summary

    return summary(Run(Path(str(result["run"]))))
