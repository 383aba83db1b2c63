"""From token stores to a trained model folder: what pretraining adds to a session."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from hanmo.base.errors import ConfigError
from hanmo.base.records import Batch
from hanmo.base.runs import Run
from hanmo.base.runtime import available_cores, derive_seed
from hanmo.base.storage import sha256
from hanmo.batches.config import network_kind
from hanmo.batches.objectives import Objective, make_objective
from hanmo.batches.special_tokens import check_special_tokens, special_tokens_of, word_groups
from hanmo.batches.store import TokenStore
from hanmo.batches.stream import BatchConfig, BatchStream
from hanmo.model.encoder_config import EncoderDecoderConfig
from hanmo.tokenizer.load import Tokenizer
from hanmo.train.config import TrainConfig
from hanmo.train.distributed import World
from hanmo.train.loop import Loop
from hanmo.train.losses import TokenLoss
from hanmo.train.networks import NetworkConfig, compile_network, context_of, make_network
from hanmo.train.optimizer import Optimizer
from hanmo.train.probe import matrix_flops
from hanmo.train.progress import Meter
from hanmo.train.session import Session, conduct, resolve
from hanmo.train.validation import validation


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `config.toml` of a pretraining run holds."""

    model: NetworkConfig
    """The network."""
    train: TrainConfig
    """Its training."""

    @property
    def context_length(self) -> int:
        """Positions in a row."""
        return context_of(self.model, self.train.context_length)


@dataclass(frozen=True)
class _Pretraining:
    """Settings, text and objective of one pretraining."""

    settings: Settings
    stores: Mapping[str, TokenStore]
    objective: Objective | None
    run: Run
    flops_per_token: float

    def stream(self, micro_rows: int) -> BatchStream:
        """The training batches, in micro-batches of so many rows."""
        config = self.settings.train
        batches = batch_config(config, self.settings.context_length, config.batch_size, micro_rows)
        return BatchStream(self.stores["train"], batches, self.objective)

    def assemble(self, here: World) -> Loop[Batch]:
        """The loop over the next-token loss, or over what the objective asks for."""
        config, context = self.settings.train, self.settings.context_length
        torch.set_num_threads(config.threads or max(1, available_cores() // here.size))
        dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        network = make_network(self.settings.model, config.seed)
        optimizer = Optimizer(network, config, self.settings.model.fused_rows, precision=dtype)
        compile_network(network, config)
        rows = config.batch_size // here.size
        if config.batch_size % here.size:
            raise ConfigError(
                f"train.batch_size (={config.batch_size}) is not a multiple of the number of processes (={here.size}): change one"
            )
        micro_rows = min(config.micro_batch_size or rows, rows)
        stream, few = self.stream(micro_rows), min(config.batch_size, 16)
        watched = batch_config(config, context, few, few)
        flops = self.flops_per_token
        return Loop(
            network=network,
            optimizer=optimizer,
            batch_of=lambda step, micro: stream.batch(step, micro, here.rank, here.size),
            loss=TokenLoss(config.label_smoothing),
            micro_batches=rows // micro_rows,
            validate=validation(self.stores["validation"], watched, config.eval_tokens, self.objective),
            config=config,
            folder=self.run,
            meter=Meter(
                flops_per_token=flops,
                machine_flops=matrix_flops(dtype) if flops and here.is_first else 0.0,
                quiet=not here.is_first,
            ),
            world=here,
        )

    def receipt(self, loop: Loop[Batch]) -> dict[str, object]:
        """What became of every training token."""
        config = self.settings.train
        return self.stream(config.micro_batch_size or config.batch_size).receipt(loop.state.step)


def pretrain(
    settings: Settings, *, stores: Mapping[str, TokenStore], tokenizer: Path, run: Run, flops_per_token: float = 0.0
) -> dict[str, object]:
    """Train on `stores["train"]`, watch `stores["validation"]`, and write the run folder; gives its manifest.

    The same call goes on from the newest checkpoint, and does nothing when the run is finished. Raises ConfigError when
    the folder holds a run with other settings.
    """
    settings = resolve(settings, run)
    work = _Pretraining(settings, stores, objective_of(settings, tokenizer), run, flops_per_token)
    parents = {
        "tokens": {name: store.fingerprint for name, store in stores.items()},
        "tokenizer": sha256(tokenizer / "tokenizer.json"),
    }
    session = Session(stage="pretrain", run=run, tokenizer=tokenizer, parents=parents, assemble=work.assemble, receipt=work.receipt)
    return conduct(session, settings.train)


def objective_of(settings: Settings, tokenizer: Path) -> Objective | None:
    """What the network is asked to say, with the tokenizer's special tokens; None is the next token.

    Raises ConfigError when the network cannot learn it, or the tokenizer lacks what it needs.
    """
    config, kind = settings.train.objective, settings.model.kind
    network_kind(config, kind)
    if config.name == "next_token":
        return None
    if kind == "encoder_decoder" and settings.train.packing == "isolate":
        raise ConfigError(
            "train.packing (=isolate) puts several texts into a row, an encoder-decoder takes one pair a row: set fixed or concatenate"
        )
    words = Tokenizer.load(tokenizer)
    marks, context = special_tokens_of(words), settings.context_length
    check_special_tokens(marks, config, context)
    start = settings.model.start_token_id if isinstance(settings.model, EncoderDecoderConfig) else marks.eot
    return make_objective(config, marks, word_groups(words), network=kind, start=start, context_length=context)


def batch_config(config: TrainConfig, context: int, rows: int, micro_rows: int) -> BatchConfig:
    """How training lays tokens into rows."""
    return BatchConfig(
        batch_size=rows,
        micro_batch_size=micro_rows,
        context_length=context,
        packing=config.packing,
        too_long=config.too_long,
        seed=derive_seed(config.seed, "order"),
    )
