"""The forecast: counts, a probe of the real step and the limits of a run become minutes, memory, disk, money and energy.

In: `Compute`, `MemoryEstimate`, `Disk`, `Speed` (measured, or assumed from the matrix rate), `RunLimits`, `Prices`. Out: `Estimate`,
and after the run its comparison with what happened. What is assumed is said in words, in the forecast itself.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hanmo.plan.compute import Compute
from hanmo.plan.memory import MemoryEstimate

ASSUMED_SHARE = 0.35
"""Share of the matrix rate that a training step reaches where nothing was probed: plain loops on two cores."""

ASSUMPTIONS: dict[str, tuple[str, str]] = {
    "assume_as_busy": (
        "the machine is as busy during the run as during the probe",
        "训练期间机器的繁忙程度与试跑时相同",
    ),
    "assume_no_probe": (
        "not probed: a step reaches {value:.0f} % of the measured matrix rate; memory from formulas alone",
        "未试跑：每步达到实测矩阵速率的 {value:.0f} %；内存仅按公式计算",
    ),
    "assume_always_best": (
        "every evaluation is the best so far and is saved",
        "每次评估都刷新最佳并保存",
    ),
    "assume_no_end": (
        "only the validation loss ends this run: its length cannot be known; set train.max_steps for a forecast",
        "训练仅由验证损失终止，时长无法预知；设定 train.max_steps 即可预测",
    ),
    "assume_clock": (
        "the limit of {value:g} minutes counts training, evaluation and checkpoints, not the start and the last save",
        "{value:g} 分钟的时限包括训练、评估与检查点，不包括启动和最后的保存",
    ),
    "assume_price": (
        "{value:g} for an hour, charged by the second",
        "每小时 {value:g}，按秒计费",
    ),
    "assume_watts": (
        "{value:g} W all the time",
        "全程功率 {value:g} 瓦",
    ),
}
"""What a forecast takes for granted, in English and Chinese."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast the real step goes on this machine."""

    seconds_per_step: float
    seconds_of_first_step: float
    evaluation_tokens_per_second: float
    disk_bytes_per_second: float
    seconds_to_start: float = 0.0
    """From the start of the process to the first step: libraries, tokens, weights."""
    peak_memory_bytes: int = 0
    """Largest resident memory of the probe; 0 when nothing was probed."""

    @classmethod
    def assumed(cls, compute: Compute, *, matrix_flops: float, disk_bytes_per_second: float, seconds_to_start: float) -> "Speed":
        """Without a probe: a step at a fixed share of the matrix rate, evaluation at the same."""
        seconds = compute.per_step / (ASSUMED_SHARE * matrix_flops)
        return cls(
            seconds_per_step=seconds,
            seconds_of_first_step=seconds,
            evaluation_tokens_per_second=ASSUMED_SHARE * matrix_flops / compute.forward_per_token,
            disk_bytes_per_second=disk_bytes_per_second,
            seconds_to_start=seconds_to_start,
        )


@dataclass(frozen=True, kw_only=True)
class RunLimits:
    """When a run ends, and what else it does on the way; 0 for never."""

    max_steps: int = 0
    max_tokens: int = 0
    max_minutes: float = 0.0
    eval_every: int = 0
    evaluation_tokens: int = 0
    """Tokens scored in one evaluation."""
    checkpoint_every: int = 0


@dataclass(frozen=True, kw_only=True)
class Disk:
    """Bytes that training leaves on the disk."""

    tokens: int
    """Encoded documents."""
    checkpoint: int
    """One checkpoint; the newest two are kept."""
    model: int
    """Weights in fp32; the best so far are kept once more among the checkpoints."""

    @property
    def total(self) -> int:
        """What is left when the run has ended."""
        return self.tokens + 2 * self.checkpoint + 2 * self.model

    @property
    def peak(self) -> int:
        """While a third checkpoint is being written."""
        return self.total + self.checkpoint


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What an hour of this machine costs and draws; 0 for unknown."""

    price_per_hour: float = 0.0
    watts: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A forecast; None where it cannot be known."""

    steps: int | None
    tokens: int | None
    flops: float | None
    """Training arithmetic of the whole run."""
    seconds: Mapping[str, float]
    """Parts of the time: start, training, evaluation, saving; empty when the end is not known."""
    seconds_per_step: float
    tokens_per_second: float
    peak_memory_bytes: int
    disk_bytes: int
    money: float | None
    energy_kwh: float | None
    assumptions: Mapping[str, float] = field(default_factory=dict[str, float])
    """Keys of ASSUMPTIONS, each with the number it names."""

    @property
    def minutes(self) -> float | None:
        """The whole run, from start to the saved model."""
        return sum(self.seconds.values()) / 60 if self.seconds else None

    @property
    def forecast(self) -> dict[str, float | int | None]:
        """The figures that are compared with the fact afterwards."""
        return {
            "minutes": self.minutes,
            "peak_memory_bytes": self.peak_memory_bytes,
            "disk_bytes": self.disk_bytes,
            "money": self.money,
            "energy_kwh": self.energy_kwh,
        }


