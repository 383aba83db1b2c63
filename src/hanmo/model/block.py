"""The block of encoders, and of decoders beside one: self-attention, attention to a memory if there is one, MLP.

B rows, T positions, S positions of the memory, D width.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from hanmo.model.config import NormKind
from hanmo.model.cross_attention import CrossAttention, KeysValues
from hanmo.model.decoder import drop
from hanmo.model.mlp import MLP, MLPConfig
from hanmo.model.norms import Norm

Keep = Callable[[KeysValues], KeysValues]
"""New keys and values -> all so far, for decoding a token at a time."""


@runtime_checkable
class BlockConfig(MLPConfig, Protocol):
    """What a block has to know of its network."""

    @property
    def num_attention_heads(self) -> int:
        """Number of heads."""
        ...

    @property
    def head_width(self) -> int:
        """Width of one head."""
        ...

    @property
    def attention_bias(self) -> bool:
        """Whether the projections of attention add a bias."""
        ...

    @property
    def scaled_scores(self) -> bool:
        """Whether scores are divided by the root of a head's width."""
        ...

    @property
    def norm(self) -> NormKind:
        """Kind of normalisation."""
        ...

    @property
    def norm_eps(self) -> float:
        """Added to the variance."""
        ...

    @property
    def post_norm(self) -> bool:
        """Whether a norm follows each sum."""
        ...

    @property
    def attention_dropout(self) -> float:
        """Share of attention weights dropped."""
        ...

    @property
    def hidden_dropout(self) -> float:
        """Share of each sub-layer's output dropped."""
        ...


class EncoderBlock(nn.Module):
    """Two sub-layers, or three with a memory, each inside a sum.

    norm(x + f(x)) with norms after (Vaswani et al. 2017, section 3.1), x + f(norm(x)) with norms before (T5).
    """

    def __init__(self, config: BlockConfig, *, with_memory: bool = False) -> None:
        super().__init__()
        self.post_norm, self.dropout = config.post_norm, config.hidden_dropout
        self.attention, self.attention_norm = _attention(config), _norm(config)
        self.cross_attention = _attention(config) if with_memory else None
        self.cross_norm = _norm(config) if with_memory else None
        self.mlp, self.mlp_norm = MLP(config), _norm(config)

    def forward(
        self,
        x_BTD: Tensor,
        seen: Tensor | None = None,
        *,
        keep: Keep | None = None,
        memory: KeysValues | None = None,
        memory_seen: Tensor | None = None,
    ) -> Tensor:
        """[B, T, D] -> [B, T, D].

        `memory` are the keys and values of the other sequence; `seen` and `memory_seen` hide some of a sequence's places.
        """
        attention, cross = self.attention, self.cross_attention
        kept = keep or _as_they_are
        x_BTD = self._sum(x_BTD, self.attention_norm, lambda x: attention(x, kept(attention.keys_values(x)), seen))
        if cross is not None and self.cross_norm is not None and memory is not None:
            x_BTD = self._sum(x_BTD, self.cross_norm, lambda x: cross(x, memory, memory_seen))
        return self._sum(x_BTD, self.mlp_norm, self.mlp)

    def remember(self, memory_BSD: Tensor) -> KeysValues:
        """The keys and values that this block makes of the other sequence."""
        assert self.cross_attention is not None
        return self.cross_attention.keys_values(memory_BSD)

    def _sum(self, x_BTD: Tensor, norm: Norm, step: Callable[[Tensor], Tensor]) -> Tensor:
        update_BTD = step(x_BTD if self.post_norm else norm(x_BTD))
        if self.training:
            update_BTD = drop(update_BTD, self.dropout)
        return norm.add(x_BTD, update_BTD)[1] if self.post_norm else x_BTD + update_BTD


def _as_they_are(new: KeysValues) -> KeysValues:
    return new


def _attention(config: BlockConfig) -> CrossAttention:
    return CrossAttention(
        config.hidden_size,
        config.num_attention_heads,
        config.head_width,
        bias=config.attention_bias,
        scaled=config.scaled_scores,
        dropout=config.attention_dropout,
    )


def _norm(config: BlockConfig) -> Norm:
    return Norm(config.norm, config.hidden_size, config.norm_eps)
