"""How many numbers a model learns, part by part, from its configuration alone.

In: the configuration of a network, or of an n-gram model. Out: `Parameters`, equal to what the built network holds.
D width, V vocabulary, P positions, L layers, H query heads, K key-value heads, W width of a head, I inner width.
"""

from dataclasses import dataclass

from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig

NetworkConfig = DecoderConfig | RecurrentConfig
AnyNetworkConfig = NetworkConfig | EncoderConfig | EncoderDecoderConfig

MULTIPLE_OF_GATES = {"lstm": 4, "gru": 3}


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Trained numbers by part; biases stand with the matrix they belong to."""

    embedding: int = 0
    """Token embedding; also the output projection when tied."""
    positions: int = 0
    """Learned position embedding, token types, and biases of distances."""
    attention: int = 0
    """Projections of queries, keys, values and output, and the scales of QK-norm."""
    mlp: int = 0
    """Both (gated: three) projections of the MLP."""
    recurrent: int = 0
    """Gates of LSTM or GRU cells."""
    norms: int = 0
    """Scales and shifts of all other normalisations."""
    output: int = 0
    """Output projection when it is not the embedding."""
    head: int = 0
    """What stands before the output projection of an encoder: the layer that guesses masked tokens, the pooler."""
    layer_matrices: int = 0
    """Of all these, how many stand in matrices inside the layers, which is what Muon moves; counted above already."""

    @property
    def parts(self) -> dict[str, int]:
        """The parts that are there, by name."""
        return {name: count for name, count in vars(self).items() if count and name != "layer_matrices"}

    @property
    def total(self) -> int:
        """All trained numbers."""
        return sum(self.parts.values())

    @property
    def non_embedding(self) -> int:
        """N of Kaplan et al. 2020: all but token and position embeddings (and the output projection)."""
        return self.total - self.embedding - self.positions - self.output


def count_parameters(config: AnyNetworkConfig) -> Parameters:
    """Parameters of a network; a vocab_size of 0 counts as an empty vocabulary.

    >>> count_parameters(DecoderConfig(vocab_size=50257, hidden_size=768, num_hidden_layers=12, num_attention_heads=12,
    ...     max_position_embeddings=1024, position_embedding="learned", norm="layer_norm", gated_mlp=False,
    ...     attention_bias=True, mlp_bias=True)).total
    124439808
    """
    match config:
        case DecoderConfig():
            return _decoder(config)
        case EncoderConfig():
            return _encoder(config)
        case EncoderDecoderConfig():
            return _encoder_decoder(config)
        case RecurrentConfig():
            return _recurrent(config)


def _decoder(config: DecoderConfig) -> Parameters:
    width, head, layers = config.hidden_size, config.head_width, config.num_hidden_layers
    queries, all_heads = config.num_attention_heads * head, (config.num_attention_heads + 2 * config.key_value_heads) * head
    ups = (2 if config.gated_mlp else 1) * config.mlp_width
    attention_matrices = width * all_heads + queries * width
    mlp_matrices = width * ups + config.mlp_width * width
    attention_biases = (all_heads if config.attention_bias or config.qkv_bias else 0) + (width if config.attention_bias else 0)
    mlp_biases = ups + width if config.mlp_bias else 0
    norm = width * (2 if config.norm == "layer_norm" else 1)
    return Parameters(
        embedding=config.vocab_size * width,
        positions=config.max_position_embeddings * width if config.position_embedding == "learned" else 0,
        attention=layers * (attention_matrices + attention_biases + (2 * head if config.qk_norm else 0)),
        mlp=layers * (mlp_matrices + mlp_biases),
        norms=((4 if config.sandwich_norm else 2) * layers + 1) * norm,
        output=0 if config.tie_word_embeddings else config.vocab_size * width,
        layer_matrices=layers * (attention_matrices + mlp_matrices),
    )


def _block(config: EncoderConfig | EncoderDecoderConfig) -> tuple[int, int, int, int]:
    """Of one attention and of one MLP: numbers in matrices, numbers in biases."""
    width, heads = config.hidden_size, config.num_attention_heads * config.head_width
    ups = (2 if config.gated_mlp else 1) * config.mlp_width
    attention_biases = 3 * heads + width if config.attention_bias else 0
    mlp_biases = ups + width if config.mlp_bias else 0
    return 4 * width * heads, attention_biases, width * ups + config.mlp_width * width, mlp_biases


def _encoder(config: EncoderConfig) -> Parameters:
    width, layers = config.hidden_size, config.num_hidden_layers
    attention, attention_biases, mlp, mlp_biases = _block(config)
    dense = width * width + width
    return Parameters(
        embedding=config.vocab_size * width,
        positions=(config.max_position_embeddings + config.type_vocab_size) * width,
        attention=layers * (attention + attention_biases),
        mlp=layers * (mlp + mlp_biases),
        norms=(2 * layers + 1) * 2 * width,
        output=config.vocab_size * width if config.masked_head and not config.tie_word_embeddings else 0,
        head=(dense + 2 * width + config.vocab_size if config.masked_head else 0) + (dense if config.pooler else 0),
        layer_matrices=layers * (attention + mlp),
    )


def _encoder_decoder(config: EncoderDecoderConfig) -> Parameters:
    width, encoder, decoder = config.hidden_size, config.num_hidden_layers, config.decoder_layers
    attention, attention_biases, mlp, mlp_biases = _block(config)
    norm = width * (2 if config.norm == "layer_norm" else 1)
    distances = 2 * config.relative_attention_num_buckets * config.num_attention_heads
    return Parameters(
        embedding=config.vocab_size * width,
        positions=distances if config.position_embedding == "relative" else 0,
        attention=(encoder + 2 * decoder) * (attention + attention_biases),
        mlp=(encoder + decoder) * (mlp + mlp_biases),
        norms=(2 * encoder + 3 * decoder + (0 if config.post_norm else 2)) * norm,
        output=0 if config.tie_word_embeddings else config.vocab_size * width,
        layer_matrices=(encoder + 2 * decoder) * attention + (encoder + decoder) * mlp,
    )


def _recurrent(config: RecurrentConfig) -> Parameters:
    width, gates = config.hidden_size, MULTIPLE_OF_GATES[config.cell]
    return Parameters(
        embedding=config.vocab_size * width,
        recurrent=config.num_hidden_layers * gates * (2 * width * width + 2 * width),
        output=0 if config.tie_word_embeddings else config.vocab_size * width,
    )


def most_ngrams(config: NgramConfig, tokens: int) -> int:
    """The most distinct n-grams of orders 1 to `order` that `tokens` ids can hold: min(V^n, tokens - n + 1) of each.

    A counting model has no parameters until it has counted; this bounds what it will store.
    """
    return sum(max(0, min(config.vocab_size**order, tokens - order + 1)) for order in range(1, config.order + 1))
