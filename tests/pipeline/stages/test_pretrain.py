import dataclasses

import pytest

from hanmo.base.errors import ConfigError
from hanmo.batches.config import ObjectiveConfig
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stages.pretrain import STAGE
from hanmo.train.config import TrainConfig


def test_what_could_not_end_or_not_learn_is_refused_first():
    with pytest.raises(ConfigError, match="nothing ends this run"):
        STAGE.check(Recipe())
    masked = TrainConfig(max_steps=30, objective=ObjectiveConfig(name="masked"))
    with pytest.raises(ConfigError, match="cannot train network 'decoder'"):
        STAGE.check(Recipe(network="decoder", train=masked))
    STAGE.check(Recipe(train=masked))


def test_settings_that_change_no_weight_are_named_by_their_keys():
    keys = {f"train.{field.name}" for field in dataclasses.fields(TrainConfig)}
    assert "train.threads" in STAGE.free_to_change and set(STAGE.free_to_change) < keys
