import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.model.families.conftest import BERT, MARIAN, T5, lively

from hanmo.base.errors import ModelError
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.families.bert import LAYOUT
from hanmo.model.families.network import built
from hanmo.model.store import load_language_model, load_model, save_model


def change(folder: Path, **keys: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"num_hidden_layers": 10**6}, "asks for 1000000 layers"),
        ({"num_hidden_layers": 1}, "unexpected tensor"),
        ({"num_hidden_layers": 3}, "is missing"),
        ({"vocab_size": 62}, r"has the shape \[61, 32\], config.json says \[62, 32\]"),
        ({"vocab_size": 0}, "should be positive"),
        ({"num_attention_heads": 0}, "num_attention_heads"),
        ({"num_attention_heads": 5}, "is not a multiple"),
        ({"intermediate_size": -3}, "intermediate_size"),
        ({"layer_norm_eps": -1.0}, "layer_norm_eps"),
        ({"position_embedding_type": "relative_key"}, "positions that are not a table"),
        ({"is_decoder": True}, "a decoder"),
        ({"hidden_act": "mish"}, "hidden_act"),
    ],
)
def test_a_configuration_that_lies_is_one_line(tmp_path: Path, keys: dict[str, object], message: str) -> None:
    save_model(lively(BERT), tmp_path / "m")
    change(tmp_path / "m", **keys)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(tmp_path / "m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("config", "key"), [(T5, "num_decoder_layers"), (MARIAN, "decoder_layers")])
def test_a_decoder_of_millions_of_layers_is_refused_before_it_is_built(tmp_path: Path, config: EncoderDecoderConfig, key: str) -> None:
    save_model(lively(config), tmp_path / "m")
    change(tmp_path / "m", **{key: 2**24 - 1})
    with pytest.raises(ModelError, match="asks for 16777215 layers"):
        load_model(tmp_path / "m")


def test_a_copy_that_differs_is_refused_and_one_that_is_equal_is_read(tmp_path: Path) -> None:
    save_model(lively(BERT), tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    tensors = load_file(path)
    copy = "cls.predictions.decoder.weight"
    save_file({**tensors, copy: tensors["bert.embeddings.word_embeddings.weight"].clone()}, path)
    load_model(tmp_path / "m")
    save_file({**tensors, copy: tensors["bert.embeddings.word_embeddings.weight"] + 1}, path)
    with pytest.raises(ModelError, match="is not: it would be lost"):
        load_model(tmp_path / "m")


def test_a_prefix_is_added_only_where_every_name_lacks_it() -> None:
    assert LAYOUT.full_name("pooler.dense.weight", {"pooler.dense.weight": 0}) == "bert.pooler.dense.weight"
    assert LAYOUT.full_name("cls.predictions.bias", {"bert.pooler.dense.weight": 0}) == "cls.predictions.bias"


def test_sizes_that_do_not_fit_are_errors_of_the_file() -> None:
    with pytest.raises(ModelError, match=r"config.json: hidden_size \(=33\)"):
        built(EncoderConfig, vocab_size=5, hidden_size=33)


@pytest.mark.parametrize("config", [BERT, T5, MARIAN])
def test_what_was_loaded_is_told_and_no_next_token_is_promised(
    tmp_path: Path, config: EncoderConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(lively(config), tmp_path / "m")
    load_model(tmp_path / "m")
    assert "encoder" in capsys.readouterr().err
    with pytest.raises(ModelError, match="holds an encoder"):
        load_language_model(tmp_path / "m")


def test_weights_keep_the_precision_that_was_asked_for(tmp_path: Path) -> None:
    save_model(lively(dataclasses.replace(BERT, pooler=True)), tmp_path / "m", dtype="bfloat16")
    stored = {tensor.dtype for tensor in load_file(tmp_path / "m" / "model.safetensors").values()}
    assert stored == {torch.bfloat16}
