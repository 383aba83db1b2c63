"""Attention: the formulas first, then the module that projects and delegates.

B rows, T queries, S keys, H query heads, K key-value heads, W width of a head, D width of the stream, E width of the
fused projection: queries, keys and values of all heads side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hanmo.model.cache import KVCache
from hanmo.model.config import DecoderConfig
from hanmo.model.kernels.functions import Heads, attend, causal_attention, turn_heads
from hanmo.model.kernels.library import LANES, attention_usable
from hanmo.model.linear import Linear
from hanmo.model.norms import rms_norm
from hanmo.model.positions import rotate

Angles = tuple[Tensor, Tensor]
"""cos and sin [1 or B, T, W / 2] of the rotary positions."""


def scaled_dot_product_attention(
    q_BHTW: Float[Tensor, "B H T W"],
    k_BHSW: Float[Tensor, "B H S W"],
    v_BHSW: Float[Tensor, "B H S W"],
    allowed_BTS: Bool[Tensor, "#B T S"] | None = None,
    bias_BHTS: Float[Tensor, "#B H T S"] | None = None,
    scale: float | None = None,
) -> Float[Tensor, "B H T W"]:
    """softmax(Q K^T / sqrt(W)) V, scores that are not allowed set to minus infinity (Vaswani et al. 2017, eq. 1).

    `bias_BHTS` is added to the scores and another `scale` takes the place of 1 / sqrt(W): Raffel et al. 2020, section 2.1.
    """
    scores_BHTS = q_BHTW @ k_BHSW.mT * (q_BHTW.size(-1) ** -0.5 if scale is None else scale)
    if bias_BHTS is not None:
        scores_BHTS = scores_BHTS + bias_BHTS
    if allowed_BTS is not None:
        scores_BHTS = scores_BHTS.masked_fill(~allowed_BTS[:, None], float("-inf"))
    return scores_BHTS.softmax(-1) @ v_BHSW


def causal_mask(queries: int, keys: int, device: torch.device | None = None) -> Bool[Tensor, "1 T S"]:
    """Whether query t (the last `queries` of `keys` positions) may see key s: s <= t."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)[None]


def multi_head_attention(
    x_BTD: Float[Tensor, "B T D"],
    projections: tuple[Tensor, Tensor, Tensor, Tensor],
    num_heads: int,
    allowed_BTS: Bool[Tensor, "#B T T"] | None = None,
) -> Float[Tensor, "B T D"]:
    """Concat(head_1 ... head_H) W^O, head_i = attention(x W_i^Q, x W_i^K, x W_i^V) (Vaswani et al. 2017, section 3.2.2).

    `projections` are W^Q, W^K, W^V, W^O as [D, D] matrices applied as x W^T.
    """
    query, key, value, out = projections
    q, k, v = ((x_BTD @ matrix.mT).unflatten(-1, (num_heads, -1)).transpose(1, 2) for matrix in (query, key, value))
    return scaled_dot_product_attention(q, k, v, allowed_BTS).transpose(1, 2).flatten(2) @ out.mT


