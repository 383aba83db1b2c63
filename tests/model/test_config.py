import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError
from hanmo.model.config import DecoderConfig, NgramConfig


@pytest.mark.parametrize(
    "values, words",
    [
        ({"hidden_size": 0}, "model.hidden_size (=0) should be at least 1"),
        ({"num_hidden_layers": 0}, "model.num_hidden_layers (=0) should be at least 1"),
        ({"hidden_dropout": 1.0}, "model.hidden_dropout (=1.0) should be at least 0 and below 1"),
        ({"hidden_size": 10, "num_attention_heads": 4}, "model.hidden_size (=10) is not a multiple of model.num_attention_heads (=4)"),
        ({"num_attention_heads": 4, "num_key_value_heads": 3}, "is not a multiple of model.num_key_value_heads (=3)"),
        ({"head_dim": 5}, "the width of a head (=5) should be even for rotary positions"),
    ],
)
def test_sizes_that_do_not_fit_are_named(values: dict[str, float], words: str) -> None:
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


@pytest.mark.parametrize("order", [-1, 7])
def test_order_of_ngrams_has_bounds(order: int) -> None:
    with pytest.raises(ConfigError, match="should be between 0 and 6"):
        NgramConfig(order=order)


def test_reading_a_configuration_loads_no_torch() -> None:
    code = "import sys, hanmo.model.config; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
