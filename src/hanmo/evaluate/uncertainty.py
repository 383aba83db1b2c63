"""How sure a number is: intervals and paired tests by resampling the units of text it was measured on.

In: for each unit (a document or a passage) its share of a sum above and below a ratio. Out: an interval, a p-value.
The unit is what is exchangeable: documents when there are many, passages when there are few, and the report says which.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import DataError

Floats = NDArray[np.float64]

_DRAWS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Difference:
    """A paired difference of two ratios over the same units, first minus second."""

    value: float
    interval: tuple[float, float]
    p_value: float
    """Two-sided, by sign flips; under the hypothesis that either model could have had either result in every unit."""
    detectable: float
    """Smallest true difference that units like these show at the 5 % level with 80 % power."""


def resampled_ratios(above: Floats, below: Floats, *, resamples: int, seed: int) -> Floats:
    """[resamples] values of sum(above) / sum(below) over units drawn with replacement (Efron and Tibshirani 1993, ch. 6).

    Units drawn together keep their pairing; the ratio of sums weighs a unit by its size.
    """
    generator = np.random.default_rng(seed)
    units = above.size
    ratios: list[Floats] = []
    at_once = max(1, _DRAWS_AT_ONCE // units)
    for start in range(0, resamples, at_once):
        drawn = generator.integers(0, units, (min(at_once, resamples - start), units))
        ratios.append(above[drawn].sum(1) / below[drawn].sum(1))
    return np.concatenate(ratios)


def expanded_tail(units: int, confidence: float) -> float:
    """The share of the bootstrap distribution to cut off at each end so that few units do not look like certainty.

    alpha' / 2 = Phi(-sqrt(n / (n - 1)) t_{1 - alpha / 2, n - 1}): the expanded percentile interval (Hesterberg 2015, "What
    teachers should know about the bootstrap", The American Statistician 69). A plain percentile interval is too narrow
    by sqrt((n - 1) / n) and by normal in place of t quantiles; for many units both agree. From five units on it covers
    about as often as it says; no percentile of fewer can.
    """
    quantile = student_quantile((1 + confidence) / 2, units - 1)
    return NormalDist().cdf(-math.sqrt(units / (units - 1)) * quantile)


def bootstrap_interval(
    above: Floats, below: Floats, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Expanded percentile interval of sum(above) / sum(below) over units.

    Raises DataError for fewer than two units, which cannot tell how much they vary.
    """
    if above.size < 2:
        raise DataError(f"an interval needs at least two units of text, {above.size} given: measure on more documents, or on passages")
    ratios = resampled_ratios(above, below, resamples=resamples, seed=seed)
    tail = expanded_tail(above.size, confidence)
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return float(low), float(high)


def paired_difference(
    first: Floats, second: Floats, below: Floats, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Difference:
    """(sum(first) - sum(second)) / sum(below) over units on which both were measured.

    Pairing takes out what makes a unit hard for both, so the interval of the difference is far narrower than the two
    intervals suggest. Raises DataError for fewer than two units.
    """
    differences = first - second
    low, high = bootstrap_interval(differences, below, confidence=confidence, resamples=resamples, seed=seed)
    ratio = float(differences.sum() / below.sum())
    residuals = differences - ratio * below
    units = below.size
    error = math.sqrt(units / (units - 1) * float((residuals**2).sum())) / float(below.sum())
    reach = student_quantile(0.975, units - 1) + student_quantile(0.8, units - 1)
    return Difference(ratio, (low, high), sign_flip_p_value(differences, resamples=resamples, seed=seed), reach * error)


def sign_flip_p_value(differences: Floats, *, resamples: int = 10_000, seed: int = 0) -> float:
    """Two-sided p-value of a paired randomisation test: how often random signs give a sum as large (Fisher 1935).

    All 2^n signs when n <= 13, otherwise `resamples` random ones with the observed one added (Phipson and Smyth 2010).
    With few units p cannot be small: 2 / 2^n is the least.
    """
    units = differences.size
    observed = abs(float(differences.sum())) * (1 - 1e-12)
    if units <= 13:
        signs = 1 - 2 * (np.arange(2**units)[:, None] >> np.arange(units) & 1)
        return float((np.abs(signs @ differences) >= observed).mean())
    generator = np.random.default_rng(seed)
    extreme, at_once = 0, max(1, _DRAWS_AT_ONCE // units)
    for start in range(0, resamples, at_once):
        signs = 1 - 2 * generator.integers(0, 2, (min(at_once, resamples - start), units), dtype=np.int8)
        extreme += int((np.abs(signs @ differences) >= observed).sum())
    return (extreme + 1) / (resamples + 1)


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
