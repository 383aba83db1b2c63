"""A quick look at validation text while a network trains; `hanmo evaluate` measures with sliding windows."""

import dataclasses
import math
from collections.abc import Callable, Mapping

from hanmo.batches.objectives import Objective
from hanmo.batches.store import TokenStore
from hanmo.batches.stream import BatchConfig, BatchStream
from hanmo.train.losses import TensorBatch
from hanmo.train.networks import Network


def validation(
    store: TokenStore, batches: BatchConfig, tokens: int = 0, objective: Objective | None = None
) -> Callable[[Network], Mapping[str, float]]:
    """Rows packed as in training, every token scored once; of so many `tokens`, 0 for all.

    Gives `validation_loss` (nats a token asked for) and, where that is every next token, `validation_bits_per_byte`. What
    is hidden or cut out is the same in every look.
    """
    batches = dataclasses.replace(batches, too_long="split", shuffle=False, repeat=False)
    stream = BatchStream(store, batches, objective)
    steps = stream.steps_per_epoch
    if tokens:
        steps = max(1, min(steps, tokens // (batches.batch_size * batches.context_length)))

    def validate(network: Network) -> Mapping[str, float]:
        nats = weight = 0.0
        device = next(network.parameters()).device
        for step in range(steps):
            summed, counted = TensorBatch.of(stream.batch(step), device).loss(network)
            nats, weight = nats + float(summed), weight + float(counted)
        tokens_per_byte = store.num_tokens / max(1, store.num_bytes)
        if objective is not None:
            return {"validation_loss": nats / weight}
        return {"validation_loss": nats / weight, "validation_bits_per_byte": nats / weight / math.log(2) * tokens_per_byte}

    return validate
