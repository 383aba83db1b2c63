"""The stages of `hanmo run`, each a call into the rooms, and how it is known that one is done."""

import dataclasses
import hashlib
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hanmo.base.config import to_table
from hanmo.base.runs import Run
from hanmo.base.runtime import derive_seed, peak_memory_bytes
from hanmo.base.storage import read_json, write_json
from hanmo.cli.recipe import Recipe, read_recipe

if TYPE_CHECKING:
    from hanmo.model.scoring import LanguageModel

INPUTS: dict[str, tuple[str, ...]] = {
    "prepare": ("sources", "language", "prepare"),
    "tokenizer": ("prepare", "sources", "tokenizer"),
    "plan": ("model", "train", "plan", "tokenizer", "prepare", "sources"),
    "baselines": ("baselines", "tokenizer", "prepare", "sources"),
    "pretrain": ("model", "train", "tokenizer", "prepare", "sources"),
    "evaluate": ("model", "train", "baselines", "evaluate", "tokenizer", "prepare", "sources"),
    "sample": ("sample", "model", "train", "tokenizer", "prepare", "sources"),
    "report": ("name", "language", "model", "train", "baselines", "evaluate", "sample", "plan", "tokenizer", "prepare", "sources"),
}

USED_BY: dict[str, tuple[str, ...]] = {
    "prepare": ("tokenizer", "plan", "baselines", "pretrain", "evaluate", "sample", "report"),
    "tokenizer": ("plan", "baselines", "pretrain", "evaluate", "sample", "report"),
    "plan": ("report",),
    "baselines": ("evaluate", "report"),
    "pretrain": ("evaluate", "sample", "report"),
    "evaluate": ("report",),
    "sample": ("report",),
    "report": (),
}
"""Which later stages read what a stage makes: done again, it undoes them."""


def read(folder: Run) -> Recipe:
    """The recipe this run was started with."""
    return read_recipe(folder.recipe)


def fingerprint(stage: str, recipe: Recipe) -> str:
    """SHA-256 of all settings a stage depends on."""
    table = to_table(recipe)
    return hashlib.sha256(json.dumps([table[key] for key in INPUTS[stage]], sort_keys=True).encode()).hexdigest()


def is_done(stage: str, recipe: Recipe, folder: Run) -> bool:
    """Whether a stage has finished with these settings."""
    return folder.stages.exists() and read_json(folder.stages).get(stage, {}).get("settings") == fingerprint(stage, recipe)


def do(stage: str, recipe: Recipe, folder: Run) -> None:
    """Do one stage and note what it cost."""
    started = time.monotonic()
    DO[stage](recipe, folder)
    notes = read_json(folder.stages) if folder.stages.exists() else {}
    notes = {name: note for name, note in notes.items() if name not in USED_BY[stage]}
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    notes[stage] = {
        "settings": fingerprint(stage, recipe),
        "seconds": time.monotonic() - started,
        "peak_memory_bytes": max(peak_memory_bytes(), children),
    }
    write_json(folder.stages, notes)


def _prepare(recipe: Recipe, folder: Run) -> None:
    from hanmo.cli.prepare import prepare_sources

    prepare_sources(recipe.sources, folder.data, dataclasses.replace(recipe.prepare, card_language=recipe.language))


def _tokenizer(recipe: Recipe, folder: Run) -> None:
    from hanmo.data.read import read_dataset
    from hanmo.tokenizer.train import train_tokenizer

    train_tokenizer((document.text for document in read_dataset(folder.data, "train")), recipe.tokenizer).save(folder.tokenizer)


def _plan(recipe: Recipe, folder: Run) -> None:
    from hanmo.cli.plan import forecast

    write_json(folder.plan, forecast(recipe, folder))


