import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.train.config import TrainConfig
from hanmo.train.schedule import decay, learning_rate_factor, used_share, warmup


def test_warmup_rises_linearly_and_stays_at_one():
    assert [warmup(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert warmup(0, 0) == 1.0


@given(st.sampled_from(["constant", "linear", "cosine", "wsd"]), st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.9))
def test_no_schedule_rises_or_leaves_its_range(name, earlier, later, floor):
    earlier, later = sorted((earlier, later))
    before, after = (decay(name, share, decay_share=0.3, floor=floor) for share in (earlier, later))
    assert floor - 1e-12 <= after <= before + 1e-12 <= 1.0 + 1e-11


@pytest.mark.parametrize("name", ["linear", "cosine", "wsd"])
def test_schedules_begin_at_the_peak_and_end_at_the_floor(name):
    assert decay(name, 0.0, decay_share=0.3, floor=0.1) == pytest.approx(1.0)
    assert decay(name, 1.0, decay_share=0.3, floor=0.1) == pytest.approx(0.1)


def test_wsd_is_flat_until_its_decay():
    assert decay("wsd", 0.69, decay_share=0.3, floor=0.0) == 1.0
    assert decay("wsd", 0.85, decay_share=0.3, floor=0.0) == pytest.approx(0.5)


def test_the_tightest_limit_decides_how_far_a_run_is():
    config = TrainConfig(max_steps=100, max_tokens=1000, max_minutes=1, warmup_steps=0)
    assert used_share(config, step=10, tokens=500, seconds=6) == 0.5
    assert used_share(config, step=10, tokens=500, seconds=45) == 0.75
    assert used_share(TrainConfig(patience=3), step=10, tokens=500, seconds=6) == 0.0


def test_the_factor_joins_warmup_and_decay():
    config = TrainConfig(max_steps=10, warmup_steps=2, schedule="linear")
    assert learning_rate_factor(config, step=0, tokens=0, seconds=0) == 0.5
    assert learning_rate_factor(config, step=5, tokens=0, seconds=0) == 0.5
