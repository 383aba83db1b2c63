"""What every metric, comparison and report speaks: per-unit columns, and a statistic of their sums.

In: for each unit (a document, a passage, an example) what it adds to some sums. Out: the value, its interval, and paired
comparisons with another model on the same units. Most metrics of the field are functions of sums: a ratio of two (bits per
byte, accuracy, ROUGE), a mean of ratios over classes (macro-F1), BLEU's product of four precisions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import DataError
from hanmo.evaluate.uncertainty import (
    FEWEST_UNITS,
    Difference,
    Statistic,
    Sums,
    bootstrap_differences,
    bootstrap_values,
    expanded_interval,
    least_p_value,
    reach_of_test,
    swap_p_value,
)

Floats = NDArray[np.float64]


def ratio(above: str, below: str) -> Statistic:
    """sum of one column / sum of another.

    >>> float(ratio("right", "all")({"right": np.array(3.0), "all": np.array(4.0)}))
    0.75
    """

    def statistic(sums: Mapping[str, Floats]) -> Floats:
        return sums[above] / sums[below]

    return statistic


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One metric of one model on some units."""

    metric: str
    """Its stable name: bits_per_byte, accuracy, macro_f1, bleu ..."""
    unit: str
    """What the interval resamples: document, passage, example, row."""
    columns: Mapping[str, Floats]
    """What each unit adds: arrays [units] or [units, k], the same number of units in all."""
    statistic: Statistic
    """From the sums of the columns to the metric."""
    larger_is_better: bool
    """Which way is better."""
    measured_on: str = ""
    """Digest of what was measured on; only equal ones are paired."""

    def __post_init__(self) -> None:
        """Check that all columns have the same units.

        Raises DataError when they do not.
        """
        lengths = {name: len(column) for name, column in self.columns.items()}
        if len(set(lengths.values())) != 1:
            raise DataError(f"the columns of {self.metric} have different numbers of units: {lengths}")

    @property
    def units(self) -> int:
        """How many units there are."""
        return len(next(iter(self.columns.values())))

    @property
    def sums(self) -> Sums:
        """The sum of each column."""
        return {name: column.sum(0) for name, column in self.columns.items()}

    @property
    def value(self) -> float:
        """The metric over all units."""
        return float(self.statistic(self.sums))

    @property
    def least_p_value(self) -> float:
        """No paired test over so few units can give less, however far apart two models are."""
        return least_p_value(self.units)

    def interval(self, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0) -> tuple[float, float] | None:
        """Expanded percentile bootstrap over units; None where there are too few units to say."""
        if self.units < FEWEST_UNITS:
            return None
        values = bootstrap_values(self.columns, self.statistic, resamples=resamples, seed=seed)
        return expanded_interval(values, self.units, confidence)


def difference(first: Measurement, second: Measurement, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0) -> Difference:
    """First minus second, paired by unit: pairing takes out what makes a unit hard for both.

    Raises DataError when they are not the same metric on the same units, or on too few of them.
    """
    same = (first.metric, first.unit, first.units, first.measured_on)
    if same != (second.metric, second.unit, second.units, second.measured_on):
        raise DataError("the two models were not measured on the same documents: evaluate both on the same data")
    if first.units < FEWEST_UNITS:
        text = " (about 1 kB of text)" if first.unit == "passage" else ""
        raise DataError(f"a comparison needs at least {FEWEST_UNITS} {first.unit}s{text}, {first.units} given: measure on more of them")
    statistic = first.statistic
    drawn = bootstrap_differences(first.columns, second.columns, statistic, resamples=resamples, seed=seed)
    return Difference(
        value=first.value - second.value,
        interval=expanded_interval(drawn, first.units, confidence),
        p_value=swap_p_value(first.columns, second.columns, statistic, resamples=resamples, seed=seed),
        detectable=reach_of_test(first.columns, second.columns, statistic),
    )
