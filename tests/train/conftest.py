"""A tiny network and learnable rows, made on the spot."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from hanmo.base.records import Batch
from hanmo.base.runs import Run
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.train.config import TrainConfig
from hanmo.train.loop import Loop
from hanmo.train.losses import TokenLoss
from hanmo.train.optimizer import Optimizer
from hanmo.train.progress import Meter

CONTEXT, VOCAB = 16, 23


def rows_of(step: int, rows: int) -> Batch:
    """Rows in which each id is the last one times 5 plus 1, from a start that depends on the step: learnable exactly."""
    rng = np.random.default_rng(step)
    ids = np.empty((rows, CONTEXT + 1), dtype=np.int64)
    ids[:, 0] = rng.integers(VOCAB, size=rows)
    for t in range(CONTEXT):
        ids[:, t + 1] = (ids[:, t] * 5 + 1) % VOCAB
    weights = np.ones((rows, CONTEXT), dtype=np.float32)
    weights[0, CONTEXT // 2 :] = 0.0
    return Batch(ids=ids[:, :-1], targets=ids[:, 1:], weights=weights)


def part(batch: Batch, index: int, parts: int) -> Batch:
    """One of `parts` equal groups of a batch's rows."""
    take = slice(index * len(batch.ids) // parts, (index + 1) * len(batch.ids) // parts)
    return Batch(ids=batch.ids[take], targets=batch.targets[take], weights=batch.weights[take])


def validate(network: torch.nn.Module) -> dict[str, float]:
    batch = rows_of(10**6, 8)
    nats, weight = network.loss(*(torch.from_numpy(a) for a in (batch.ids, batch.targets, batch.weights)))
    return {"validation_loss": float(nats) / float(weight)}


@pytest.fixture
def make_loop(tmp_path) -> Callable[..., Loop]:
    """Build a loop: `make_loop(TrainConfig(...), name=..., micro_batches=..., model=...)`."""

    def make(config: TrainConfig, *, name: str = "run", micro_batches: int = 1, validate=validate, **model) -> Loop:
        torch.set_num_threads(1)
        torch.manual_seed(config.seed)
        shape = {
            "vocab_size": VOCAB,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": CONTEXT,
        }
        network = Decoder(DecoderConfig(**{**shape, **model}))
        precision = torch.bfloat16 if config.precision == "bf16" else torch.float32
        return Loop(
            network=network,
            optimizer=Optimizer(network, config, {"layers.0.attention.qkv.weight": [32, 32, 32]}, precision),
            batch_of=lambda step, micro: part(rows_of(step, config.batch_size), micro, micro_batches),
            loss=TokenLoss(config.label_smoothing),
            micro_batches=micro_batches,
            validate=validate,
            config=config,
            folder=Run(tmp_path / name).create(),
            meter=Meter(flops_per_token=0.0, machine_flops=0.0, quiet=True),
        )

    return make
