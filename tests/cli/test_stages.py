import dataclasses

from hanmo.base.runs import Run
from hanmo.cli.recipe import Recipe
from hanmo.cli.run import STAGES
from hanmo.cli.stages import DO, INPUTS, USED_BY, fingerprint, is_done
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
