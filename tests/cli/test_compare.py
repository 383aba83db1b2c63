"""`hanmo compare` from the command line: two models, two tokenizers, one text."""

import json
from pathlib import Path

import numpy as np
import pytest

from hanmo.cli.main import run
from hanmo.model.config import NgramConfig
from hanmo.model.ngram import Ngram, Uniform
from hanmo.model.store import save_model
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer

TRAIN = ["The ferry left before the fog had lifted.", "雾散之前，渡船已经离岸。", "Nobody waved, and nobody looked back at the pier."] * 5
TEST = ["Before the fog had lifted nobody looked back.", "渡船离岸之前，雾已经散了。", "The pier, the ferry, and the fog."] * 4


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three models: one of byte pairs, one of characters, and one that knows nothing."""
    folder = tmp_path_factory.mktemp("house")
    for kind, size in (("bpe", 290), ("character", 330)):
        tokenizer = train_tokenizer(TRAIN, TokenizerConfig(kind=kind, vocab_size=size))
        tokenizer.save(folder / f"{kind}-tokenizer")
        rows = [np.concatenate([[tokenizer.eot_id], ids]) for ids in tokenizer.encode_batch(TRAIN)]
        model = Ngram.fit_sequences(rows, NgramConfig(vocab_size=tokenizer.vocab_size, order=3))
        save_model(model, folder / kind, tokenizer_folder=folder / f"{kind}-tokenizer")
    save_model(Uniform(tokenizer.vocab_size), folder / "uniform", tokenizer_folder=folder / "character-tokenizer")
    (folder / "text.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEST), "utf-8")
    return folder


def compared(house: Path, first: str, second: str, capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    data = str(house / "text.jsonl")
    assert run(["compare", str(house / first), str(house / second), "--data", data, *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_models_with_different_tokenizers_meet_at_bits_per_byte(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(house, "bpe", "character", capsys)
    assert found["difference"] == pytest.approx(found["first"]["bits_per_byte"] - found["second"]["bits_per_byte"])
    assert found["interval"][0] <= found["difference"] <= found["interval"][1]
    assert found["first"]["tokens"] != found["second"]["tokens"]
    assert found["first"]["text_sha256"] == found["second"]["text_sha256"]
    assert (found["unit"], found["units"]) == ("document", 12)


def test_a_model_that_learned_is_apart_from_one_that_knows_nothing(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(house, "character", "uniform", capsys)
    assert found["interval"][1] < 0
    assert found["apart"]
    assert found["p_value"] < 0.01


def test_passages_of_two_tokenizers_match(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(house, "character", "uniform", capsys, "--unit", "passage")
    assert found["unit"] == "passage"
    assert found["apart"]


def test_a_person_reads_who_is_better(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--data", str(house / "text.jsonl")]
    assert run(["compare", str(house / "bpe"), str(house / "uniform"), *words]) == 0
    assert "the first is better" in capsys.readouterr().out
    assert run(["compare", str(house / "uniform"), str(house / "bpe"), *words]) == 0
    assert "the second is better" in capsys.readouterr().out
    assert run(["compare", str(house / "bpe"), str(house / "bpe"), *words]) == 0
    assert "no difference" in capsys.readouterr().out


def test_too_little_text_is_told(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (house / "short.txt").write_text("Fog.", "utf-8")
    assert run(["compare", str(house / "bpe"), str(house / "uniform"), "--data", str(house / "short.txt")]) == 1
    assert "at least 5 passages" in capsys.readouterr().err
