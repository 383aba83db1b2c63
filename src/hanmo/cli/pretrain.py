"""`hanmo pretrain [RECIPE] --data DATASET --tokenizer DIR --out RUN`: train a model from the beginning."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hanmo.base.progress import duration
from hanmo.base.runs import Run
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.model.config import DecoderConfig
from hanmo.train.config import TrainConfig

if TYPE_CHECKING:
    from hanmo.batches.store import TokenStore
    from hanmo.tokenizer.load import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train a decoder on a prepared data set; the same command goes on after an interruption."""

    data: Path
    """Data set folder made by hanmo prepare."""
    tokenizer: Path
    """Folder with tokenizer.json."""
    out: Path
    """Run folder to make, or to go on with."""
    tokens: Path | None = None
    """Where encoded tokens are kept; OUT/tokens by default."""
    model: DecoderConfig = field(default_factory=DecoderConfig)
    """The network."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Its training."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    return parse_arguments(Options, words, "pretrain", sections=("model", "train"))


def run(options: Options) -> dict[str, object]:
    """Train; gives the run's manifest and folder."""
    from hanmo.plan.compute import train_flops_per_token
    from hanmo.tokenizer.load import Tokenizer
    from hanmo.train.pretrain import Settings, pretrain

    options.train.check_limits()
    folder = Run(options.out).create()
    tokenizer = Tokenizer.load(options.tokenizer)
    stores = token_stores(options.data, tokenizer, options.tokens or folder.tokens)
    model = replace(
        options.model,
        vocab_size=options.model.vocab_size or tokenizer.vocab_size,
        bos_token_id=tokenizer.eot_id,
        eos_token_id=tokenizer.eot_id,
    )
    context = options.train.context_length or model.max_position_embeddings
    manifest = pretrain(
        Settings(model=model, train=options.train),
        stores=stores,
        tokenizer=options.tokenizer,
        run=folder,
        flops_per_token=train_flops_per_token(model, context),
    )
    return {"run": str(options.out), **manifest}


def token_stores(data: Path, tokenizer: "Tokenizer", folder: Path) -> dict[str, "TokenStore"]:
    """Encoded train and validation documents, made where they are missing."""
    from hanmo.cli.tokenizer import encode_dataset

    return encode_dataset(data, tokenizer, folder, ("train", "validation"))


def show(result: dict[str, object]) -> str:
    """What a person reads at the end."""
    loss = result["validation_loss"]
    quality = f", validation loss {loss:.4f} nats a token at step {result['best_step']}" if isinstance(loss, float) else ""
    return f"{result['run']}: {result['steps']} steps in {duration(float(str(result['training_seconds'])))}{quality}"
