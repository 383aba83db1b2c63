"""The Python interface: the verbs as functions, with the options of the command line and typed results.

`load` and `load_encoder` give models; `prepare`, `train_tokenizer`, `pretrain`, `measure` and `run` make and judge them. Each
goes on where an earlier call was stopped, as its verb does. `hanmo evaluate` is `measure` here, for `hanmo.evaluate` is a room.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hanmo.base.runs import Run
from hanmo.base.storage import read_json
from hanmo.convert.sources import local_model
from hanmo.data.prepare import PrepareConfig
from hanmo.data.prepare import prepare as make_data_set
from hanmo.data.reading.read import read_any
from hanmo.evaluate.perplexity import Evaluation
from hanmo.generate.embed import TextEncoder
from hanmo.generate.loaded import TextModel
from hanmo.model.rounding import Bits
from hanmo.model.store import Precision
from hanmo.pipeline.life import live
from hanmo.pipeline.measure import MeasureOptions, Split, read_documents
from hanmo.pipeline.measure import measure as measure_documents
from hanmo.pipeline.pretrain import PretrainOptions, pretrain_alone
from hanmo.pipeline.recipe import Recipe, read_recipe
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import train_tokenizer as learn_tokenizer

LoadedModel = TextModel


@dataclass(frozen=True, kw_only=True)
class PreparedData:
    """What `prepare` has made."""

    folder: Path
    """documents/, receipts.parquet, manifest.json, card.md, report.html."""
    inputs: int
    """Documents found, each with its receipt."""
    kept: int
    refused: Mapping[str, int]
    """Rule -> documents it left out."""
    documents: Mapping[str, int]
    """Documents of each split."""
    bytes: Mapping[str, int]
    """UTF-8 bytes of each split."""


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """What `pretrain` has made."""

    folder: Path
    """The run; its model is in `model/`."""
    steps: int
    tokens: int
    """Tokens asked for in training."""
    seconds: float
    """Of training, evaluation and checkpoints."""
    stopped_by: Literal["limit", "patience"]
    best_step: int
    """Step whose weights were kept."""
    validation_loss: float | None
    """Nats a token asked for; None where it was never measured."""


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """What `run` has made."""

    folder: Path
    report: Path | None
    """report.html, where the recipe asks for one."""
    evaluation: Mapping[str, Any]
    """What evaluation.json holds: models and paired differences; empty where the recipe does not evaluate."""


def load(path: str | Path, *, dtype: Precision | Bits | None = "float32") -> LoadedModel:
    """The model in a model folder, a run, a GGUF file, or behind a fetched name or a hub name.

    dtype: float32, or bfloat16, int8, int4 for speed; None takes that of the file. Raises ModelError when there is no model.
    """
    return LoadedModel(local_model(path), dtype=dtype)


def load_encoder(path: str | Path, *, dtype: Precision | None = "float32") -> TextEncoder:
    """The encoder in a model folder or a run folder, or a fetched name, which turns texts into vectors.

    Raises ModelError when there is none.
    """
    return TextEncoder(local_model(path), dtype=dtype)


def prepare(*sources: str | Path, out: str | Path, config: PrepareConfig | None = None) -> PreparedData:
    """Files, folders, URLs or catalogue names become the data set `out`.

    Raises DataError when a source is missing or nothing is kept.
    """
    manifest = make_data_set(sources, Path(out), config)
    receipts, splits = manifest["receipts"], manifest["documents"]
    return PreparedData(
        folder=Path(out),
        inputs=receipts["total"],
        kept=receipts["kept"],
        refused=receipts["refused"],
        documents={split: sums["documents"] for split, sums in splits.items()},
        bytes={split: sums["bytes"] for split, sums in splits.items()},
    )


def train_tokenizer(data: str | Path, *, out: str | Path, config: TokenizerConfig | None = None) -> Tokenizer:
    """A tokenizer of the training documents of a data set, or of bare text, saved in the folder `out`."""
    texts = (document.text for document in read_any(str(data), "train"))
    tokenizer = learn_tokenizer(texts, config or TokenizerConfig())
    tokenizer.save(Path(out))
    return tokenizer


def pretrain(options: PretrainOptions) -> TrainedRun:
    """Train a network on a data set; the run folder is `options.out`.

    Raises ConfigError when the folder holds another training, Interrupted after saving when asked to stop.
    """
    manifest: dict[str, Any] = pretrain_alone(options)
    return TrainedRun(
        folder=options.out,
        steps=manifest["steps"],
        tokens=manifest["tokens"],
        seconds=manifest["training_seconds"],
        stopped_by=manifest["stopped_by"],
        best_step=manifest["best_step"],
        validation_loss=manifest["validation_loss"],
    )


def measure(
    model: str | Path,
    data: str | Path,
    *,
    split: Split | None = None,
    stride: int | None = None,
    unit: Literal["document", "passage"] = "document",
) -> Evaluation:
    """Bits per byte and perplexity of a model on a text or a split of a data set, with intervals; `hanmo evaluate` prints it."""
    options = MeasureOptions(data=str(data), split=split, stride=stride, unit=unit)
    return measure_documents(Path(model), read_documents(options), options)


def run(recipe: Recipe | str | Path, *, out: str | Path) -> FinishedRun:
    """Everything that a recipe asks for, stage by stage, each in a process of its own."""
    folder = Run(Path(out))
    live(recipe if isinstance(recipe, Recipe) else read_recipe(Path(recipe)), folder)
    return FinishedRun(
        folder=folder.folder,
        report=folder.report if folder.report.exists() else None,
        evaluation=read_json(folder.evaluation) if folder.evaluation.exists() else {},
    )
