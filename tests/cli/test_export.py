"""`hanmo export`: GGUF and back through the command line."""

import json
from pathlib import Path

import pytest
from tests.convert.conftest import model_folder
from tests.model.families.conftest import SMALL

from hanmo.cli.main import run as hanmo


def test_a_model_goes_out_as_gguf_and_generates_the_same_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANMO_CACHE", str(tmp_path / "cache"))
    folder = model_folder(tmp_path / "m", SMALL)
    assert hanmo(["export", str(folder), "--to", "gguf", "--out", str(tmp_path / "m.gguf"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["precision"] == "f16" and facts["bytes"] == (tmp_path / "m.gguf").stat().st_size
    assert Path(facts["modelfile"]).read_text().startswith("FROM ./m.gguf")
    texts = []
    for model in (folder, tmp_path / "m.gguf"):
        assert hanmo(["generate", str(model), "the rain", "--greedy", "--max-tokens", "4", "--json"]) == 0
        texts.append(json.loads(capsys.readouterr().out)["text"])
    assert texts[0] == texts[1]


def test_a_model_goes_out_as_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model_folder(tmp_path / "m", SMALL)
    assert hanmo(["export", str(folder), "--to", "hf", "--out", str(tmp_path / "out")]) == 0
    assert "is now in" in capsys.readouterr().out and (tmp_path / "out" / "model.safetensors").is_file()


def test_a_precision_is_for_gguf_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hanmo(["export", str(tmp_path), "--to", "hf", "--precision", "q8_0", "--out", str(tmp_path / "out")]) == 2
    assert "--precision q8_0 is for --to gguf" in capsys.readouterr().err
