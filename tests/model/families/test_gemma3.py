import pytest
import torch
from tests.model.families.conftest import CONFIGS

from hanmo.base.errors import ModelError
from hanmo.model.config import RopeScaling
from hanmo.model.decoder import Decoder
from hanmo.model.families.gemma3 import LAYOUT

CONFIG = CONFIGS["gemma3_text"]
DEFAULT = {"rope_type": "default"}


def test_the_four_norms_of_a_block_have_the_names_of_their_places() -> None:
    state = {name: torch.randn_like(weight) for name, weight in Decoder(CONFIG).state_dict().items()}
    tensors = LAYOUT.to_hf_weights(state, CONFIG)
    for ours, name in {
        "attention_norm": "input_layernorm",
        "attention_post_norm": "post_attention_layernorm",
        "mlp_norm": "pre_feedforward_layernorm",
        "mlp_post_norm": "post_feedforward_layernorm",
    }.items():
        assert torch.equal(tensors[f"model.layers.3.{name}.weight"], state[f"layers.3.{ours}.weight"])


def test_scales_begin_at_one_which_is_a_weight_of_zero() -> None:
    norms = {name: weight for name, weight in Decoder(CONFIG).state_dict().items() if "norm" in name}
    assert len(norms) == 6 * CONFIG.num_hidden_layers + 1
    assert not any(weight.any() for weight in norms.values())


def test_token_0_learns_elsewhere_too() -> None:
    assert LAYOUT.to_hf(CONFIG)["pad_token_id"] is None


def test_words_before_transformers_5_say_the_same() -> None:
    values = LAYOUT.to_hf(CONFIG)
    expected = LAYOUT.from_hf(values)
    del values["rope_parameters"], values["layer_types"]
    assert LAYOUT.from_hf(values) == expected
    assert LAYOUT.from_hf({**values, "sliding_window_pattern": 6, "rope_scaling": None}) == expected
    scaled = LAYOUT.from_hf({**values, "rope_scaling": {"rope_type": "linear", "factor": 8.0}})
    assert scaled.rope_scaling == RopeScaling(rope_type="linear", factor=8.0)
    assert scaled.rotary_of("sliding_attention") == (10000.0, RopeScaling())


def test_what_is_absent_takes_the_familys_default() -> None:
    values = LAYOUT.to_hf(CONFIG)
    for key in ("rope_theta", "rope_local_base_freq", "rope_parameters", "head_dim", "query_pre_attn_scalar", "tie_word_embeddings"):
        del values[key]
    read = LAYOUT.from_hf(values)
    assert (read.rope_theta, read.rope_local_base_freq, read.head_width, read.tie_word_embeddings) == (1e6, 1e4, 256, True)
    assert read.attention_scale == 256**-0.5


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"rope_type": "default"}, "rope_parameters.rope_type is no kind of layer"),
        ({"full_attention": DEFAULT, "sliding_attention": {"rope_type": "linear", "factor": 2.0}}, "asks for scaled positions"),
        ({"full_attention": DEFAULT, "sliding_attention": 3}, "should be a table"),
        ({"sliding_attention": {"rope_type": "default", "rope_theta": 7.0}}, "disagree"),
    ],
)
def test_rotary_tables_that_lie_are_refused(tables: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        LAYOUT.from_hf({**LAYOUT.to_hf(CONFIG), "rope_parameters": tables})
