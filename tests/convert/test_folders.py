"""A model of any form as a folder of its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.convert.conftest import model_folder
from tests.model.families.conftest import BERT, SMALL, lively

from hanmo.base.errors import ModelError
from hanmo.base.storage import write_json, write_text
from hanmo.convert.folders import export_folder, write_folder_of
from hanmo.generate.loaded import TextModel
from hanmo.model.config import NgramConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.ngram import Ngram
from hanmo.model.recurrent import Recurrent
from hanmo.model.store import load_model, read_generation, save_model
from hanmo.tokenizer.chat import read_template
from hanmo.tokenizer.load import EOT, Tokenizer


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


@pytest.mark.parametrize("kind", ["encoder", "recurrent", "ngram"])
def test_an_export_of_what_is_no_decoder_is_proven_by_its_numbers(tmp_path: Path, kind: str) -> None:
    models = {
        "encoder": lively(BERT),
        "recurrent": Recurrent(RecurrentConfig(vocab_size=7, hidden_size=4)),
        "ngram": Ngram.fit_sequences([np.arange(7)], NgramConfig(vocab_size=7, order=2)),
    }
    save_model(models[kind], tmp_path / "m")
    [row] = export_folder(tmp_path / "m", tmp_path / "out")["parity"]  # pyright: ignore[reportGeneralTypeIssues]
    assert row["what"] == "weights" and row["equal"] and (tmp_path / "out" / "config.json").is_file()


def test_a_tokenizer_that_came_in_other_files_goes_out_as_tokenizer_json(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", SMALL)
    before = Tokenizer.load(folder)
    model = before.form["model"]
    merges = [each if isinstance(each, str) else " ".join(each) for each in model["merges"]]
    write_json(folder / "vocab.json", model["vocab"])
    write_text(folder / "merges.txt", "\n".join(["#version: 0.2", *merges, ""]))
    write_json(folder / "tokenizer_config.json", {"chat_template": "{{ messages }}", "eos_token": EOT})
    for name in ("tokenizer.json", "vocabulary.tsv", "tokenizer_training.json"):
        (folder / name).unlink(missing_ok=True)
    write_folder_of(folder, tmp_path / "out")
    assert (tmp_path / "out" / "tokenizer.json").is_file() and read_template(tmp_path / "out") == "{{ messages }}"
    ids = [TextModel(place).tokenizer.encode("the rain\n雨").tolist() for place in (folder, tmp_path / "out")]
    assert ids[0] == ids[1]


def test_what_is_no_model_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "m" / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="only pickled weights"):
        write_folder_of(tmp_path / "m", tmp_path / "out")
    assert not (tmp_path / "out").exists()
