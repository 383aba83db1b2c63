"""How a position is told to the network. T positions, D width, W width of a head (even), B rows, H heads."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def sinusoidal_positions(positions_T: Int[Tensor, " T"], size: int) -> Float[Tensor, "T D"]:
    """PE(t, 2i) = sin(t / 10000^(2i/D)), PE(t, 2i+1) = cos(t / 10000^(2i/D)) (Vaswani et al. 2017, section 3.5)."""
    frequencies = 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angles = positions_T[:, None].double() * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :size].float()


def rotary_angles(positions_BT: Int[Tensor, "B T"], width: int, theta: float) -> tuple[Float[Tensor, "B T W"], Float[Tensor, "B T W"]]:
    """cos and sin of t theta^(-2i/W), repeated for both halves of a head (Su et al. 2021, eq. 15)."""
    frequencies = theta ** (-torch.arange(0, width, 2, dtype=torch.float32, device=positions_BT.device) / width)
    angles = positions_BT[..., None].float() * frequencies
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos(), angles.sin()


def rotate(x_BTHW: Tensor, cos_BTW: Tensor, sin_BTW: Tensor) -> Tensor:
    """Turn each pair (x_i, x_{i+W/2}) by its angle: x cos + (-x_right, x_left) sin, halves as Hugging Face splits them."""
    left, right = x_BTHW.chunk(2, dim=-1)
    turned = torch.cat([-right, left], dim=-1)
    return (x_BTHW * cos_BTW[:, :, None] + turned * sin_BTW[:, :, None]).to(x_BTHW.dtype)
