"""How many bytes a training step holds, part by part, and which moment of it is the peak.

In: configuration, rows, context, precision, optimizer. Out: `MemoryEstimate`. The formulas follow what the training loop keeps:
weights in the computing precision, fp32 masters beside bf16 weights, one fp32 gradient, the optimizer's state in fp32, and
what autograd saves of each block, which a test compares with autograd. What the C library wastes between blocks is not
arithmetic: HOLES guesses it, the probe of the real step measures it.
D width, I inner width, U = I or, gated, 2 I, V vocabulary, H query heads, K key-value heads, W width of a head, T context.
"""

from dataclasses import dataclass

from hanmo.model.config import DecoderConfig, RecurrentConfig
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.plan.parameters import AnyNetworkConfig, Parameters, count_parameters

FP32, BF16 = 4, 2

OPTIMIZER_BYTES = {"sgd": 4, "adagrad": 4, "adam": 8, "adamw": 8, "muon": 4}
"""Bytes of state a parameter: one moment in fp32, or two; muon's matrices have one, everything else there has adamw's two."""
HOLES = 0.5
"""Free memory between blocks in use, as a share of activations: 0.3 to 0.8 was seen with glibc."""
LOGITS_AT_ONCE = 1 << 28
"""Most bytes of logits that the loss holds at once."""
LOSS_ROWS, LANES = 1024, 32
"""Tokens whose log-probabilities exist in fp32 at once; entries that a row of logits is rounded up to."""
RECURRENT_BYTES = {"lstm": {FP32: 65, BF16: 45}, "gru": {FP32: 32, BF16: 16}}
"""Bytes a layer, a token and a unit of width: gates, states, output and oneDNN's workspace, as autograd holds them."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """What decides the memory of one training step."""

    rows: int
    """Rows of one forward pass (a micro-batch)."""
    context_length: int
    low_precision: bool
    """Whether the network computes in bf16 beside fp32 masters."""
    optimizer: str
    accumulates: bool = False
    """Whether gradients wait for further micro-batches."""
    evaluation_rows: int = 0
    """Rows scored at once in evaluation; 0 for as many as in training."""
    fused: bool = True
    """Whether the compiled kernels work here; they do in bf16 only."""
    asked: float = 1.0
    """Tokens asked for, for each one of the text: an encoder's logits, and what a decoder beside an encoder writes."""

    @property
    def tokens(self) -> int:
        """Tokens of one forward pass."""
        return self.rows * self.context_length

    @property
    def width(self) -> int:
        """Bytes of a number as the network computes."""
        return BF16 if self.low_precision else FP32


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Bytes by part; not all are held at the same moment."""

    process: int
    """The interpreter and its libraries, measured, before any tensor."""
    weights: int
    masters: int
    """fp32 copies that the optimizer moves, beside bf16 weights."""
    optimizer: int
    gradients: int
    """In fp32, as the optimizer takes them."""
    fresh_gradients: int
    """As the backward pass leaves them, before they are added to the fp32 ones."""
    update: int
    """What the optimizer holds only while it updates."""
    activations: int
    """Saved by one forward pass for its backward pass."""
    logits: int
    """What the loss holds beside them: logits, log-probabilities, gradients of hidden state and output matrix."""
    evaluation: int
    """What an evaluation holds at once, without gradients."""
    saving: int
    """Held while the best weights are brought back in fp32 and written, at the end."""
    holes: int
    """Free, but not given back."""
    accumulates: bool = False

    @property
    def steady(self) -> int:
        """Held all the time."""
        return self.process + self.weights + self.masters + self.optimizer

    @property
    def moments(self) -> dict[str, int]:
        """Bytes held at each moment of a step that could be the peak."""
        waiting = self.gradients if self.accumulates else 0
        collecting = self.fresh_gradients if self.masters or self.accumulates else 0
        return {
            "loss": self.steady + waiting + self.activations + self.logits + self.holes,
            "collecting gradients": self.steady + self.gradients + collecting,
            "update": self.steady + self.gradients + self.update,
            "evaluation": self.steady + self.evaluation,
            "saving": self.steady + self.saving,
        }

    @property
    def peak(self) -> int:
        """The largest of them."""
        return max(self.moments.values())

    @property
    def parts(self) -> dict[str, int]:
        """Bytes of the parts that are there, by name."""
        return {name: size for name, size in vars(self).items() if size and name != "accumulates"}


def count_memory(config: AnyNetworkConfig, step: Step, *, process_bytes: int = 0) -> MemoryEstimate:
    """The memory of training `config`; give `process_bytes` to count the process itself."""
    parameters = count_parameters(config)
    total = parameters.total
    activations = step.tokens * activation_bytes_per_token(config, step)
    evaluated = (step.evaluation_rows or step.rows) * step.context_length
    asked = round(step.tokens * step.asked)
    inner = 2 * config.mlp_width if isinstance(config, DecoderConfig) else 4 * config.hidden_size
    return MemoryEstimate(
        process=process_bytes,
        weights=total * step.width,
        masters=total * FP32 if step.low_precision else 0,
        optimizer=optimizer_bytes(parameters, step.optimizer),
        gradients=total * FP32,
        fresh_gradients=total * step.width,
        update=_update_bytes(config, parameters, step),
        activations=activations,
        logits=loss_bytes(config, step, asked) + step.width * config.hidden_size * (asked + config.vocab_size),
        evaluation=loss_bytes(config, step, round(evaluated * step.asked)) + evaluated * step.width * (3 * config.hidden_size + 2 * inner),
        saving=2 * total * FP32,
        holes=round(HOLES * activations),
        accumulates=step.accumulates,
    )


def optimizer_bytes(parameters: Parameters, optimizer: str) -> int:
    """State of the named rule: AdamW two moments of 4 bytes a parameter, Muon one for matrices inside the layers."""
    if optimizer == "muon":
        return OPTIMIZER_BYTES["muon"] * parameters.layer_matrices + OPTIMIZER_BYTES["adamw"] * (
            parameters.total - parameters.layer_matrices
        )
    return OPTIMIZER_BYTES[optimizer] * parameters.total


def checkpoint_bytes(parameters: Parameters, optimizer: str) -> int:
    """Size of one checkpoint: fp32 weights and the optimizer's state."""
    return FP32 * parameters.total + optimizer_bytes(parameters, optimizer)


