"""`hanmo evaluate` from the command line, on real folders."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from hanmo.cli.main import run
from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.ngram import Ngram, Uniform
from hanmo.model.recurrent import Recurrent
from hanmo.model.store import save_model
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer

TEXTS = ["The mill stood where two streams met.", "磨坊建在两条小溪相会的地方。", "Its wheel turned slowly, even in a dry year."] * 6


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer, one model of each kind, a file of many documents and one of a single text."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("house")
    tokenizer = train_tokenizer(TEXTS, TokenizerConfig(vocab_size=300))
    tokenizer.save(folder / "tokenizer")
    size = tokenizer.vocab_size
    rows = [np.concatenate([[tokenizer.eot_id], ids]) for ids in tokenizer.encode_batch(TEXTS)]
    network = DecoderConfig(vocab_size=size, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=16)
    models = {
        "uniform": Uniform(size),
        "ngram": Ngram.fit_sequences(rows, NgramConfig(vocab_size=size, order=3)),
        "lstm": Recurrent(RecurrentConfig(vocab_size=size, hidden_size=16, num_hidden_layers=1)),
        "decoder": Decoder(network),
    }
    for name, model in models.items():
        save_model(model, folder / name, tokenizer_folder=folder / "tokenizer")
    (folder / "lines.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), "utf-8")
    (folder / "one.txt").write_text("\n".join(TEXTS * 3), "utf-8")
    return folder


def numbers(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_uniform_takes_its_known_bits(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(house / "uniform"), "--data", str(house / "lines.jsonl"), "--json"]) == 0
    found = numbers(capsys)
    size = Tokenizer.load(house / "tokenizer").vocab_size
    assert found["bytes"] == sum(len(text.encode()) for text in TEXTS)
    assert found["bits_per_byte"] == pytest.approx(math.log2(size) * found["tokens"] / found["bytes"])
    assert found["perplexity"] == pytest.approx(size)
    assert (found["documents"], found["unit"], found["units"]) == (18, "document", 18)
    low, high = found["interval"]
    assert low < found["bits_per_byte"] < high


@pytest.mark.parametrize("kind", ["ngram", "lstm", "decoder"])
def test_every_kind_of_model_is_measured_by_the_same_verb(house: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(house / kind), "--data", str(house / "one.txt"), "--stride", "4", "--json"]) == 0
    found = numbers(capsys)
    assert {"bits_per_byte", "interval", "perplexity", "word_perplexity", "tokens", "bytes", "documents", "unit", "definition"} <= set(
        found
    )
    assert (found["documents"], found["unit"]) == (1, "passage")
    assert found["interval"][0] < found["bits_per_byte"] < found["interval"][1]


def test_text_behind_a_url_is_measured_like_a_file(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/evaluate-lines/lines.jsonl", (house / "lines.jsonl").read_bytes())
    found = []
    for source in (str(house / "lines.jsonl"), "memory://evaluate-lines/lines.jsonl"):
        assert run(["evaluate", str(house / "uniform"), "--data", source, "--json"]) == 0
        found.append(numbers(capsys))
    assert found[0].pop("data") == str(house / "lines.jsonl") and found[1].pop("data") == "memory://evaluate-lines/lines.jsonl"
    assert found[0] == found[1]
    assert run(["evaluate", str(house / "uniform"), "--data", "memory://evaluate-nothing"]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_a_person_reads_a_table(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", str(house / "ngram"), "--data", str(house / "lines.jsonl")]) == 0
    shown = capsys.readouterr().out
    assert "bits per byte" in shown
    assert "95 % interval" in shown
    (house / "short.txt").write_text("One short line.", "utf-8")
    assert run(["evaluate", str(house / "ngram"), "--data", str(house / "short.txt")]) == 0
    assert "too little text" in capsys.readouterr().out


def test_a_split_of_a_data_set_is_chosen(house: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.dumps({"text": f"{text} The {number}th time it was told."}) + "\n" for number, text in enumerate(TEXTS * 3)]
    (tmp_path / "many.jsonl").write_text("".join(lines), "utf-8")
    assert run(["prepare", str(tmp_path / "many.jsonl"), "--out", str(tmp_path / "set")]) == 0
    counts = {}
    for split in ([], ["--split", "test"], ["--split", "train"]):
        capsys.readouterr()
        assert run(["evaluate", str(house / "ngram"), "--data", str(tmp_path / "set"), *split, "--json"]) == 0
        counts[tuple(split)] = numbers(capsys)["documents"]
    assert counts[()] == counts["--split", "test"] < counts["--split", "train"]
    for file in (tmp_path / "set" / "documents").glob("test-*"):
        file.unlink()
    assert run(["evaluate", str(house / "ngram"), "--data", str(tmp_path / "set")]) == 1
    assert "no test documents" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "heard"),
    [
        (["{house}/nowhere", "--data", "{house}/one.txt"], 1, "does not exist"),
        (["{house}/ngram", "--data", "{house}/nowhere.txt"], 1, "nowhere.txt"),
        (["{house}/ngram", "--data", "{house}/one.txt", "--split", "test"], 2, "--split test"),
        (["{house}/decoder", "--data", "{house}/one.txt", "--stride", "99"], 1, "stride"),
        (["{house}/ngram"], 2, "--data"),
    ],
)
def test_a_mistake_is_told_in_one_line(house: Path, words: list[str], code: int, heard: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", *(word.format(house=house) for word in words)]) == code
    said = capsys.readouterr().err
    assert heard in said
    assert "Traceback" not in said
    assert said.count("\n") == 1
