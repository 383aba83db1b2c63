import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hanmo.batches.draws import mixed, partition, uniforms


def test_the_numbers_are_those_of_splitmix64() -> None:
    """The first outputs for seed 1234567, as published with the algorithm's reference code."""
    seed = 1234567 * pow(0x9E3779B97F4A7C15, -1, 1 << 64) % (1 << 64)
    assert mixed(3, seed).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_uniform_numbers_fill_the_interval_evenly() -> None:
    drawn = uniforms(100_000, 3)
    counts = np.histogram(drawn, 10, (0, 1))[0]
    assert 0 <= drawn.min() < drawn.max() < 1
    assert abs(counts - 10_000).max() < 5 * (100_000 * 0.1 * 0.9) ** 0.5


def test_a_later_seed_goes_on_in_the_same_stream() -> None:
    assert mixed(9, 5)[4:].tolist() == mixed(5, 9).tolist()


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**62))
def test_parts_are_at_least_one_and_sum_to_the_whole(total: int, parts: int, seed: int) -> None:
    parts = min(parts, total)
    found = partition(total, parts, seed)
    assert (len(found), int(found.sum())) == (parts, total)
    assert found.min() >= 1


def test_every_sum_is_equally_likely() -> None:
    first = np.array([partition(5, 2, seed)[0] for seed in range(8000)])
    counts = np.bincount(first, minlength=5)[1:]
    assert abs(counts - 2000).max() < 5 * (8000 * 0.25 * 0.75) ** 0.5
