"""Checkpoints: a folder that appears whole, by one rename, or not at all.

    checkpoints/step-00000200/{tensors.safetensors, state.json}
    checkpoints/best-00000150/{tensors.safetensors, state.json}
The newest two steps and the newest best are kept.
"""

import errno
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from hanmo.base.errors import TrainingError
from hanmo.base.storage import make_folder, read_json, storage_errors, sync, write_json

KEPT = 2


@dataclass(kw_only=True)
class TrainingState:
    """How far a run has come; together with the tensors, all that is needed to go on."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best_loss: float = float("inf")
    best_step: int = -1
    evaluations_since_best: int = 0
    recent_losses: list[float] = field(default_factory=list)
    spikes: int = 0
    stopped_by: str = ""


def save(folder: Path, kind: str, tensors: Mapping[str, Tensor], state: TrainingState) -> None:
    """Write `folder/kind-STEP` and remove what it makes needless."""
    make_folder(folder)
    final = folder / f"{kind}-{state.step:08d}"
    partial = folder / f".{final.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    with storage_errors(partial):
        partial.mkdir()
        write_tensors(partial / "tensors.safetensors", tensors)
        write_json(partial / "state.json", _finite(asdict(state)))
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        sync(folder)
    for old in _all(folder, kind)[: -(1 if kind == "best" else KEPT)]:
        shutil.rmtree(old, ignore_errors=True)


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write and sync a safetensors file; a full disk speaks as OSError."""
    try:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error), str(path)) from error
    sync(path)


def _finite(state: dict[str, object]) -> dict[str, object]:
    """JSON has no infinity: a best loss not yet known is null."""
    return {k: None if v == float("inf") else v for k, v in state.items()}


def _all(folder: Path, kind: str) -> list[Path]:
    return sorted(folder.glob(f"{kind}-*")) if folder.is_dir() else []


def latest(folder: Path, kind: str = "step") -> Path | None:
    """The newest whole checkpoint of a kind, or None."""
    found = _all(folder, kind)
    return found[-1] if found else None


def find(folder: Path, kind: str, step: int) -> Path | None:
    """The checkpoint of a kind at `step`, or else the newest of that kind."""
    exact = folder / f"{kind}-{step:08d}"
    return exact if exact.is_dir() else latest(folder, kind)


def load(path: Path) -> tuple[dict[str, Tensor], TrainingState]:
    """Tensors and progress.

    Raises TrainingError when the checkpoint does not belong to this version or is damaged.
    """
    values = read_json(path / "state.json")
    if set(values) != {f.name for f in fields(TrainingState)}:
        raise TrainingError(f"the checkpoint {path} was written by another version: start again with another --out")
    if values["best_loss"] is None:
        values["best_loss"] = float("inf")
    try:
        return load_file(path / "tensors.safetensors"), TrainingState(**values)
    except Exception as error:
        raise TrainingError(f"the checkpoint {path} is damaged ({error}): remove it to go on from the one before") from error
