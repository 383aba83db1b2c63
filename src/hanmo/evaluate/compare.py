"""Two models, or many, on the same units: paired differences in one metric.

In: results of the same measurement. Out: difference, interval, p-value, first minus second.
"""

from collections.abc import Mapping
from typing import Protocol

from hanmo.evaluate.measurement import Measurement, difference
from hanmo.evaluate.uncertainty import Difference, holm


class Result(Protocol):
    """What measuring a model gives."""

    @property
    def measurement(self) -> Measurement:
        """What it is compared by."""
        ...

    def summary(self) -> dict[str, object]:
        """All its numbers under their stable names, for JSON."""
        ...


def compare_all(found: Mapping[str, Result], *, reference: str) -> dict[str, object]:
    """Results of several models as one table, and the reference against each other model.

    Gives `metric`, `larger_is_better`, `unit`, `units`, `reference`, `models` (name -> `summary()`), `differences` (name ->
    what `as_row` gives, reference minus that model, with `adjusted_p_value` by Holm over all of them), and
    `least_p_value`, below which no adjusted one can be; `documents` and `bytes` where a summary has them.
    """
    best = found[reference].measurement
    others = {name: difference(best, each.measurement) for name, each in found.items() if name != reference}
    adjusted = holm([each.p_value for each in others.values()])
    models = {name: each.summary() for name, each in found.items()}
    return {
        **{key: models[reference][key] for key in ("documents", "bytes") if key in models[reference]},
        "metric": best.metric,
        "larger_is_better": best.larger_is_better,
        "unit": best.unit,
        "units": best.units,
        "least_p_value": min(1.0, best.least_p_value * max(1, len(others))),
        "reference": reference,
        "models": models,
        "differences": {name: {**as_row(each), "adjusted_p_value": p} for (name, each), p in zip(others.items(), adjusted, strict=True)},
    }


def as_row(found: Difference) -> dict[str, object]:
    """A difference under its stable names, for JSON; `apart` tells whether the 95 % interval leaves out zero."""
    low, high = found.interval
    return {
        "difference": found.value,
        "interval": [low, high],
        "p_value": found.p_value,
        "apart": low > 0 or high < 0,
        "detectable": found.detectable,
    }
