"""What training will cost, before it runs."""

from pathlib import Path

from hanmo.base.runs import Run
from hanmo.base.storage import write_json
from hanmo.pipeline.recipe import NETWORK_KEYS, Recipe
from hanmo.pipeline.stage import Stage


def _made(recipe: Recipe, folder: Run) -> list[Path]:
    return [folder.plan]


def _do(recipe: Recipe, folder: Run) -> None:
    from hanmo.pipeline.forecast import forecast

    write_json(folder.plan, forecast(recipe, folder))


STAGE = Stage(name="plan", needs=("prepare", "tokenizer"), settings=(*NETWORK_KEYS, "train", "fitted", "plan"), made=_made, do=_do)
