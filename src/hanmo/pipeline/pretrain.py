"""From a data set and a tokenizer to a trained model folder."""

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from hanmo.base.runs import Run
from hanmo.batches.config import asked_share
from hanmo.model.config import DecoderConfig
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.pipeline.fitting import check_end, fitted_to_text, tell
from hanmo.pipeline.networks import NetworkChoice
from hanmo.train.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class PretrainOptions:
    """Train a network on a prepared data set; the same command goes on after an interruption."""

    data: Path
    """Data set folder made by hanmo prepare."""
    tokenizer: Path
    """Folder with tokenizer.json."""
    out: Path
    """Run folder to make, or to go on with."""
    tokens: Path | None = None
    """Where encoded tokens are kept; OUT/tokens by default."""
    network: NetworkChoice = "auto"
    """Which of the three networks below is trained; auto takes the one that train.objective.name is for."""
    model: DecoderConfig = field(default_factory=DecoderConfig)
    """The decoder."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The encoder."""
    encoder_decoder: EncoderDecoderConfig = field(default_factory=EncoderDecoderConfig)
    """The encoder with a decoder."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Its training."""
    fitted: tuple[str, ...] = ()
    """Settings of the two that follow the text's tokens and train.max-minutes: those that neither recipe nor flag names."""


def pretrain_alone(options: PretrainOptions) -> dict[str, object]:
    """Train; gives the run's manifest. Of the processes that torchrun starts, the first one keeps others out."""
    check_end(options.train, options.fitted)
    folder = Run(options.out).create()
    first = os.environ.get("RANK", "0") == "0"
    with folder.alone("training") if first else contextlib.nullcontext():
        return pretrain_run(options)


def pretrain_run(options: PretrainOptions) -> dict[str, object]:
    """As `pretrain_alone`, for a caller who has the folder alone."""
    from hanmo.pipeline.networks import network_for
    from hanmo.pipeline.tokens import check_parents, token_stores
    from hanmo.plan.compute import train_flops_per_token
    from hanmo.tokenizer.load import Tokenizer
    from hanmo.train.pretrain import Settings, pretrain

    folder, tokenizer = Run(options.out), Tokenizer.load(options.tokenizer)
    model, train = network_for(options, tokenizer), options.train
    stores = token_stores(options.data, tokenizer, options.tokens or folder.tokens)
    check_parents(folder, stores, tokenizer)
    if isinstance(model, DecoderConfig):
        model, train, found = fitted_to_text(model, train, options.fitted, stores["train"].num_tokens, folder)
        if found is not None:
            tell(found)
    settings = Settings(model=model, train=train)
    asked = asked_share(options.train.objective)
    # what is counted in training are the tokens asked for
    flops_per_token = train_flops_per_token(model, settings.context_length, asked) / asked
    return pretrain(settings, stores=stores, tokenizer=options.tokenizer, run=folder, flops_per_token=flops_per_token)
