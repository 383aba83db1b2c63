"""Divisors of rotary frequencies, and the numbers they were made of."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import ModelError
from hanmo.convert.gguf_rope import factors_scaling, frequency_factors, scaling_settings, settings_scaling

LLAMA_32 = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def factors(scaling: dict[str, object], width: int = 64, theta: float = 500000.0) -> np.ndarray:
    values = {"rope_scaling": scaling, "head_dim": width, "rope_theta": theta, "max_position_embeddings": 131072}
    found = frequency_factors(values)
    assert found is not None
    return found


def test_the_divisors_of_llama_3_2_are_those_of_its_paper_told_by_wavelengths() -> None:
    """A wave longer than the context is divided by 32, one shorter than a quarter of it by 1 (Grattafiori et al. 2024)."""
    wavelengths = 2 * math.pi * 500000.0 ** (np.arange(32) / 32)
    found = factors(LLAMA_32)
    assert found.dtype == np.float32 and (found[wavelengths > 8192] == 32).all() and (found[wavelengths < 2048] == 1).all()
    ramp = (wavelengths > 2048) & (wavelengths < 8192)
    kept = (8192 / wavelengths[ramp] - 1) / 3
    assert ramp.sum() == 3 and np.allclose(found[ramp], 1 / ((1 - kept) / 32 + kept), rtol=1e-5)


@pytest.mark.parametrize("width", [64, 128])
@pytest.mark.parametrize("factor", [8.0, 32.0])
def test_the_numbers_of_llama_3_are_found_again(width: int, factor: float) -> None:
    scaling = {**LLAMA_32, "factor": factor}
    assert factors_scaling(factors(scaling, width), 500000.0) == scaling


@given(
    factor=st.sampled_from([1.5, 2.0, 8.0, 64.0]),
    low=st.floats(0.5, 3),
    high=st.floats(3.5, 40),
    context=st.integers(64, 1 << 20),
    theta=st.floats(1e4, 1e7),
    width=st.sampled_from([32, 64, 128, 256]),
)
def test_numbers_that_are_found_give_the_same_divisors(
    factor: float, low: float, high: float, context: int, theta: float, width: int
) -> None:
    """Other numbers may say the same; numbers that do not are never given."""
    scaling = {**LLAMA_32, "factor": factor, "low_freq_factor": low, "high_freq_factor": high, "original_max_position_embeddings": context}
    wanted = factors(scaling, width, theta)
    if (wanted == 1).all():
        return
    try:
        found = factors_scaling(wanted, theta)
    except ModelError:
        return
    assert np.allclose(factors(found, width, theta), wanted, rtol=1e-4)


@pytest.mark.parametrize(
    "strange",
    [
        np.linspace(1, 9, 32),
        np.linspace(9, 1, 32),
        np.full(32, 2.0),
        np.full(32, 0.5),
        np.zeros(32),
        np.full(32, np.nan),
        np.full(32, np.inf),
        np.ones((2, 2)),
    ],
)
def test_other_divisors_are_refused(strange: np.ndarray) -> None:
    with pytest.raises(ModelError, match="not Llama 3's"):
        factors_scaling(strange.astype(np.float32), 500000.0)


@pytest.mark.parametrize("theta", [0.0, 1.0, -3.0, math.inf, math.nan])
def test_a_base_that_is_none_is_refused(theta: float) -> None:
    with pytest.raises(ModelError, match="not Llama 3's"):
        factors_scaling(factors(LLAMA_32), theta)


@pytest.mark.parametrize(
    "scaling",
    [
        None,
        {"rope_type": "linear", "factor": 4.0},
        {"rope_type": "yarn", "factor": 4.0},
        {"rope_type": "yarn", "factor": 2.5, "original_max_position_embeddings": 4096},
    ],
)
def test_settings_come_back(scaling: dict[str, object] | None) -> None:
    assert settings_scaling(scaling_settings("qwen3", scaling)) == scaling


def test_a_factor_without_a_type_is_linear_as_in_llama_cpp() -> None:
    assert settings_scaling({"rope.scaling.factor": 2.0}) == {"rope_type": "linear", "factor": 2.0}
    assert settings_scaling({"rope.scaling.factor": 1.0}) is None
    assert settings_scaling({"rope.scaling.type": "none", "rope.scaling.factor": 2.0}) is None


@pytest.mark.parametrize(
    ("architecture", "scaling", "message"),
    [
        ("qwen3", LLAMA_32, r"rope_scaling \(=llama3\) has no place in the GGUF file of a qwen3"),
        ("gemma3", {"rope_type": "yarn", "factor": 2.0}, r"rope_scaling \(=yarn\) has no place in the GGUF file of a gemma3"),
        ("llama", {"rope_type": "yarn", "factor": 2.0, "beta_fast": 16.0}, r"rope_scaling.beta_fast \(=16.0\) .* yarn with 32.0"),
        ("llama", {"rope_type": "yarn", "factor": 2.0, "attention_factor": 1.5}, r"attention_factor \(=1.5\) .* yarn with its own"),
        ("llama", {"rope_type": "yarn", "factor": 2.0, "truncate": False}, r"truncate \(=False\) .* yarn with True"),
    ],
)
def test_what_llama_cpp_would_compute_otherwise_is_refused(architecture: str, scaling: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        scaling_settings(architecture, scaling)
