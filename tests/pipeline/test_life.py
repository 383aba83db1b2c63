import dataclasses
import json
import os
from pathlib import Path

import pytest

from hanmo.base.config import to_toml
from hanmo.base.errors import ConfigError
from hanmo.base.runs import Run
from hanmo.base.storage import write_text
from hanmo.pipeline.life import do, is_done, live, live_one, refuse_other_training, stages_of
from hanmo.pipeline.recipe import DEFAULT_STAGES, Recipe
from hanmo.pipeline.stage import fingerprint
from hanmo.pipeline.stages import tokenizer as tokenizer_stage
from hanmo.train.config import TrainConfig

STAGES = stages_of(Recipe())


def test_the_stages_of_a_recipe_stand_in_order():
    assert tuple(STAGES) == DEFAULT_STAGES
    assert tuple(stages_of(Recipe(stages=("sample",)))) == ("prepare", "tokenizer", "pretrain", "sample")


def test_a_stage_depends_on_its_own_settings_only():
    recipe = Recipe(sources=("a",))
    other = dataclasses.replace(recipe, train=TrainConfig(max_steps=7, warmup_steps=1))
    changed = {name for name in STAGES if fingerprint(name, recipe, STAGES) != fingerprint(name, other, STAGES)}
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
    STAGES["prepare"].do(other, folder)  # and killed before it was noted
    assert not is_done("prepare", recipe, folder)
    do("prepare", recipe, folder)
    assert is_done("prepare", recipe, folder)


def test_a_stage_that_fails_has_taken_its_note_back(prepared, monkeypatch):
    recipe, folder = prepared

    def fail(recipe: Recipe, folder: Run) -> None:
        raise KeyboardInterrupt

    failing = dataclasses.replace(tokenizer_stage.STAGE, do=fail)
    monkeypatch.setattr(tokenizer_stage, "STAGE", failing)
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
        prepare=dataclasses.replace(recipe.prepare, workers=1, memory="2GB", shard_bytes=1 << 20),
        sample=dataclasses.replace(recipe.sample, prompts=("a",)),
    )
    refuse_other_training(free, folder)
    assert folder.recipe.read_text("utf-8") == to_toml(recipe)  # asking changes nothing
    with pytest.raises(ConfigError):
        refuse_other_training(dataclasses.replace(free, train=dataclasses.replace(free.train, seed=free.train.seed + 1)), folder)


def test_what_has_no_effect_undoes_nothing(prepared):
    recipe, folder = prepared
    other = dataclasses.replace(recipe.prepare, workers=1, memory="2GB", shard_bytes=1 << 20)
    assert all(is_done(name, dataclasses.replace(recipe, prepare=other), folder) for name in ("prepare", "tokenizer"))


def test_the_language_of_the_report_undoes_the_pages_alone(prepared):
    recipe, folder = prepared
    chinese = dataclasses.replace(recipe, language="zh")
    assert not is_done("prepare", chinese, folder) and is_done("tokenizer", chinese, folder)


STAGE_OF_SOMEBODY = """
from hanmo.base.storage import write_json
from hanmo.data.reading.read import read_dataset
from hanmo.pipeline.stage import Stage

def _do(recipe, folder):
    words = sum(len(document.text.split()) for document in read_dataset(folder.data, "train"))
    write_json(folder.folder / "words.json", {"words": words})

STAGE = Stage(name="count_words", needs=("prepare",), made=lambda recipe, folder: [folder.folder / "words.json"], do=_do)
"""


def test_a_stage_is_one_file_and_one_line_of_the_recipe(prepared, tmp_path, monkeypatch, capfd):
    recipe, folder = prepared
    (tmp_path / "house_of_somebody").mkdir()
    (tmp_path / "house_of_somebody" / "counting_words.py").write_text(STAGE_OF_SOMEBODY)
    monkeypatch.syspath_prepend(tmp_path / "house_of_somebody")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'house_of_somebody'}:{os.environ.get('PYTHONPATH', '')}")
    longer = dataclasses.replace(recipe, stages=("tokenizer", "counting_words"))
    live(longer, folder)
    assert json.loads((folder.folder / "words.json").read_text())["words"] > 5
    assert is_done("count_words", longer, folder)
    assert "— prepare: done before" in capfd.readouterr().err
    (Path(recipe.sources[0]) / "late.txt").write_text("One more letter about the weather, which had changed by then.\n")
    do("prepare", longer, folder)
    assert not is_done("count_words", longer, folder)  # what it needs has changed, which nobody had to tell it


def test_a_name_that_is_no_stage_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ConfigError, match="stages names 'pretrian', which is no stage"):
        live(Recipe(sources=("a",), stages=("pretrian",)), Run(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    with pytest.raises(ConfigError, match="--only names 'sample', and the recipe has prepare"):
        live_one("sample", Recipe(sources=("a",), stages=("prepare",)), Run(tmp_path / "run"))
