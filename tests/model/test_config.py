import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError
from hanmo.model.config import DecoderConfig, NgramConfig, RopeScaling

LINEAR = RopeScaling(rope_type="linear", factor=2.0)


@pytest.mark.parametrize(
    "values, words",
    [
        ({"hidden_size": 0}, "model.hidden_size (=0) should be at least 1"),
        ({"num_hidden_layers": 0}, "model.num_hidden_layers (=0) should be at least 1"),
        ({"hidden_dropout": 1.0}, "model.hidden_dropout (=1.0) should be at least 0 and below 1"),
        ({"hidden_size": 10, "num_attention_heads": 4}, "model.hidden_size (=10) is not a multiple of model.num_attention_heads (=4)"),
        ({"num_attention_heads": 4, "num_key_value_heads": 3}, "is not a multiple of model.num_key_value_heads (=3)"),
        ({"query_pre_attn_scalar": -1}, "model.query_pre_attn_scalar (=-1) should be positive"),
        ({"attention_bias": True, "qkv_bias": True}, "model.attention_bias already gives the biases that model.qkv_bias asks for"),
        ({"norm": "layer_norm", "zero_centered_norm": True}, "model.zero_centered_norm is for rms_norm, model.norm is layer_norm"),
        ({"rope_theta": 1.0}, "model.rope_theta (=1.0) should be above 1"),
        ({"rope_local_base_freq": float("nan"), "sliding_window": 3}, "model.rope_local_base_freq (=nan) should be above 1"),
        ({"rope_local_base_freq": 9.0}, "model.rope_local_base_freq is for sliding layers, but model.sliding_window is none"),
        ({"position_embedding": "none", "rope_scaling": LINEAR}, "model.rope_scaling is for rotary positions"),
        ({"position_embedding": "none", "sliding_window": 3, "rope_local_base_freq": 9.0}, "model.rope_local_base_freq is for rotary"),
        ({"sliding_window": 0}, "model.sliding_window (=0) should be at least 1, or none"),
        ({"layer_types": ("full_attention",) * 7}, "model.layer_types names 7 layers, model.num_hidden_layers (=6) has fewer"),
        ({"layer_types": ("sliding_attention",)}, "model.layer_types has sliding_attention, but model.sliding_window is none"),
        ({"layer_types": ("full_attention",), "sliding_window": 3}, "model.sliding_window (=3) has no sliding_attention"),
        ({"head_dim": 5}, "the width of a head (=5) should be even for rotary positions"),
    ],
)
def test_sizes_that_do_not_fit_are_named(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DecoderConfig(**values)
    assert words in str(caught.value)


@given(st.integers(1, 64), st.booleans())
def test_inner_width_follows_the_width_unless_it_is_said(eighths: int, gated: bool) -> None:
    width = 8 * eighths
    config = DecoderConfig(hidden_size=width, num_attention_heads=1, gated_mlp=gated)
    assert config.mlp_width == 4 * width if not gated else 0 <= config.mlp_width - 8 * width / 3 < 64 and config.mlp_width % 64 == 0
    assert DecoderConfig(intermediate_size=7, gated_mlp=gated).mlp_width == 7


def test_heads_resolve_to_what_is_said_or_to_the_usual() -> None:
    usual = DecoderConfig(hidden_size=64, num_attention_heads=4)
    assert (usual.head_width, usual.key_value_heads) == (16, 4)
    said = DecoderConfig(hidden_size=64, num_attention_heads=4, head_dim=32, num_key_value_heads=1)
    assert (said.head_width, said.key_value_heads) == (32, 1)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"factor": 0.5}, "factor (=0.5) should be at least 1"),
        ({"factor": float("nan")}, "factor (=nan)"),
        ({"low_freq_factor": 4.0}, "low_freq_factor (=4.0) should be positive and below high_freq_factor (=4.0)"),
        ({"beta_slow": 0.0}, "beta_slow (=0.0) should be positive and below beta_fast (=32.0)"),
        ({"attention_factor": -1.0}, "attention_factor (=-1.0) should be positive, or 0"),
        ({"original_max_position_embeddings": -1}, "original_max_position_embeddings (=-1) should be positive, or 0"),
    ],
)
def test_scalings_that_make_no_sense_are_named(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RopeScaling(**values)
    assert f"model.rope_scaling.{words}" in str(caught.value)


def test_layers_take_turns_as_the_list_says() -> None:
    two = DecoderConfig(sliding_window=8, layer_types=("sliding_attention", "full_attention"))
    assert [two.window_of(two.layer_type(layer)) for layer in range(4)] == [8, None, 8, None]
    assert two.kinds_of_layer == {"sliding_attention", "full_attention"}
    assert DecoderConfig(sliding_window=8).kinds_of_layer == {"sliding_attention"}
    assert DecoderConfig().kinds_of_layer == {"full_attention"}


def test_sliding_layers_with_a_base_of_their_own_are_never_slowed_down() -> None:
    config = DecoderConfig(sliding_window=8, rope_theta=5e5, rope_scaling=LINEAR, rope_local_base_freq=1e4, max_position_embeddings=99)
    assert config.rotary_of("sliding_attention") == (1e4, RopeScaling())
    theta, scaling = config.rotary_of("full_attention")
    assert (theta, scaling.factor, scaling.original_max_position_embeddings) == (5e5, 2.0, 99)
    assert DecoderConfig(rope_scaling=LINEAR).rotary_of("sliding_attention")[1].factor == 2.0


@pytest.mark.parametrize("order", [-1, 7])
def test_order_of_ngrams_has_bounds(order: int) -> None:
    with pytest.raises(ConfigError, match="should be between 0 and 6"):
        NgramConfig(order=order)


def test_reading_a_configuration_loads_no_torch() -> None:
    code = "import sys, hanmo.model.config; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
