"""`hanmo export`: GGUF and back through the command line."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.convert.conftest import model_folder
from tests.model.families.conftest import SMALL

import hanmo.convert.folders
import hanmo.convert.gguf
from hanmo.cli.main import run
from hanmo.convert.quantize import FitConfig
from hanmo.model.decoder import Decoder
from hanmo.model.store import save_model


def test_a_model_goes_out_as_gguf_and_generates_the_same_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANMO_CACHE", str(tmp_path / "cache"))
    folder = model_folder(tmp_path / "m", SMALL)
    assert run(["export", str(folder), "--to", "gguf", "--out", str(tmp_path / "m.gguf"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["precision"] == "f16" and facts["bytes"] == (tmp_path / "m.gguf").stat().st_size
    assert Path(facts["modelfile"]).read_text().startswith("FROM ./m.gguf")
    texts = []
    for model in (folder, tmp_path / "m.gguf"):
        assert run(["generate", str(model), "the rain", "--greedy", "--max-tokens", "4", "--json"]) == 0
        texts.append(json.loads(capsys.readouterr().out)["text"])
    assert texts[0] == texts[1]


def test_a_model_goes_out_as_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model_folder(tmp_path / "m", SMALL)
    assert run(["export", str(folder), "--to", "hf", "--out", str(tmp_path / "out")]) == 0
    assert "is now in" in capsys.readouterr().out and (tmp_path / "out" / "model.safetensors").is_file()


def swapped(write: Callable[..., Any]) -> Callable[..., Any]:
    """A writer of tensors that gives two rows of every matrix to each other, as a wrong order of heads would."""

    def wrong(*given: object) -> Iterator[tuple[str, np.ndarray]]:
        for name, numbers in write(*given):
            yield name, np.concatenate([numbers[1::-1], numbers[2:]]) if name.endswith("attn_q.weight") else numbers

    return wrong


def other_letters(write: Callable[..., Any]) -> Callable[..., Any]:
    """A writer of tokenizers that calls two tokens by each other's names."""

    def wrong(*given: object) -> dict[str, Any]:
        found = write(*given)
        names = [*found["tokenizer.ggml.tokens"]]
        e, t = names.index("e"), names.index("t")
        names[e], names[t] = names[t], names[e]
        return {**found, "tokenizer.ggml.tokens": names}

    return wrong


@pytest.mark.parametrize(
    ("name", "spoil", "told"), [("ggml_tensors", swapped, "logits: max abs difference"), ("tokenizer_metadata", other_letters, "tokens: ")]
)
@pytest.mark.parametrize("precision", ["f32", "q4_0"])
def test_a_file_that_is_not_the_model_is_not_kept(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    spoil: Callable[..., Any],
    told: str,
    precision: str,
) -> None:
    folder = model_folder(tmp_path / "m", SMALL)
    words = ["export", str(folder), "--to", "gguf", "--precision", precision, "--out", str(tmp_path / "out" / "m.gguf")]
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(hanmo.convert.gguf, name, spoil(getattr(hanmo.convert.gguf, name)))
    assert run(words) == 1
    said = capsys.readouterr().err
    assert "m.gguf would not be the same model (" in said and told in said and "nothing is written" in said
    assert not any((tmp_path / "out").iterdir())
    (tmp_path / "out" / "m.gguf").write_bytes(b"older")
    assert run(words) == 1
    assert [(each.name, each.read_bytes()) for each in (tmp_path / "out").iterdir()] == [("m.gguf", b"older")]


def test_a_folder_that_is_not_the_model_is_not_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model_folder(tmp_path / "m", SMALL)

    def spoiled(network: Decoder, *given: Any, **named: Any) -> None:
        with torch.no_grad():
            network.final_norm.weight.mul_(1.5)
        save_model(network, *given, **named)

    monkeypatch.setattr(hanmo.convert.folders, "save_model", spoiled)
    assert run(["export", str(folder), "--to", "hf", "--out", str(tmp_path / "out" / "n")]) == 1
    assert "would not be the same model (logits" in capsys.readouterr().err
    assert not any((tmp_path / "out").iterdir())


def test_what_is_kept_was_proven(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model_folder(tmp_path / "m", SMALL)
    for words in (["--to", "gguf", "--precision", "q4_0", "--out", str(tmp_path / "m.gguf")], ["--to", "hf", "--out", str(tmp_path / "n")]):
        assert run(["export", str(folder), *words, "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["parity"]
        assert [row["what"] for row in rows] == ["tokens", "template", "logits", "greedy text"] and all(row["equal"] for row in rows)
    assert run(["export", str(folder), "--to", "hf", "--out", str(tmp_path / "n")]) == 0
    assert "read back, it is the same model (tokens: 4 of 4 texts have the same ids" in capsys.readouterr().out
    assert sorted(each.name for each in tmp_path.iterdir() if each.name.startswith(".")) == []


def test_a_precision_is_for_gguf_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(tmp_path), "--to", "hf", "--precision", "q8_0", "--out", str(tmp_path / "out")]) == 2
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
        assert run([*words, "--calibrate", source, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["nats_from_full_precision"])
        assert set(found[-1]) == {"plain", "weighted", "learned"} and min(found[-1].values()) > 0
        assert (tmp_path / "m.gguf").is_file()
    assert found[0] != found[1]
    assert run([*words, "--calibrate", str(tmp_path / "text.txt")]) == 0
    assert f"{found[1]['learned']:.4f} nats from full precision" in capsys.readouterr().out


def test_scales_are_fitted_for_q4_0_only_and_to_enough_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = model_folder(tmp_path / "m", SMALL)
    words = ["export", str(folder), "--to", "gguf", "--out", str(tmp_path / "m.gguf"), "--calibrate"]
    assert run([*words, "self", "--precision", "q8_0"]) == 2
    assert "fits the scales of --to gguf --precision q4_0" in capsys.readouterr().err
    (tmp_path / "text.txt").write_text("the rain")
    assert run([*words, str(tmp_path / "text.txt"), "--precision", "q4_0"]) == 1
    assert "too little to fit scales to" in capsys.readouterr().err
    assert not (tmp_path / "m.gguf").exists()
    assert run([*words[:-1], "--precision", "q4_0"]) == 0
    assert "--calibrate self fits its scales" in capsys.readouterr().err
