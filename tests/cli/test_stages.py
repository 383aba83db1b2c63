import dataclasses
import json
from pathlib import Path

import pytest

from hanmo.base.config import to_toml
from hanmo.base.errors import ConfigError
from hanmo.base.runs import Run
from hanmo.base.storage import write_json, write_text
from hanmo.cli import stages
from hanmo.cli.recipe import Recipe
from hanmo.cli.run import STAGES
from hanmo.cli.stages import DO, INPUTS, USED_BY, do, fingerprint, is_done, refuse_other_training
from hanmo.train.config import TrainConfig


def test_every_stage_has_its_inputs_and_its_deed():
    assert list(DO) == list(STAGES) == list(INPUTS) == list(USED_BY)


def test_a_stage_depends_on_its_own_settings_only():
    recipe = Recipe(sources=("a",))
    other = dataclasses.replace(recipe, train=TrainConfig(max_steps=7, warmup_steps=1))
    changed = {stage for stage in STAGES if fingerprint(stage, recipe) != fingerprint(stage, other)}
    assert changed == {"plan", "pretrain", "evaluate", "sample", "report"}


def test_nothing_is_done_in_an_empty_folder(tmp_path):
    assert not any(is_done(stage, Recipe(), Run(tmp_path)) for stage in STAGES)


@pytest.fixture
def prepared(tmp_path: Path) -> tuple[Recipe, Run]:
    """A recipe whose data set is made, and a tokenizer that stands for what was made from it."""
    (tmp_path / "texts").mkdir()
    for number in range(8):
        (tmp_path / "texts" / f"{number}.txt").write_text(f"The {number}th of some letters about the weather at sea, which was rough.\n")
    recipe, folder = Recipe(sources=(str(tmp_path / "texts"),)), Run(tmp_path / "run").create()
    do("prepare", recipe, folder)
    do("tokenizer", recipe, folder)
    assert is_done("prepare", recipe, folder) and is_done("tokenizer", recipe, folder)
    return recipe, folder


def test_a_changed_source_file_is_prepared_again_and_undoes_what_was_made_from_it(prepared):
    recipe, folder = prepared
    source = Path(recipe.sources[0])
    (source / "0.txt").touch()
    assert not is_done("prepare", recipe, folder)
    do("prepare", recipe, folder)
    assert is_done("prepare", recipe, folder) and is_done("tokenizer", recipe, folder)  # the same text after all
    (source / "new.txt").write_text("A letter that came late, about the weather in the mountains, which was calm.\n")
    assert not is_done("prepare", recipe, folder)
    do("prepare", recipe, folder)
    assert is_done("prepare", recipe, folder) and not is_done("tokenizer", recipe, folder)


def test_sources_that_are_gone_do_not_undo_what_was_made(prepared):
    recipe, folder = prepared
    Path(recipe.sources[0]).rename(folder.folder / "elsewhere")
    assert is_done("prepare", recipe, folder)


def test_a_result_that_is_gone_is_made_again(prepared):
    recipe, folder = prepared
    (folder.tokenizer / "tokenizer.json").unlink()
    assert not is_done("tokenizer", recipe, folder)
    folder.data.joinpath("manifest.json").unlink()
    assert not is_done("prepare", recipe, folder)


def test_data_that_a_kill_left_between_two_recipes_is_not_taken_for_that_of_the_first(prepared):
    recipe, folder = prepared
    other = dataclasses.replace(recipe, prepare=dataclasses.replace(recipe.prepare, repair=False))
    stages.DO["prepare"](other, folder)  # and killed before it was noted
    assert not is_done("prepare", recipe, folder)
    do("prepare", recipe, folder)
    assert is_done("prepare", recipe, folder)


def test_a_stage_that_fails_has_taken_its_note_back(prepared, monkeypatch):
    recipe, folder = prepared

    def fail(recipe: Recipe, folder: Run) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(stages.DO, "tokenizer", fail)
    with pytest.raises(KeyboardInterrupt):
        do("tokenizer", recipe, folder)
    assert not is_done("tokenizer", recipe, folder)
    assert set(json.loads(folder.stages.read_text())) == {"prepare"}


@pytest.mark.parametrize(
    ("section", "change", "words"),
    [
        ("train", {"learning_rate": 0.5}, r"train.learning_rate = 0.001, now 0.5"),
        ("prepare", {"repair": False}, r"prepare.repair = True, now False"),
        ("tokenizer", {"vocab_size": 300}, r"tokenizer.vocab_size = 8192, now 300"),
        (None, {"sources": ("b",)}, r"sources = \['a'\], now \['b'\]"),
    ],
)
def test_other_settings_for_what_is_trained_are_refused_before_anything_is_written(tmp_path, section, change, words):
    recipe, folder = Recipe(sources=("a",)), Run(tmp_path)
    changed = {section: dataclasses.replace(getattr(recipe, section), **change)} if section else change
    other = dataclasses.replace(recipe, **changed)
    refuse_other_training(other, folder)
    write_text(folder.recipe, to_toml(recipe))
    refuse_other_training(other, folder)  # nothing is trained yet
    write_text(folder.config, "")
    refuse_other_training(recipe, folder)
    with pytest.raises(ConfigError, match=words):
        refuse_other_training(other, folder)


def test_settings_that_change_no_weight_may_change(tmp_path):
    recipe, folder = Recipe(sources=("a",)), Run(tmp_path)
    write_text(folder.recipe, to_toml(recipe))
    write_text(folder.config, "")
    free = dataclasses.replace(
        recipe,
        name="another",
        train=dataclasses.replace(recipe.train, threads=1),
        prepare=dataclasses.replace(recipe.prepare, workers=1),
        sample=dataclasses.replace(recipe.sample, prompts=("a",)),
    )
    refuse_other_training(free, folder)
    assert folder.recipe.read_text("utf-8") == to_toml(recipe)  # asking changes nothing
    with pytest.raises(ConfigError):
        refuse_other_training(dataclasses.replace(free, train=dataclasses.replace(free.train, seed=free.train.seed + 1)), folder)


def test_baselines_begun_otherwise_are_begun_anew(tmp_path):
    folder = Run(tmp_path)
    stages._forget_other_baselines(folder, {"settings": "a"})
    (folder.baselines / "lstm").mkdir()
    stages._forget_other_baselines(folder, {"settings": "a"})
    assert (folder.baselines / "lstm").exists()
    stages._forget_other_baselines(folder, {"settings": "b"})
    assert not (folder.baselines / "lstm").exists()
    write_json(folder.baselines / "made_from.json", {"settings": "c"})
    stages._forget_other_baselines(folder, {"settings": "c"})