@dataclass(frozen=True)
class AttentionMask:
    """Which keys the queries of one forward pass may see: slots first ... own, `past` slots lying before the first query.

    `first_BT` never falls within a row; None means `skipped` everywhere.
    """

    queries: int
    past: int = 0
    first_BT: Int[Tensor, "#B T"] | None = None
    skipped: int = 0
    """Slots at the beginning that no query sees: keys there are not read."""
    rows: int = 1
    """Rows of the batch, which may be alike in `first_BT`."""

    @property
    def is_causal(self) -> bool:
        """Whether nothing but the order hides a key."""
        return self.first_BT is None and self.past == 0

    def within(self, window: int | None, device: torch.device | None = None) -> "AttentionMask":
        """The same, but of `window` tokens at most, the query's own included (Beltagy et al. 2020, section 3.1)."""
        if window is None or window >= self.past + self.queries:
            return self
        skipped = max(0, self.past - window + 1)
        if self.first_BT is None and self.queries == 1:
            return replace(self, skipped=skipped)
        own_1T = torch.arange(self.past, self.past + self.queries, device=device)[None]
        first_1T = (own_1T - window + 1).clamp(min=0)
        return replace(self, skipped=skipped, first_BT=first_1T if self.first_BT is None else torch.maximum(first_1T, self.first_BT))

    @cached_property
    def allowed_BTS(self) -> Tensor | None:
        """The same as a mask over the slots not skipped; None where `is_causal` says all, or a single query sees all of them."""
        if self.is_causal or (self.first_BT is None and self.queries == 1):
            return None
        if self.first_BT is None:
            return causal_mask(self.queries, self.past + self.queries)
        slots = torch.arange(self.skipped, self.past + self.queries, device=self.first_BT.device)
        own = slots[None, self.past - self.skipped :, None]
        return (slots <= own) & (slots >= self.first_BT[:, :, None])

    @cached_property
    def first_int32_BT(self) -> Tensor | None:
        """`first_BT` as the kernels read it, written out for every row."""
        if self.first_BT is None:
            return None
        return self.first_BT.to(torch.int32).expand(max(self.rows, self.first_BT.size(0)), -1).contiguous()