def _baselines(recipe: Recipe, folder: Run) -> None:
    from hanmo.cli.pretrain import token_stores
    from hanmo.model.config import NgramConfig
    from hanmo.model.ngram import Ngram, Uniform
    from hanmo.model.store import save_model
    from hanmo.plan.compute import train_flops_per_token
    from hanmo.tokenizer.load import Tokenizer
    from hanmo.train.pretrain import Settings, pretrain

    tokenizer = Tokenizer.load(folder.tokenizer)
    stores = token_stores(folder.data, tokenizer, folder.tokens)
    size = tokenizer.vocab_size
    config = dataclasses.replace(recipe.baselines.ngram, vocab_size=size)
    counted = {
        "uniform": Uniform(size),
        "unigram": Ngram.fit(stores["train"].ids, stores["train"].offsets, NgramConfig(vocab_size=size, order=1)),
        "kneser-ney": Ngram.fit(stores["train"].ids, stores["train"].offsets, config),
    }
    for name, model in counted.items():
        save_model(model, folder.baselines / name, tokenizer_folder=folder.tokenizer)
    network = dataclasses.replace(recipe.baselines.recurrent, vocab_size=size, bos_token_id=tokenizer.eot_id, eos_token_id=tokenizer.eot_id)
    training = recipe.baselines.recurrent_train
    pretrain(
        Settings(model=network, train=training),
        stores=stores,
        tokenizer=folder.tokenizer,
        run=Run(folder.baselines / network.cell).create(),
        flops_per_token=train_flops_per_token(network, training.context_length),
    )


def _pretrain(recipe: Recipe, folder: Run) -> None:
    from hanmo.cli import pretrain

    pretrain.run(pretrain.Options(data=folder.data, tokenizer=folder.tokenizer, out=folder.folder, model=recipe.model, train=recipe.train))


def _evaluate(recipe: Recipe, folder: Run) -> None:
    from hanmo.cli.evaluate import load_scorer
    from hanmo.data.read import read_dataset
    from hanmo.evaluate.compare import compare_all
    from hanmo.tokenizer.load import Tokenizer

    names = ["uniform", "unigram", "kneser-ney", recipe.baselines.recurrent.cell]
    models: dict[str, LanguageModel] = {name: load_scorer(folder.baselines / name) for name in names}
    models["transformer"] = load_scorer(folder.folder)
    tokenizer = Tokenizer.load(folder.tokenizer)
    documents = list(read_dataset(folder.data, recipe.evaluate.split))
    result = compare_all(
        models,
        documents,
        encode=tokenizer.encode,
        eot_id=tokenizer.eot_id,
        stride=recipe.evaluate.stride or None,
        unit=recipe.evaluate.unit,
        reference="transformer",
    )
    write_json(folder.evaluation, {"split": recipe.evaluate.split, **result})


def _sample(recipe: Recipe, folder: Run) -> None:
    from hanmo.generate.loaded import TextModel

    model = TextModel(folder.folder)
    samples: list[dict[str, object]] = []
    for number, prompt in enumerate(recipe.sample.prompts):
        options = dataclasses.replace(recipe.sample.options, seed=derive_seed(recipe.sample.options.seed or 0, number) % 2**31)
        text = model.generate(prompt, options)
        samples.append({"prompt": prompt, "text": text, "options": to_table(options)})
    write_json(folder.samples, {"samples": samples})


def _report(recipe: Recipe, folder: Run) -> None:
    from hanmo.evaluate.report import write_report

    plan, training, costs = read_json(folder.plan), folder.read_manifest(), read_json(folder.stages)
    hours = costs["pretrain"]["seconds"] / 3600
    plan["fact"] = {
        "minutes": hours * 60,
        "peak_memory_bytes": training["peak_memory_bytes"],
        "disk_bytes": sum(_size(part) for part in (folder.tokens, folder.checkpoints, folder.model)),
        "money": hours * recipe.plan.price_per_hour or None,
        "energy_kwh": hours * recipe.plan.watts / 1000 or None,
    }
    write_json(folder.plan, plan)
    write_report(folder, title=recipe.name, language=recipe.language)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


DO: dict[str, Callable[[Recipe, Run], None]] = {
    "prepare": _prepare,
    "tokenizer": _tokenizer,
    "plan": _plan,
    "baselines": _baselines,
    "pretrain": _pretrain,
    "evaluate": _evaluate,
    "sample": _sample,
    "report": _report,
}
