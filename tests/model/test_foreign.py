"""Folders of other tools are called what they are, in one line with the way out; plain weights load whatever is said of them."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.model.families.conftest import SMALL

from hanmo.base.errors import ModelError
from hanmo.convert.sources import local_model
from hanmo.model.decoder import Decoder
from hanmo.model.store import load_model, save_model

MATRIX = "model.layers.0.self_attn.q_proj"


def folder_with(place: Path, config: dict[str, object], tensors: dict[str, torch.Tensor]) -> Path:
    """A sound model in whose folder one matrix is replaced by what a quantiser writes."""
    save_model(Decoder(SMALL), place)
    values = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**values, **config}))
    weights = load_file(place / "model.safetensors")
    del weights[f"{MATRIX}.weight"]
    save_file({**weights, **{f"{MATRIX}.{end}": tensor for end, tensor in tensors.items()}}, place / "model.safetensors")
    return place


INTEGERS = torch.zeros(4, 4, dtype=torch.int32)
SCALES = torch.ones(4, 1)
GPTQ = {"qweight": INTEGERS, "qzeros": INTEGERS.clone(), "scales": SCALES, "g_idx": torch.zeros(4, dtype=torch.int32)}
AWQ = {key: value for key, value in GPTQ.items() if key != "g_idx"}
QUANTIZED: dict[str, tuple[dict[str, object], dict[str, torch.Tensor]]] = {
    "GPTQ": ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, GPTQ),
    "GPTQ,": ({}, GPTQ),
    "AWQ": ({"quantization_config": {"quant_method": "awq", "bits": 4}}, AWQ),
    "AWQ,": ({}, AWQ),
    "MLX": (
        {"quantization": {"group_size": 64, "bits": 4}, "quantization_config": {"group_size": 64, "bits": 4}},
        {"weight": INTEGERS.view(torch.uint32), "scales": SCALES, "biases": SCALES.clone()},
    ),
    "fp8": (
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}},
        {"weight": torch.ones(4, 4).to(torch.float8_e4m3fn), "weight_scale_inv": SCALES},
    ),
    "fp8,": ({}, {"weight": torch.ones(4, 4).to(torch.float8_e5m2)}),
    "compressed-tensors": ({"quantization_config": {"quant_method": "compressed-tensors"}}, {"weight_packed": INTEGERS}),
    "bitsandbytes": ({}, {"weight": torch.zeros(8, 1, dtype=torch.uint8), "weight.absmax": SCALES}),
    "quanto": ({"quantization_config": {"quant_method": "quanto"}}, {"weight_scale": SCALES}),
}


@pytest.mark.parametrize("name", QUANTIZED)
def test_quantised_folders_are_called_by_the_name_of_their_method(tmp_path: Path, name: str) -> None:
    folder = folder_with(tmp_path / "m", *QUANTIZED[name])
    with pytest.raises(
        ModelError, match=f"holds weights quantised by {name.rstrip(',')}, which are not read here: take the model"
    ) as caught:
        load_model(folder)
    assert "--precision int8 or int4" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("written", ["base_model: owner/whole\n", "base_model:\n- owner/whole\n", 'base_model: "owner/whole"\n'])
def test_the_model_that_it_was_made_from_is_named_where_the_card_does(tmp_path: Path, written: str) -> None:
    folder = folder_with(tmp_path / "m", *QUANTIZED["AWQ"])
    (folder / "README.md").write_text(f"---\nlicense: mit\n{written}---\n")
    with pytest.raises(ModelError, match=r"that they were made from \(owner/whole\), which"):
        load_model(folder)


def test_plain_weights_load_beside_a_word_of_quantisation(tmp_path: Path) -> None:
    save_model(Decoder(SMALL), tmp_path / "m")
    values = json.loads((tmp_path / "m" / "config.json").read_text())
    said = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (tmp_path / "m" / "config.json").write_text(json.dumps({**values, "quantization_config": said}))
    assert isinstance(load_model(tmp_path / "m"), Decoder)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (
            {"peft_type": "LORA", "base_model_name_or_path": "owner/base"},
            r"an adapter \(LORA\) for owner/base, no model: join them with peft first",
        ),
        ({"fine_tune_type": "lora", "model": "owner/base"}, r"an adapter of MLX for owner/base, no model: join them with mlx_lm\.fuse"),
        ({}, "for a model that it does not name"),
        ({"peft_type": "a\nb" * 99}, r"an adapter \(a\\nb"),
        ([], "an adapter that cannot be read"),
    ],
)
@pytest.mark.parametrize("beside", [True, False])
def test_an_adapter_is_told_with_its_model(tmp_path: Path, about: object, message: str, beside: bool) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(about))
    save_file({"a.lora_A.weight": torch.ones(2, 2)}, tmp_path / "adapter_model.safetensors")
    if beside:
        (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError, match=message) as caught:
        load_model(local_model(tmp_path))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model_index.json", "diffusion pipeline"),
        ("params.json", "its maker's own form"),
        ("model.onnx", "compiled for ONNX"),
        ("onnx/model.onnx", "compiled for ONNX"),
        ("openvino_model.xml", "OpenVINO"),
        ("tf_model.h5", "from_tf=True"),
        ("flax_model.msgpack", "from_flax=True"),
        ("model.nemo", "NeMo"),
    ],
)
@pytest.mark.parametrize("config", [True, False])
def test_other_forms_are_told_with_and_without_a_config(tmp_path: Path, name: str, message: str, config: bool) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"{}")
    if config:
        (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelError, match=message):
        load_model(local_model(tmp_path))


def test_pickled_weights_are_still_named_first_where_they_stand_beside_others(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    for name in ("pytorch_model.bin", "tf_model.h5"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match="only pickled weights"):
        load_model(tmp_path)
