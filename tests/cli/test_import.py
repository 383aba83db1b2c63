"""`hanmo import`: a GGUF file becomes a model folder."""

import json
from pathlib import Path

import pytest
from tests.convert.conftest import model_folder
from tests.model.families.conftest import SMALL

from hanmo.cli.main import run as hanmo
from hanmo.convert.gguf import export_gguf


def test_a_gguf_file_becomes_a_model_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANMO_CACHE", str(tmp_path / "cache"))
    export_gguf(model_folder(tmp_path / "m", SMALL), tmp_path / "m.gguf")
    assert hanmo(["import", str(tmp_path / "m.gguf"), "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(tmp_path / "out")
    assert (tmp_path / "out" / "tokenizer.json").is_file() and (tmp_path / "out" / "config.json").is_file()
    assert hanmo(["import", str(tmp_path / "m.gguf"), "--out", str(tmp_path / "again")]) == 0
    assert "is now a model folder" in capsys.readouterr().out


def test_pickled_weights_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.bin").write_bytes(b"\x80\x04.")
    assert hanmo(["import", str(tmp_path / "m.bin"), "--out", str(tmp_path / "out")]) == 1
    assert "pickled weights" in capsys.readouterr().err and not (tmp_path / "out").exists()
