"""How a position is told to the network. T positions, D width, W width of a head (even), P = W/2 pairs, B rows, H heads."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from hanmo.model.config import RopeScaling, RopeType


def sinusoidal_positions(positions_T: Int[Tensor, " T"], size: int) -> Float[Tensor, "T D"]:
    """PE(t, 2i) = sin(t / 10000^(2i/D)), PE(t, 2i+1) = cos(t / 10000^(2i/D)) (Vaswani et al. 2017, section 3.5)."""
    frequencies = 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angles = positions_T[:, None].double() * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :size].float()


def rotary_angles(
    positions_BT: Int[Tensor, "B T"], width: int, theta: float, scaling: RopeScaling | None = None
) -> tuple[Float[Tensor, "B T P"], Float[Tensor, "B T P"]]:
    """cos and sin of t theta^(-2i/W) for every pair i < W/2, in fp32 (Su et al. 2021, eq. 15); `scaling` slows frequencies down."""
    frequencies_P = 1.0 / theta ** (torch.arange(0, width, 2, dtype=torch.float32, device=positions_BT.device) / width)
    stretch = 1.0
    if scaling is not None and scaling.rope_type != "default":
        frequencies_P = SLOWER[scaling.rope_type](frequencies_P, theta, scaling)
        stretch = attention_factor(scaling)
    angles_BTP = positions_BT[..., None].float() * frequencies_P
    return angles_BTP.cos() * stretch, angles_BTP.sin() * stretch


def linear_frequencies(frequencies_P: Tensor, theta: float, scaling: RopeScaling) -> Tensor:
    """f / s: positions are interpolated between those that were learned (Chen et al. 2023, eq. 4)."""
    return frequencies_P / scaling.factor


def llama3_frequencies(frequencies_P: Tensor, theta: float, scaling: RopeScaling) -> Tensor:
    """(1 - r) f / s + r f, r rising from 0 to 1 with the turns in the original context (Grattafiori et al. 2024, section 3.4.2).

    r = (turns - low) / (high - low), kept within 0 and 1; turns = C f / 2 pi for an original context of C tokens.
    """
    turns_P = scaling.original_max_position_embeddings * frequencies_P / (2 * math.pi)
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    fast_P = ((turns_P - low) / (high - low)).clamp(0, 1)
    return (1 - fast_P) * frequencies_P / scaling.factor + fast_P * frequencies_P


def yarn_frequencies(frequencies_P: Tensor, theta: float, scaling: RopeScaling) -> Tensor:
    """(1 - r) f / s + r f, r falling from 1 to 0 with the number of the pair (Peng et al. 2023, eq. 13).

    The ramp runs between the pairs that turn beta_fast and beta_slow times in the original context of C tokens; pair
    i = W ln(C / 2 pi n) / (2 ln theta) turns n times.
    """
    width = 2 * frequencies_P.numel()

    def pair_that_turns(times: float) -> float:
        return width * math.log(scaling.original_max_position_embeddings / (times * 2 * math.pi)) / (2 * math.log(theta))

    begin, end = pair_that_turns(scaling.beta_fast), pair_that_turns(scaling.beta_slow)
    if scaling.truncate:
        begin, end = math.floor(begin), math.ceil(end)
    begin, end = max(begin, 0), min(end, width - 1)
    end += 0.001 if begin == end else 0  # a step, not a division by zero
    pairs_P = torch.arange(width // 2, dtype=torch.float32, device=frequencies_P.device)
    slow_P = ((pairs_P - begin) / (end - begin)).clamp(0, 1)
    return slow_P * frequencies_P / scaling.factor + (1 - slow_P) * frequencies_P


SLOWER: dict[RopeType, Callable[[Tensor, float, RopeScaling], Tensor]] = {
    "linear": linear_frequencies,
    "llama3": llama3_frequencies,
    "yarn": yarn_frequencies,
}


def attention_factor(scaling: RopeScaling) -> float:
    """What cos and sin are multiplied by: with yarn 0.1 ln s + 1 unless it is said (Peng et al. 2023, eq. 15), else 1."""
    if scaling.rope_type != "yarn":
        return 1.0
    return scaling.attention_factor or 0.1 * math.log(scaling.factor) + 1


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
