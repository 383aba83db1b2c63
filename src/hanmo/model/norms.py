"""Normalisations, over the last dimension, computed in fp32 and returned in the input's type."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hanmo.model.config import NormKind
from hanmo.model.kernels.functions import add_norm
from hanmo.model.kernels.library import usable


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich 2019, eq. 4)."""
    return F.rms_norm(x, (x.size(-1),), weight, eps)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias (Ba, Kiros and Hinton 2016, eq. 4)."""
    return F.layer_norm(x, (x.size(-1),), weight, bias, eps)


class Norm(nn.Module):
    """One of the two, with its learned scale (and shift)."""

    def __init__(self, kind: NormKind, size: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size)) if kind == "layer_norm" else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        return self.add(x, None)[1]

    def add(self, x: Tensor, update: Tensor | None) -> tuple[Tensor, Tensor]:
        """x + update, and its normalisation: one pass over memory where the kernels work."""
        if usable(x, update, self.weight):
            return add_norm(x, update, self.weight, self.bias, self.eps)
        total = x if update is None else x + update
        if self.bias is None:
            return total, rms_norm(total, self.weight, self.eps)
        return total, layer_norm(total, self.weight, self.bias, self.eps)
