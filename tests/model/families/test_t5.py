import dataclasses
from pathlib import Path

import pytest
import torch
import transformers
from tests.model.families.conftest import T5, lively

from hanmo.base.errors import ModelError
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.families.t5 import LAYOUT, MT5
from hanmo.model.store import load_model

VALUES = LAYOUT.to_hf(T5)


def test_what_transformers_makes_of_an_untied_flan_loads_with_equal_logits(tmp_path: Path) -> None:
    """transformers 5 writes tie_word_embeddings: true beside a head of its own, and scale_decoder_outputs: false."""
    values = {key: value for key, value in VALUES.items() if key != "architectures"} | {"tie_word_embeddings": False}
    reference = transformers.T5ForConditionalGeneration(transformers.T5Config(**values)).eval()
    reference.lm_head.weight = torch.nn.Parameter(torch.randn(61, 32))
    reference.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, EncoderDecoder)
    assert (loaded.config.tie_word_embeddings, loaded.config.scale_output) == (False, False)
    source, target = torch.randint(2, 61, (2, 9)), torch.randint(2, 61, (2, 4))
    with torch.no_grad():
        assert (loaded(source, target) - reference(source, decoder_input_ids=target).logits).abs().max() <= 1e-4


def test_an_mt5_is_never_scaled_and_equal_to_transformers(tmp_path: Path) -> None:
    values = {key: value for key, value in VALUES.items() if key != "architectures"}
    reference = transformers.MT5ForConditionalGeneration(transformers.MT5Config(**{**values, "model_type": "mt5"})).eval()
    reference.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert isinstance(loaded, EncoderDecoder)
    assert not loaded.config.scale_output
    source, target = torch.randint(2, 61, (2, 9)), torch.randint(2, 61, (2, 4))
    with torch.no_grad():
        assert (loaded(source, target) - reference(source, decoder_input_ids=target).logits).abs().max() <= 1e-4
    assert MT5.from_hf({"model_type": "mt5", **values}, ["lm_head.weight"]).hidden_act == "gelu_pytorch_tanh"


@pytest.mark.parametrize(
    ("word", "act", "gated"),
    [("relu", "relu", False), ("gated-gelu", "gelu_pytorch_tanh", True), ("gated-silu", "silu", True), ("gelu", "gelu", False)],
)
def test_the_feed_forward_part_is_one_word(word: str, act: str, gated: bool) -> None:
    config = LAYOUT.from_hf({**VALUES, "feed_forward_proj": word}, [])
    assert (config.hidden_act, config.gated_mlp) == (act, gated)
    assert LAYOUT.write(config)["feed_forward_proj"] == word


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"feed_forward_proj": "gated-mish"}, "feed_forward_proj"),
        ({"d_kv": 0}, "d_kv"),
        ({"is_encoder_decoder": False}, "one of its halves"),
        ({"relative_attention_num_buckets": 1}, "at least 4"),
    ],
)
def test_what_we_do_not_compute_is_refused(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        LAYOUT.from_hf({**VALUES, **keys}, [])


def test_gate_and_up_are_one_matrix_here_and_two_there() -> None:
    network = lively(T5)
    tensors = LAYOUT.to_hf_weights(network.state_dict(), T5)
    gate, up = (tensors[f"decoder.block.1.layer.2.DenseReluDense.wi_{i}.weight"] for i in range(2))
    assert torch.equal(torch.cat([gate, up]), network.state_dict()["decoder.layers.1.mlp.up.weight"])


def test_dropout_of_two_kinds_has_no_word_there() -> None:
    assert not LAYOUT.expresses(dataclasses.replace(T5, attention_dropout=0.1))