def loss_bytes(config: AnyNetworkConfig, step: Step, tokens: int) -> int:
    """Logits of as many tokens as fit into LOGITS_AT_ONCE, and without the kernels two fp32 copies of a few rows of them."""
    entries = -(-config.vocab_size // LANES) * LANES
    at_once = min(tokens, max(1, LOGITS_AT_ONCE // max(1, entries * step.width)))
    copies = 0 if step.fused and step.low_precision else 2 * FP32 * min(at_once, LOSS_ROWS) * entries
    return at_once * entries * step.width + copies


def activation_bytes_per_token(config: AnyNetworkConfig, step: Step) -> int:
    """Bytes that autograd keeps of one token after a forward pass, the loss left out."""
    width = step.width
    if isinstance(config, RecurrentConfig):
        units, between = config.num_hidden_layers * config.hidden_size, (config.num_hidden_layers - 1) * config.hidden_size
        dropped = 2 * width * between if config.cell == "lstm" else width * between
        return RECURRENT_BYTES[config.cell][width] * units + (dropped if config.hidden_dropout else 0) + 8
    fused = step.fused and step.low_precision
    if isinstance(config, EncoderConfig | EncoderDecoderConfig):
        return _both_ways(config, step, fused)
    block = (
        2 * _norm(config, width, fused) + _attention(config, step, fused) + _mlp(config, width, fused) + _post_norms(config, width, fused)
    )
    masks = 2 * width * config.hidden_size if config.hidden_dropout and not fused else 0  # the kernels draw theirs again
    last = _norm(config, width, fused) - width * config.hidden_size
    return config.num_hidden_layers * (block + masks) + last + 8 + _windows(config, step, fused)


def _norm(config: DecoderConfig | EncoderConfig | EncoderDecoderConfig, width: int, fused: bool) -> int:
    """Its input and its output, which the next projection keeps, and statistics; torch's RMSNorm keeps two fp32 copies inside."""
    if config.norm == "layer_norm" or fused:
        return 2 * width * config.hidden_size + 8
    return (2 * FP32 + width) * config.hidden_size + 4


def _both_ways(config: EncoderConfig | EncoderDecoderConfig, step: Step, fused: bool) -> int:
    """An encoder's blocks; with a decoder its blocks too, for each token it writes, and the keys and values it makes of the source."""
    norm, width = _norm(config, step.width, fused), step.width * config.hidden_size
    if isinstance(config, EncoderConfig):
        head = round(step.asked * (5 * width + 8)) if config.masked_head else 0
        return config.num_hidden_layers * _block(config, step, step.context_length, 2, fused) + norm + head + 8
    inner = step.width * config.num_attention_heads * config.head_width
    written = _block(config, step, round(step.asked * step.context_length), 3, fused) + 2 * inner + FP32 * config.num_attention_heads
    decoder = config.decoder_layers * (2 * inner + round(step.asked * written))
    return config.num_hidden_layers * _block(config, step, step.context_length, 2, fused) + decoder + round((1 + step.asked) * (norm + 8))


def _block(config: EncoderConfig | EncoderDecoderConfig, step: Step, keys: int, norms: int, fused: bool) -> int:
    """Norms, attention to its own text (query, key, value, mixed heads) and MLP, one token's.

    Learned distances and dropout of weights take torch's formula in fp32, which keeps one matrix [T, T] a head, or three.
    """
    heads, inner = config.num_attention_heads, config.num_attention_heads * config.head_width
    learned = isinstance(config, EncoderDecoderConfig) and config.position_embedding == "relative"
    scores = FP32 * heads * (keys if learned else 1)
    if config.attention_dropout:
        scores = 3 * FP32 * heads * keys + (3 * step.width * inner if step.low_precision else 0)
    masks = norms * step.width * config.hidden_size if config.hidden_dropout and not fused else 0
    mlp = step.width * config.mlp_width * (4 if config.gated_mlp else 2)
    return norms * _norm(config, step.width, fused) + 4 * step.width * inner + scores + mlp + masks


def _post_norms(config: DecoderConfig, width: int, fused: bool) -> int:
    """A norm before the sum keeps what it reads; nobody keeps what it gives."""
    if not config.sandwich_norm:
        return 0
    return 2 * (_norm(config, width, fused) - width * config.hidden_size)


def _windows(config: DecoderConfig, step: Step, fused: bool) -> int:
    """Sliding layers: the first key of each query, once for all of them; without the kernels a mask [T, T] a layer, for all rows."""
    if config.sliding_window is None or config.sliding_window >= step.context_length:
        return 0
    if fused and not config.attention_dropout:
        return 4
    slides = sum(config.layer_type(layer) == "sliding_attention" for layer in range(config.num_hidden_layers))
    return slides * step.width * step.context_length // step.rows


def _attention(config: DecoderConfig, step: Step, fused: bool) -> int:
    """The fused projection (H W + 2 K W), turned queries and keys (H W + K W), mixed heads (H W), log-sums (4 H).

    Dropout of weights takes torch's formula in fp32, which keeps three matrices [T, T] a head.
    """
    width, head, heads = step.width, config.head_width, config.num_attention_heads
    queries, keys = heads * head, config.key_value_heads * head
    if config.attention_dropout:
        return 3 * FP32 * (queries + heads * step.context_length) + width * queries
    turned = width * (queries + keys) if config.position_embedding == "rotary" or config.qk_norm else 0
    normed = 0
    if config.qk_norm and not (fused and head % LANES == 0):
        copies = 2 if step.low_precision else 1
        normed = FP32 * copies * (queries + keys) + FP32 * (heads + config.key_value_heads)
    return width * (queries + 2 * keys) + turned + normed + width * queries + FP32 * heads


def _mlp(config: DecoderConfig, width: int, fused: bool) -> int:
    """The first projection (U) and the input of the second (I); without the kernels the activation of a gate too (I)."""
    gated = config.gated_mlp
    return width * config.mlp_width * ((2 if gated else 1) + 1 + (1 if gated and not fused else 0))


def _update_bytes(config: AnyNetworkConfig, parameters: Parameters, step: Step) -> int:
    """Muon holds its updates in fp32, and one stack of equal matrices with three of its size in the computing precision."""
    if step.optimizer != "muon" or isinstance(config, RecurrentConfig):
        return 0
    layers = config.num_hidden_layers + (config.decoder_layers if isinstance(config, EncoderDecoderConfig) else 0)
    stack = layers * (2 if config.gated_mlp else 1) * config.mlp_width * config.hidden_size
    return FP32 * parameters.layer_matrices + 4 * step.width * stack
