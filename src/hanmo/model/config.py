"""What a network is made of, in the names Hugging Face uses; no torch here, so planning stays light."""

import dataclasses
from dataclasses import dataclass, field
from typing import Literal

from hanmo.base.errors import ConfigError

PositionKind = Literal["rotary", "learned", "sinusoidal", "none"]
NormKind = Literal["rms_norm", "layer_norm"]
Activation = Literal["silu", "gelu", "gelu_pytorch_tanh", "relu", "relu2"]
LayerType = Literal["full_attention", "sliding_attention"]
RopeType = Literal["default", "linear", "llama3", "yarn"]
NetworkKind = Literal["decoder", "encoder", "encoder_decoder", "recurrent"]


def check_drawing(config: object, name: str) -> None:
    """Check what is drawn at random: initial weights, and the shares that are dropped.

    Raises ConfigError naming the key under `name`.
    """
    for key in ("embedding_dropout", "attention_dropout", "hidden_dropout"):
        if not 0 <= getattr(config, key, 0) < 1:
            raise ConfigError(f"{name}.{key} (={getattr(config, key)}) should be at least 0 and below 1")
    deviation = getattr(config, "initializer_range", 0.0)
    if not 0 <= deviation < float("inf"):
        raise ConfigError(f"{name}.initializer_range (={deviation}) should be at least 0")


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """How rotary frequencies are slowed down for a context longer than the network first learned."""

    rope_type: RopeType = "default"
    """default: not at all; linear: all by factor; llama3, yarn: slow ones by factor, fast ones not, a ramp between."""
    factor: float = 1.0
    """By how much the slow frequencies are divided."""
    original_max_position_embeddings: int = 0
    """Context that the network first learned (llama3, yarn); 0 takes max_position_embeddings."""
    low_freq_factor: float = 1.0
    """llama3: turns in the original context below which a frequency is slow."""
    high_freq_factor: float = 4.0
    """llama3: turns in the original context above which a frequency is fast."""
    beta_fast: float = 32.0
    """yarn: turns in the original context above which a frequency is fast."""
    beta_slow: float = 1.0
    """yarn: turns in the original context below which a frequency is slow."""
    attention_factor: float = 0.0
    """yarn: what cos and sin are multiplied by; 0 takes 0.1 ln(factor) + 1."""
    truncate: bool = True
    """yarn: whether the ramp begins and ends at whole pairs."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises ConfigError naming the key.
        """
        if not 1 <= self.factor < float("inf"):
            raise ConfigError(f"model.rope_scaling.factor (={self.factor}) should be at least 1")
        if not 0 < self.low_freq_factor < self.high_freq_factor < float("inf"):
            raise ConfigError(
                f"model.rope_scaling.low_freq_factor (={self.low_freq_factor}) should be positive and below "
                f"high_freq_factor (={self.high_freq_factor})"
            )
        if not 0 < self.beta_slow < self.beta_fast < float("inf"):
            raise ConfigError(
                f"model.rope_scaling.beta_slow (={self.beta_slow}) should be positive and below beta_fast (={self.beta_fast})"
            )
        if not 0 <= self.attention_factor < float("inf"):
            raise ConfigError(f"model.rope_scaling.attention_factor (={self.attention_factor}) should be positive, or 0")
        if self.original_max_position_embeddings < 0:
            raise ConfigError(
                f"model.rope_scaling.original_max_position_embeddings (={self.original_max_position_embeddings}) should be positive, or 0"
            )


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
    rope_scaling: RopeScaling = field(default_factory=RopeScaling)
    """How they are slowed down for a longer context."""
    rope_local_base_freq: float | None = None
    """Base of the rotary frequencies in sliding layers, never slowed down (Gemma 3); none: they turn as in all layers."""
    sliding_window: int | None = None
    """How many tokens a sliding layer sees, its own included; none: every layer sees all (Mistral, Gemma 3)."""
    layer_types: tuple[LayerType, ...] = ()
    """What each layer sees: full_attention or sliding_attention; a shorter list repeats, an empty one means all alike."""
    norm: NormKind = "rms_norm"
    """Kind of normalisation, before each sub-layer and at the end."""
    norm_eps: float = 1e-6
    """Added to the variance in a normalisation."""
    hidden_act: Activation = "silu"
    """Activation of the MLP."""
    gated_mlp: bool = True
    """Whether the MLP multiplies its activation by a second projection (SwiGLU with silu)."""
    sandwich_norm: bool = False
    """Whether a sub-layer's output is normalised too, before it is added (Gemma 3)."""
    zero_centered_norm: bool = False
    """Whether an RMSNorm scales by 1 + weight, its weight beginning at zero (Gemma)."""
    scale_embedding: bool = False
    """Whether embeddings are multiplied by sqrt(hidden_size), before positions are added (Transformer of 2017, Gemma)."""
    attention_bias: bool = False
    """Whether the projections of attention add a bias."""
    qkv_bias: bool = False
    """Whether queries, keys and values add a bias and the output projection does not (Qwen2)."""
    mlp_bias: bool = False
    """Whether the projections of the MLP add a bias."""
    qk_norm: bool = False
    """Whether queries and keys are RMS-normalised a head before rotation (Qwen3, Gemma 3)."""
    query_pre_attn_scalar: int = 0
    """Attention scores are divided by its square root; 0 takes the width of a head."""
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
        check_drawing(self, "model")
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
        if self.query_pre_attn_scalar < 0:
            raise ConfigError(
                f"model.query_pre_attn_scalar (={self.query_pre_attn_scalar}) should be positive, or 0 for the width of a head"
            )
        self._check_biases_and_norms()
        self._check_rotary()
        self._check_windows()

    def _check_biases_and_norms(self) -> None:
        if self.attention_bias and self.qkv_bias:
            raise ConfigError("model.attention_bias already gives the biases that model.qkv_bias asks for: set one of them")
        if self.zero_centered_norm and self.norm != "rms_norm":
            raise ConfigError(f"model.zero_centered_norm is for rms_norm, model.norm is {self.norm}: change one of them")

    def _check_rotary(self) -> None:
        for name in ("rope_theta", "rope_local_base_freq"):
            value = getattr(self, name)
            if value is not None and not 1 < value < float("inf"):
                raise ConfigError(f"model.{name} (={value}) should be above 1")
        scaled = self.rope_scaling.rope_type != "default"
        if self.position_embedding != "rotary" and (scaled or self.rope_local_base_freq is not None):
            raise ConfigError(
                f"model.{'rope_scaling' if scaled else 'rope_local_base_freq'} is for rotary positions, "
                f"model.position_embedding is {self.position_embedding}: change one of them"
            )

    def _check_windows(self) -> None:
        if self.sliding_window is not None and self.sliding_window < 1:
            raise ConfigError(f"model.sliding_window (={self.sliding_window}) should be at least 1, or none")
        if len(self.layer_types) > self.num_hidden_layers:
            raise ConfigError(
                f"model.layer_types names {len(self.layer_types)} layers, model.num_hidden_layers (={self.num_hidden_layers}) has fewer"
            )
        slides = "sliding_attention" in self.layer_types
        if slides and self.sliding_window is None:
            raise ConfigError("model.layer_types has sliding_attention, but model.sliding_window is none: say how many tokens it sees")
        if self.sliding_window is not None and self.layer_types and not slides:
            raise ConfigError(f"model.sliding_window (={self.sliding_window}) has no sliding_attention in model.layer_types to act on")
        if self.rope_local_base_freq is not None and self.sliding_window is None:
            raise ConfigError("model.rope_local_base_freq is for sliding layers, but model.sliding_window is none")

    @property
    def kind(self) -> NetworkKind:
        """What objectives, batches and forecasts ask for."""
        return "decoder"

    @property
    def context_length(self) -> int:
        """The most tokens that are seen at once."""
        return self.max_position_embeddings

    @property
    def head_width(self) -> int:
        """Width of one head, resolved."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def qkv_rows(self) -> tuple[int, int, int]:
        """Rows of queries, keys and values in the fused projection."""
        key_value = self.key_value_heads * self.head_width
        return self.num_attention_heads * self.head_width, key_value, key_value

    @property
    def up_rows(self) -> tuple[int, ...]:
        """Rows of gate and up in the fused projection; one block when the MLP is not gated."""
        return (self.mlp_width, self.mlp_width) if self.gated_mlp else (self.mlp_width,)

    @property
    def fused_rows(self) -> dict[str, tuple[int, ...]]:
        """For each weight that holds several matrices one below the other, the rows of each."""
        fused: dict[str, tuple[int, ...]] = {}
        for i in range(self.num_hidden_layers):
            fused[f"layers.{i}.attention.qkv.weight"] = self.qkv_rows
            if self.gated_mlp:
                fused[f"layers.{i}.mlp.up.weight"] = self.up_rows
        return fused

    @property
    def key_value_heads(self) -> int:
        """Number of key and value heads, resolved."""
        return self.num_key_value_heads or self.num_attention_heads

    def layer_type(self, layer: int) -> LayerType:
        """Whether a layer sees everything before it or a window."""
        if self.layer_types:
            return self.layer_types[layer % len(self.layer_types)]
        return "full_attention" if self.sliding_window is None else "sliding_attention"

    @property
    def kinds_of_layer(self) -> set[LayerType]:
        """The types that occur."""
        return set(self.layer_types) or {self.layer_type(0)}

    def window_of(self, kind: LayerType) -> int | None:
        """How many tokens a layer of this type sees; None where it sees all."""
        return self.sliding_window if kind == "sliding_attention" else None

    def rotary_of(self, kind: LayerType) -> tuple[float, RopeScaling]:
        """Base and scaling of the rotary frequencies of a layer of this type, resolved."""
        if kind == "sliding_attention" and self.rope_local_base_freq is not None:
            return self.rope_local_base_freq, RopeScaling()
        original = self.rope_scaling.original_max_position_embeddings or self.max_position_embeddings
        return self.rope_theta, dataclasses.replace(self.rope_scaling, original_max_position_embeddings=original)

    @property
    def attention_scale(self) -> float:
        """What attention scores are multiplied by."""
        return (self.query_pre_attn_scalar or self.head_width) ** -0.5

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

    def __post_init__(self) -> None:
        """Check what is drawn.

        Raises ConfigError naming the key.
        """
        check_drawing(self, "model")

    @property
    def kind(self) -> NetworkKind:
        """What objectives, batches and forecasts ask for."""
        return "recurrent"

    @property
    def context_length(self) -> int:
        """None of its own: a state knows no end."""
        return 0

    @property
    def fused_rows(self) -> dict[str, tuple[int, ...]]:
        """None."""
        return {}


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
        check_drawing(self, "model")
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
