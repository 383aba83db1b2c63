"""How a position is told to the network. T positions, D width, W width of a head (even), P = W/2 pairs, B rows, H heads."""

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
