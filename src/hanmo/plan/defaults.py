"""What a text asks for where nobody has named it: size, dropout, weight decay and steps, from its tokens and the minutes.

In: the names of the settings that are free, those that are not, the number of training tokens, the minutes. Out: values with their
reasons. The idea: arithmetic that the minutes allow, spread over the text, says how often each token would be read; what is
read often is learnt by heart, so it is hidden in part (dropout), and more readings than pay are not made. The table that the
numbers were chosen from stands in docs/log.md ("Defaults that suit the text").
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from hanmo.model.config import DecoderConfig
from hanmo.plan.compute import count_compute
from hanmo.plan.parameters import count_parameters

SIZE = ("model.hidden_size", "model.num_hidden_layers", "model.num_attention_heads")
GOES_WITH_SIZE = ("model.head_dim", "model.num_key_value_heads", "model.intermediate_size", "model.qk_norm")
FITTABLE = (
    *SIZE,
    *GOES_WITH_SIZE,
    "model.hidden_dropout",
    "train.weight_decay",
    "train.learning_rate",
    "train.max_steps",
    "train.max_tokens",
    "train.patience",
    "train.eval_every",
)
"""Settings that follow the text where neither recipe nor flag names them, or that decide whether another one may."""

MINUTES = 10.0
"""Minutes that a run is planned for where none are named."""
FLOPS_PER_CORE = 1e11
"""What one core does in a second of training, for planning only: so the choice is the same on a busy machine."""
LADDER = ((128, 4), (192, 5), (256, 6), (384, 6), (512, 8), (768, 12), (1024, 16))
"""Width and layers of the sizes to choose from, with heads of 64."""
TOKENS_PER_PARAMETER = 2
"""Least tokens read for each number in the layers: the largest size that still reads so many is taken."""
R_STAR = 15.387756
"""R*_D of Muennighoff et al. 2023 (table of fitted values): readings after which a repeated token has lost most of its worth."""
LEAST_WORTH = 0.5
"""A reading that is worth less than this share of new text is not made."""
PATIENCE = 5
LOOKS = 16


@dataclass(frozen=True, kw_only=True)
class TextFacts:
    """What is known of the text and of the machine."""

    train_tokens: int
    minutes: float = 0.0
    """0 where the user named none."""
    cores: int = 2
    flops_per_second: float = 0.0
    """0 takes FLOPS_PER_CORE of each core."""

    @property
    def flops(self) -> float:
        """Arithmetic that the minutes allow."""
        return 60 * (self.minutes or MINUTES) * (self.flops_per_second or FLOPS_PER_CORE * self.cores)


@dataclass(frozen=True, kw_only=True)
class Training:
    """What the recipe says of the training."""

    batch_size: int
    context_length: int
    optimizer: str
    warmup_steps: int = 0
    max_steps: int = 0


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Values by dotted key, and why, a line each."""

    values: Mapping[str, int | float | bool]
    reasons: tuple[str, ...]
    steps: int
    epochs: float


def effective_tokens(unique: float, epochs: float) -> float:
    """New tokens that `epochs` readings of `unique` tokens are as good as (Muennighoff et al. 2023, equation 5).

    D' = U + U R* (1 - exp(-R / R*)), R = epochs - 1 repetitions, R* = 15.39; below one epoch, the tokens that are read.

    >>> round(effective_tokens(1.0, 4), 2), round(effective_tokens(1.0, 16), 1), round(effective_tokens(1.0, 1000), 1)
    (3.73, 10.6, 16.4)
    """
    if epochs <= 1:
        return unique * epochs
    return unique * (1 + R_STAR * (1 - math.exp(-(epochs - 1) / R_STAR)))


def worth_of_reading(epochs: float) -> float:
    """What a token is worth when it is read again after so many epochs, to a new one: dD'/dD = exp(-R / R*), from the same equation.

    >>> [round(worth_of_reading(epochs), 2) for epochs in (1, 4, 12, 40)]
    [1.0, 0.82, 0.49, 0.08]
    """
    return math.exp(-max(0.0, epochs - 1) / R_STAR)


def most_epochs(least_worth: float = LEAST_WORTH) -> float:
    """Epochs after which a reading is worth less than this: 1 - R* ln(worth).

    >>> round(most_epochs(), 1)
    11.7
    """
    return 1 - R_STAR * math.log(least_worth)


def unnamed(named: Collection[str]) -> tuple[str, ...]:
    """The settings that may follow the text when these are named.

    >>> "train.patience" in unnamed({"model.hidden_size"}), "model.hidden_size" in unnamed({"model.hidden_size"})
    (True, False)
    """
    return tuple(key for key in FITTABLE if key not in named)


