"""What an encoder, and an encoder with a decoder, is made of; names as Hugging Face has them, no torch here."""

from dataclasses import dataclass
from typing import Literal

from hanmo.base.errors import ConfigError
from hanmo.model.config import Activation, NetworkKind, NormKind, check_drawing


def _check(config: "EncoderConfig | EncoderDecoderConfig", section: str) -> None:
    for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{section}.{name} (={getattr(config, name)}) should be at least 1")
    check_drawing(config, section)
    if not getattr(config, "head_dim", 0) and config.hidden_size % config.num_attention_heads:
        raise ConfigError(
            f"{section}.hidden_size (={config.hidden_size}) is not a multiple of {section}.num_attention_heads "
            f"(={config.num_attention_heads}): change one of them"
        )


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """A bidirectional encoder with norms after its sums: BERT (Devlin et al. 2019) and RoBERTa (Liu et al. 2019)."""

    vocab_size: int = 0
    """Number of rows of the embedding; 0 takes it from the tokenizer."""
    hidden_size: int = 256
    """Width of the residual stream."""
    intermediate_size: int = 0
    """Width inside the MLP; 0 takes 4 x hidden_size."""
    num_hidden_layers: int = 6
    """Number of blocks."""
    num_attention_heads: int = 4
    """Number of heads."""
    max_position_embeddings: int = 256
    """Rows of the position table."""
    position_offset: int = 0
    """Row of the first token: 0, or one more than the padding id, whose row stays unused (RoBERTa: 2)."""
    type_vocab_size: int = 2
    """Kinds of token that have an embedding of their own: first and second text."""
    norm_eps: float = 1e-12
    """Added to the variance in a normalisation."""
    hidden_act: Activation = "gelu"
    """Activation of the MLP and of the head."""
    pooler: bool = False
    """Whether the first token's state goes through one more layer with tanh, as a summary of the text."""
    masked_head: bool = True
    """Whether there is a head that guesses masked tokens."""
    tie_word_embeddings: bool = True
    """Whether the output projection of that head is the embedding itself."""
    attention_dropout: float = 0.0
    """Share of attention weights dropped in training."""
    hidden_dropout: float = 0.0
    """Share of the embedding and of each sub-layer's output dropped in training."""
    initializer_range: float = 0.02
    """Standard deviation of the initial weights."""
    pad_token_id: int | None = None
    """Token that fills rows up."""
    bos_token_id: int | None = None
    """Token that opens a document."""
    eos_token_id: int | None = None
    """Token that ends a document."""

    def __post_init__(self) -> None:
        """Check that the sizes fit together.

        Raises ConfigError naming the keys that do not.
        """
        _check(self, "encoder")
        if self.type_vocab_size < 1:
            raise ConfigError(f"encoder.type_vocab_size (={self.type_vocab_size}) should be at least 1")
        if not 0 <= self.position_offset < self.max_position_embeddings:
            raise ConfigError(f"encoder.position_offset (={self.position_offset}) leaves no row of encoder.max_position_embeddings")

    @property
    def kind(self) -> NetworkKind:
        """What objectives, batches and forecasts ask for."""
        return "encoder"

    @property
    def fused_rows(self) -> dict[str, tuple[int, ...]]:
        """None: each weight is one matrix."""
        return {}

    @property
    def norm(self) -> NormKind:
        """Always LayerNorm."""
        return "layer_norm"

    @property
    def post_norm(self) -> bool:
        """Whether norms follow the sums: always here."""
        return True

    @property
    def context_length(self) -> int:
        """The longest text in tokens."""
        return self.max_position_embeddings - self.position_offset

    @property
    def head_width(self) -> int:
        """Width of one head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def mlp_width(self) -> int:
        """Width inside the MLP, resolved."""
        return self.intermediate_size or 4 * self.hidden_size

    @property
    def gated_mlp(self) -> bool:
        """Never here."""
        return False

    @property
    def attention_bias(self) -> bool:
        """Always here."""
        return True

    @property
    def mlp_bias(self) -> bool:
        """Always here."""
        return True

    @property
    def scaled_scores(self) -> bool:
        """Whether scores are divided by the root of a head's width: always here."""
        return True


