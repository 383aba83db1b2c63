"""The two orders of rotary rows, and settings told in both tongues."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import ModelError
from hanmo.convert.gguf_names import ARCHITECTURES, architecture_for, deinterleaved, ggml_settings, hf_numbers, interleaved


@given(heads=st.integers(1, 6), pairs=st.integers(1, 5), width=st.integers(1, 4))
def test_the_orders_of_rotary_rows_are_inverses(heads: int, pairs: int, width: int) -> None:
    rows = np.arange(heads * 2 * pairs * width, dtype=np.float32).reshape(-1, width)
    assert np.array_equal(deinterleaved(interleaved(rows, heads), heads), rows)
    assert np.array_equal(interleaved(rows[:, 0], heads), interleaved(rows, heads)[:, 0])


def test_ggml_takes_the_two_halves_of_a_head_in_turn() -> None:
    rows = np.arange(8, dtype=np.float32)[:, None]
    assert interleaved(rows, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize("heads", [0, -1, 3])
def test_rows_that_are_no_heads_are_refused(heads: int) -> None:
    with pytest.raises(ModelError, match="contradicts itself"):
        deinterleaved(np.zeros((8, 2), np.float32), heads)


def test_every_architecture_has_a_family_of_its_own() -> None:
    assert len({each.name for each in ARCHITECTURES}) == len({each.model_type for each in ARCHITECTURES}) == len(ARCHITECTURES)
    with pytest.raises(ModelError, match=r"a bert model has no form in GGUF that other engines read: llama.*, mistral have"):
        architecture_for("bert")


def test_settings_of_gemma_that_llama_cpp_fixes_are_checked() -> None:
    sound: dict[str, object] = {"model_type": "gemma3_text", "num_hidden_layers": 1, "vocab_size": 7, "head_dim": 4, "sliding_window": 5}
    sound |= {"layer_types": ["sliding_attention"], "rope_local_base_freq": 10000.0, "query_pre_attn_scalar": 4}
    found = ggml_settings(sound)
    assert (found["general.architecture"], found["gemma3.attention.sliding_window"], found["gemma3.rope.dimension_count"]) == (
        "gemma3",
        5,
        4,
    )
    for key, value in (("layer_types", ["full_attention"]), ("rope_local_base_freq", 5.0), ("query_pre_attn_scalar", 2)):
        with pytest.raises(ModelError, match=f"{key} .* has no place in a GGUF file"):
            ggml_settings({**sound, key: value})
    slowed = {**sound, "rope_scaling": {"rope_type": "linear", "factor": 2.0}}
    assert ggml_settings({**slowed, "rope_theta": 1e6})["gemma3.rope.scaling.factor"] == 2.0
    with pytest.raises(ModelError, match=r"rope_scaling .* has no place in a GGUF file"):
        ggml_settings({**slowed, "rope_theta": 10000.0})


def test_norms_that_are_no_numbers_stay_so_silently() -> None:
    signalling = np.array([0x7F800001, 0x40000000], np.uint32).view(np.float32)
    found = hf_numbers(architecture_for("gemma3_text"), "blk.0.attn_norm.weight", signalling, {})
    assert np.isnan(found[0]) and found[1] == 1
