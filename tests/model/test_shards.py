import json
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from hanmo.base.errors import ModelError
from hanmo.model.shards import Shards


def test_names_and_shapes_are_known_before_weights_are_read(tmp_path: Path) -> None:
    save_file({"b": torch.ones(2, 3), "a": torch.zeros(4)}, tmp_path / "model.safetensors")
    shards = Shards(tmp_path)
    assert shards.shapes == {"b": (2, 3), "a": (4,)}
    assert {name: tensor.sum().item() for name, tensor in shards.read()} == {"b": 6.0, "a": 0.0}


def test_a_header_that_promises_an_absurd_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelError, match="damaged or cut short"):
        Shards(tmp_path)


def test_a_tensor_name_that_breaks_the_line_is_refused(tmp_path: Path) -> None:
    save_file({"a\nb": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="unreadable name"):
        Shards(tmp_path)


@pytest.mark.parametrize(("name", "message"), [("é" * 128, "names a file in 256 bytes"), ("../x", "outside"), ("\0", "missing")])
def test_an_index_that_names_what_is_no_file_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ModelError, match=message):
        Shards(tmp_path)


def test_parts_without_an_index_are_read_together(tmp_path: Path) -> None:
    save_file({"b": torch.ones(2, 3)}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"a": torch.zeros(4)}, tmp_path / "model-00002-of-00002.safetensors")
    for beside in ("adapter_model", "consolidated"):
        save_file({"c": torch.zeros(1)}, tmp_path / f"{beside}.safetensors")
    assert Shards(tmp_path).shapes == {"b": (2, 3), "a": (4,)}


def test_one_file_under_another_name_holds_the_weights(tmp_path: Path) -> None:
    save_file({"b": torch.ones(2, 3)}, tmp_path / "pytorch_model.safetensors")
    shards = Shards(tmp_path)
    assert shards.shapes == {"b": (2, 3)} and shards.kinds == {"b": "F32"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["model-00001-of-00003", "model-00003-of-00003"], r"model-00002-of-00003\.safetensors is missing: it is one of 3 parts"),
        (["model-00001-of-00002"], r"model-00002-of-00002\.safetensors is missing"),
        (["model-00001-of-00001", "other"], "has no model.safetensors.index.json, which would say which of"),
        (["model-00001-of-00001", "model.fp16-00001-of-00001"], "which would say which of"),
        (["one", "other"], r"which of one\.safetensors, other\.safetensors hold the weights: fetch it"),
    ],
)
def test_a_part_that_is_missing_and_names_that_tell_nothing_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    for number, name in enumerate(names):
        save_file({f"t{number}": torch.ones(2)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(ModelError, match=message):
        Shards(tmp_path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_one_line_or_plain_tensors(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.safetensors"
        save_file({"b": torch.ones(2, 3), "a": torch.zeros(4)}, path)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        try:
            shapes = {each: tuple(tensor.shape) for each, tensor in Shards(Path(name)).read()}
        except ModelError as error:
            assert "\n" not in str(error)
        else:
            assert len(shapes) == 2