@dataclass(frozen=True, kw_only=True)
class EncoderDecoderConfig:
    """An encoder and a decoder that attends to it: the Transformer of 2017 (Vaswani et al.) and T5 (Raffel et al. 2020).

    The defaults are T5 1.1 with one embedding matrix; the Transformer of 2017 is `position_embedding = "sinusoidal"`,
    `norm = "layer_norm"`, `post_norm`, `scaled_scores`, `scale_embedding` and both biases on, `hidden_act = "relu"`, no gate.
    """

    vocab_size: int = 0
    """Number of rows of the embedding, shared by both halves; 0 takes it from the tokenizer."""
    hidden_size: int = 256
    """Width of the residual streams."""
    intermediate_size: int = 0
    """Width inside the MLP; 0 takes 4 x hidden_size, or 8/3 x hidden_size (rounded up to 64) when gated."""
    num_hidden_layers: int = 4
    """Number of blocks of the encoder."""
    num_decoder_layers: int = 0
    """Number of blocks of the decoder; 0 takes as many as the encoder has."""
    num_attention_heads: int = 4
    """Number of heads."""
    head_dim: int = 0
    """Width of a head; 0 takes hidden_size / num_attention_heads."""
    max_position_embeddings: int = 512
    """Longest text in tokens; relative and sinusoidal positions know no end, so nothing is refused beyond it."""
    position_embedding: Literal["relative", "sinusoidal", "sinusoidal_halves"] = "relative"
    """How a position is told: a learned bias of the scores by distance (T5), or sines added to the embedding,
    sine and cosine in turn (2017) or all sines before all cosines (Marian)."""
    relative_attention_num_buckets: int = 32
    """Distances that are told apart, in both directions together."""
    relative_attention_max_distance: int = 128
    """Distance from which all are alike."""
    norm: NormKind = "rms_norm"
    """Kind of normalisation."""
    post_norm: bool = False
    """Whether a norm follows each sum (2017), or comes before each sub-layer and once at the end."""
    norm_eps: float = 1e-6
    """Added to the variance in a normalisation."""
    hidden_act: Activation = "gelu_pytorch_tanh"
    """Activation of the MLP."""
    gated_mlp: bool = True
    """Whether the MLP multiplies its activation by a second projection."""
    attention_bias: bool = False
    """Whether the projections of attention add a bias."""
    mlp_bias: bool = False
    """Whether the projections of the MLP add a bias."""
    scaled_scores: bool = False
    """Whether scores are divided by the root of a head's width; T5 draws smaller queries instead."""
    scale_embedding: bool = False
    """Whether embeddings are multiplied by the root of hidden_size."""
    scale_output: bool = True
    """Whether the last state is divided by the root of hidden_size before the output projection (T5, where it is tied)."""
    tie_word_embeddings: bool = True
    """Whether the output projection is the embedding itself."""
    output_bias: bool = False
    """Whether fixed numbers are added to the logits (Marian's final_logits_bias); they are read and written, not trained."""
    attention_dropout: float = 0.0
    """Share of attention weights dropped in training."""
    hidden_dropout: float = 0.0
    """Share of the embedding and of each sub-layer's output dropped in training."""
    initializer_range: float = 0.02
    """Standard deviation of the initial weights of biased networks; others follow the width as T5 does."""
    pad_token_id: int | None = None
    """Token that fills rows up."""
    decoder_start_token_id: int | None = None
    """Token that opens what the decoder writes; by default the padding token, or else the one that opens a document."""
    bos_token_id: int | None = None
    """Token that opens a document."""
    eos_token_id: int | None = None
    """Token that ends a document."""

    def __post_init__(self) -> None:
        """Check that the sizes fit together.

        Raises ConfigError naming the keys that do not.
        """
        _check(self, "encoder_decoder")
        if self.num_decoder_layers < 0:
            raise ConfigError(f"encoder_decoder.num_decoder_layers (={self.num_decoder_layers}) should not be negative")
        if self.relative_attention_num_buckets < 4 or self.relative_attention_max_distance <= self.relative_attention_num_buckets // 2:
            raise ConfigError(
                f"encoder_decoder.relative_attention_num_buckets (={self.relative_attention_num_buckets}) should be at least 4, and "
                f"encoder_decoder.relative_attention_max_distance (={self.relative_attention_max_distance}) more than half of it"
            )

    @property
    def kind(self) -> NetworkKind:
        """What objectives, batches and forecasts ask for."""
        return "encoder_decoder"

    @property
    def context_length(self) -> int:
        """The most tokens of a text; nothing is refused beyond it."""
        return self.max_position_embeddings

    @property
    def fused_rows(self) -> dict[str, tuple[int, ...]]:
        """For each weight that holds several matrices one below the other, the rows of each."""
        if not self.gated_mlp:
            return {}
        halves = (("encoder", self.num_hidden_layers), ("decoder", self.decoder_layers))
        names = [f"{half}.layers.{i}.mlp.up.weight" for half, layers in halves for i in range(layers)]
        return dict.fromkeys(names, (self.mlp_width, self.mlp_width))

    @property
    def decoder_layers(self) -> int:
        """Number of blocks of the decoder, resolved."""
        return self.num_decoder_layers or self.num_hidden_layers

    @property
    def head_width(self) -> int:
        """Width of one head, resolved."""
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def mlp_width(self) -> int:
        """Width inside the MLP, resolved."""
        if self.intermediate_size:
            return self.intermediate_size
        return -(-8 * self.hidden_size // 3 // 64) * 64 if self.gated_mlp else 4 * self.hidden_size

    @property
    def start_token_id(self) -> int:
        """What the decoder reads first."""
        return next((each for each in (self.decoder_start_token_id, self.pad_token_id, self.bos_token_id) if each is not None), 0)
