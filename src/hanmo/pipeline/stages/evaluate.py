"""Every model of the run on the same held-out documents, the network against each of the others."""

from pathlib import Path

from hanmo.base.errors import ConfigError
from hanmo.base.runs import Run
from hanmo.base.storage import write_json
from hanmo.batches.config import network_kind
from hanmo.pipeline.measure import MeasureOptions, measure
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stage import Stage
from hanmo.pipeline.stages.baselines import places


def _made(recipe: Recipe, folder: Run) -> list[Path]:
    return [folder.evaluation]


def _do(recipe: Recipe, folder: Run) -> None:
    from hanmo.data.reading.read import read_dataset
    from hanmo.evaluate.compare import compare_all

    chosen = recipe.evaluate
    beside = places(recipe, folder) if "baselines" in recipe.stages else {}
    models = {**beside, "transformer": folder.folder}
    options = MeasureOptions(data=str(folder.data), split=chosen.split, stride=chosen.stride or None, unit=chosen.unit)
    documents = list(read_dataset(folder.data, chosen.split))
    found = {name: measure(place, documents, options) for name, place in models.items()}
    write_json(folder.evaluation, {"split": chosen.split, **compare_all(found, reference="transformer")})


def _check(recipe: Recipe) -> None:
    if (kind := network_kind(recipe.train.objective, recipe.network)) != "decoder":
        raise ConfigError(
            f"train.objective.name (={recipe.train.objective.name}) is for network {kind!r}, and hanmo run compares models that "
            "give every next token a probability: hanmo plan forecasts it, hanmo pretrain trains it"
        )


STAGE = Stage(name="evaluate", needs=("pretrain",), uses=("baselines",), settings=("evaluate",), made=_made, do=_do, check=_check)
