import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.model.config import RopeScaling, RopeType
from hanmo.model.positions import attention_factor, halves, relative_buckets, rotary_angles, rotate, sinusoidal_positions


def test_sinusoids_equal_the_equation() -> None:
    table = sinusoidal_positions(torch.arange(9), 6)
    for t in range(9):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            assert math.isclose(table[t, 2 * i], math.sin(angle), abs_tol=1e-6)
            assert math.isclose(table[t, 2 * i + 1], math.cos(angle), abs_tol=1e-6)


def test_position_zero_turns_nothing() -> None:
    x = torch.randn(1, 1, 2, 8)
    assert torch.equal(rotate(x, *rotary_angles(torch.zeros(1, 1, dtype=torch.long), 8, 10000.0)), x)


@settings(deadline=None)
@given(first=st.integers(0, 500), second=st.integers(0, 500), shift=st.integers(0, 500))
def test_a_turned_product_depends_on_the_distance_alone(first: int, second: int, shift: int) -> None:
    q, k = torch.randn(1, 1, 1, 16, dtype=torch.float64), torch.randn(1, 1, 1, 16, dtype=torch.float64)

    def product(at_q: int, at_k: int) -> float:
        turned = [rotate(x, *rotary_angles(torch.tensor([[at]]), 16, 10000.0)) for x, at in ((q, at_q), (k, at_k))]
        return float((turned[0] * turned[1]).sum())

    assert math.isclose(product(first, second), product(first + shift, second + shift), abs_tol=2e-3)


def test_turning_keeps_the_length_of_every_pair() -> None:
    x = torch.randn(2, 5, 3, 8)
    y = rotate(x, *rotary_angles(torch.arange(5)[None], 8, 100.0))
    torch.testing.assert_close(x[..., :4] ** 2 + x[..., 4:] ** 2, y[..., :4] ** 2 + y[..., 4:] ** 2)


def frequencies(scaling: RopeScaling | None) -> torch.Tensor:
    """Angle of each pair at the first position after the beginning; small ones are their own sine."""
    cos, sin = rotary_angles(torch.ones(1, 1, dtype=torch.long), 64, 10000.0, scaling)
    return torch.atan2(sin, cos)[0, 0]


def test_linear_scaling_is_a_position_between_those_that_were_learned() -> None:
    scaled = rotary_angles(torch.tensor([[12]]), 64, 10000.0, RopeScaling(rope_type="linear", factor=4.0))
    for turned, expected in zip(scaled, rotary_angles(torch.tensor([[3]]), 64, 10000.0), strict=True):
        torch.testing.assert_close(turned, expected)


@pytest.mark.parametrize("kind", ["llama3", "yarn"])
def test_fast_pairs_turn_as_before_and_slow_ones_by_the_factor_less(kind: RopeType) -> None:
    scaling = RopeScaling(rope_type=kind, factor=8.0, original_max_position_embeddings=2048)
    ratio = frequencies(None) / frequencies(scaling)
    torch.testing.assert_close(ratio[:4], torch.ones(4))
    torch.testing.assert_close(ratio[-4:], torch.full((4,), 8.0), rtol=1e-4, atol=0)
    assert bool((ratio.diff() > -1e-5).all())
    turns = 2048 * frequencies(None) / (2 * math.pi)
    between = (turns > scaling.low_freq_factor) & (turns < scaling.high_freq_factor)
    assert bool(((ratio[between] > 1) & (ratio[between] < 8)).all())


def test_yarn_stretches_by_a_tenth_of_the_logarithm_unless_it_is_said() -> None:
    assert math.isclose(attention_factor(RopeScaling(rope_type="yarn", factor=math.e)), 1.1)
    assert attention_factor(RopeScaling(rope_type="yarn", factor=4.0, attention_factor=1.5)) == 1.5
    assert attention_factor(RopeScaling(rope_type="linear", factor=4.0)) == 1.0
    cos, sin = rotary_angles(
        torch.tensor([[5]]), 8, 10000.0, RopeScaling(rope_type="yarn", factor=math.e, original_max_position_embeddings=9)
    )
    torch.testing.assert_close(cos**2 + sin**2, torch.full_like(cos, 1.21))


@pytest.mark.parametrize("both_ways", [True, False])
@pytest.mark.parametrize(("buckets", "most"), [(32, 128), (8, 20)])
def test_buckets_of_distances_are_those_of_transformers(both_ways: bool, buckets: int, most: int) -> None:
    from transformers.models.t5.modeling_t5 import T5Attention

    distance = torch.arange(-300, 300)[None] - torch.arange(3)[:, None]
    expected = T5Attention._relative_position_bucket(distance, both_ways, buckets, most)
    assert torch.equal(relative_buckets(distance, buckets, most, both_ways=both_ways), expected)


def test_halves_hold_the_same_sines_as_transformers_marian() -> None:
    from transformers.models.marian.modeling_marian import MarianSinusoidalPositionalEmbedding

    expected = MarianSinusoidalPositionalEmbedding(50, 12).create_weight()
    assert (halves(sinusoidal_positions(torch.arange(50), 12)) - expected).abs().max() <= 1e-6
