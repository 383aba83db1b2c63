"""What networks that foretell the next token share: hidden states become logits by one matrix, and logits a loss.

In: the hidden states and the matrix of a network. Out: logits, and the loss of training. The idea: the loss never holds all logits
at once (likelihood).
"""

from abc import ABC, abstractmethod

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from hanmo.model.likelihood import linear_negative_log_likelihood


class NextTokenNetwork(nn.Module, ABC):
    """A network with `hidden` states and an `output_weight`."""

    @property
    @abstractmethod
    def output_weight(self) -> Tensor:
        """The matrix [V, D] that turns the last hidden state into logits."""

    @abstractmethod
    def hidden(self, ids_BT: Int[Tensor, "B T"], segments_BT: Int[Tensor, "B T"] | None = None) -> Float[Tensor, "B T D"]:
        """The last hidden state; `segments_BT` isolates documents that share a row."""

    def logits(self, hidden_D: Float[Tensor, "*n D"]) -> Float[Tensor, "*n V"]:
        """The output projection of some hidden states."""
        return F.linear(hidden_D, self.output_weight)

    def loss(
        self,
        ids_BT: Int[Tensor, "B T"],
        targets_BT: Int[Tensor, "B T"],
        weights_BT: Float[Tensor, "B T"],
        segments_BT: Int[Tensor, "B T"] | None = None,
        label_smoothing: float = 0.0,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Weighted sum of the negative log-likelihoods, and the sum of weights, both fp32."""
        hidden_BTD = self.hidden(ids_BT, segments_BT)
        return linear_negative_log_likelihood(hidden_BTD, self.output_weight, targets_BT, weights_BT, label_smoothing)
