"""Forms of one model agree, different models do not, and the table says by how much."""

import dataclasses
from pathlib import Path

import pytest
import torch
from tests.convert.conftest import model_folder
from tests.model.families.conftest import SMALL

from hanmo.base.errors import ModelError
from hanmo.convert.gguf import export_gguf, import_gguf
from hanmo.convert.parity import compare
from hanmo.model.config import RecurrentConfig
from hanmo.model.recurrent import Recurrent
from hanmo.model.store import save_model

TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
CONFIG = dataclasses.replace(SMALL, max_position_embeddings=64)


def test_a_model_is_equal_to_itself_and_near_its_q8_form(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", CONFIG, TEMPLATE)
    assert all(row.equal for row in compare(folder, folder, tokens=3))
    export_gguf(folder, tmp_path / "m.gguf", "q8_0")
    import_gguf(tmp_path / "m.gguf", tmp_path / "back")
    rows = {row.what: row for row in compare(folder, tmp_path / "back", tokens=3)}
    assert list(rows) == ["tokens", "template", "logits", "greedy text"]
    assert rows["tokens"].equal and rows["template"].equal and not rows["logits"].equal
    assert 0 < float(rows["logits"].figure.split()[3].rstrip(";")) < 1


def test_another_model_differs(tmp_path: Path) -> None:
    one, other = (
        model_folder(tmp_path / "one", CONFIG, TEMPLATE),
        model_folder(tmp_path / "other", dataclasses.replace(CONFIG, rope_theta=50.0)),
    )
    rows = {row.what: row for row in compare(one, other, tokens=3)}
    assert rows["tokens"].equal and not rows["logits"].equal
    assert rows["template"].figure == "only one has a template" and not rows["template"].equal


def test_only_decoders_are_compared(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_model(Recurrent(RecurrentConfig(vocab_size=5, hidden_size=4)), tmp_path / "r")
    with pytest.raises(ModelError, match="is a Recurrent: decoders are compared here"):
        compare(tmp_path / "r", tmp_path / "r")
