"""Every model of the run on the same held-out documents, the network against each of the others."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hanmo.base.runs import Run
from hanmo.base.storage import write_json
from hanmo.pipeline.measure import MeasureOptions, measure
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stage import Stage
from hanmo.pipeline.stages.baselines import foretells, places

if TYPE_CHECKING:
    from hanmo.evaluate.compare import Result


def _made(recipe: Recipe, folder: Run) -> list[Path]:
    return [folder.evaluation]


def _do(recipe: Recipe, folder: Run) -> None:
    from hanmo.evaluate.compare import compare_all

    found = _language_models(recipe, folder) if foretells(recipe) else _by_objective(recipe, folder)
    write_json(folder.evaluation, {"split": recipe.evaluate.split, **compare_all(found, reference="transformer")})


def _language_models(recipe: Recipe, folder: Run) -> "Mapping[str, Result]":
    """Bits per byte of the network and of its baselines."""
    from hanmo.data.reading.read import read_dataset

    chosen = recipe.evaluate
    beside = places(recipe, folder) if "baselines" in recipe.stages else {}
    options = MeasureOptions(data=str(folder.data), split=chosen.split, stride=chosen.stride or None, unit=chosen.unit)
    documents = list(read_dataset(folder.data, chosen.split))
    models = {**beside, "transformer": folder.folder}
    return {name: measure(place, documents, options) for name, place in models.items()}


def _by_objective(recipe: Recipe, folder: Run) -> "Mapping[str, Result]":
    """Hidden tokens or cut-out spans, of a network that gives a text no probability."""
    from hanmo.pipeline.objective import evaluate_by_objective

    return evaluate_by_objective(recipe, folder)


STAGE = Stage(name="evaluate", needs=("pretrain",), uses=("baselines",), settings=("evaluate",), made=_made, do=_do)
