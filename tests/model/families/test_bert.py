from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tests.model.families.conftest import BERT, lively

from hanmo.model.encoder import Encoder
from hanmo.model.families.bert import LAYOUT
from hanmo.model.store import load_model, save_model


def test_old_names_of_norms_and_buffers_of_old_files_are_read(tmp_path: Path) -> None:
    network = lively(BERT)
    save_model(network, tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in load_file(path).items()
    }
    extra = {
        "bert.embeddings.position_ids": torch.arange(24)[None],
        "cls.seq_relationship.weight": torch.zeros(2, 32),
        "cls.seq_relationship.bias": torch.zeros(2),
    }
    save_file({**old, **extra}, path)
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded, Encoder)
    ids = torch.randint(0, 61, (2, 9))
    assert torch.equal(loaded(ids), network(ids))


def test_the_head_decides_about_the_class_that_reads_it() -> None:
    assert LAYOUT.to_hf(BERT)["architectures"] == ["BertForMaskedLM"]
    assert "position_offset" not in LAYOUT.to_hf(BERT)
