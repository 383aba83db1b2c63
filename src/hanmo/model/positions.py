"""How a position is told to the network. T positions, D width, W width of a head (even), P = W/2 pairs, B rows, H heads."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor


def sinusoidal_positions(positions_T: Int[Tensor, " T"], size: int) -> Float[Tensor, "T D"]:
    """PE(t, 2i) = sin(t / 10000^(2i/D)), PE(t, 2i+1) = cos(t / 10000^(2i/D)) (Vaswani et al. 2017, section 3.5)."""
    frequencies = 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angles = positions_T[:, None].double() * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :size].float()


def rotary_angles(positions_BT: Int[Tensor, "B T"], width: int, theta: float) -> tuple[Float[Tensor, "B T P"], Float[Tensor, "B T P"]]:
    """cos and sin of t theta^(-2i/W) for every pair i < W/2, in fp32 (Su et al. 2021, eq. 15)."""
    frequencies = theta ** (-torch.arange(0, width, 2, dtype=torch.float32, device=positions_BT.device) / width)
    angles_BTP = positions_BT[..., None].float() * frequencies
    return angles_BTP.cos(), angles_BTP.sin()


def rotate(
    x_BTHW: Float[Tensor, "B T H W"], cos_BTP: Float[Tensor, "#B T P"], sin_BTP: Float[Tensor, "#B T P"]
) -> Float[Tensor, "B T H W"]:
    """Turn each pair (x_i, x_{i+W/2}) by its angle: (l, r) -> (l cos - r sin, r cos + l sin), pairs as Hugging Face makes them.

    Computed in fp32, returned in the input's type.
    """
    left, right = x_BTHW.chunk(2, dim=-1)
    cos, sin = cos_BTP[:, :, None], sin_BTP[:, :, None]
    return torch.cat([left * cos - right * sin, right * cos + left * sin], dim=-1).to(x_BTHW.dtype)


def halves(table_TD: Float[Tensor, "T D"]) -> Float[Tensor, "T D"]:
    """Sines first, then cosines: the order of Marian (Junczys-Dowmunt et al. 2018) for the same numbers."""
    return torch.cat([table_TD[:, 0::2], table_TD[:, 1::2]], dim=1)


def relative_buckets(distance_TS: Int[Tensor, "T S"], num_buckets: int, max_distance: int, *, both_ways: bool) -> Int[Tensor, "T S"]:
    """The bucket of each distance key - query (Raffel et al. 2020, section 2.1).

    Near distances d < n have one each; from n on the width grows by log(d / n) / log(max_distance / n), and all from
    `max_distance` on share the last. n is half of the buckets of a direction. Without `both_ways` what lies ahead counts as 0.
    """
    if both_ways:
        num_buckets //= 2
        ahead_TS = num_buckets * (distance_TS > 0)
        distance_TS = distance_TS.abs()
    else:
        ahead_TS = torch.zeros_like(distance_TS)
        distance_TS = (-distance_TS).clamp(min=0)
    near = num_buckets // 2
    growth = (distance_TS.clamp(min=near).float() / near).log() / math.log(max_distance / near) * (num_buckets - near)
    far_TS = (near + growth.long()).clamp(max=num_buckets - 1)
    return ahead_TS + torch.where(distance_TS < near, distance_TS, far_TS)
