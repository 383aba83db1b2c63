"""`hanmo pretrain [RECIPE] --data DATASET --tokenizer DIR --out RUN`: train a model from the beginning."""

from collections.abc import Sequence
from dataclasses import replace

from hanmo.base.progress import duration
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.pipeline.fitting import still_free
from hanmo.pipeline.pretrain import PretrainOptions
from hanmo.pipeline.recipe import NETWORK_KEYS
from hanmo.plan.defaults import FITTABLE


class Options(PretrainOptions):
    """Train a network on a prepared data set; the same command goes on after an interruption."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    free = {"fitted": FITTABLE}
    options = parse_arguments(Options, words, "pretrain", sections=(*NETWORK_KEYS, "train", "fitted"), defaults=free)
    return replace(options, fitted=still_free(options.fitted, words))


def run(options: Options) -> dict[str, object]:
    """Train; gives the run's manifest and folder."""
    from hanmo.pipeline.pretrain import pretrain_alone

    return {"run": str(options.out), **pretrain_alone(options)}


def show(result: dict[str, object]) -> str:
    """What a person reads at the end."""
    loss = result["validation_loss"]
    quality = f", validation loss {loss:.4f} nats a token at step {result['best_step']}" if isinstance(loss, float) else ""
    return f"{result['run']}: {result['steps']} steps in {duration(float(str(result['training_seconds'])))}{quality}"
