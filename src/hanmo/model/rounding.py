"""Weights in few bits: which whole numbers stand for a matrix, and by how much they are multiplied.

In: a matrix. Out: its codes, in groups of 32 along a row that share a scale. Formulas as in ggml's Q8_0, Q4_0 and Q4_1, scales as
fp16 keeps them; kernels/rounding.cpp finds the same.
Never here: how codes lie in memory (quantized).
N rows, K columns, G = K / 32 groups, C = 32.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int8
from torch import Tensor

Bits = Literal["int4", "int8", "bfloat16"]
GROUP = 32
SHARES = (-1 / 8, -0.95 / 8, -0.9 / 8, -0.85 / 8, -0.8 / 8)
"""Scales that are tried, as shares of the largest value."""
MORE_SHARES = (-1 / 8, -1 / 7.5, -1 / 7, -1 / 8.5, -1 / 9, 1 / 7, 1 / 7.5, 1 / 8, 1 / 8.5)
MOVES = 2
"""How often a scale is moved to where it fits its codes best, which may change the codes."""
WHOLE_CODES = (-8, 7, -7, 6, -6, 5, -5, 4, -4, 3, -3, 2, -2, 1, -1)
"""What the largest value of a group of whole multiples may be, the likeliest first."""
BLOCK = 256
"""Rows that are rounded at once: few enough to stay near the processor."""
A_STEP = 0.001
"""Share of a step that a value may lie beside it to count as kept: more than fp32 loses, less than fp16."""


@dataclass(frozen=True)
class Rounded:
    """A matrix as whole numbers: w = scale code, plus the least value of the group where there is one."""

    code_NGC: Int8[Tensor, "N G C"]
    scale_NG: Float[Tensor, "N G"]
    least_NG: Float[Tensor, "N G"] | None = None

    @property
    def weight_NK(self) -> Float[Tensor, "N K"]:
        """The matrix that these numbers stand for."""
        restored_NGC = self.code_NGC * self.scale_NG[..., None]
        return (restored_NGC if self.least_NG is None else restored_NGC + self.least_NG[..., None]).flatten(1)


def round_int8(weight_NK: Float[Tensor, "N K"]) -> Rounded:
    """Codes in -127 ... 127, scale = max |w| / 127 of the group (ggml's Q8_0)."""
    groups_NGC = _groups(weight_NK)
    scale_NG = _kept(groups_NGC.abs().amax(-1) / 127)
    return Rounded(_nearest(groups_NGC, scale_NG).clamp(-127, 127).to(torch.int8), scale_NG)


def round_int4(weight_NK: Float[Tensor, "N K"]) -> Rounded:
    """Codes in -8 ... 7: the largest value becomes -8 (ggml's Q4_0), or a little less where the squared error is smaller.

    A group of whole multiples of a scale, as a file of 4 bits gives it, keeps its scale.
    """
    groups_NGC = _groups(weight_NK)
    largest_NG = groups_NGC.gather(-1, groups_NGC.abs().argmax(-1, keepdim=True))[..., 0]
    best_NG, smallest_NG = torch.zeros_like(largest_NG), torch.full_like(largest_NG, float("inf"))
    for share in SHARES:
        scale_NG = _kept(largest_NG * share)
        error_NG = (_nearest(groups_NGC, scale_NG).clamp(-8, 7) * scale_NG[..., None] - groups_NGC).square().sum(-1)
        better = error_NG < smallest_NG
        best_NG, smallest_NG = torch.where(better, scale_NG, best_NG), torch.where(better, error_NG, smallest_NG)
    best_NG = _whole_scales(groups_NGC, largest_NG, best_NG)
    return Rounded(_nearest(groups_NGC, best_NG).clamp(-8, 7).to(torch.int8), best_NG)


def round_int4_by_importance(weight_NK: Float[Tensor, "N K"], importance_K: Float[Tensor, " K"]) -> Rounded:
    """The same with the errors of columns weighted, more scales tried, of either sign, and each moved to where it fits its codes best.

    For codes q the best scale is (sum h w q) / (sum h q^2) over the group, h the importance of a column.
    """
    return _one_below_the_other([_by_importance(part, importance_K) for part in weight_NK.split(BLOCK)])


def _by_importance(weight_NK: Tensor, importance_K: Tensor) -> Rounded:
    groups_NGC, importance_GC = _groups(weight_NK), importance_K.unflatten(0, (-1, GROUP))
    largest_NG = groups_NGC.gather(-1, groups_NGC.abs().argmax(-1, keepdim=True))[..., 0]
    best_NG, smallest_NG = torch.zeros_like(largest_NG), torch.full_like(largest_NG, float("inf"))
    for share in MORE_SHARES:
        scale_NG = _kept(largest_NG * share)
        for _ in range(MOVES + 1):
            codes_NGC = _nearest(groups_NGC, scale_NG).clamp(-8, 7)
            error_NG = ((codes_NGC * scale_NG[..., None] - groups_NGC).square() * importance_GC).sum(-1)
            better = error_NG < smallest_NG
            best_NG, smallest_NG = torch.where(better, scale_NG, best_NG), torch.where(better, error_NG, smallest_NG)
            weighted_NGC = codes_NGC * importance_GC
            square_NG = (codes_NGC * weighted_NGC).sum(-1)
            scale_NG = torch.where(square_NG > 0, _kept((groups_NGC * weighted_NGC).sum(-1) / square_NG), scale_NG)
    return Rounded(_nearest(groups_NGC, best_NG).clamp(-8, 7).to(torch.int8), best_NG)


def _whole_scales(groups_NGC: Tensor, largest_NG: Tensor, otherwise_NG: Tensor) -> Tensor:
    """largest / c for the whole c with which a group's values are -8 ... 7 times it, where there is one.

    Such a scale is a number of half precision, which largest / c seldom is otherwise: few groups are looked at.
    """
    found_NG, open_NG = otherwise_NG.clone(), largest_NG != 0
    for code in WHOLE_CODES:
        scale_NG = largest_NG / code
        likely = (open_NG & (_kept(scale_NG) == scale_NG)).nonzero(as_tuple=True)
        codes_nC = groups_NGC[likely] / scale_NG[likely][:, None]
        whole_n = (((codes_nC - codes_nC.round()).abs() <= A_STEP) & (codes_nC < 7.5)).all(-1)
        at = tuple(index[whole_n] for index in likely)
        found_NG[at], open_NG[at] = scale_NG[at], False
    return found_NG


def round_int4_with_least(weight_NK: Float[Tensor, "N K"]) -> Rounded:
    """Codes in 0 ... 15 from the least value of a group to the largest (ggml's Q4_1)."""
    groups_NGC = _groups(weight_NK)
    least_NG, largest_NG = groups_NGC.aminmax(dim=-1)
    scale_NG = _kept((largest_NG - least_NG) / 15)
    return Rounded(_nearest(groups_NGC - least_NG[..., None], scale_NG).clamp(0, 15).to(torch.int8), scale_NG, _kept(least_NG))


def round_weights(weight_NK: Float[Tensor, "N K"], bits: Literal["int4", "int8"]) -> Rounded:
    """The whole numbers that `bits` can express, nearest to a matrix.

    One that already has 16 even steps a group, as a file of 4 bits may, keeps them; half a bit more a weight then holds the least values.
    """
    parts = weight_NK.split(BLOCK)
    if bits == "int8":
        return _one_below_the_other([round_int8(part) for part in parts])
    stepped: list[Rounded] = []
    for part in parts:
        stepped.append(round_int4_with_least(part))
        if not _keeps(stepped[-1], part):
            return _one_below_the_other([round_int4(each) for each in parts])
    return _one_below_the_other(stepped)


def has_even_steps(weight_NK: Float[Tensor, "N K"]) -> bool:
    """Whether a matrix has 16 even steps a group, as a file of 4 bits with least values gives it."""
    return weight_NK.size(1) % GROUP == 0 and all(_keeps(round_int4_with_least(part), part) for part in weight_NK.split(BLOCK))


def _keeps(stepped: Rounded, weight_NK: Tensor) -> bool:
    """Whether the even steps are the weights themselves."""
    step_NG1 = stepped.scale_NG[..., None]
    return bool(((stepped.weight_NK - weight_NK).unflatten(1, (-1, GROUP)).abs() <= step_NG1 * A_STEP).all())


def _one_below_the_other(parts: Sequence[Rounded]) -> Rounded:
    leasts = [part.least_NG for part in parts if part.least_NG is not None]
    codes, scales = torch.cat([part.code_NGC for part in parts]), torch.cat([part.scale_NG for part in parts])
    return Rounded(codes, scales, torch.cat(leasts) if leasts else None)


def _groups(weight_NK: Tensor) -> Tensor:
    return weight_NK.float().unflatten(1, (-1, GROUP))


def _kept(x: Tensor) -> Tensor:
    """As fp16 keeps it."""
    return x.half().float()


def _nearest(groups_NGC: Tensor, scale_NG: Tensor) -> Tensor:
    inverse_NG1 = torch.where(scale_NG == 0, 0.0, 1 / scale_NG)[..., None]
    return (groups_NGC * inverse_NG1).round()


def rounded(weight_NK: Float[Tensor, "N K"], bits: Bits) -> Float[Tensor, "N K"]:
    """The matrix that `bits` can express, nearest to `weight_NK`."""
    return weight_NK.bfloat16().float() if bits == "bfloat16" else round_weights(weight_NK, bits).weight_NK
