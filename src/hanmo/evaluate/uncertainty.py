"""How sure a number is: intervals and paired tests by resampling the units of text it was measured on.

In: for each unit (a document or a passage) what it adds to some sums, and a statistic of the sums. Out: an interval, a p-value.
The unit is what is exchangeable: documents when there are many, passages when there are few, and the report says which.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import DataError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Columns = Mapping[str, Floats]
"""What each unit adds to some sums: arrays [units] or [units, k]."""
Sums = Mapping[str, Floats]
Statistic = Callable[[Sums], Floats]
"""From sums of columns to a number, for any leading shape."""

FEWEST_UNITS = 5
"""Fewer units than these give intervals that cover the truth far less often than they claim."""
EXACT_UNITS = 13
"""Up to so many units, every way of changing sides is tried."""
_DRAWS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Difference:
    """A paired difference of two models over the same units, first minus second."""

    value: float
    interval: tuple[float, float]
    p_value: float
    """Two-sided, by results that change sides; under the hypothesis that either model could have had either result in every unit."""
    detectable: float
    """Smallest true difference that units like these show at the 5 % level with 80 % power."""


def drawn_sums(columns: Columns, drawn: Counts) -> Sums:
    """Sums of each column over units drawn with replacement; `drawn` [resamples, units] has their places.

    A column [units, k] is summed by how often each unit was drawn, so that no [resamples, units, k] exists.
    """
    sums: dict[str, Floats] = {}
    times: Floats | None = None
    for name, column in columns.items():
        if column.ndim == 1:
            sums[name] = column[drawn].sum(1)
            continue
        if times is None:
            times = np.stack([np.bincount(row, minlength=len(column)) for row in drawn]).astype(np.float64)
        sums[name] = times @ column
    return sums


def bootstrap_values(columns: Columns, statistic: Statistic, *, resamples: int = 10_000, seed: int = 0) -> Floats:
    """[resamples] values of a statistic of sums over units drawn with replacement (Efron and Tibshirani 1993, ch. 6).

    Columns drawn together keep their pairing; the statistic of sums weighs a unit by its size.
    """
    found = [statistic(drawn_sums(columns, drawn)) for drawn in _draws(_units(columns), resamples, seed)]
    return np.concatenate(found)


def bootstrap_differences(first: Columns, second: Columns, statistic: Statistic, *, resamples: int = 10_000, seed: int = 0) -> Floats:
    """[resamples] values of the first statistic minus the second, over the same drawn units."""
    found: list[Floats] = []
    for drawn in _draws(_units(first), resamples, seed):
        found.append(statistic(drawn_sums(first, drawn)) - statistic(drawn_sums(second, drawn)))
    return np.concatenate(found)


def _units(columns: Columns) -> int:
    """How many units there are.

    Raises DataError for fewer than two, which cannot tell how much they vary.
    """
    units = len(next(iter(columns.values())))
    if units < 2:
        raise DataError(f"an interval needs at least two units of text, {units} given: measure on more documents, or on passages")
    return units


def _draws(units: int, resamples: int, seed: int) -> Iterator[Counts]:
    """Places of units drawn with replacement, some resamples at a time."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _DRAWS_AT_ONCE // units)
    for start in range(0, resamples, at_once):
        yield generator.integers(0, units, (min(at_once, resamples - start), units))


def expanded_tail(units: int, confidence: float) -> float:
    """The share of the bootstrap distribution to cut off at each end so that few units do not look like certainty.

    alpha' / 2 = Phi(-sqrt(n / (n - 1)) t_{1 - alpha / 2, n - 1}): the expanded percentile interval (Hesterberg 2015, "What
    teachers should know about the bootstrap", The American Statistician 69). A plain percentile interval is too narrow
    by sqrt((n - 1) / n) and by normal in place of t quantiles; for many units both agree. From five units on it covers
    about as often as it says; no percentile of fewer can.
    """
    quantile = student_quantile((1 + confidence) / 2, units - 1)
    return NormalDist().cdf(-math.sqrt(units / (units - 1)) * quantile)


