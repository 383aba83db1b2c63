"""What a network is made of, in the names Hugging Face uses; no torch here, so planning stays light."""

from dataclasses import dataclass
from typing import Literal

from hanmo.base.errors import ConfigError

PositionKind = Literal["rotary", "learned", "sinusoidal", "none"]
NormKind = Literal["rms_norm", "layer_norm"]
Activation = Literal["silu", "gelu", "gelu_pytorch_tanh", "relu", "relu2"]


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """A decoder-only Transformer, from GPT-2 (2019) to the modern recipe (rotary, RMSNorm, SwiGLU, grouped queries)."""

    vocab_size: int = 0
    """Number of rows of the embedding; 0 takes it from the tokenizer."""
    hidden_size: int = 256
    """Width of the residual stream."""
    intermediate_size: int = 0
    """Width inside the MLP; 0 takes 4 x hidden_size, or 8/3 x hidden_size (rounded up to 64) when gated."""
    num_hidden_layers: int = 6
    """Number of blocks."""
    num_attention_heads: int = 4
    """Number of query heads."""
    num_key_value_heads: int = 0
    """Number of key and value heads: 0 for as many as query heads, 1 for multi-query, between for grouped."""
    head_dim: int = 0
    """Width of a head; 0 takes hidden_size / num_attention_heads."""
    max_position_embeddings: int = 256
    """Longest context in tokens."""
    position_embedding: PositionKind = "rotary"
    """How a position is told to the network."""
    rope_theta: float = 10000.0
    """Base of the rotary frequencies."""
    norm: NormKind = "rms_norm"
    """Kind of normalisation, before each sub-layer and at the end."""
    norm_eps: float = 1e-6
    """Added to the variance in a normalisation."""
    hidden_act: Activation = "silu"
    """Activation of the MLP."""
    gated_mlp: bool = True
    """Whether the MLP multiplies its activation by a second projection (SwiGLU with silu)."""
    attention_bias: bool = False
    """Whether the projections of attention add a bias."""
    mlp_bias: bool = False
    """Whether the projections of the MLP add a bias."""
    qk_norm: bool = False
    """Whether queries and keys are RMS-normalised a head before rotation (Qwen3)."""
    tie_word_embeddings: bool = True
    """Whether the output projection is the embedding itself."""
    embedding_dropout: float = 0.0
    """Share of embedding values dropped in training."""
    attention_dropout: float = 0.0
    """Share of attention weights dropped in training."""
    hidden_dropout: float = 0.0
    """Share of each sub-layer's output dropped in training."""
    initializer_range: float = 0.02
    """Standard deviation of the initial weights."""
    bos_token_id: int | None = None
    """Token that opens a document."""
    eos_token_id: int | None = None
    """Token that ends a document."""

    def __post_init__(self) -> None:
        """Check that the sizes fit together.

        Raises ConfigError naming the keys that do not.
        """
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} (={getattr(self, name)}) should be at least 1")
        for name in ("embedding_dropout", "attention_dropout", "hidden_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"model.{name} (={getattr(self, name)}) should be at least 0 and below 1")
        if not self.head_dim and self.hidden_size % self.num_attention_heads:
            raise ConfigError(
                f"model.hidden_size (={self.hidden_size}) is not a multiple of model.num_attention_heads (={self.num_attention_heads}): "
                "change one of them or set model.head_dim"
            )
        if self.num_attention_heads % self.key_value_heads:
            raise ConfigError(
                f"model.num_attention_heads (={self.num_attention_heads}) is not a multiple of "
                f"model.num_key_value_heads (={self.key_value_heads}): each group needs as many queries"
            )
        if self.position_embedding == "rotary" and self.head_width % 2:
            raise ConfigError(f"the width of a head (={self.head_width}) should be even for rotary positions")

    @property
    def head_width(self) -> int:
        """Width of one head, resolved."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def key_value_heads(self) -> int:
        """Number of key and value heads, resolved."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def mlp_width(self) -> int:
        """Width inside the MLP, resolved."""
        if self.intermediate_size:
            return self.intermediate_size
        return -(-8 * self.hidden_size // 3 // 64) * 64 if self.gated_mlp else 4 * self.hidden_size


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """A recurrent language model: embedding, stacked LSTM or GRU, output projection."""

    vocab_size: int = 0
    """Number of rows of the embedding; 0 takes it from the tokenizer."""
    cell: Literal["lstm", "gru"] = "lstm"
    """Kind of cell."""
    hidden_size: int = 256
    """Width of embedding and state."""
    num_hidden_layers: int = 2
    """Number of stacked layers."""
    hidden_dropout: float = 0.0
    """Share of values dropped between layers in training."""
    tie_word_embeddings: bool = True
    """Whether the output projection is the embedding itself."""
    initializer_range: float = 0.3
    """Standard deviation of the initial embedding; wide, because no norm widens what the cells read."""
    bos_token_id: int | None = None
    """Token that opens a document."""
    eos_token_id: int | None = None
    """Token that ends a document."""


@dataclass(frozen=True, kw_only=True)
class SoftmaxRegressionConfig:
    """A log-linear language model over the tokens just before: which token stands at which distance is all it sees."""

    vocab_size: int = 0
    """Number of distinct ids; 0 takes it from the tokenizer."""
    num_previous_tokens: int = 3
    """How many tokens before are features."""
    hidden_size: int = 128
    """Rank of the weight matrices, one for each distance: V x V numbers would be too many."""
    initializer_range: float = 0.02
    """Standard deviation of the initial weights."""

    def __post_init__(self) -> None:
        """Check the sizes.

        Raises ConfigError naming the key.
        """
        for name in ("num_previous_tokens", "hidden_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} (={getattr(self, name)}) should be at least 1")


@dataclass(frozen=True, kw_only=True)
class NgramConfig:
    """Interpolated modified Kneser-Ney (Chen and Goodman 1999), orders 1 to 6; order 0 is the uniform distribution."""

    vocab_size: int = 0
    """Number of distinct ids; 0 takes it from the tokenizer."""
    order: int = 5
    """Longest n-gram counted."""

    def __post_init__(self) -> None:
        """Check the order.

        Raises ConfigError when it is not between 0 and 6.
        """
        if not 0 <= self.order <= 6:
            raise ConfigError(f"order (={self.order}) should be between 0 and 6")
