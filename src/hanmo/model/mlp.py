"""The position-wise part of a block. D width, I inner width."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hanmo.model.config import Activation
from hanmo.model.kernels.functions import activation
from hanmo.model.kernels.library import LANES, usable
from hanmo.model.linear import Linear


def gelu(x: Tensor) -> Tensor:
    """x Phi(x), Phi the normal distribution function (Hendrycks and Gimpel 2016)."""
    return F.gelu(x)


def gelu_tanh(x: Tensor) -> Tensor:
    """0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), GPT-2's form of it (same paper, section 2)."""
    return F.gelu(x, approximate="tanh")


def relu2(x: Tensor) -> Tensor:
    """max(0, x)^2 (So et al. 2021, Primer)."""
    return F.relu(x).square()


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "silu": F.silu,
    "gelu": gelu,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": torch.relu,
    "relu2": relu2,
}


def activate(x: Tensor, kind: Activation, *, gated: bool) -> Tensor:
    """act(x), or act(gate) * up where x = [gate | up] (Shazeer 2020, GLU variants)."""
    if usable(x) and x.size(-1) % (2 * LANES if gated else LANES) == 0:
        return activation(x, kind, gated=gated)
    if not gated:
        return ACTIVATIONS[kind](x)
    gate, up = x.chunk(2, dim=-1)
    return ACTIVATIONS[kind](gate) * up


@runtime_checkable
class MLPConfig(Protocol):
    """What the MLP has to know of a network."""

    @property
    def hidden_size(self) -> int:
        """D."""
        ...

    @property
    def mlp_width(self) -> int:
        """I."""
        ...

    @property
    def hidden_act(self) -> Activation:
        """The activation."""
        ...

    @property
    def gated_mlp(self) -> bool:
        """Whether there is a gate."""
        ...

    @property
    def mlp_bias(self) -> bool:
        """Whether both projections add a bias."""
        ...


class MLP(nn.Module):
    """down(act(up x)), or down(act(gate x) * up x) when gated."""

    def __init__(self, config: MLPConfig) -> None:
        super().__init__()
        self.kind: Activation = config.hidden_act
        self.gated = config.gated_mlp
        width = config.mlp_width
        self.up = Linear(config.hidden_size, 2 * width if self.gated else width, bias=config.mlp_bias)
        self.down = Linear(width, config.hidden_size, bias=config.mlp_bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        return self.down(activate(self.up(x_BTD), self.kind, gated=self.gated))
