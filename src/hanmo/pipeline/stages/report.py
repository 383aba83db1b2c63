"""The page that tells how it went; the forecast gets its facts."""

from pathlib import Path

from hanmo.base.runs import Run
from hanmo.base.storage import read_json, write_json
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stage import Stage


def _made(recipe: Recipe, folder: Run) -> list[Path]:
    return [folder.report]


def _do(recipe: Recipe, folder: Run) -> None:
    from hanmo.evaluate.report import write_report

    if "plan" in recipe.stages:
        write_json(folder.plan, {**read_json(folder.plan), "fact": _fact(recipe, folder)})
    write_report(folder, title=recipe.name, language=recipe.language)


def _fact(recipe: Recipe, folder: Run) -> dict[str, object]:
    """What training has taken, under the names of the forecast."""
    hours = read_json(folder.stages)["pretrain"]["seconds"] / 3600
    return {
        "minutes": hours * 60,
        "peak_memory_bytes": folder.read_manifest()["peak_memory_bytes"],
        "disk_bytes": sum(_bytes(part) for part in (folder.tokens, folder.checkpoints, folder.model)),
        "money": hours * recipe.plan.price_per_hour or None,
        "energy_kwh": hours * recipe.plan.watts / 1000 or None,
    }


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


STAGE = Stage(
    name="report",
    needs=("pretrain",),
    uses=("plan", "baselines", "evaluate", "sample"),
    settings=("plan",),
    appearance=("name", "language"),
    made=_made,
    do=_do,
)
