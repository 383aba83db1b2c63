"""The recipe's network is trained."""

from pathlib import Path

from hanmo.base.runs import Run
from hanmo.pipeline.fitting import check_end
from hanmo.pipeline.networks import chosen_network
from hanmo.pipeline.pretrain import PretrainOptions, pretrain_run
from hanmo.pipeline.recipe import NETWORK_KEYS, Recipe
from hanmo.pipeline.stage import Stage
from hanmo.train.config import FREE_TO_CHANGE


def _made(recipe: Recipe, folder: Run) -> list[Path]:
    return [folder.manifest, folder.model / "config.json"]


def _do(recipe: Recipe, folder: Run) -> None:
    chosen = {key: getattr(recipe, key) for key in NETWORK_KEYS}
    pretrain_run(
        PretrainOptions(data=folder.data, tokenizer=folder.tokenizer, out=folder.folder, train=recipe.train, fitted=recipe.fitted, **chosen)
    )


def _check(recipe: Recipe) -> None:
    check_end(recipe.train, recipe.fitted)
    chosen_network(recipe)


STAGE = Stage(
    name="pretrain",
    needs=("prepare", "tokenizer"),
    settings=(*NETWORK_KEYS, "train", "fitted"),
    free_to_change=tuple(f"train.{name}" for name in FREE_TO_CHANGE),
    made=_made,
    do=_do,
    check=_check,
)
