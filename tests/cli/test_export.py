"""`hanmo export`: GGUF and back through the command line."""

import json
from functools import partial
from pathlib import Path

import pytest
from tests.convert.conftest import model_folder
from tests.model.families.conftest import SMALL

from hanmo.cli.main import run as hanmo
from hanmo.convert.quantize import FitConfig


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


def test_scales_are_fitted_to_a_text_or_to_what_the_model_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hanmo.convert.quantize.FitConfig", partial(FitConfig, steps=4, rows=2, window=16))
    folder = model_folder(tmp_path / "m", SMALL)
    (tmp_path / "text.txt").write_text("the rain in the plain is mainly rain, 1234 drops 雨下在山上 " * 40)
    words = ["export", str(folder), "--to", "gguf", "--precision", "q4_0", "--out", str(tmp_path / "m.gguf")]
    found = []
    for source in ("self", str(tmp_path / "text.txt")):
        assert hanmo([*words, "--calibrate", source, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["nats_from_full_precision"])
        assert set(found[-1]) == {"plain", "weighted", "learned"} and min(found[-1].values()) > 0
        assert (tmp_path / "m.gguf").is_file()
    assert found[0] != found[1]
    assert hanmo([*words, "--calibrate", str(tmp_path / "text.txt")]) == 0
    assert f"{found[1]['learned']:.4f} nats from full precision" in capsys.readouterr().out


def test_scales_are_fitted_for_q4_0_only_and_to_enough_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model_folder(tmp_path / "m", SMALL)
    words = ["export", str(folder), "--to", "gguf", "--out", str(tmp_path / "m.gguf"), "--calibrate"]
    assert hanmo([*words, "self", "--precision", "q8_0"]) == 2
    assert "fits the scales of --to gguf --precision q4_0" in capsys.readouterr().err
    (tmp_path / "text.txt").write_text("the rain")
    assert hanmo([*words, str(tmp_path / "text.txt"), "--precision", "q4_0"]) == 1
    assert "too little to fit scales to" in capsys.readouterr().err
    assert not (tmp_path / "m.gguf").exists()
    assert hanmo([*words[:-1], "--precision", "q4_0"]) == 0
    assert "--calibrate self fits its scales" in capsys.readouterr().err
