"""The run folder: the only place that knows its layout.

    config.toml      the settings, fully resolved
    parents.json     what it is trained on: digests of tokens and tokenizer
    manifest.json    stage, parents with hashes, seed, versions, machine, duration
    metrics.jsonl    one JSON object a logged step
    checkpoints/     what is needed to go on
    model/           the best model, in the Hugging Face layout
    report.html
A whole life (`hanmo run`) keeps its stages beside them: recipe.toml, stages.json, data/, tokenizer/, tokens/,
baselines/, plan.json, evaluation.json, samples.json.
"""

import contextlib
import fcntl
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hanmo.base.errors import ModelError, StorageError
from hanmo.base.progress import say
from hanmo.base.storage import make_folder, read_json, storage_errors, write_json, write_text


@dataclass(frozen=True, slots=True)
class Run:
    """Names inside one run folder."""

    folder: Path

    @property
    def config(self) -> Path:  # noqa: D102
        return self.folder / "config.toml"

    @property
    def parents(self) -> Path:  # noqa: D102
        return self.folder / "parents.json"

    @property
    def manifest(self) -> Path:  # noqa: D102
        return self.folder / "manifest.json"

    @property
    def recipe(self) -> Path:  # noqa: D102
        return self.folder / "recipe.toml"

    @property
    def stages(self) -> Path:  # noqa: D102
        return self.folder / "stages.json"

    @property
    def metrics(self) -> Path:  # noqa: D102
        return self.folder / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:  # noqa: D102
        return self.folder / "checkpoints"

    @property
    def model(self) -> Path:  # noqa: D102
        return self.folder / "model"

    @property
    def report(self) -> Path:  # noqa: D102
        return self.folder / "report.html"

    @property
    def data(self) -> Path:  # noqa: D102
        return self.folder / "data"

    @property
    def tokenizer(self) -> Path:  # noqa: D102
        return self.folder / "tokenizer"

    @property
    def tokens(self) -> Path:  # noqa: D102
        return self.folder / "tokens"

    @property
    def baselines(self) -> Path:  # noqa: D102
        return self.folder / "baselines"

    @property
    def evaluation(self) -> Path:  # noqa: D102
        return self.folder / "evaluation.json"

    @property
    def samples(self) -> Path:  # noqa: D102
        return self.folder / "samples.json"

    @property
    def plan(self) -> Path:  # noqa: D102
        return self.folder / "plan.json"

    def create(self) -> "Run":
        """Make the folder.

        Raises StorageError where it cannot be written.
        """
        make_folder(self.folder)
        return self

    @contextlib.contextmanager
    def alone(self, purpose: str, *, wait: bool = False) -> Generator[None]:
        """This process is the only one at work here for one purpose while inside; the lock ends with the process.

        Raises StorageError when another one is, or waits until it has ended.
        """
        with contextlib.ExitStack() as stack:
            with storage_errors(self.folder):
                lock = stack.enter_context((self.folder / f".{purpose}.lock").open("w"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise StorageError(f"another hanmo is at work in {self.folder}: wait for it, or choose another --out") from None
                say(f"another hanmo is at work in {self.folder}: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def write_config(self, toml: str) -> None:
        """Save the resolved settings."""
        write_text(self.config, toml)

    def write_manifest(self, facts: Mapping[str, Any]) -> None:
        """Save what made this run."""
        write_json(self.manifest, facts)

    def read_manifest(self) -> dict[str, Any]:
        """What made this run; empty before it has finished a stage."""
        return read_json(self.manifest) if self.manifest.exists() else {}

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add one line to `metrics.jsonl`."""
        with storage_errors(self.metrics), self.metrics.open("ab") as stream:
            stream.write(json.dumps(row).encode() + b"\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Every logged row; a last line cut by a kill is left out."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines[:-1] if line]

    def keep_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Replace the log by `rows`: on resuming, the steps after the checkpoint are forgotten."""
        write_text(self.metrics, "".join(json.dumps(row) + "\n" for row in rows))


def model_folder(path: Path) -> Path:
    """The model folder behind `path`: itself, or a run's `model/`.

    Raises ModelError when neither is there.
    """
    for candidate in (path, Run(path).model):
        if (candidate / "config.json").is_file():
            return candidate
    if not path.exists():
        raise ModelError(f"{path} does not exist: give a model folder or a run folder")
    found = ", ".join(sorted(p.name for p in path.iterdir())[:6]) if path.is_dir() else "a file"
    raise ModelError(f"{path} is no model: config.json is missing (found: {found or 'nothing'})")
