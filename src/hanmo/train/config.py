"""Settings of training; no torch here, so recipes are read and planned cheaply."""

import math
from dataclasses import dataclass, field
from typing import Literal

from hanmo.base.errors import ConfigError
from hanmo.batches.config import ObjectiveConfig

OptimizerName = Literal["sgd", "adagrad", "adam", "adamw", "muon"]
ScheduleName = Literal["constant", "linear", "cosine", "wsd"]
LEAST = {"batch_size": 1, "log_every": 1}
"""Smallest values that are not 0."""
BELOW = {"beta1": 1, "beta2": 1, "momentum": 1, "label_smoothing": 1}
"""What has to stay below a limit; everything else may be any finite number."""


FREE_TO_CHANGE = ("checkpoint_every", "log_every", "tensorboard", "threads", "max_minutes")
"""With which a begun run may go on."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a network is trained, and when it stops."""

    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    """What the network is asked to say."""
    max_steps: int = 0
    """Stop after this many optimizer steps; 0 sets no such limit."""
    max_tokens: int = 0
    """Stop after this many training tokens; 0 sets no such limit."""
    max_minutes: float = 0.0
    """Stop after this many minutes of training; 0 sets no such limit. A run limited by the clock is not repeatable to the bit."""
    patience: int = 0
    """Stop when this many evaluations in a row have not improved the validation loss; 0 never stops for that."""
    batch_size: int = 16
    """Rows in one optimizer step, over all processes and micro-batches."""
    micro_batch_size: int = 0
    """Rows in one forward pass; 0 takes all rows of a process at once."""
    context_length: int = 0
    """Tokens in a row; 0 takes model.max_position_embeddings."""
    packing: Literal["concatenate", "isolate", "fixed"] = "concatenate"
    """Whether documents share a row freely, never see their neighbours, or have each a padded row of their own."""
    too_long: Literal["split", "truncate", "drop", "error"] = "split"
    """What becomes of a document longer than its row (fixed): more rows, its beginning only, nothing, or an error."""
    optimizer: OptimizerName = "muon"
    """Rule of the update; muon moves matrices inside the layers and leaves the rest to adamw."""
    learning_rate: float = 1e-3
    """Peak learning rate of sgd, adagrad, adam and adamw."""
    muon_learning_rate: float = 0.02
    """Peak learning rate of muon's matrices."""
    schedule: ScheduleName = "wsd"
    """Shape of the learning rate after the warm-up."""
    warmup_steps: int = 20
    """Steps in which the learning rate rises linearly from zero."""
    decay_share: float = 0.4
    """Share of the run in which wsd falls linearly to the minimum."""
    min_learning_rate_ratio: float = 0.0
    """Learning rate at the end, as a share of the peak."""
    beta1: float = 0.9
    """Decay of the first moment (adam, adamw)."""
    beta2: float = 0.95
    """Decay of the second moment (adam, adamw)."""
    epsilon: float = 1e-10
    """Added to the root of the second moment."""
    momentum: float = 0.95
    """Momentum of sgd and muon."""
    weight_decay: float = 0.01
    """L2 regularisation: decoupled for adamw and muon, added to the gradient for the others. Matrices only."""
    l1: float = 0.0
    """L1 regularisation: this times the sign of each matrix entry is added to its gradient."""
    label_smoothing: float = 0.0
    """Share of the target's probability spread evenly over the vocabulary."""
    max_grad_norm: float = 1.0
    """Gradients with a larger global norm are scaled down to it; 0 leaves them."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """bf16 computes in bfloat16 with fp32 master weights; auto takes it where the machine is faster with it."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Whether torch.compile takes the place of the kernels: a minute at the start. auto does so on a GPU, where there are none."""
    eval_every: int = 100
    """Steps between evaluations on validation text; 0 evaluates only at the end."""
    eval_tokens: int = 200_000
    """Validation tokens used in training, 0 for all."""
    checkpoint_every: int = 200
    """Steps between checkpoints; 0 writes one only when leaving."""
    log_every: int = 10
    """Steps between lines of metrics.jsonl."""
    spike_factor: float = 2.0
    """A loss above this many times the recent median, three steps in a row, stops the run with a diagnosis; 0 never does."""
    tensorboard: bool = False
    """Whether metrics also go to TensorBoard files in the run folder."""
    threads: int = 0
    """Threads of matrix products; 0 takes all cores this process may use."""
    seed: int = 1
    """Decides initial weights, order of rows and dropout."""

    def __post_init__(self) -> None:
        """Check values and their combinations.

        Raises ConfigError naming the keys.
        """
        for name, value in vars(self).items():
            low, high = LEAST.get(name, 0), BELOW.get(name, math.inf)
            if isinstance(value, str | bool | ObjectiveConfig) or name == "seed":
                continue
            if not low <= value < high:  # not a number is in no range
                limit = f"below {high}" if math.isfinite(high) else "finite"
                raise ConfigError(f"train.{name} (={value}) should be at least {low} and {limit}")
        if not 0 < self.decay_share <= 1:
            raise ConfigError(f"train.decay_share (={self.decay_share}) should be above 0 and at most 1")
        if self.min_learning_rate_ratio > 1:
            raise ConfigError(f"train.min_learning_rate_ratio (={self.min_learning_rate_ratio}) should be at most 1")
        if self.max_steps and self.warmup_steps > self.max_steps:
            raise ConfigError(
                f"train.warmup_steps (={self.warmup_steps}) exceeds train.max_steps (={self.max_steps}): lower it or raise max_steps"
            )
        if self.micro_batch_size and self.batch_size % self.micro_batch_size:
            raise ConfigError(
                f"train.batch_size (={self.batch_size}) is not a multiple of train.micro_batch_size (={self.micro_batch_size}): change one"
            )

    def check_limits(self) -> None:
        """Raise ConfigError when nothing would ever stop the run."""
        if not (self.max_steps or self.max_tokens or self.max_minutes or (self.patience and self.eval_every)):
            raise ConfigError("nothing ends this run: set train.max_steps, train.max_tokens, train.max_minutes or train.patience")
