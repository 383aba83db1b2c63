"""A model of any form as a folder of its own."""

from pathlib import Path

import pytest
import torch
from tests.convert.conftest import model_folder
from tests.model.families.conftest import SMALL

from hanmo.base.errors import ModelError
from hanmo.base.storage import write_json
from hanmo.convert.folders import write_folder_of
from hanmo.model.decoder import Decoder
from hanmo.model.store import load_model, read_generation
from hanmo.tokenizer.chat import read_template
from hanmo.tokenizer.load import Tokenizer


def test_a_folder_is_written_anew_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", SMALL)
    write_json(folder / "tokenizer_config.json", {**Tokenizer.load(folder).settings, "chat_template": "{{ messages }}"})
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    facts = write_folder_of(folder, tmp_path / "out")
    one, other = load_model(folder), load_model(tmp_path / "out")
    assert isinstance(one, Decoder) and isinstance(other, Decoder)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(one.parameters(), other.parameters(), strict=True))
    assert read_template(tmp_path / "out") == "{{ messages }}"
    assert read_generation(tmp_path / "out") == read_generation(folder)
    assert not (tmp_path / "out" / "pytorch_model.bin").exists()
    assert facts["bytes"] == sum(each.stat().st_size for each in (tmp_path / "out").iterdir())


def test_what_is_no_model_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "m" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="only pickled weights"):
        write_folder_of(tmp_path / "m", tmp_path / "out")
    assert not (tmp_path / "out").exists()
