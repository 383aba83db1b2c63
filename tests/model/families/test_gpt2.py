import torch
from tests.model.families.conftest import GPT2

from hanmo.model.decoder import Decoder
from hanmo.model.families.gpt2 import LAYOUT


def test_matrices_are_stored_as_inputs_by_outputs() -> None:
    state = Decoder(GPT2).state_dict()
    tensors = LAYOUT.to_hf_weights(state, GPT2)
    assert torch.equal(tensors["transformer.h.1.mlp.c_fc.weight"], state["layers.1.mlp.up.weight"].T)
    assert tensors["transformer.h.0.attn.c_attn.weight"].is_contiguous()
    assert tensors["transformer.wte.weight"].shape == (61, 32)


def test_the_tanh_gelu_keeps_its_old_name() -> None:
    assert LAYOUT.to_hf(GPT2)["activation_function"] == "gelu_new"
