"""A recipe: every stage of a model's life on one page of TOML."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hanmo.base.config import build, read_toml
from hanmo.base.errors import ConfigError
from hanmo.data.prepare import PrepareConfig
from hanmo.generate.options import SamplingOptions
from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.pipeline.fitting import named_in
from hanmo.plan.defaults import unnamed
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.train.config import TrainConfig

NETWORK_KEYS = ("network", "model", "encoder", "encoder_decoder")
"""What a recipe says about the network that is trained."""
DEFAULT_STAGES = ("prepare", "tokenizer", "plan", "baselines", "pretrain", "evaluate", "sample", "report")


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """The models that the Transformer has to beat, on the same data."""

    ngram: NgramConfig = field(default_factory=NgramConfig)
    """Kneser-Ney."""
    recurrent: RecurrentConfig = field(default_factory=RecurrentConfig)
    """LSTM or GRU."""
    recurrent_train: TrainConfig = field(default_factory=lambda: TrainConfig(optimizer="adamw", max_minutes=1.0, context_length=128))
    """How the recurrent network is trained."""


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """How the finished models are measured."""

    split: Literal["validation", "test"] = "test"
    """Documents they are measured on."""
    stride: int = 0
    """Tokens a window advances by; 0 takes half the context."""
    unit: Literal["document", "passage"] = "document"
    """What the bootstrap draws again and again."""

    def __post_init__(self) -> None:
        """Check the stride.

        Raises ConfigError when it is negative.
        """
        if self.stride < 0:
            raise ConfigError(f"evaluate.stride (={self.stride}) should not be negative")


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """What the finished model is asked to continue."""

    prompts: tuple[str, ...] = ("",)
    """Beginnings; an empty one starts a document."""
    options: SamplingOptions = field(default_factory=SamplingOptions)
    """How tokens are drawn."""


@dataclass(frozen=True, kw_only=True)
class PlanConfig:
    """What is needed to turn minutes into money and energy."""

    price_per_hour: float = 0.0
    """Price of this machine for one hour, in any currency."""
    watts: float = 0.0
    """Power it draws under load."""
    probe_seconds: float = 10.0
    """How long the real training step is tried."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises ConfigError naming the key.
        """
        for name in ("price_per_hour", "watts", "probe_seconds"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"plan.{name} (={getattr(self, name)}) should be a number that is not negative")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole life: prepare, tokenizer, plan, baselines, pretrain, evaluate, sample, report."""

    name: str = ""
    """What the report calls it; the recipe's file name by default."""
    language: Literal["en", "zh"] = "en"
    """Language of the report and the cards."""
    stages: tuple[str, ...] = DEFAULT_STAGES
    """What is done, with all that it needs; a name that is none of ours is a module with a STAGE."""
    sources: tuple[str, ...] = ()
    """Catalogue names, files or folders."""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    """Files to documents."""
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    """Text to ids."""
    network: Literal["auto", "decoder", "encoder", "encoder_decoder"] = "auto"
    """Which of the three networks below is trained; auto takes the one that train.objective.name is for."""
    model: DecoderConfig = field(default_factory=DecoderConfig)
    """The Transformer."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The encoder that is trained instead where train.objective asks for one."""
    encoder_decoder: EncoderDecoderConfig = field(default_factory=EncoderDecoderConfig)
    """The encoder-decoder that is trained instead where train.objective asks for one."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """Its training."""
    fitted: tuple[str, ...] = ()
    """Settings of model and train that follow the text's tokens and the minutes; in a recipe that does not say, those it does not name."""
    baselines: BaselineConfig = field(default_factory=BaselineConfig)
    """What it has to beat."""
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    """How all are measured."""
    sample: SampleConfig = field(default_factory=SampleConfig)
    """What it is asked to continue."""
    plan: PlanConfig = field(default_factory=PlanConfig)
    """Prices for the forecast."""

    def __post_init__(self) -> None:
        """Check what would otherwise fail after training.

        Raises ConfigError naming the keys.
        """
        if self.evaluate.stride > self.model.max_position_embeddings:
            raise ConfigError(
                f"evaluate.stride (={self.evaluate.stride}) exceeds model.max_position_embeddings "
                f"(={self.model.max_position_embeddings}): lower it, or leave it out"
            )


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file.

    Raises ConfigError for an unknown key, a wrong value, or a file that cannot be read.
    """
    table = read_toml(path)
    return build(Recipe, {"name": path.stem, "fitted": unnamed(named_in(table)), **table})
