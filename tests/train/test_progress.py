import sys

import pytest

from hanmo.base.errors import MissingExtraError
from hanmo.train.progress import Meter, TensorBoard, stagnation

ROW = {"step": 1200, "loss": 3.14159, "tokens_per_second": 5000.0}


def test_the_line_tells_loss_speed_share_of_the_machine_memory_and_time_left():
    meter = Meter(flops_per_token=1e6, machine_flops=1e10, quiet=False)
    line = meter.line({**ROW, "validation_loss": 3.5}, share=0.25, seconds=30)
    for words in ("step 1,200", "loss 3.1416", "validation 3.5000", "5,000 tokens/s", "50% of matrix rate", "GB", "25% done, 1m30s left"):
        assert words in line


def test_an_unknown_machine_rate_is_left_out():
    meter = Meter(flops_per_token=0, machine_flops=0, quiet=False)
    assert meter.share_of_machine(5000) == 0.0
    assert "matrix rate" not in meter.line(ROW, share=0, seconds=1)


def test_laps_count_tokens_since_the_last_one():
    meter = Meter(flops_per_token=0, machine_flops=0, quiet=True)
    meter.restart(1000)
    assert meter.lap(1000) == 0.0
    assert meter.lap(3000) > 0


def test_a_quiet_meter_says_nothing(capsys):
    Meter(flops_per_token=0, machine_flops=0, quiet=True).show(ROW, share=0, seconds=1, always=True)
    assert capsys.readouterr().err == ""
    Meter(flops_per_token=0, machine_flops=0, quiet=False).show(ROW, share=0, seconds=1, always=True)
    assert "step 1,200" in capsys.readouterr().err


def test_a_missing_tensorboard_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"hanmo\[tensorboard\]"):
        TensorBoard(tmp_path)


def test_since_when_validation_stands_still_is_said_with_what_it_means():
    by_heart = stagnation(600, 5.24, 5.61, training=1.87)
    assert "since step 600 (5.2400, now 5.6100)" in by_heart and "learnt by heart" in by_heart and "kept" in by_heart
    stuck = stagnation(600, 5.24, 5.25, training=5.2)
    assert "by heart" not in stuck and "learning rate" in stuck
