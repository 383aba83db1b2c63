"""What the network has to beat, on the same data: uniform, unigram, Kneser-Ney and a recurrent network."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path

from hanmo.base.config import to_table
from hanmo.base.progress import say
from hanmo.base.runs import Run
from hanmo.base.storage import read_json, write_json
from hanmo.batches.config import network_kind
from hanmo.model.config import NgramConfig
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stage import Stage, flattened

COUNTED = ("uniform", "unigram", "kneser-ney")


def places(recipe: Recipe, folder: Run) -> dict[str, Path]:
    """Where each baseline is."""
    return {name: folder.baselines / name for name in (*COUNTED, recipe.baselines.recurrent.cell)}


def foretells(recipe: Recipe) -> bool:
    """Whether the recipe's network gives every next token a probability, as these baselines do."""
    return network_kind(recipe.train.objective, recipe.network) == "decoder"


def _made(recipe: Recipe, folder: Run) -> list[Path]:
    if not foretells(recipe):
        return []
    found = places(recipe, folder)
    recurrent = Run(found[recipe.baselines.recurrent.cell]).model
    return [*(found[name] / "config.json" for name in COUNTED), recurrent / "config.json"]


def _do(recipe: Recipe, folder: Run) -> None:
    if not foretells(recipe):
        say("no baselines here: the network is measured against guesses when it is evaluated")
        return
    from hanmo.model.ngram import Ngram, Uniform
    from hanmo.model.store import save_model
    from hanmo.pipeline.tokens import token_stores
    from hanmo.plan.compute import train_flops_per_token
    from hanmo.tokenizer.load import Tokenizer
    from hanmo.train.pretrain import Settings, pretrain

    tokenizer = Tokenizer.load(folder.tokenizer)
    stores = token_stores(folder.data, tokenizer, folder.tokens)
    train, settings = stores["train"], flattened(to_table(recipe.baselines))
    forget_others(folder, {"settings": settings, "tokens": train.fingerprint, "tokenizer": tokenizer.fingerprint})
    size, found = tokenizer.vocab_size, places(recipe, folder)
    config = dataclasses.replace(recipe.baselines.ngram, vocab_size=size)
    counted = {
        "uniform": Uniform(size),
        "unigram": Ngram.fit(train.ids, train.offsets, NgramConfig(vocab_size=size, order=1)),
        "kneser-ney": Ngram.fit(train.ids, train.offsets, config),
    }
    for name, model in counted.items():
        save_model(model, found[name], tokenizer_folder=folder.tokenizer)
    ends = {"bos_token_id": tokenizer.eot_id, "eos_token_id": tokenizer.eot_id}
    network = dataclasses.replace(recipe.baselines.recurrent, vocab_size=size, **ends)
    training = recipe.baselines.recurrent_train
    pretrain(
        Settings(model=network, train=training),
        stores=stores,
        tokenizer=folder.tokenizer,
        run=Run(found[network.cell]).create(),
        flops_per_token=train_flops_per_token(network, training.context_length),
    )


def forget_others(folder: Run, made_from: Mapping[str, object]) -> None:
    """Remove baselines that were begun with other settings or on other text: they take a minute, and are always ours."""
    mark = folder.baselines / "made_from.json"
    if folder.baselines.exists() and (not mark.exists() or read_json(mark) != made_from):
        shutil.rmtree(folder.baselines)
    write_json(mark, made_from)


def _check(recipe: Recipe) -> None:
    recipe.baselines.recurrent_train.check_limits()


STAGE = Stage(name="baselines", needs=("prepare", "tokenizer"), settings=("baselines",), made=_made, do=_do, check=_check)
