"""Intervals cover what they claim to cover, and pairing finds small differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import DataError
from hanmo.evaluate.measurement import difference, ratio
from hanmo.evaluate.perplexity import bits_per_byte
from hanmo.evaluate.uncertainty import (
    bootstrap_values,
    drawn_sums,
    expanded_interval,
    expanded_tail,
    holm,
    least_p_value,
    student_cdf,
    student_quantile,
    swap_p_value,
)


def measured(seed, units, spread=0.2):
    """Bits and bytes of made-up documents around two bits a byte."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(500, 3000, units).astype(float)
    return rng.normal(2, spread, units) * sizes, sizes


def bootstrap_interval(bits, sizes, **options):
    values = bootstrap_values({"bits": bits, "bytes": sizes}, ratio("bits", "bytes"), **options)
    return expanded_interval(values, len(bits))


def paired_difference(first, second, sizes, **options):
    one, other = (bits_per_byte(bits, sizes, "document") for bits in (first, second))
    return difference(one, other, **options)


def sign_flip_p_value(differences, **options):
    """Of a sum: results change sides by changing their sign."""
    columns = {"bits": np.asarray(differences, float), "units": np.ones(len(differences))}
    nothing = {**columns, "bits": np.zeros(len(differences))}
    return swap_p_value(columns, nothing, ratio("bits", "units"), **options)


@pytest.mark.parametrize(
    ("probability", "degrees", "quantile"),
    # from the tables of Student's distribution that every textbook prints
    [
        (0.975, 1, 12.7062),
        (0.975, 2, 4.30265),
        (0.975, 3, 3.18245),
        (0.975, 5, 2.57058),
        (0.975, 30, 2.04227),
        (0.8, 10, 0.87906),
        (0.995, 7, 3.49948),
    ],
)
def test_student_quantiles_are_those_of_the_tables(probability, degrees, quantile):
    assert student_quantile(probability, degrees) == pytest.approx(quantile, abs=1e-4)


@given(st.floats(0, 30), st.integers(1, 60))
def test_student_distribution_grows_from_a_half_to_one(t, degrees):
    assert 0.5 <= student_cdf(t, degrees) <= student_cdf(t + 0.5, degrees) + 1e-12 <= 1 + 1e-12


def test_many_units_need_no_expansion():
    assert expanded_tail(100_000, 0.95) == pytest.approx(0.025, rel=1e-3)
    assert student_quantile(0.975, 1000) == pytest.approx(student_quantile(0.975, 1001), rel=2e-3)


@pytest.mark.parametrize("units", [5, 12, 60])
def test_intervals_cover_the_truth_as_often_as_they_say(units):
    covered = 0
    for seed in range(200):
        bits, sizes = measured(seed, units)
        low, high = bootstrap_interval(bits, sizes, resamples=1000, seed=seed)
        covered += low <= 2 <= high
    assert 0.87 <= covered / 200 <= 0.995


def test_an_interval_holds_the_ratio_and_shrinks_with_more_units():
    widths = []
    for units in (10, 100, 1000):
        bits, sizes = measured(1, units)
        low, high = bootstrap_interval(bits, sizes, resamples=1000)
        assert low < bits.sum() / sizes.sum() < high
        widths.append(high - low)
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


def test_a_seed_gives_the_same_interval_and_large_data_the_same_as_in_one_piece(monkeypatch):
    bits, sizes = measured(1, 50)
    columns, options = {"bits": bits, "bytes": sizes}, {"resamples": 100, "seed": 3}
    whole = bootstrap_values(columns, ratio("bits", "bytes"), **options)
    assert np.array_equal(whole, bootstrap_values(columns, ratio("bits", "bytes"), **options))
    monkeypatch.setattr("hanmo.evaluate.uncertainty._DRAWS_AT_ONCE", 500)
    assert np.array_equal(whole, bootstrap_values(columns, ratio("bits", "bytes"), **options))


def test_a_wide_column_is_summed_as_its_parts_would_be():
    rng = np.random.default_rng(0)
    wide, drawn = rng.normal(size=(7, 3)), rng.integers(0, 7, (20, 7))
    sums = drawn_sums({"wide": wide}, drawn)["wide"]
    parts = [drawn_sums({"one": wide[:, place]}, drawn)["one"] for place in range(3)]
    np.testing.assert_allclose(sums, np.stack(parts, 1))


def test_the_least_p_value_is_that_of_units_that_all_agree():
    for units in (5, 9, 40):
        assert sign_flip_p_value(np.full(units, 1.0)) == least_p_value(units)


def test_one_unit_cannot_tell_how_much_it_varies():
    with pytest.raises(DataError, match="at least two"):
        bootstrap_interval(np.ones(1), np.ones(1))


def test_pairing_finds_a_difference_that_the_two_intervals_hide():
    bits, sizes = measured(5, 40)
    better = bits - 0.02 * sizes * np.random.default_rng(0).normal(1, 0.5, 40)
    apart = paired_difference(better, bits, sizes)
    assert apart.value == pytest.approx((better.sum() - bits.sum()) / sizes.sum())
    assert apart.interval[1] < 0
    assert apart.p_value < 0.001
    assert bootstrap_interval(better, sizes)[1] > bootstrap_interval(bits, sizes)[0]


def test_detectable_differences_are_detected_four_times_out_of_five():
    found = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(500, 3000, 30).astype(float)
        noise = rng.normal(0, 0.05, 30) * sizes
        detectable = paired_difference(noise, np.zeros(30), sizes, resamples=10).detectable
        fresh = (rng.normal(0, 0.05, 30) + detectable) * sizes
        found += bool(bootstrap_interval(fresh, sizes, resamples=400)[0] > 0)
    assert 0.65 <= found / 150 <= 0.92


def test_no_difference_is_found_as_rarely_as_the_p_value_says():
    p_values = [sign_flip_p_value(np.random.default_rng(seed).normal(size=8)) for seed in range(300)]
    assert 0.02 <= np.mean(np.array(p_values) <= 0.05) <= 0.09


def test_sign_flips_are_exact_for_few_units_and_close_for_many():
    assert sign_flip_p_value(np.array([1.0, 2.0, 3.0])) == 2 / 8
    assert sign_flip_p_value(np.zeros(4)) == 1
    rng = np.random.default_rng(0)
    many = rng.normal(0.3, 1, 14)
    exact = np.abs((1 - 2 * (np.arange(2**14)[:, None] >> np.arange(14) & 1)) @ many) >= abs(many.sum()) - 1e-9
    assert sign_flip_p_value(many, resamples=20_000) == pytest.approx(exact.mean(), abs=0.02)


def test_holm_adjusts_as_in_the_definition():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_no_number_of_random_signs_makes_a_p_value_of_zero():
    """The observed signs are one of the draws (Phipson and Smyth 2010)."""
    assert sign_flip_p_value(np.full(40, 1.0), resamples=99) == 1 / 100