def expanded_interval(values: Floats, units: int, confidence: float = 0.95) -> tuple[float, float]:
    """The expanded percentile interval of bootstrap values over so many units."""
    tail = expanded_tail(units, confidence)
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def swap_p_value(first: Columns, second: Columns, statistic: Statistic, *, resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of a paired randomisation test: how often results that change sides are as far apart.

    In each unit either model could have had either result: for a ratio with the same denominators that is the sign-flip
    test (Fisher 1935), for BLEU and F1 approximate randomisation (Noreen 1989; Riezler and Maxwell 2005). All 2^n ways
    when n <= 13, otherwise `resamples` random ones with the observed one added (Phipson and Smyth 2010).
    """
    units = _units(first)
    middle = {name: (column.sum(0) + second[name].sum(0)) / 2 for name, column in first.items()}
    halves = {name: (column - second[name]) / 2 for name, column in first.items()}

    def apart(signs: Floats) -> Floats:
        moved = {name: signs @ half for name, half in halves.items()}
        one = statistic({name: middle[name] + each for name, each in moved.items()})
        other = statistic({name: middle[name] - each for name, each in moved.items()})
        return np.abs(one - other)

    observed = float(apart(np.ones((1, units)))[0])
    scale = abs(float(statistic(middle)))
    least = observed * (1 - 1e-12) - 1e-13 * scale  # what rounding alone sets apart is equal
    if units <= EXACT_UNITS:
        signs = 1.0 - 2 * (np.arange(2**units)[:, None] >> np.arange(units) & 1)
        return float((apart(signs) >= least).mean())
    generator = np.random.default_rng(seed)
    extreme, at_once = 0, max(1, _DRAWS_AT_ONCE // units)
    for start in range(0, resamples, at_once):
        signs = 1 - 2 * generator.integers(0, 2, (min(at_once, resamples - start), units), dtype=np.int8)
        extreme += int((apart(signs.astype(np.float64)) >= least).sum())
    return (extreme + 1) / (resamples + 1)


def least_p_value(units: int, *, resamples: int = 10_000) -> float:
    """The smallest p-value that `swap_p_value` can give over so many units.

    >>> least_p_value(6)
    0.03125
    """
    return 2.0 ** (1 - units) if units <= EXACT_UNITS else 1 / (resamples + 1)


def reach_of_test(first: Columns, second: Columns, statistic: Statistic) -> float:
    """Smallest true difference that units like these show at the 5 % level with 80 % power.

    (t_0.975 + t_0.8) times the jackknife's standard error of the difference, each unit left out once (Efron and
    Tibshirani 1993, ch. 11).
    """
    units = _units(first)
    without = [{name: column.sum(0) - column for name, column in columns.items()} for columns in (first, second)]
    differences = statistic(without[0]) - statistic(without[1])
    error = math.sqrt((units - 1) / units * float(((differences - differences.mean()) ** 2).sum()))
    return (student_quantile(0.975, units - 1) + student_quantile(0.8, units - 1)) * error


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for being several: the i-th smallest times (m - i + 1), never falling (Holm 1979)."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted


def student_quantile(probability: float, degrees: int) -> float:
    """The t below which a Student variable with `degrees` of freedom falls with this probability (at least 1/2).

    Bisection on the distribution function; the normal quantile beyond a thousand degrees.
    """
    if degrees > 1000:
        return NormalDist().inv_cdf(probability)
    low, high = 0.0, 1.0
    while student_cdf(high, degrees) < probability:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if student_cdf(middle, degrees) < probability else (low, middle)
    return (low + high) / 2


def student_cdf(t: float, degrees: int) -> float:
    """P(T <= t) for t >= 0, by the finite series in the angle atan(t / sqrt(degrees)).

    Abramowitz and Stegun (1964), 26.7.3 (odd degrees) and 26.7.4 (even degrees).
    """
    angle = math.atan(t / math.sqrt(degrees))
    cosine = math.cos(angle)
    odd = degrees % 2
    term = cosine if odd else 1.0
    total = 0.0
    for power in range(1 + odd, degrees, 2):
        total += term
        term *= cosine**2 * power / (power + 1)
    within = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return min(1.0, (1 + within) / 2)
