"""Attention of one sequence to another, or of one to itself in both directions.

The formula is `attention.scaled_dot_product_attention`; this is the module with its projections. What a query sees is an
argument, `seen`: True or False a key, or a number added to each score, minus infinity for what is hidden.
B rows, T queries, S keys, H heads, W width of a head, D width of the stream.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hanmo.model.linear import Linear

KeysValues = tuple[Tensor, Tensor]
"""Keys and values [B, H, S, W] of the sequence that is attended to."""


class CrossAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2.2) whose keys and values may come from anywhere."""

    def __init__(self, width: int, heads: int, head_width: int, *, bias: bool, scaled: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.scale = head_width**-0.5 if scaled else 1.0
        self.query, self.key, self.value = (Linear(width, heads * head_width, bias=bias) for _ in range(3))
        self.out = Linear(heads * head_width, width, bias=bias)

    def keys_values(self, memory_BSD: Tensor) -> KeysValues:
        """What queries will meet; of an encoder's output it is computed once a text, not once a token."""
        return self._split(self.key(memory_BSD)), self._split(self.value(memory_BSD))

    def forward(self, x_BTD: Tensor, keys_values: KeysValues, seen: Tensor | None = None) -> Tensor:
        """[B, T, D] -> [B, T, D]; `seen` broadcasts to [B, H, T, S], None sees everything."""
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(self._split(self.query(x_BTD)), *keys_values, seen, dropout, scale=self.scale)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x_BTE: Tensor) -> Tensor:
        return x_BTE.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, H, T, W)


def same_segment(segments_BT: Int[Tensor, "B T"]) -> Bool[Tensor, "B 1 T T"]:
    """Whether query and key belong to one text."""
    return (segments_BT[:, :, None] == segments_BT[:, None, :])[:, None]


def hidden_as_infinity(allowed: Bool[Tensor, "..."], bias: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """A bias of scores with minus infinity where nothing may be seen."""
    return torch.where(allowed, bias, float("-inf"))
