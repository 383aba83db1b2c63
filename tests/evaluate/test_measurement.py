"""One record for every metric: ratios of sums, BLEU-like products and means over classes alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import DataError
from hanmo.evaluate.measurement import Measurement, difference, ratio


def accuracy(right):
    columns = {"right": np.asarray(right, float), "all": np.ones(len(right))}
    return Measurement(metric="accuracy", unit="example", columns=columns, statistic=ratio("right", "all"), larger_is_better=True)


def macro_f1(labels, guesses, classes=3):
    """Mean over classes of 2 tp / (2 tp + fp + fn), from columns [units, classes]."""
    truth, said = (np.eye(classes)[np.asarray(each)] for each in (labels, guesses))
    columns = {"hits": truth * said, "truth": truth, "said": said}
    return Measurement(
        metric="macro_f1",
        unit="example",
        columns=columns,
        statistic=lambda sums: (2 * sums["hits"] / np.maximum(sums["truth"] + sums["said"], 1)).mean(-1),
        larger_is_better=True,
    )


def precisions(seed, units=30):
    """A product of ratios, as BLEU is one."""
    rng = np.random.default_rng(seed)
    tried = rng.integers(5, 20, (units, 4)).astype(float)
    return Measurement(
        metric="product",
        unit="sentence",
        columns={"hit": rng.binomial(tried.astype(int), 0.5).astype(float), "tried": tried},
        statistic=lambda sums: np.exp(np.log(sums["hit"] / sums["tried"]).mean(-1)),
        larger_is_better=True,
    )


def test_a_value_is_the_statistic_of_the_sums():
    assert accuracy([1, 1, 0, 1]).value == 0.75
    found = macro_f1([0, 0, 1, 2], [0, 1, 1, 2])
    assert found.value == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


@pytest.mark.parametrize("made", [accuracy([1, 0, 1, 1, 1, 0] * 9), macro_f1([0, 1, 2, 0] * 9, [0, 1, 1, 0] * 9), precisions(1)])
def test_every_kind_has_an_interval_around_its_value_and_no_difference_from_itself(made):
    low, high = made.interval(resamples=500)
    assert low < made.value < high
    same = difference(made, made, resamples=200)
    assert (same.value, same.p_value, same.detectable) == (0, 1, 0)


def test_a_better_classifier_is_found_by_macro_f1():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 300)
    good, poor = (np.where(rng.random(300) < share, labels, rng.integers(0, 3, 300)) for share in (0.9, 0.5))
    found = difference(macro_f1(labels, good), macro_f1(labels, poor), resamples=1000)
    assert found.interval[0] > 0.1 and found.p_value < 0.01


@given(st.lists(st.booleans(), min_size=5, max_size=13), st.randoms(use_true_random=False))
def test_the_order_of_the_units_does_not_matter_to_an_exact_test(right, random):
    other = [random.random() < 0.5 for _ in right]
    places = list(range(len(right)))
    random.shuffle(places)
    there = difference(accuracy(right), accuracy(other), resamples=20)
    shuffled = difference(accuracy([right[i] for i in places]), accuracy([other[i] for i in places]), resamples=20)
    assert there.p_value == pytest.approx(shuffled.p_value)
    assert there.detectable == pytest.approx(shuffled.detectable)


def test_few_units_have_no_interval_and_others_no_comparison():
    assert accuracy([1, 0, 1]).interval() is None
    with pytest.raises(DataError, match="at least 5 examples, 3 given"):
        difference(accuracy([1, 0, 1]), accuracy([1, 0, 1]))
    with pytest.raises(DataError, match="not measured on the same"):
        difference(accuracy([1, 0] * 4), accuracy([1, 0] * 5))
    with pytest.raises(DataError, match="different numbers of units"):
        Measurement(
            metric="odd",
            unit="row",
            columns={"a": np.ones(3), "b": np.ones(4)},
            statistic=ratio("a", "b"),
            larger_is_better=True,
        )


def test_how_little_few_units_can_say_is_known_before():
    assert accuracy([1] * 6).least_p_value == 2 / 64
