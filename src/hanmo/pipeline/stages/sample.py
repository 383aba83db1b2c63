"""The trained network is asked to go on from some beginnings."""

import dataclasses
from pathlib import Path

from hanmo.base.config import to_table
from hanmo.base.runs import Run
from hanmo.base.runtime import derive_seed
from hanmo.base.storage import write_json
from hanmo.batches.config import network_kind
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stage import Stage


def _made(recipe: Recipe, folder: Run) -> list[Path]:
    return [folder.samples]


def _do(recipe: Recipe, folder: Run) -> None:
    from hanmo.generate.loaded import TextModel

    if network_kind(recipe.train.objective, recipe.network) == "encoder":  # it reads and does not write
        write_json(folder.samples, {"samples": []})
        return
    model, asked = TextModel(folder.folder), recipe.sample.options
    samples: list[dict[str, object]] = []
    for number, prompt in enumerate(recipe.sample.prompts):
        options = dataclasses.replace(asked, seed=derive_seed(asked.seed or 0, number) % 2**31)
        text = model.generate(prompt, options)
        samples.append({"prompt": prompt, "text": text, "options": to_table(options)})
    write_json(folder.samples, {"samples": samples})


STAGE = Stage(name="sample", needs=("pretrain",), settings=("sample",), made=_made, do=_do)
