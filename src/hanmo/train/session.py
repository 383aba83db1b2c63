"""One training of a run folder, whatever is trained: settings resolved and kept, others refused, a manifest at the end.

In: the settings of a stage, and how its loop is made. Out: the run folder with its model, and its manifest. Pretraining,
fine-tuning and preference tuning differ in their settings, networks, batches and losses; what they share stands here.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from hanmo.base.config import build, read_toml, to_table, to_toml
from hanmo.base.errors import ConfigError, TrainingError
from hanmo.base.progress import say
from hanmo.base.runs import Run
from hanmo.base.runtime import keep_freed_memory, machine, peak_memory_bytes, versions
from hanmo.model.store import save_model
from hanmo.train.config import FREE_TO_CHANGE, TrainConfig
from hanmo.train.distributed import World, world
from hanmo.train.loop import Loop
from hanmo.train.networks import Network
from hanmo.train.probe import matrix_flops


class TrainingSettings(Protocol):
    """What `config.toml` of a training run holds: a frozen dataclass of sections, one of them `train`."""

    @property
    def train(self) -> TrainConfig: ...  # noqa: D102


S = TypeVar("S", bound=TrainingSettings)


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a stage adds to the training of a run."""

    stage: str
    """The stage's own name, in the manifest."""
    run: Run
    """The folder."""
    tokenizer: Path
    """Folder of the tokenizer that goes beside the weights."""
    parents: Mapping[str, object]
    """What it is made from, with hashes."""
    assemble: Callable[[World], Loop[Any]]
    """Network, batches, loss and validation, joined in a loop."""
    receipt: Callable[[Loop[Any]], Mapping[str, object]]
    """What became of what was trained on, for the manifest."""


def conduct(session: Session, config: TrainConfig) -> dict[str, object]:
    """Train to the end and write model and manifest; gives the manifest.

    The same call goes on from the newest checkpoint, and does nothing when the stage is finished.
    """
    config.check_limits()
    keep_freed_memory()
    started = time.perf_counter()
    with world() as here:
        if (known := finished(session.run, session.stage)) is not None:
            return known
        loop = session.assemble(here)
        loop.run()
        manifest = _manifest(session, config, loop, time.perf_counter() - started)
        if here.is_first:
            with torch.no_grad():
                save_model(_in_float32(loop), session.run.model, tokenizer_folder=session.tokenizer)
            session.run.write_manifest(manifest)
        here.wait()
    return manifest


def _manifest(session: Session, config: TrainConfig, loop: Loop[Any], seconds: float) -> dict[str, object]:
    state = loop.state
    return {
        "stage": session.stage,
        "seed": config.seed,
        "steps": state.step,
        "tokens": state.tokens,
        "stopped_by": state.stopped_by,
        "best_step": state.best_step,
        "validation_loss": state.best_loss if math.isfinite(state.best_loss) else None,
        "training_seconds": state.seconds,
        "wall_seconds": seconds,
        "peak_memory_bytes": peak_memory_bytes(),
        "parameters": sum(p.numel() for p in loop.network.parameters()),
        "processes": loop.world.size,
        "threads": torch.get_num_threads(),
        "parents": session.parents,
        "packing": session.receipt(loop),
        "machine": machine(),
        "versions": versions(),
    }


def finished(run: Run, stage: str) -> dict[str, object] | None:
    """The manifest of a stage that is done, or None."""
    manifest = run.read_manifest()
    if manifest.get("stage") == stage and (run.model / "config.json").exists():
        say(f"{run.folder} is finished at step {manifest['steps']}: nothing to do")
        return manifest
    return None


def resolve(settings: S, run: Run) -> S:
    """Settings with every choice made; those of an earlier start of the same run win over what is measured now.

    Raises ConfigError when an earlier start had other settings.
    """
    if run.config.exists():
        old = _read_back(settings, run)
        settings = _with_precision(settings, old.train.precision)
        refuse_differences(settings, old, run)
        return settings
    settings = _with_precision(settings, settings.train.precision)
    if settings.train.precision == "auto":
        fast = matrix_flops(torch.bfloat16) > 1.3 * matrix_flops(torch.float32)
        settings = _with_precision(settings, "bf16" if fast else "fp32")
    run.create().write_config(to_toml(settings))
    return settings


def _read_back(settings: S, run: Run) -> S:
    """The settings of an earlier start, of the same kinds as these.

    Raises ConfigError when it had other sections: it trained something else.
    """
    earlier, sections = read_toml(run.config), to_table(settings)
    if set(earlier) != set(sections):
        raise ConfigError(
            f"{run.folder} holds a run of another kind (its settings: {', '.join(earlier)}): choose another --out, or remove the folder"
        )
    kinds = {name: type(getattr(settings, name)) for name in sections}
    return dataclasses.replace(settings, **{name: build(kind, earlier[name], name) for name, kind in kinds.items()})  # pyright: ignore[reportArgumentType, reportCallIssue, reportUnknownVariableType, reportReturnType, reportType]


def _with_precision(settings: S, precision: str) -> S:
    if settings.train.precision != "auto":
        return settings
    train = build(TrainConfig, {**vars(settings.train), "precision": precision})
    return dataclasses.replace(settings, train=train)  # pyright: ignore


def refuse_differences(new: TrainingSettings, old: TrainingSettings, run: Run) -> None:
    """Raise ConfigError when a begun run would go on with settings that change its weights."""
    for section, ours in vars(new).items():
        theirs = getattr(old, section)
        for key, value in vars(ours).items():
            if value != getattr(theirs, key) and not (section == "train" and key in FREE_TO_CHANGE):
                raise ConfigError(
                    f"{run.folder} holds a run with {section}.{key} = {getattr(theirs, key)!r}, now {value!r}: "
                    "choose another --out, or remove the folder"
                )


def _in_float32(loop: Loop[Any]) -> Network:
    """The network with the fp32 masters in place of its rounded weights."""
    network = loop.network.float()
    for parameter, master in zip(loop.optimizer.parameters, loop.optimizer.masters, strict=True):
        if parameter.shape != master.shape:
            raise TrainingError("a weight changed its shape in training")
        parameter.data = master
    return network