def first_of_segment(segments_BT: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """The place where the run of equal segments that each token belongs to begins."""
    places = torch.arange(segments_BT.size(1), device=segments_BT.device).expand_as(segments_BT)
    starts = torch.ones_like(segments_BT, dtype=torch.bool)
    starts[:, 1:] = segments_BT[:, 1:] != segments_BT[:, :-1]
    return torch.where(starts, places, 0).cummax(1).values


def attend_row_by_row(
    q_BH1W: Float[Tensor, "B H 1 W"],
    k_BKSW: Float[Tensor, "B K S W"],
    v_BKSW: Float[Tensor, "B K S W"],
    first_B: Sequence[int],
    *,
    grouped: bool,
    scale: float | None = None,
) -> Float[Tensor, "B H 1 W"]:
    """Attention of one query a row to the slots first ... S - 1 of its own row.

    No padding is read, and a row's numbers are those it has alone to the last bit: how long the others are would change
    the order in which a masked sum is added up.
    """
    rows = [
        F.scaled_dot_product_attention(
            q_BH1W[row : row + 1], k_BKSW[row : row + 1, :, first:], v_BKSW[row : row + 1, :, first:], scale=scale, enable_gqa=grouped
        )
        for row, first in enumerate(first_B)
    ]
    return torch.cat(rows)


class Attention(nn.Module):
    """Grouped-query self-attention with one fused projection (Ainslie et al. 2023; K = H multi-head, K = 1 multi-query)."""

    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.dropout = layer, config.attention_dropout
        shift = 1.0 if config.zero_centered_norm else 0.0
        self.heads = Heads(
            config.num_attention_heads, config.key_value_heads, config.head_width, config.norm_eps, shift, config.attention_scale
        )
        self.qkv = Linear(config.hidden_size, self.heads.projected, bias=config.attention_bias or config.qkv_bias)
        self.out = Linear(self.heads.query * self.heads.width, config.hidden_size, bias=config.attention_bias)
        self.q_norm = HeadScale(self.heads) if config.qk_norm else None
        self.k_norm = HeadScale(self.heads) if config.qk_norm else None

    def forward(self, x_BTD: Tensor, angles: Angles | None, mask: AttentionMask, cache: KVCache | None = None) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        qkv_BTE = self.qkv(x_BTD)
        if self._is_fast(qkv_BTE, mask):
            return self.out(self._mix_fast(qkv_BTE, angles, mask, cache))
        return self.out(self._mix(qkv_BTE, angles, mask, cache))

    def weights(self, x_BTD: Tensor, angles: Angles | None, mask: AttentionMask) -> Tensor:
        """How much of each value goes into each place, [B, H, T, T]: rows sum to one; fp32, without a cache."""
        q_BHTW, k_BKTW, _ = self._turned(self.qkv(x_BTD), angles)
        k_BHTW = k_BKTW.repeat_interleave(self.heads.query // self.heads.key, 1)
        scores_BHTT = q_BHTW.float() @ k_BHTW.float().mT * self.heads.score_scale
        seen_BTT = causal_mask(mask.queries, mask.queries, x_BTD.device) if mask.allowed_BTS is None else mask.allowed_BTS
        return scores_BHTT.masked_fill(~seen_BTT[:, None], float("-inf")).softmax(-1)

    def _is_fast(self, qkv_BTE: Tensor, mask: AttentionMask) -> bool:
        drops = self.dropout and self.training
        return mask.past == 0 and not drops and self.heads.width % (2 * LANES) == 0 and attention_usable(qkv_BTE)

    def _mix_fast(self, qkv_BTE: Tensor, angles: Angles | None, mask: AttentionMask, cache: KVCache | None) -> Tensor:
        """Values mixed by the kernels, [B, T, H W]."""
        q_weight = None if self.q_norm is None else self.q_norm.weight
        k_weight = None if self.k_norm is None else self.k_norm.weight
        cos, sin = (None, None) if angles is None else angles
        turn = (cos, sin, q_weight, k_weight)
        if cache is None:
            return causal_attention(qkv_BTE, turn, mask.first_int32_BT, self.heads)
        turned = turn_heads(qkv_BTE.contiguous(), turn, self.heads)
        _, k_BTKW = self._split(turned, (self.heads.query, self.heads.key))
        *_, v_BTKW = self._split(qkv_BTE, (self.heads.query, self.heads.key, self.heads.key))
        cache.extend(self.layer, k_BTKW.transpose(1, 2), v_BTKW.transpose(1, 2))
        return attend(turned, qkv_BTE.contiguous(), mask.first_int32_BT, self.heads)[0]

    def _mix(self, qkv_BTE: Tensor, angles: Angles | None, mask: AttentionMask, cache: KVCache | None) -> Tensor:
        """Values mixed by torch, [B, T, H W]."""
        q, k, v = self._turned(qkv_BTE, angles)
        if cache is not None:
            k, v = (each[:, :, mask.skipped :] for each in cache.extend(self.layer, k, v))
        grouped, scale = self.heads.query != self.heads.key, self.heads.score_scale
        if cache is not None and mask.queries == 1 and mask.first_BT is not None:
            starts = (mask.first_BT[:, 0] - mask.skipped).tolist()
            return attend_row_by_row(q, k, v, starts, grouped=grouped, scale=scale).transpose(1, 2).flatten(2)
        allowed = None if mask.allowed_BTS is None else mask.allowed_BTS[:, None]
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, allowed, dropout, is_causal=mask.is_causal, scale=scale, enable_gqa=grouped)
        return mixed.transpose(1, 2).flatten(2)

    def _turned(self, qkv_BTE: Tensor, angles: Angles | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values as they meet: normalised where asked, turned by their positions, [B, heads, T, W]."""
        q, k, v = self._split(qkv_BTE, (self.heads.query, self.heads.key, self.heads.key))  # (B, T, heads, W)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        if angles is not None:
            q, k = rotate(q, *angles), rotate(k, *angles)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, heads, T, W)

    def _split(self, x_BTE: Tensor, heads: tuple[int, ...]) -> tuple[Tensor, ...]:
        return x_BTE.unflatten(-1, (-1, self.heads.width)).split(heads, dim=2)


class HeadScale(nn.Module):
    """The RMSNorm of queries or keys, each head alone."""

    def __init__(self, heads: Heads) -> None:
        super().__init__()
        self.eps, self.shift = heads.eps, heads.shift
        self.weight = nn.Parameter(torch.full((heads.width,), 1 - heads.shift))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last dimension, by torch: the kernels do it while they turn."""
        return rms_norm(x, self.weight, self.eps, self.shift)
