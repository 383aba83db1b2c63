"""What a training step minimises: a sum over a batch, divided by what the batches of the whole step weigh.

In: a network and a batch. Out: a scalar with gradients. Because the sum is divided by the weight of the whole step, k
micro-batches, or several processes, give the gradient of one large batch. A loss with a second network (preferences with a
reference model) holds it as a field; one that runs the network twice (R-Drop: Liang et al. 2021) does so in its call; a
method that needs the gradient of each example (per-example clipping: Abadi et al. 2016) is a `Backward` of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from hanmo.base.records import Batch
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.train.networks import Network

B_contra = TypeVar("B_contra", contravariant=True)
B = TypeVar("B")


class Loss(Protocol[B_contra]):
    """The sum that a step minimises, over one batch."""

    def weight(self, batch: B_contra) -> float:
        """What this batch adds to the divisor of the step: its tokens, examples or pairs."""
        ...

    def __call__(self, network: Network, batch: B_contra) -> Tensor:
        """The sum over the batch, a scalar in nats."""
        ...


Backward = Callable[[Network, Loss[B], B, float], float]
"""(network, loss, batch, weight of the whole step) -> the batch's sum; leaves the gradient of sum / weight in the network."""


def backward(network: Network, loss: Loss[B], batch: B, weight: float) -> float:
    """The usual way: one pass forward, one back."""
    summed = loss(network, batch)
    (summed / weight).backward()
    return float(summed.detach())


@dataclass(frozen=True)
class TensorBatch:
    """A `Batch` on the network's device; shapes as there."""

    ids: Tensor
    targets: Tensor
    weights: Tensor
    segments: Tensor | None = None
    source: Tensor | None = None
    source_seen: Tensor | None = None

    @classmethod
    def of(cls, batch: Batch, device: torch.device) -> "TensorBatch":
        """The arrays of a batch as tensors."""
        here = [torch.from_numpy(each).to(device) for each in (batch.ids, batch.targets, batch.weights)]
        beside = (batch.segments, batch.source, batch.source_seen)
        return cls(*here, *(None if each is None else torch.from_numpy(each).to(device) for each in beside))

    def loss(self, network: Network, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
        """Weighted sum of the negative log-likelihoods in nats, and the sum of weights."""
        row = (self.ids, self.targets, self.weights)
        if not isinstance(network, EncoderDecoder):
            return network.loss(*row, self.segments, label_smoothing=label_smoothing)
        return network.loss(*row, self.segments, self.source, self.source_seen, label_smoothing=label_smoothing)


@dataclass(frozen=True)
class TokenLoss:
    """Maximum likelihood: -sum of w ln p over the tokens asked for, w their weights."""

    label_smoothing: float = 0.0

    def weight(self, batch: Batch) -> float:
        """The sum of the weights, in double precision."""
        return float(batch.weights.sum(dtype="float64"))

    def __call__(self, network: Network, batch: Batch) -> Tensor:
        """The sum in nats."""
        device = next(network.parameters()).device
        return TensorBatch.of(batch, device).loss(network, self.label_smoothing)[0]
