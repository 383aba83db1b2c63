"""How much arithmetic a network takes: floating-point operations of matrix products, two for each multiply-add.

In: configuration, context length, batch. Out: FLOPs a token, a step, a run. Everything else (norms, activations, softmax,
lookups) is left out, as in the literature; on a CPU it takes time all the same, which is why minutes come from a probe.

For N non-embedding parameters Kaplan et al. 2020 (section 2.1, table 1) give 2N forward plus 2 L T (H W) for attention,
and twice that backward, so about 6N a token in training. Here the same is summed exactly, with the logits (2 D V) added,
which a small model cannot neglect.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hanmo.model.config import DecoderConfig, RecurrentConfig
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.plan.parameters import MULTIPLE_OF_GATES, AnyNetworkConfig, count_parameters

BACKWARD_OVER_FORWARD = 2
"""A product Y = X W^T needs two more for its gradients: dX = dY W and dW = dY^T X."""
NEWTON_SCHULZ_STEPS = 5


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Floating-point operations of matrix products."""

    forward_per_token: float
    backward_per_token: float
    update_per_step: float
    """Muon's orthogonalisation; other rules have no matrix products."""
    tokens_per_step: int

    @property
    def train_per_token(self) -> float:
        """Forward and backward."""
        return self.forward_per_token + self.backward_per_token

    @property
    def per_step(self) -> float:
        """One optimizer step with its update."""
        return self.train_per_token * self.tokens_per_step + self.update_per_step

    def per_run(self, steps: int) -> float:
        """All steps; evaluations are not training and not in here."""
        return self.per_step * steps


def count_compute(
    config: AnyNetworkConfig, *, context_length: int, batch_size: int, optimizer: str = "adamw", asked: float = 1.0
) -> Compute:
    """The arithmetic of training `config` on full rows; `asked` as in `forward_flops_per_token`."""
    forward = forward_flops_per_token(config, context_length, asked)
    return Compute(
        forward_per_token=forward,
        backward_per_token=BACKWARD_OVER_FORWARD * forward,
        update_per_step=muon_flops_per_step(config) if optimizer == "muon" else 0.0,
        tokens_per_step=batch_size * context_length,
    )


def forward_flops_per_token(config: AnyNetworkConfig, context_length: int, asked: float = 1.0) -> float:
    """FLOPs of one token's forward pass, averaged over the positions of a full context.

    An encoder's query sees all T keys, and it makes logits of the `asked` share of tokens. Of an encoder-decoder, one token of
    the source counts, with the `asked` tokens that are written for it: a source of T, a target of `asked` T.

    Each weight of a matrix takes part once: 2 FLOPs. Attention adds 2 W for the score and 2 W for the mixture of every
    visible key, (T + 1) / 2 of them on average under a causal mask: 2 L H W (T + 1); a sliding layer sees fewer.
    """
    logits = 2.0 * config.hidden_size * config.vocab_size
    if isinstance(config, EncoderConfig):
        dense = 2.0 * config.hidden_size**2
        return _encoder_flops_per_token(config, context_length) + (asked * (dense + logits) if config.masked_head else 0.0)
    if isinstance(config, EncoderDecoderConfig):
        return _pair_flops_per_token(config, context_length, asked) + asked * logits
    if not isinstance(config, DecoderConfig):
        cells = MULTIPLE_OF_GATES[config.cell] * 2 * config.hidden_size**2
        return 2.0 * config.num_hidden_layers * cells + logits
    windows = [config.window_of(config.layer_type(layer)) for layer in range(config.num_hidden_layers)]
    keys = sum(visible_keys(context_length, window) for window in windows)
    attention = 4.0 * config.num_attention_heads * config.head_width * keys
    return 2.0 * count_parameters(config).layer_matrices + attention + logits


def visible_keys(context_length: int, window: int | None) -> float:
    """How many keys a query sees on average over the positions of a full context: the mean of min(t, window), t = 1 ... T.

    >>> visible_keys(4, None), visible_keys(4, 2)
    (2.5, 1.75)
    """
    reach = context_length if window is None else min(window, context_length)
    return reach * (2 * context_length - reach + 1) / (2 * context_length)


def _encoder_flops_per_token(config: EncoderConfig, context_length: int) -> float:
    """All matrices of the layers once, and attention over every key: 4 L H W T."""
    keys = 4.0 * config.num_attention_heads * config.head_width * context_length
    return 2.0 * count_parameters(config).layer_matrices + keys * config.num_hidden_layers


def _pair_flops_per_token(config: EncoderDecoderConfig, context_length: int, asked: float) -> float:
    """An encoder's layers for a token of the source, a decoder's for the `asked` tokens of the target.

    The decoder makes keys and values of each token of the source; its own attention sees half of what it writes, the other the source.
    """
    width, heads = config.hidden_size, config.num_attention_heads * config.head_width
    mlp = (3.0 if config.gated_mlp else 2.0) * width * config.mlp_width
    encoder = 2.0 * (4 * width * heads + mlp) + 4.0 * heads * context_length
    decoder = 2.0 * (6 * width * heads + mlp) + 4.0 * heads * context_length * (0.5 * asked + 1)
    return config.num_hidden_layers * encoder + config.decoder_layers * (asked * decoder + 2.0 * 2 * width * heads)


def train_flops_per_token(config: AnyNetworkConfig, context_length: int, asked: float = 1.0) -> float:
    """Forward and backward FLOPs of one token of training text: three times the forward pass."""
    return (1 + BACKWARD_OVER_FORWARD) * forward_flops_per_token(config, context_length, asked)


def muon_flops_per_step(config: AnyNetworkConfig) -> float:
    """FLOPs of Muon's five Newton-Schulz iterations over every matrix inside the layers (Jordan et al. 2024).

    An iteration on an m x n matrix, m <= n, multiplies X X^T (2 m^2 n), its square (2 m^3) and their sum with X (2 m^2 n).
    Query, key and value, and the two halves of a gated MLP, are matrices of their own.
    """
    if isinstance(config, RecurrentConfig):
        return 0.0
    width, queries, layers = config.hidden_size, config.num_attention_heads * config.head_width, config.num_hidden_layers
    keys = config.key_value_heads * config.head_width if isinstance(config, DecoderConfig) else queries
    beside = config.decoder_layers if isinstance(config, EncoderDecoderConfig) else 0
    attention = [(queries, width), (keys, width), (keys, width), (width, queries)]
    mlp = [*[(config.mlp_width, width)] * (2 if config.gated_mlp else 1), (width, config.mlp_width)]
    return NEWTON_SCHULZ_STEPS * ((layers + 2 * beside) * _iteration(attention) + (layers + beside) * _iteration(mlp))


def _iteration(shapes: Sequence[tuple[int, int]]) -> float:
    return sum(4.0 * min(shape) ** 2 * max(shape) + 2.0 * min(shape) ** 3 for shape in shapes)


def kaplan_flops_per_token(config: AnyNetworkConfig, context_length: int) -> float:
    """The common estimate 6N + 6 L T (H W) of training FLOPs a token (Kaplan et al. 2020, section 2.1), logits left out."""
    count = 6.0 * count_parameters(config).non_embedding
    if not isinstance(config, DecoderConfig):
        return count
    return count + 6.0 * config.num_hidden_layers * context_length * config.num_attention_heads * config.head_width
