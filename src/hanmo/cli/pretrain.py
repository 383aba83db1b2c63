"""`hanmo pretrain [RECIPE] --data DATASET --tokenizer DIR --out RUN`: train a model from the beginning."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hanmo.base.errors import ConfigError, DataError
from hanmo.base.progress import duration
from hanmo.base.runs import Run
from hanmo.base.storage import read_json, write_json
from hanmo.batches.config import asked_share, network_kind
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.model.config import DecoderConfig
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.train.config import TrainConfig

if TYPE_CHECKING:
    from hanmo.batches.store import TokenStore
    from hanmo.cli.recipe import Recipe
    from hanmo.tokenizer.load import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train a network on a prepared data set; the same command goes on after an interruption."""

    data: Path
    """Data set folder made by hanmo prepare."""
    tokenizer: Path
    """Folder with tokenizer.json."""
    out: Path
    """Run folder to make, or to go on with."""
    tokens: Path | None = None
    """Where encoded tokens are kept; OUT/tokens by default."""
    network: Literal["auto", "decoder", "encoder", "encoder_decoder"] = "auto"
    """Which of the three networks below is trained; auto takes the one that train.objective.name is for."""
    model: DecoderConfig = field(default_factory=DecoderConfig)
    """The decoder."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The encoder."""
    encoder_decoder: EncoderDecoderConfig = field(default_factory=EncoderDecoderConfig)
    """The encoder with a decoder."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Its training."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    return parse_arguments(Options, words, "pretrain", sections=("network", "model", "encoder", "encoder_decoder", "train"))


def run(options: Options) -> dict[str, object]:
    """Train; gives the run's manifest and folder. Of the processes that torchrun starts, the first one keeps others out."""
    options.train.check_limits()
    folder = Run(options.out).create()
    first = os.environ.get("RANK", "0") == "0"
    with folder.alone("training") if first else contextlib.nullcontext():
        return train(options)


def train(options: Options) -> dict[str, object]:
    """As `run`, for a caller who has the folder alone."""
    from hanmo.plan.compute import train_flops_per_token
    from hanmo.tokenizer.load import Tokenizer
    from hanmo.train.pretrain import Settings, context_of, pretrain

    folder = Run(options.out)
    tokenizer = Tokenizer.load(options.tokenizer)
    section, chosen = chosen_network(options)
    if 0 < chosen.vocab_size < tokenizer.vocab_size:
        raise ConfigError(
            f"{section}.vocab_size (={chosen.vocab_size}) is smaller than the tokenizer's (={tokenizer.vocab_size}): "
            "leave it out, or raise it"
        )
    stores = token_stores(options.data, tokenizer, options.tokens or folder.tokens)
    check_parents(folder, stores, tokenizer)
    model = replace(
        chosen,
        vocab_size=chosen.vocab_size or tokenizer.vocab_size,
        bos_token_id=tokenizer.eot_id,
        eos_token_id=tokenizer.eot_id,
        **_padding(chosen, tokenizer),
    )
    settings = Settings(model=model, train=options.train)
    context = context_of(settings)
    asked = asked_share(options.train.objective)
    manifest = pretrain(
        settings,
        stores=stores,
        tokenizer=options.tokenizer,
        run=folder,
        flops_per_token=train_flops_per_token(model, context, asked) / asked,  # what is counted in training are the tokens asked for
    )
    return {"run": str(options.out), **manifest}


def chosen_network(options: "Options | Recipe") -> tuple[str, DecoderConfig | EncoderConfig | EncoderDecoderConfig]:
    """The network that the objective is for, or the one that was asked for, and the section that describes it.

    Raises ConfigError when the two do not go together.
    """
    kind = network_kind(options.train.objective, options.network)
    if kind == "encoder":
        return kind, options.encoder
    return (kind, options.encoder_decoder) if kind == "encoder_decoder" else ("model", options.model)


def _padding(chosen: DecoderConfig | EncoderConfig | EncoderDecoderConfig, tokenizer: "Tokenizer") -> dict[str, int | None]:
    """The token that fills rows up, where a network has a word for it."""
    if isinstance(chosen, DecoderConfig):
        return {}
    return {"pad_token_id": tokenizer.special_id("pad_token") if chosen.pad_token_id is None else chosen.pad_token_id}


def token_stores(data: Path, tokenizer: "Tokenizer", folder: Path) -> dict[str, "TokenStore"]:
    """Encoded train and validation documents, made where they are missing.

    Raises DataError when one of the two has no documents.
    """
    from hanmo.cli.tokenizer import encode_dataset
    from hanmo.data.reading.read import is_dataset

    splits = ("train", "validation")
    if is_dataset(data):
        sums: Mapping[str, Mapping[str, int]] = read_json(data / "manifest.json").get("documents", {})
        for split in splits:
            if sums.get(split, {}).get("documents") == 0:
                raise DataError(
                    f"{data} has no {split} documents: prepare it again with more files, with larger shares under split, "
                    "or with --read.split-on line, heading or chapter, which cuts long files"
                )
    return encode_dataset(data, tokenizer, folder, splits)


def check_parents(folder: Run, stores: "Mapping[str, TokenStore]", tokenizer: "Tokenizer") -> None:
    """Note at a run's first start what it is trained on.

    Raises ConfigError when a later start would go on with something else.
    """
    made_from = {**{name: store.fingerprint for name, store in stores.items()}, "tokenizer": tokenizer.fingerprint}
    if folder.config.exists() and folder.parents.exists():
        earlier = read_json(folder.parents)
        for name, digest in made_from.items():
            if earlier.get(name) != digest:
                other = "tokenizer" if earlier.get("tokenizer") != made_from["tokenizer"] else f"{name} documents"
                raise ConfigError(f"{folder.folder} holds a run with another {other}: choose another --out, or remove the folder")
    write_json(folder.parents, made_from)


def show(result: dict[str, object]) -> str:
    """What a person reads at the end."""
    loss = result["validation_loss"]
    quality = f", validation loss {loss:.4f} nats a token at step {result['best_step']}" if isinstance(loss, float) else ""
    return f"{result['run']}: {result['steps']} steps in {duration(float(str(result['training_seconds'])))}{quality}"
