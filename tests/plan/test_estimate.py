import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.model.config import DecoderConfig
from hanmo.plan.compute import count_compute
from hanmo.plan.estimate import ASSUMPTIONS, Disk, Estimate, Prices, RunLimits, Speed, count_steps, estimate, forecast_and_fact
from hanmo.plan.memory import Step, count_memory

CONFIG = DecoderConfig(vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=2)
COMPUTE = count_compute(CONFIG, context_length=64, batch_size=8)
MEMORY = count_memory(CONFIG, Step(rows=8, context_length=64, low_precision=False, optimizer="adamw"), process_bytes=200_000_000)
DISK = Disk(tokens=1000, checkpoint=3000, model=1000)
SPEED = Speed(
    seconds_per_step=0.5,
    seconds_of_first_step=2.5,
    evaluation_tokens_per_second=1000.0,
    disk_bytes_per_second=1000.0,
    seconds_to_start=4.0,
    peak_memory_bytes=300_000_000,
)
LIMITS = RunLimits(max_steps=100, eval_every=50, evaluation_tokens=2000, checkpoint_every=25)


def made(limits: RunLimits = LIMITS, prices: Prices | None = None, speed: Speed = SPEED, data_bytes: int = 0) -> Estimate:
    return estimate(compute=COMPUTE, memory=MEMORY, disk=DISK, speed=speed, limits=limits, prices=prices or Prices(), data_bytes=data_bytes)


def test_time_is_start_training_evaluation_and_saving() -> None:
    plan = made()
    assert plan.seconds == {
        "start": 4.0,
        "training": 100 * 0.5 + 2.0,
        "evaluation": 2 * 2.0,
        "saving": 2 * 1.0 + 4 * 3.0 + 1.0,
    }
    assert plan.minutes == pytest.approx(sum(plan.seconds.values()) / 60)
    assert plan.steps == 100 and plan.tokens == 100 * 8 * 64 and plan.flops == COMPUTE.per_run(100)


@pytest.mark.parametrize(
    "limits, steps",
    [
        (RunLimits(max_steps=7), 7),
        (RunLimits(max_tokens=8 * 64 * 3), 3),
        (RunLimits(max_tokens=8 * 64 * 3 + 1), 4),
        (RunLimits(max_minutes=1.0), 120),
        (RunLimits(max_steps=7, max_tokens=8 * 64 * 3, max_minutes=1.0), 3),
        (RunLimits(), None),
    ],
)
def test_run_ends_at_its_tightest_limit(limits: RunLimits, steps: int | None) -> None:
    assert count_steps(COMPUTE, DISK, SPEED, limits) == steps


@given(st.floats(0.5, 500), st.integers(0, 50), st.integers(0, 50))
def test_run_limited_by_the_clock_takes_about_that_time(minutes: float, eval_every: int, checkpoint_every: int) -> None:
    limits = RunLimits(max_minutes=minutes, eval_every=eval_every, evaluation_tokens=2000, checkpoint_every=checkpoint_every)
    plan = made(limits)
    counted = sum(plan.seconds.values()) - plan.seconds["start"]
    one_of_each = SPEED.seconds_of_first_step + 1.0 + 2.0 + 3.0 + 1.0
    assert abs(counted - 60 * minutes) <= one_of_each + 1e-6 * counted


def test_run_that_only_the_validation_loss_ends_has_no_length() -> None:
    plan = made(RunLimits(eval_every=10))
    assert plan.steps is None and plan.minutes is None and plan.money is None and plan.flops is None
    assert "assume_no_end" in plan.assumptions


def test_money_and_energy_follow_the_hours() -> None:
    plan = made(prices=Prices(price_per_hour=3.6, watts=1000))
    hours = sum(plan.seconds.values()) / 3600
    assert plan.money == pytest.approx(3.6 * hours) and plan.energy_kwh == pytest.approx(hours)
    assert plan.assumptions["assume_price"] == 3.6 and plan.assumptions["assume_watts"] == 1000
    assert made().money is None and made().energy_kwh is None


def test_measured_memory_goes_before_formulas_and_data_is_added() -> None:
    assert made(data_bytes=5).peak_memory_bytes == 300_000_005
    unmeasured = dataclasses.replace(SPEED, peak_memory_bytes=0)
    assert made(speed=unmeasured).peak_memory_bytes == MEMORY.peak


def test_moment_the_probe_has_not_seen_counts_when_it_is_larger() -> None:
    small = dataclasses.replace(SPEED, peak_memory_bytes=1)
    assert made(speed=small).peak_memory_bytes == max(MEMORY.moments["evaluation"], MEMORY.moments["saving"])


def test_without_a_probe_the_matrix_rate_decides() -> None:
    speed = Speed.assumed(COMPUTE, matrix_flops=1e9, disk_bytes_per_second=1000.0, seconds_to_start=1.0)
    assert speed.seconds_per_step == pytest.approx(COMPUTE.per_step / 0.35e9)
    plan = made(speed=speed)
    assert plan.assumptions["assume_no_probe"] == 35 and "assume_as_busy" not in plan.assumptions


def test_every_assumption_can_be_said_in_both_languages() -> None:
    plans = [made(), made(RunLimits(max_minutes=3), Prices(price_per_hour=1, watts=1)), made(RunLimits())]
    for key, value in {key: value for plan in plans for key, value in plan.assumptions.items()}.items():
        english, chinese = (text.format(value=value) for text in ASSUMPTIONS[key])
        assert english != chinese and "{" not in english + chinese


def test_checkpoints_and_best_weights_stay_on_the_disk() -> None:
    assert made().disk_bytes == 1000 + 2 * 3000 + 2 * 1000
    assert DISK.peak == DISK.total + 3000


def test_forecast_and_fact_stand_side_by_side() -> None:
    rows = forecast_and_fact(made().forecast, {"minutes": 1.0, "peak_memory_bytes": 600_000_000, "money": 2.0, "other": 1})
    assert [row.name for row in rows] == ["minutes", "peak_memory_bytes"]
    assert rows[1].error == pytest.approx(-0.5)
    assert forecast_and_fact({"minutes": 1.0}, {"minutes": 0.0})[0].error == float("inf")
