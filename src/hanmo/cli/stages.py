"""The stages of `hanmo run`, each a call into the rooms, and how it is known that one is done."""

import dataclasses
import hashlib
import json
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hanmo.base.config import to_table
from hanmo.base.errors import ConfigError, HanmoError
from hanmo.base.runs import Run
from hanmo.base.runtime import derive_seed, peak_memory_bytes
from hanmo.base.storage import read_json, write_json
from hanmo.cli.recipe import Recipe, read_recipe

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
    """Whether a stage has finished with these settings and inputs, and what it made is still there."""
    note = _notes(folder).get(stage, {})
    if note.get("settings") != fingerprint(stage, recipe) or not all(path.exists() for path in _made(stage, recipe, folder)):
        return False
    return stage != "prepare" or (note.get("data") == _data(folder) and _files(recipe) in ("", note.get("files")))


def do(stage: str, recipe: Recipe, folder: Run) -> None:
    """Do one stage and note what it cost; what later stages made from an earlier result counts no more.

    The notes that fall are taken back before anything is written, so a kill never leaves one that is not true. Only
    `prepare` finds out by doing whether its result is another one; its note names the data it stands for.
    """
    started = time.monotonic()
    notes = _notes(folder)
    before = notes.get(stage, {})
    if stage != "prepare":
        notes = _without(notes, stage)
        write_json(folder.stages, notes)
    files = _files(recipe) if stage == "prepare" else ""
    DO[stage](recipe, folder)
    if stage == "prepare" and before.get("data") != _data(folder):
        notes = _without(notes, stage)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    notes[stage] = {
        "settings": fingerprint(stage, recipe),
        "seconds": time.monotonic() - started,
        "peak_memory_bytes": max(peak_memory_bytes(), children),
        **({"files": files, "data": _data(folder)} if stage == "prepare" else {}),
    }
    write_json(folder.stages, notes)


def _notes(folder: Run) -> dict[str, Any]:
    return read_json(folder.stages) if folder.stages.exists() else {}


def _without(notes: dict[str, Any], stage: str) -> dict[str, Any]:
    return {name: note for name, note in notes.items() if name != stage and name not in USED_BY[stage]}


def _made(stage: str, recipe: Recipe, folder: Run) -> list[Path]:
    """What has to be there for a stage to count as done."""
    names = ("uniform", "unigram", "kneser-ney")
    made = {
        "prepare": [folder.data / "manifest.json", folder.data / "documents"],
        "tokenizer": [folder.tokenizer / "tokenizer.json"],
        "plan": [folder.plan],
        "baselines": [
            *(folder.baselines / name / "config.json" for name in names),
            Run(folder.baselines / recipe.baselines.recurrent.cell).model / "config.json",
        ],
        "pretrain": [folder.manifest, folder.model / "config.json"],
        "evaluate": [folder.evaluation],
        "sample": [folder.samples],
        "report": [folder.report],
    }
    return made[stage]


def _data(folder: Run) -> str:
    """What the data set was made from, by its own account."""
    manifest = folder.data / "manifest.json"
    return str(read_json(manifest).get("fingerprint")) if manifest.exists() else ""


def _files(recipe: Recipe) -> str:
    """SHA-256 over names, sizes and times of all source files; empty when a source is not at hand, whose data may well be."""
    from hanmo.data.catalogue import ENTRIES, find
    from hanmo.data.reading.inputs import Source, list_files, name_sources

    paths = [find(ENTRIES[source]) if source in ENTRIES else Path(source) for source in recipe.sources]
    try:
        files, _ = list_files(name_sources([Source(path=path) for path in paths if path is not None]))
        facts = [(file.label, (state := file.path.stat()).st_size, state.st_mtime_ns) for file in files]
    except (HanmoError, OSError):
        return ""
    return hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()


def refuse_other_training(recipe: Recipe, folder: Run) -> None:
    """Raise ConfigError when the folder holds training that was begun with settings which this recipe changes."""
    if not (folder.config.exists() and folder.recipe.exists()):
        return
    now, before = (_flat({key: to_table(each)[key] for key in INPUTS["pretrain"]}) for each in (recipe, read(folder)))
    changed = [name for name in now if before.get(name) != now[name]]
    if not changed:
        return
    from hanmo.train.pretrain import FREE_TO_CHANGE

    free = {"prepare.workers", "prepare.card_language", *(f"train.{name}" for name in FREE_TO_CHANGE)}
    for name in changed:
        if name not in free:
            raise ConfigError(
                f"{folder.folder} holds training with {name} = {before.get(name)!r}, now {now[name]!r}: "
                "choose another --out, or remove the folder"
            )


def _flat(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    """A table of tables as one of dotted names."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat


def _prepare(recipe: Recipe, folder: Run) -> None:
    from hanmo.cli.prepare import prepare_sources

    prepare_sources(recipe.sources, folder.data, dataclasses.replace(recipe.prepare, card_language=recipe.language))


def _tokenizer(recipe: Recipe, folder: Run) -> None:
    from hanmo.data.reading.read import read_dataset
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
    _forget_other_baselines(folder, {"settings": fingerprint("baselines", recipe), "tokens": stores["train"].fingerprint})
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


def _forget_other_baselines(folder: Run, made_from: dict[str, Any]) -> None:
    """Remove baselines that were begun with other settings or on other text: they take a minute, and are always ours."""
    mark = folder.baselines / "made_from.json"
    if folder.baselines.exists() and (not mark.exists() or read_json(mark) != made_from):
        shutil.rmtree(folder.baselines)
    write_json(mark, made_from)


def _pretrain(recipe: Recipe, folder: Run) -> None:
    from hanmo.cli import pretrain

    pretrain.train(
        pretrain.Options(data=folder.data, tokenizer=folder.tokenizer, out=folder.folder, model=recipe.model, train=recipe.train)
    )


def _evaluate(recipe: Recipe, folder: Run) -> None:
    from hanmo.cli.evaluate import Measure, measure
    from hanmo.data.reading.read import read_dataset
    from hanmo.evaluate.compare import compare_all

    chosen = recipe.evaluate
    names = ["uniform", "unigram", "kneser-ney", recipe.baselines.recurrent.cell]
    places = {**{name: folder.baselines / name for name in names}, "transformer": folder.folder}
    options = Measure(data=str(folder.data), split=chosen.split, stride=chosen.stride or None, unit=chosen.unit)
    documents = list(read_dataset(folder.data, chosen.split))
    result = compare_all({name: measure(place, documents, options) for name, place in places.items()}, reference="transformer")
    write_json(folder.evaluation, {"split": chosen.split, **result})


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
