"""The training documents become a tokenizer."""

from pathlib import Path

from hanmo.base.runs import Run
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stage import Stage


def _made(recipe: Recipe, folder: Run) -> list[Path]:
    return [folder.tokenizer / "tokenizer.json"]


def _do(recipe: Recipe, folder: Run) -> None:
    from hanmo.data.reading.read import read_dataset
    from hanmo.tokenizer.train import train_tokenizer

    texts = (document.text for document in read_dataset(folder.data, "train"))
    train_tokenizer(texts, recipe.tokenizer).save(folder.tokenizer)


STAGE = Stage(name="tokenizer", needs=("prepare",), settings=("tokenizer",), made=_made, do=_do)
