from pathlib import Path

import pytest
import torch
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
