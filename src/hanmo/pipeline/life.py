"""A recipe's stages, done in order; each is done once, and again only where something it depends on has changed.

In: a recipe and a run folder. Out: the run folder. `stages.json` keeps a note of every finished stage: the fingerprint of
its settings, what it read outside, what its result is, and what it cost.
"""

import importlib
import pkgutil
import resource
import time
from collections.abc import Mapping
from typing import Any

from hanmo.base.config import to_toml
from hanmo.base.errors import ConfigError
from hanmo.base.progress import duration, say
from hanmo.base.runs import Run
from hanmo.base.runtime import peak_memory_bytes
from hanmo.base.storage import read_json, write_json, write_text
from hanmo.pipeline import stages as house
from hanmo.pipeline.child import in_own_process
from hanmo.pipeline.recipe import DEFAULT_STAGES, Recipe, read_recipe
from hanmo.pipeline.stage import Stage, Stages, fingerprint, ordered, settings_of, undone_by


def stages_of(recipe: Recipe) -> dict[str, Stage]:
    """The stages that a recipe asks for and those they need, in order.

    A name that is none of the house's is taken for a module with a `STAGE`. Raises ConfigError for one that is neither.
    """
    names = [module.name for module in pkgutil.iter_modules(house.__path__)]
    places = {name: f"{house.__name__}.{name}" for name in sorted(names, key=_place)}
    strange = [name for name in recipe.stages if name not in places]
    known: dict[str, Stage] = {}
    for name, place in {**places, **{name: name for name in strange}}.items():
        stage = _load(name, place)
        known[stage.name] = stage
    renamed = {name: _load(name, name).name for name in strange}
    return ordered([renamed.get(name, name) for name in recipe.stages], known)


def _place(name: str) -> tuple[int, str]:
    usual = DEFAULT_STAGES
    return (usual.index(name) if name in usual else len(usual), name)


def _load(name: str, place: str) -> Stage:
    try:
        found = getattr(importlib.import_module(place), "STAGE", None)
    except ModuleNotFoundError as error:
        if error.name != place.split(".")[0] and error.name != place:
            raise
        found = None
    if not isinstance(found, Stage):
        raise ConfigError(
            f"stages names {name!r}, which is no stage of hanmo and no module with a STAGE: known are {', '.join(DEFAULT_STAGES)}"
        )
    return found


def begun_recipe(folder: Run) -> Recipe:
    """The recipe this run was started with."""
    return read_recipe(folder.recipe)


def is_done(name: str, recipe: Recipe, folder: Run) -> bool:
    """Whether a stage has finished with these settings and inputs, and what it made is still there."""
    stages = stages_of(recipe)
    stage, note = stages[name], _notes(folder).get(name, {})
    if note.get("settings") != fingerprint(name, recipe, stages):
        return False
    if not all(path.exists() for path in stage.made(recipe, folder)):
        return False
    if stage.identity is not None and note.get("data") != stage.identity(folder):
        return False
    return stage.outside(recipe) in ("", note.get("files", ""))


def do(name: str, recipe: Recipe, folder: Run) -> None:
    """Do one stage and note what it cost; what later stages made from an earlier result counts no more.

    The notes that fall are taken back before anything is written, so a kill never leaves one that is not true. Only a
    stage that tells what its result is finds out by doing whether that is another one.
    """
    started, stages = time.monotonic(), stages_of(recipe)
    stage, notes = stages[name], _notes(folder)
    earlier = notes.get(name, {}).get("data")
    if stage.identity is None:
        notes = _without(notes, name, stages)
        write_json(folder.stages, notes)
    outside = stage.outside(recipe)
    stage.do(recipe, folder)
    identity = {} if stage.identity is None else {"data": stage.identity(folder)}
    if identity and earlier != identity["data"]:
        notes = _without(notes, name, stages)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    notes[name] = {
        "settings": fingerprint(name, recipe, stages),
        "seconds": time.monotonic() - started,
        "peak_memory_bytes": max(peak_memory_bytes(), children),
        **({"files": outside} if outside else {}),
        **identity,
    }
    write_json(folder.stages, notes)


def _notes(folder: Run) -> dict[str, Any]:
    return read_json(folder.stages) if folder.stages.exists() else {}


def _without(notes: Mapping[str, Any], name: str, stages: Stages) -> dict[str, Any]:
    """The notes that still hold when a stage is done anew."""
    fallen = {name, *undone_by(name, stages)}
    return {each: note for each, note in notes.items() if each not in fallen}


def refuse_other_training(recipe: Recipe, folder: Run) -> None:
    """Raise ConfigError when the folder holds training that was begun with settings which this recipe changes."""
    stages = stages_of(recipe)
    if not (folder.config.exists() and folder.recipe.exists() and "pretrain" in stages):
        return
    now, earlier = (settings_of("pretrain", each, stages) for each in (recipe, begun_recipe(folder)))
    free = stages["pretrain"].free_to_change
    for key, value in now.items():
        if earlier.get(key) != value and key not in free:
            raise ConfigError(
                f"{folder.folder} holds training with {key} = {earlier.get(key)!r}, now {value!r}: "
                "choose another --out, or remove the folder"
            )


def begin(recipe: Recipe, folder: Run) -> None:
    """Note what this run is to become.

    Raises ConfigError when nothing is to be read, nothing would end the training, or other training was begun here.
    """
    if not recipe.sources:
        raise ConfigError('the recipe names no sources: add sources = ["..."] with catalogue names, files or folders')
    for stage in stages_of(recipe).values():
        stage.check(recipe)
    folder.create()


def live(recipe: Recipe, folder: Run) -> None:
    """Do every stage that is not done yet, each in a process of its own."""
    begin(recipe, folder)
    with folder.alone("run"):
        _note(recipe, folder)
        for name in stages_of(recipe):
            _live_stage(name, folder)


def live_one(name: str, recipe: Recipe, folder: Run) -> None:
    """Do one stage here, whether or not it was done before.

    Raises ConfigError for a stage that the recipe does not have.
    """
    begin(recipe, folder)
    if name not in stages_of(recipe):
        raise ConfigError(f"--only names {name!r}, and the recipe has {', '.join(stages_of(recipe))}")
    with folder.alone("training", wait=True):
        _note(recipe, folder)
        do(name, recipe, folder)


def _note(recipe: Recipe, folder: Run) -> None:
    refuse_other_training(recipe, folder)
    write_text(folder.recipe, to_toml(recipe))


def _live_stage(name: str, folder: Run) -> None:
    if is_done(name, begun_recipe(folder), folder):
        say(f"— {name}: done before")
        return
    say(f"— {name}")
    started = time.monotonic()
    in_own_process(name, folder)
    say(f"  {name}: {duration(time.monotonic() - started)}")
