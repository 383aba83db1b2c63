"""How many bytes a training step holds, part by part, and which moment of it is the peak.

In: configuration, rows, context, precision, optimizer. Out: `Memory`. The formulas follow what the training loop keeps:
weights in the computing precision, fp32 masters beside bf16 weights, one fp32 gradient, the optimizer's state in fp32.
Activations are those that a plain decoder saves for its backward pass; the probe of the real step corrects them.
D width, I inner width, V vocabulary, H query heads, K key-value heads, W width of a head.
"""

from dataclasses import dataclass

from hanmo.model.config import DecoderConfig
from hanmo.plan.parameters import MULTIPLE_OF_GATES, NetworkConfig, Parameters, count_parameters

FP32, BF16 = 4, 2

OPTIMIZER_BYTES = {"sgd": 4, "adagrad": 4, "adam": 8, "adamw": 8, "muon": 4}
"""Bytes of state a parameter: one moment in fp32, or two; muon's matrices have one, everything else there has adamw's two."""


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

    @property
    def tokens(self) -> int:
        """Tokens of one forward pass."""
        return self.rows * self.context_length


@dataclass(frozen=True, kw_only=True)
class Memory:
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
    """Logits of one forward pass with their fp32 copy, log-probabilities and gradient."""
    evaluation: int
    """What an evaluation holds at once, without gradients."""
    saving: int
    """Held while the best weights are brought back in fp32 and written, at the end."""
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
            "backward": self.steady + waiting + self.activations + self.logits,
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


def count_memory(config: NetworkConfig, step: Step, *, process_bytes: int = 0) -> Memory:
    """The memory of training `config`; give `process_bytes` to count the process itself."""
    parameters = count_parameters(config)
    total, width = parameters.total, BF16 if step.low_precision else FP32
    return Memory(
        process=process_bytes,
        weights=total * width,
        masters=total * FP32 if step.low_precision else 0,
        optimizer=optimizer_bytes(parameters, step.optimizer),
        gradients=total * FP32,
        fresh_gradients=total * width,
        update=_update_bytes(config, parameters, step),
        activations=step.tokens * activation_bytes_per_token(config, step),
        logits=step.tokens * config.vocab_size * _logit_bytes(step),
        evaluation=(step.evaluation_rows or step.rows) * step.context_length * config.vocab_size * (width + FP32 + FP32),
        saving=2 * total * FP32,
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


def activation_bytes_per_token(config: NetworkConfig, step: Step) -> int:
    """Bytes that one token leaves behind in a forward pass, without its logits.

    A block keeps its input and the normed input (2 D), the fused projection (H W + 2 K W), rotated queries and keys
    (H W + K W), the mixed heads twice, as they come and side by side (2 H W), then input and normed input of the MLP (2 D),
    its first projection (I, gated 2 I), the activation (I), and their product when gated (I). Dropout keeps a byte a
    value for its mask. A recurrent cell keeps its gates, its state and its output.
    """
    width = BF16 if step.low_precision else FP32
    stream = config.hidden_size
    if not isinstance(config, DecoderConfig):
        gates = MULTIPLE_OF_GATES[config.cell] + 2
        return width * stream * (1 + config.num_hidden_layers * gates)
    queries, keys = config.num_attention_heads * config.head_width, config.key_value_heads * config.head_width
    rotated = queries + keys if config.position_embedding == "rotary" else 0
    normed = queries + keys if config.qk_norm else 0
    inner = (4 if config.gated_mlp else 2) * config.mlp_width
    values = 4 * stream + (queries + 2 * keys) + rotated + normed + 2 * queries + inner
    masks = 2 * stream if config.hidden_dropout else 0
    return config.num_hidden_layers * (width * values + masks) + 3 * width * stream


def _logit_bytes(step: Step) -> int:
    """Bytes an entry of the logits: as computed, in fp32 when that is another copy, and as log-probabilities in fp32."""
    return BF16 + FP32 + FP32 if step.low_precision else FP32 + FP32


def _update_bytes(config: NetworkConfig, parameters: Parameters, step: Step) -> int:
    """Muon holds its updates in fp32, and one stack of equal matrices with three of its size in the computing precision."""
    if step.optimizer != "muon" or not isinstance(config, DecoderConfig):
        return 0
    stack = config.num_hidden_layers * (2 if config.gated_mlp else 1) * config.mlp_width * config.hidden_size
    return FP32 * parameters.layer_matrices + 4 * (BF16 if step.low_precision else FP32) * stack
