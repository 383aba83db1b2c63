"""Normalisations, over the last dimension, computed in fp32 and returned in the input's type."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hanmo.model.config import NormKind
from hanmo.model.kernels.functions import add_norm
from hanmo.model.kernels.library import usable


def rms_norm(x: Tensor, weight: Tensor, eps: float, shift: float = 0.0) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * (shift + weight) (Zhang and Sennrich 2019, eq. 4); a shift is added in fp32, where nothing is lost."""
    if not shift:
        return F.rms_norm(x, (x.size(-1),), weight, eps)
    return F.rms_norm(x.float(), (x.size(-1),), shift + weight.float(), eps).to(x.dtype)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
    """(x - mean) / sqrt(variance + eps) * weight + bias (Ba, Kiros and Hinton 2016, eq. 4)."""
    return F.layer_norm(x, (x.size(-1),), weight, bias, eps)


class Norm(nn.Module):
    """One of the two, with its learned scale (and shift)."""

    def __init__(self, kind: NormKind, size: int, eps: float, *, zero_centered: bool = False) -> None:
        super().__init__()
        self.eps, self.shift = eps, 1.0 if zero_centered else 0.0
        self.weight = nn.Parameter(torch.zeros(size) if zero_centered else torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size)) if kind == "layer_norm" else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        return self.add(x, None)[1]

    def add(self, x: Tensor, update: Tensor | None) -> tuple[Tensor, Tensor]:
        """x + update, and its normalisation: one pass over memory where the kernels work."""
        if usable(x, update, self.weight):
            return add_norm(x, update, self.weight, self.bias, self.eps, self.shift)
        total = x if update is None else x + update
        if self.bias is not None:
            return total, layer_norm(total, self.weight, self.bias, self.eps)
        return total, rms_norm(total, self.weight, self.eps, self.shift)
