"""Two models, or many, on the same documents: differences in bits per byte, paired.

In: evaluations of the same documents, whatever the tokenizers. Out: difference, interval, p-value; negative is better.
"""

from collections.abc import Mapping

from hanmo.base.errors import DataError
from hanmo.evaluate.perplexity import FEWEST_UNITS, Evaluation
from hanmo.evaluate.uncertainty import Difference, holm, paired_difference


def compare(first: Evaluation, second: Evaluation) -> Difference:
    """Bits per byte of the first minus those of the second, paired by document or by passage.

    Raises DataError when they were not measured on the same documents, or on too little text.
    """
    if first.text_sha256 != second.text_sha256 or first.unit != second.unit:
        raise DataError("the two models were not measured on the same documents: evaluate both on the same data")
    if first.unit_bytes.size < FEWEST_UNITS:
        raise DataError(f"a comparison needs at least {FEWEST_UNITS} documents or about 1 kB of text, {first.bytes} bytes given")
    return paired_difference(first.unit_bits, second.unit_bits, first.unit_bytes)


def compare_all(found: Mapping[str, Evaluation], *, reference: str) -> dict[str, object]:
    """Evaluations of the same documents as one table, and the reference against each other model.

    Gives `documents`, `bytes`, `unit`, `units`, `reference`, `models` (name -> Evaluation.summary()) and `differences`
    (name -> what `as_row` gives, reference minus that model, with `adjusted_p_value` by Holm over all of them).
    """
    best = found[reference]
    others = {name: compare(best, each) for name, each in found.items() if name != reference}
    adjusted = holm([difference.p_value for difference in others.values()])
    return {
        "documents": best.documents,
        "bytes": best.bytes,
        "unit": best.unit,
        "units": int(best.unit_bytes.size),
        "reference": reference,
        "models": {name: each.summary() for name, each in found.items()},
        "differences": {
            name: {**as_row(difference), "adjusted_p_value": p} for (name, difference), p in zip(others.items(), adjusted, strict=True)
        },
    }


def as_row(difference: Difference) -> dict[str, object]:
    """A difference under its stable names, for JSON; `apart` tells whether the 95 % interval leaves out zero."""
    low, high = difference.interval
    return {
        "difference": difference.value,
        "interval": [low, high],
        "p_value": difference.p_value,
        "apart": low > 0 or high < 0,
        "detectable": difference.detectable,
    }
