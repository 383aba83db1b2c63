import dataclasses
import itertools
import re

import pytest
import torch
from tests.model.families.conftest import CONFIGS, GPT2

from hanmo.base.errors import ModelError
from hanmo.model import families
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.families.weights import parameter_shapes


def file_of(config: DecoderConfig) -> dict[str, torch.Tensor]:
    return families.layout_of(config).to_hf_weights(Decoder(config).state_dict(), config)


def test_predicted_shapes_are_those_of_the_decoder(any_config: DecoderConfig) -> None:
    assert dict(parameter_shapes(any_config)) == {name: tuple(tensor.shape) for name, tensor in Decoder(any_config).state_dict().items()}


def test_shapes_of_a_billion_layers_come_one_by_one() -> None:
    lying = dataclasses.replace(GPT2, num_hidden_layers=10**9)
    assert len(list(itertools.islice(parameter_shapes(lying), 100))) == 100
    with pytest.raises(ModelError, match=r"transformer.h.2.ln_1.weight is missing"):
        families.layout_of(lying).from_hf_weights(file_of(GPT2), lying)


def test_a_missing_tensor_is_named(config: DecoderConfig) -> None:
    tensors = file_of(config)
    name = sorted(tensors)[len(tensors) // 2]
    del tensors[name]
    with pytest.raises(ModelError, match=f"the tensor {re.escape(name)} is missing"):
        families.layout_of(config).from_hf_weights(tensors, config)


def test_a_tensor_of_another_shape_is_named_with_both_shapes() -> None:
    tensors = file_of(GPT2)
    tensors["transformer.h.1.attn.c_attn.weight"] = torch.zeros(96, 32)
    with pytest.raises(ModelError, match=r"transformer.h.1.attn.c_attn.weight has the shape \[96, 32\], config.json says \[32, 96\]"):
        families.layout_of(GPT2).from_hf_weights(tensors, GPT2)


def test_an_unexpected_tensor_is_named(config: DecoderConfig) -> None:
    tensors = {**file_of(config), "zz.router.weight": torch.zeros(2), "zz.router.bias": torch.zeros(2)}
    with pytest.raises(ModelError, match=r"unexpected tensor zz.router.bias and 1 more"):
        families.layout_of(config).from_hf_weights(tensors, config)


def test_files_of_a_bare_base_model_load_without_their_prefix(config: DecoderConfig) -> None:
    layout, tensors = families.layout_of(config), file_of(config)
    bare = {name.removeprefix(layout.prefix): tensor for name, tensor in tensors.items()}
    state = layout.from_hf_weights(bare, config)
    assert all(torch.equal(state[name], tensor) for name, tensor in layout.from_hf_weights(tensors, config).items())


@pytest.mark.parametrize(
    ("family", "name"), [("gpt2", "transformer.h.0.attn.bias"), ("llama", "model.layers.1.self_attn.rotary_emb.inv_freq")]
)
def test_buffers_of_old_files_are_passed_over(family: str, name: str) -> None:
    config = CONFIGS[family]
    layout, tensors = families.layout_of(config), file_of(config)
    state = layout.from_hf_weights({**tensors, name: torch.zeros(3)}, config)
    plain = layout.from_hf_weights(tensors, config)
    assert state.keys() == plain.keys() and all(torch.equal(state[each], plain[each]) for each in plain)


def test_a_tied_output_may_be_in_the_file_when_it_is_the_embedding() -> None:
    tensors = file_of(GPT2)
    layout = families.layout_of(GPT2)
    layout.from_hf_weights({**tensors, "lm_head.weight": tensors["transformer.wte.weight"].clone()}, GPT2)
    with pytest.raises(ModelError, match=r"tie_word_embeddings, but lm_head.weight differs"):
        layout.from_hf_weights({**tensors, "lm_head.weight": torch.zeros(61, 32)}, GPT2)


def test_saving_weights_that_do_not_fit_names_the_parameter() -> None:
    state = Decoder(GPT2).state_dict()
    state["layers.0.mlp.up.weight"] = torch.zeros(3, 3)
    with pytest.raises(ModelError, match=r"layers.0.mlp.up.weight is \[3, 3\], its configuration says \[48, 32\]"):
        families.layout_of(GPT2).to_hf_weights(state, GPT2)
    del state["layers.0.mlp.up.weight"]
    with pytest.raises(ModelError, match=r"layers.0.mlp.up.weight is missing"):
        families.layout_of(GPT2).to_hf_weights(state, GPT2)
