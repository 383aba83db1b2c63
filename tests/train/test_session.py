"""What any training of a run folder shares; the walks of pretraining go through all of it."""

from dataclasses import dataclass

import pytest

from hanmo.base.config import to_toml
from hanmo.base.errors import ConfigError
from hanmo.base.runs import Run
from hanmo.base.storage import write_json
from hanmo.model.config import DecoderConfig
from hanmo.train.config import TrainConfig
from hanmo.train.pretrain import Settings
from hanmo.train.session import finished, resolve


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """A section that a stage of its own would have."""

    rank: int = 8


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Settings of a stage that is not pretraining."""

    adapter: AdapterConfig
    train: TrainConfig


TRAIN = TrainConfig(max_steps=30, precision="fp32")


def test_settings_of_any_stage_are_kept_and_others_refused(tmp_path):
    run = Run(tmp_path)
    wanted = Tuning(adapter=AdapterConfig(), train=TRAIN)
    assert resolve(wanted, run) == wanted
    assert run.config.read_text() == to_toml(wanted)
    freer = Tuning(adapter=AdapterConfig(), train=TrainConfig(max_steps=30, precision="auto", threads=1))
    assert resolve(freer, run).train.precision == "fp32"  # what was chosen at first stays
    with pytest.raises(ConfigError, match=r"holds a run with adapter.rank = 8, now 4"):
        resolve(Tuning(adapter=AdapterConfig(rank=4), train=TRAIN), run)


def test_a_folder_of_another_kind_of_run_is_refused(tmp_path):
    run = Run(tmp_path)
    resolve(Tuning(adapter=AdapterConfig(), train=TRAIN), run)
    with pytest.raises(ConfigError, match="a run of another kind"):
        resolve(Settings(model=DecoderConfig(), train=TRAIN), run)


def test_a_stage_is_finished_when_its_own_manifest_and_model_are_there(tmp_path):
    run = Run(tmp_path)
    write_json(run.manifest, {"stage": "pretrain", "steps": 3})
    assert finished(run, "pretrain") is None  # no model
    write_json(run.model / "config.json", {})
    assert finished(run, "pretrain") == {"stage": "pretrain", "steps": 3}
    assert finished(run, "finetune") is None
