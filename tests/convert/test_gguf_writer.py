"""What we write is read by the `gguf` package and by ourselves."""

from pathlib import Path

import gguf
import numpy as np
import pytest
from tests.convert.conftest import METADATA, outgoing, small_file

from hanmo.base.errors import ModelError
from hanmo.convert.gguf_reader import GgufFile
from hanmo.convert.gguf_writer import write_gguf


def test_the_reference_reader_finds_what_was_written(tmp_path: Path) -> None:
    path, values = small_file(tmp_path / "m.gguf")
    theirs = gguf.GGUFReader(path)
    for key, value in METADATA.items():
        found = theirs.get_field(key)
        assert found is not None and (value == [] or found.contents() == value), key
    tensors = {each.name: each for each in theirs.tensors}
    assert list(tensors) == list(values)
    assert [int(each.data_offset) % 32 for each in theirs.tensors] == [0, 0, 0]
    for name, array in values.items():
        back = gguf.dequantize(tensors[name].data, tensors[name].tensor_type).reshape(array.shape)
        assert np.allclose(back, array, atol=0.02), name


def test_our_reader_finds_what_was_written(tmp_path: Path) -> None:
    path, values = small_file(tmp_path / "m.gguf")
    ours = GgufFile(path)
    assert ours.metadata == METADATA
    assert {name: each.shape for name, each in ours.tensors.items()} == {name: array.shape for name, array in values.items()}
    assert np.array_equal(ours.read("norm.weight"), values["norm.weight"])
    assert np.abs(ours.read("token_embd.weight") - values["token_embd.weight"]).max() < 2e-3


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path, _ = small_file(tmp_path / "m.gguf")
    before = path.read_bytes()
    with pytest.raises(ModelError, match="no whole blocks"):
        write_gguf(path, {}, {"w": outgoing(np.zeros((2, 16), np.float32), "Q4_0")})
    assert path.read_bytes() == before and [each.name for each in tmp_path.iterdir()] == ["m.gguf"]