def estimate(
    *, compute: Compute, memory: MemoryEstimate, disk: Disk, speed: Speed, limits: RunLimits, prices: Prices, data_bytes: int = 0
) -> Estimate:
    """Join everything; `data_bytes` are the token files that stay mapped in memory while training reads them."""
    steps = count_steps(compute, disk, speed, limits)
    seconds = {} if steps is None else _seconds(steps, disk, speed, limits)
    hours = sum(seconds.values()) / 3600
    peak = memory.peak
    if speed.peak_memory_bytes:  # the probe trains and scores, but it scores the rows of training and saves nothing
        peak = max(speed.peak_memory_bytes, memory.moments["evaluation"], memory.moments["saving"])
    return Estimate(
        steps=steps,
        tokens=None if steps is None else steps * compute.tokens_per_step,
        flops=None if steps is None else compute.per_run(steps),
        seconds=seconds,
        seconds_per_step=speed.seconds_per_step,
        tokens_per_second=compute.tokens_per_step / speed.seconds_per_step,
        peak_memory_bytes=peak + data_bytes,
        disk_bytes=disk.total,
        money=hours * prices.price_per_hour if prices.price_per_hour and seconds else None,
        energy_kwh=hours * prices.watts / 1000 if prices.watts and seconds else None,
        assumptions=_assumptions(speed, limits, prices, known=steps is not None),
    )


def count_steps(compute: Compute, disk: Disk, speed: Speed, limits: RunLimits) -> int | None:
    """Steps until the tightest limit; None when only the validation loss ends the run."""
    ends = [float(limits.max_steps)] if limits.max_steps else []
    if limits.max_tokens:
        ends.append(limits.max_tokens / compute.tokens_per_step)
    if limits.max_minutes:
        a_step = speed.seconds_per_step
        if limits.eval_every:
            a_step += _one_evaluation(disk, speed, limits) / limits.eval_every
        if limits.checkpoint_every:
            a_step += disk.checkpoint / speed.disk_bytes_per_second / limits.checkpoint_every
        ends.append(limits.max_minutes * 60 / a_step)
    return max(1, math.ceil(min(ends))) if ends else None


def _one_evaluation(disk: Disk, speed: Speed, limits: RunLimits) -> float:
    """Seconds to score the validation tokens and to keep the weights as the best so far."""
    return limits.evaluation_tokens / speed.evaluation_tokens_per_second + disk.model / speed.disk_bytes_per_second


def _seconds(steps: int, disk: Disk, speed: Speed, limits: RunLimits) -> dict[str, float]:
    evaluations = math.ceil(steps / limits.eval_every) if limits.eval_every else 1
    checkpoints = math.ceil(steps / limits.checkpoint_every) if limits.checkpoint_every else 1
    first = max(0.0, speed.seconds_of_first_step - speed.seconds_per_step)
    saved = evaluations * disk.model + checkpoints * disk.checkpoint + disk.model
    return {
        "start": speed.seconds_to_start,
        "training": steps * speed.seconds_per_step + first,
        "evaluation": evaluations * limits.evaluation_tokens / speed.evaluation_tokens_per_second,
        "saving": saved / speed.disk_bytes_per_second,
    }


def _assumptions(speed: Speed, limits: RunLimits, prices: Prices, *, known: bool) -> dict[str, float]:
    """Keys of ASSUMPTIONS with the number each names, 0 where it names none."""
    said = {
        "assume_as_busy": 0.0 if speed.peak_memory_bytes else None,
        "assume_no_probe": None if speed.peak_memory_bytes else 100 * ASSUMED_SHARE,
        "assume_always_best": 0.0,
        "assume_no_end": None if known else 0.0,
        "assume_clock": limits.max_minutes or None,
        "assume_price": prices.price_per_hour or None,
        "assume_watts": prices.watts or None,
    }
    return {key: value for key, value in said.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One forecast beside what happened."""

    name: str
    forecast: float
    fact: float

    @property
    def error(self) -> float:
        """Forecast over fact, minus one: above zero when too much was forecast."""
        return self.forecast / self.fact - 1 if self.fact else math.inf


def forecast_and_fact(forecast: Mapping[str, float | int | None], fact: Mapping[str, float | int | None]) -> list[Comparison]:
    """Rows for every figure that both know, in the order of the forecast.

    >>> [row] = forecast_and_fact({"minutes": 11.0, "money": None}, {"minutes": 10.0})
    >>> row.name, round(row.error, 2)
    ('minutes', 0.1)
    """
    pairs = [(name, value, fact.get(name)) for name, value in forecast.items()]
    return [
        Comparison(name=name, forecast=float(before), fact=float(after))
        for name, before, after in pairs
        if before is not None and after is not None
    ]
