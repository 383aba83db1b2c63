"""Settings of what a network is asked to say; no numpy here, so recipes are read cheaply."""

from dataclasses import dataclass
from typing import Literal

from hanmo.base.errors import ConfigError
from hanmo.model.config import NetworkKind

ObjectiveName = Literal["next_token", "masked", "span_corruption", "prefix", "fill_in_the_middle"]

NETWORKS: dict[ObjectiveName, tuple[NetworkKind, ...]] = {
    "next_token": ("decoder", "recurrent"),
    "masked": ("encoder",),
    "span_corruption": ("encoder_decoder",),
    "prefix": ("decoder", "encoder_decoder"),
    "fill_in_the_middle": ("decoder", "recurrent"),
}
"""The networks an objective can train; the first one is taken where none is named."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """What a network reads of a row and what it is asked to say."""

    name: ObjectiveName = "next_token"
    """next_token: every token from those before it. masked: tokens that were hidden (BERT). span_corruption: the spans that
    were cut out (T5). prefix: the rest, from a beginning that is only read. fill_in_the_middle: a middle moved to the end."""
    share: float = 0.15
    """Share of tokens that is hidden (masked) or cut out (span_corruption)."""
    unit: Literal["word", "token"] = "word"
    """Whether all tokens of a word are hidden together, Chinese words as rjieba cuts them, or each token for itself (masked)."""
    mean_span: float = 3.0
    """Mean length in tokens of a span that is cut out (span_corruption)."""
    rate: float = 0.5
    """Share of rows that are rearranged; the others stay as they are (fill_in_the_middle)."""
    suffix_first: float = 0.5
    """Share of the rearranged rows that give the end before the beginning (SPM), the others after it (PSM)."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises ConfigError naming the key.
        """
        for key in ("rate", "suffix_first"):
            if not 0 <= getattr(self, key) <= 1:
                raise ConfigError(f"train.objective.{key} (={getattr(self, key)}) should be between 0 and 1")
        if not 0 < self.share < 1:
            raise ConfigError(f"train.objective.share (={self.share}) should be above 0 and below 1")
        if not 1 <= self.mean_span < float("inf"):
            raise ConfigError(f"train.objective.mean_span (={self.mean_span}) should be at least 1")


def network_kind(objective: ObjectiveConfig, asked: Literal["auto"] | NetworkKind) -> NetworkKind:
    """The kind of network to train.

    Raises ConfigError when the one asked for cannot learn this objective.
    """
    able = NETWORKS[objective.name]
    if asked == "auto":
        return able[0]
    if asked not in able:
        raise ConfigError(f"train.objective.name (={objective.name}) cannot train network {asked!r}, but {' or '.join(able)}")
    return asked


def asked_share(objective: ObjectiveConfig) -> float:
    """How many tokens a network is asked for, on average, for each token of text.

    >>> asked_share(ObjectiveConfig(name="masked")), asked_share(ObjectiveConfig(name="prefix"))
    (0.15, 0.5)
    """
    match objective.name:
        case "masked":
            return objective.share
        case "span_corruption":  # each span behind its sentinel
            return objective.share * (1 + 1 / objective.mean_span)
        case "prefix":
            return 0.5
        case _:
            return 1.0
