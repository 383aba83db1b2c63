"""Attention: the formulas first, then the module that projects and delegates.

B rows, T queries, S keys, H query heads, K key-value heads, W width of a head, D width of the stream.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from hanmo.model.cache import KVCache
from hanmo.model.config import DecoderConfig
from hanmo.model.norms import rms_norm
from hanmo.model.positions import rotate


def scaled_dot_product_attention(
    q_BHTW: Float[Tensor, "B H T W"],
    k_BHSW: Float[Tensor, "B H S W"],
    v_BHSW: Float[Tensor, "B H S W"],
    allowed_BTS: Bool[Tensor, "#B T S"] | None = None,
) -> Float[Tensor, "B H T W"]:
    """softmax(Q K^T / sqrt(W)) V, scores that are not allowed set to minus infinity (Vaswani et al. 2017, eq. 1)."""
    scores_BHTS = q_BHTW @ k_BHSW.mT / q_BHTW.size(-1) ** 0.5
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


class Attention(nn.Module):
    """Grouped-query self-attention with one fused projection (Ainslie et al. 2023; K = H multi-head, K = 1 multi-query)."""

    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.width = layer, config.head_width
        self.num_heads, self.num_key_value_heads = config.num_attention_heads, config.key_value_heads
        self.dropout, self.norm_eps = config.attention_dropout, config.norm_eps
        rows = (self.num_heads + 2 * self.num_key_value_heads) * self.width
        self.qkv = nn.Linear(config.hidden_size, rows, bias=config.attention_bias)
        self.out = nn.Linear(self.num_heads * self.width, config.hidden_size, bias=config.attention_bias)
        self.q_norm = HeadScale(self.width) if config.qk_norm else None
        self.k_norm = HeadScale(self.width) if config.qk_norm else None

    def forward(
        self,
        x_BTD: Tensor,
        angles: tuple[Tensor, Tensor] | None,
        allowed_BTS: Tensor | None,
        cache: KVCache | None,
    ) -> Tensor:
        """[B, T, D] -> [B, T, D]; `allowed_BTS` None means plainly causal."""
        heads = (self.num_heads, self.num_key_value_heads, self.num_key_value_heads)
        q, k, v = self.qkv(x_BTD).unflatten(-1, (-1, self.width)).split(heads, dim=2)  # (B, T, heads, W)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = rms_norm(q, self.q_norm.weight, self.norm_eps), rms_norm(k, self.k_norm.weight, self.norm_eps)
        if angles is not None:
            q, k = rotate(q, *angles), rotate(k, *angles)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, heads, T, W)
        if cache is not None:
            k, v = cache.extend(self.layer, k, v)
        mask = None if allowed_BTS is None else allowed_BTS[:, None]
        dropout = self.dropout if self.training else 0.0
        grouped = self.num_heads != self.num_key_value_heads
        mixed = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=mask is None, enable_gqa=grouped)
        return self.out(mixed.transpose(1, 2).flatten(2))


class HeadScale(nn.Module):
    """The learned scale of queries or keys after their normalisation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