def fit(free: Collection[str], model: DecoderConfig, training: Training, text: TextFacts) -> Fitted:
    """Values for the settings in `free`; what is not in it stays as it is and is counted with.

    Size: the largest of LADDER whose layers read at least two tokens a number, within the minutes and `most_epochs` of the text.
    Steps: what the minutes allow, at most `most_epochs`. Dropout 0.1 from two epochs on and 0.2 from four, weight decay 0.1 with it.
    Learning rate of what Muon does not move: 3e-3. Patience where nobody has named a length.
    """
    values: dict[str, int | float | bool] = {}
    reasons: list[str] = []
    if all(key in free for key in (*SIZE, *GOES_WITH_SIZE)):
        model = _sized(model, training, text)
        shape = (model.hidden_size, model.num_hidden_layers, model.num_attention_heads)
        values |= dict(zip(SIZE, shape, strict=True)) | {"model.qk_norm": model.qk_norm}
        count = count_parameters(model).non_embedding
        reasons.append(
            f"{shape[0]} wide, {shape[1]} layers: the largest size ({count / 1e6:.1f} million numbers in its layers) that "
            f"{text.train_tokens:,} tokens and {_minutes(text)} feed"
        )
    steps, per_epoch = _steps(model, training, text), text.train_tokens / (training.batch_size * training.context_length)
    epochs = steps / per_epoch
    if _is_open(free):
        limit = steps if not text.minutes else max(2 * training.warmup_steps, 1, math.ceil(most_epochs() * per_epoch))
        values["train.max_steps"] = limit
        if epochs >= most_epochs() - 0.1:
            reasons.append(f"{steps:,} steps: after {epochs:.0f} epochs a reading is worth less than half of new text")
        else:
            reasons.append(f"{'about ' if text.minutes else ''}{steps:,} steps, {epochs:.1f} epochs: what {_minutes(text)} allow")
        if "train.patience" in free:
            values["train.patience"] = PATIENCE
    if "train.eval_every" in free:
        values["train.eval_every"] = min(100, max(10, steps // LOOKS))
    values |= _against_learning_by_heart(free, epochs, reasons)
    if "train.learning_rate" in free and training.optimizer == "muon":
        values["train.learning_rate"] = 3e-3
    return Fitted(values=values, reasons=tuple(reasons), steps=steps, epochs=epochs)


def _is_open(free: Collection[str]) -> bool:
    return "train.max_steps" in free and "train.max_tokens" in free


def _minutes(text: TextFacts) -> str:
    return f"{text.minutes or MINUTES:g} minutes of this machine"


def _sized(model: DecoderConfig, training: Training, text: TextFacts) -> DecoderConfig:
    """The network in the largest size that text and minutes feed; the smallest where they feed none."""
    sizes = [
        replace(model, hidden_size=width, num_hidden_layers=layers, num_attention_heads=width // 64, qk_norm=True)
        for width, layers in LADDER
    ]
    best = sizes[0]
    for size in sizes:
        numbers = count_parameters(size).non_embedding
        readable = min(_affordable(size, training, text) * training.batch_size * training.context_length, most_epochs() * text.train_tokens)
        if readable >= TOKENS_PER_PARAMETER * numbers:
            best = size
    return best


def _affordable(model: DecoderConfig, training: Training, text: TextFacts) -> float:
    """Steps that the minutes allow."""
    compute = count_compute(model, context_length=training.context_length, batch_size=training.batch_size, optimizer=training.optimizer)
    return text.flops / compute.per_step


def _steps(model: DecoderConfig, training: Training, text: TextFacts) -> int:
    """Steps of the run: those named, else what the minutes allow and what pays."""
    if training.max_steps:
        return training.max_steps
    per_epoch = text.train_tokens / (training.batch_size * training.context_length)
    return max(2 * training.warmup_steps, 1, math.ceil(min(_affordable(model, training, text), most_epochs() * per_epoch)))


def _against_learning_by_heart(free: Collection[str], epochs: float, reasons: list[str]) -> dict[str, float]:
    dropout = 0.2 if epochs >= 4 else 0.1 if epochs >= 2 else 0.0
    wanted = {"model.hidden_dropout": dropout, "train.weight_decay": 0.1 if dropout else 0.01}
    values = {key: value for key, value in wanted.items() if key in free}
    if values and dropout:
        named = ", ".join(f"{key.partition('.')[2].replace('_', ' ')} {value:g}" for key, value in values.items())
        reasons.append(f"{named}: each token is read {epochs:.1f} times, which would otherwise be learnt by heart")
    return values
