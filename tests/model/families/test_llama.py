import torch
from tests.model.families.conftest import CONFIGS

from hanmo.model.decoder import Decoder
from hanmo.model.families.llama import LAYOUT


def test_fused_rows_are_split_in_the_order_query_key_value_and_gate_up() -> None:
    config = CONFIGS["llama"]
    state = Decoder(config).state_dict()
    tensors = LAYOUT.to_hf_weights(state, config)
    qkv, up = state["layers.0.attention.qkv.weight"], state["layers.0.mlp.up.weight"]
    assert torch.equal(tensors["model.layers.0.self_attn.k_proj.weight"], qkv[32:48])
    assert torch.equal(tensors["model.layers.0.self_attn.v_proj.weight"], qkv[48:])
    assert torch.equal(tensors["model.layers.0.mlp.gate_proj.weight"], up[:48])


def test_the_rotary_base_stands_where_old_and_new_tools_look() -> None:
    values = LAYOUT.to_hf(CONFIGS["llama, tied, biases, wide heads"])
    assert values["rope_theta"] == 500000.0
    assert values["rope_parameters"] == {"rope_type": "default", "rope_theta": 500000.0}


def test_dropouts_that_others_have_no_word_for_come_back() -> None:
    config = CONFIGS["llama, one key head, dropout"]
    assert LAYOUT.from_hf(LAYOUT.to_hf(config)).hidden_dropout == 0.1
    assert "embedding_dropout" not in LAYOUT.to_hf(config)
