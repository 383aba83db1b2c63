import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tests.model.families.conftest import CONFIGS, ENCODER_DECODERS, ENCODERS, GPT2, MIXTURES, lively

from hanmo.base.errors import ModelError, StorageError
from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig, SoftmaxRegressionConfig
from hanmo.model.decoder import Decoder
from hanmo.model.ngram import Ngram, Uniform
from hanmo.model.recurrent import Recurrent
from hanmo.model.softmax_regression import SoftmaxRegression
from hanmo.model.store import Precision, load_model, read_generation, save_model

IDS = torch.arange(36).view(3, 12) % 61


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(11)


def decoder(config: DecoderConfig = GPT2) -> Decoder:
    network = Decoder(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return network


def change(folder: Path, **keys: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


@pytest.mark.parametrize("name", [*CONFIGS, *MIXTURES])
def test_a_saved_decoder_comes_back_with_its_logits(tmp_path: Path, name: str) -> None:
    network = decoder({**CONFIGS, **MIXTURES}[name])
    save_model(network, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded, Decoder)
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    assert torch.equal(loaded(IDS), network(IDS))


@pytest.mark.parametrize("name", CONFIGS)
def test_what_we_save_loads_in_transformers_with_equal_logits(tmp_path: Path, name: str) -> None:
    network = decoder(CONFIGS[name])
    save_model(network, tmp_path / "m")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "m").eval()
    assert theirs.dtype == torch.float32
    with torch.no_grad():
        assert (theirs(IDS).logits - network(IDS)).abs().max() <= 1e-4


@pytest.mark.parametrize("shard_size", ["5GB", "20KB"])
@pytest.mark.parametrize("name", CONFIGS)
def test_what_transformers_saves_loads_here_with_equal_logits(tmp_path: Path, name: str, shard_size: str) -> None:
    network = decoder(CONFIGS[name])
    save_model(network, tmp_path / "m")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "m").eval()
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size=shard_size)
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists() == (shard_size == "20KB")
    loaded = load_model(tmp_path / "theirs")
    assert isinstance(loaded, Decoder)
    assert loaded.state_dict().keys() == network.state_dict().keys()
    assert all(torch.equal(tensor, network.state_dict()[each]) for each, tensor in loaded.state_dict().items())
    with torch.no_grad():
        assert (theirs(IDS).logits - loaded(IDS)).abs().max() <= 1e-4


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_recurrent_network_comes_back_with_its_logits(tmp_path: Path, cell: str, tied: bool) -> None:
    network = Recurrent(RecurrentConfig(vocab_size=61, cell=cell, hidden_size=16, tie_word_embeddings=tied)).eval()  # pyright: ignore[reportArgumentType]
    save_model(network, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded, Recurrent)
    assert loaded.config == network.config
    assert torch.equal(loaded(IDS), network(IDS))


def test_softmax_regression_comes_back_with_its_logits(tmp_path: Path) -> None:
    network = SoftmaxRegression(SoftmaxRegressionConfig(vocab_size=61, hidden_size=8)).eval()
    save_model(network, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded, SoftmaxRegression)
    assert torch.equal(loaded(IDS), network(IDS))


def test_counting_models_come_back_with_their_scores(tmp_path: Path) -> None:
    text = [np.array([0, 1, 2, 3, 1, 2, 4, 1, 2, 3])]
    for model in (Uniform(7), Ngram.fit_sequences(text, NgramConfig(vocab_size=7, order=3))):
        save_model(model, tmp_path / "m")
        loaded = load_model(tmp_path / "m")
        assert isinstance(loaded, Ngram)
        assert np.array_equal(loaded.score(text)[0], model.score(text)[0])


@pytest.mark.parametrize(("dtype", "expected"), [("bfloat16", torch.bfloat16), (None, torch.float32), ("float32", torch.float32)])
def test_the_precision_asked_for_is_the_precision_stored(tmp_path: Path, dtype: Precision | None, expected: torch.dtype) -> None:
    save_model(decoder(), tmp_path / "m", dtype=dtype)
    assert {tensor.dtype for tensor in load_file(tmp_path / "m" / "model.safetensors").values()} == {expected}
    as_stored = load_model(tmp_path / "m", dtype=None)
    assert isinstance(as_stored, Decoder)
    assert as_stored.embed_tokens.weight.dtype == expected
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded, Decoder)
    assert loaded.embed_tokens.weight.dtype == torch.float32


def test_the_card_says_who_can_read_the_model(tmp_path: Path) -> None:
    save_model(decoder(), tmp_path / "a", facts={"bits per byte": 1.5})
    save_model(decoder(MIXTURES["sinusoidal"]), tmp_path / "b")
    known, own = ((tmp_path / name / "README.md").read_text() for name in "ab")
    assert "transformers" in known
    assert "| bits per byte | 1.5 |" in known
    assert "No other tool reads this layout" in own
    assert json.loads((tmp_path / "b" / "config.json").read_text())["model_type"] == "hanmo_decoder"


def test_saving_again_keeps_the_tokenizer_and_the_users_card_but_no_old_weights(tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text("{}")
    (tokenizer / "notes.txt").write_text("not a tokenizer's")
    folder = tmp_path / "m"
    save_model(decoder(), folder, tokenizer_folder=tokenizer)
    assert not (folder / "notes.txt").exists()
    (folder / "README.md").write_text("mine")
    (folder / "model-00001-of-00002.safetensors").write_text("old")
    (folder / "figures").mkdir()
    (folder / "figures" / "a.txt").write_text("a")
    save_model(decoder(), folder)
    assert (folder / "tokenizer.json").read_text() == "{}"
    assert (folder / "README.md").read_text() == "mine"
    assert (folder / "figures" / "a.txt").read_text() == "a"
    assert not (folder / "model-00001-of-00002.safetensors").exists()
    with pytest.raises(ModelError, match=r"tokenizer.json is missing"):
        save_model(decoder(), folder, tokenizer_folder=tmp_path)


def test_a_folder_or_file_that_is_no_model_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    for place in (tmp_path, tmp_path / "letters.txt"):
        with pytest.raises(StorageError, match="is no model folder"):
            save_model(decoder(), place)
    assert (tmp_path / "letters.txt").read_text() == "dear"
    with pytest.raises(ModelError, match="a Linear has no form on disk"):
        save_model(torch.nn.Linear(2, 2), tmp_path / "m")


def test_generation_defaults_and_end_tokens_are_kept(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIGS["llama"], bos_token_id=1, eos_token_id=2)
    save_model(decoder(config), tmp_path / "m", generation={"do_sample": True, "temperature": 0.7})
    expected = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2, "do_sample": True, "temperature": 0.7}
    assert read_generation(tmp_path / "m") == expected
    theirs = transformers.GenerationConfig.from_pretrained(tmp_path / "m")
    assert (theirs.temperature, theirs.eos_token_id) == (0.7, 2)
    (tmp_path / "m" / "generation_config.json").unlink()
    change(tmp_path / "m", eos_token_id=[2, 5])
    assert read_generation(tmp_path / "m") == {"eos_token_id": [2, 5]}
    (tmp_path / "m" / "generation_config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read as JSON"):
        read_generation(tmp_path / "m")


def test_an_encoder_decoder_tells_how_its_text_begins(tmp_path: Path) -> None:
    save_model(lively(ENCODER_DECODERS["marian"]), tmp_path / "m")
    expected = {"do_sample": False, "eos_token_id": 1, "pad_token_id": 60, "decoder_start_token_id": 60}
    assert read_generation(tmp_path / "m") == expected
    save_model(lively(ENCODERS["bert"]), tmp_path / "bert")
    assert not (tmp_path / "bert" / "generation_config.json").exists()
    assert "AutoModelForMaskedLM" in (tmp_path / "bert" / "README.md").read_text()


def test_a_key_that_nobody_reads_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_model(decoder(), tmp_path / "m")
    change(tmp_path / "m", mystery=3)
    load_model(tmp_path / "m")
    assert "mystery is read by nobody" in capsys.readouterr().err


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_file_cut_short_is_one_line(tmp_path: Path, share: float) -> None:
    save_model(decoder(), tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ModelError, match="damaged or cut short") as caught:
        load_model(tmp_path / "m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"n_layer": 10**6}, "is missing"),
        ({"n_layer": 10**9}, "whole number below"),
        ({"n_layer": 1}, "unexpected tensor"),
        ({"vocab_size": 10**7}, r"the tensor transformer.wte.weight has the shape \[61, 32\]"),
        ({"model_type": "mystery"}, "model_type"),
        ({"n_head": 0}, "n"),
    ],
)
def test_a_config_that_lies_about_the_weights_is_one_line(tmp_path: Path, keys: dict[str, object], message: str) -> None:
    save_model(decoder(), tmp_path / "m")
    change(tmp_path / "m", **keys)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(tmp_path / "m")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"hidden_size": 32}, "does not fit"),
        ({"num_hidden_layers": 10**9}, "below 2\\^24"),
        ({"num_hidden_layers": 10**6}, "asks for more layers than there are tensors"),
        ({"hidden_size": 0}, "hidden_size"),
        ({"cells": "gru"}, "unknown key 'cells'"),
        ({"vocab_size": "many"}, "vocab_size"),
    ],
)
def test_a_recurrent_config_that_lies_is_one_line(tmp_path: Path, keys: dict[str, object], message: str) -> None:
    save_model(Recurrent(RecurrentConfig(vocab_size=61, hidden_size=16)), tmp_path / "m")
    change(tmp_path / "m", **keys)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "m")


def test_folders_without_usable_weights_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is no model: .*config.json is missing"):
        load_model(tmp_path / "nowhere")
    save_model(decoder(), tmp_path / "m")
    (tmp_path / "m" / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="not one JSON object"):
        load_model(tmp_path / "m")
    save_model(decoder(), tmp_path / "w")
    weights = tmp_path / "w" / "model.safetensors"
    weights.rename(tmp_path / "w" / "elsewhere")
    with pytest.raises(ModelError, match=r"model.safetensors is missing"):
        load_model(tmp_path / "w")
    (tmp_path / "w" / "pytorch_model.bin").write_text("pickle")
    with pytest.raises(ModelError, match="only pickled weights"):
        load_model(tmp_path / "w")


def test_an_index_that_lies_is_one_line(tmp_path: Path) -> None:
    save_model(decoder(), tmp_path / "m")
    folder = tmp_path / "m"
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    names = list(load_file(folder / "a.safetensors"))
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(names, "a.safetensors")}))
    load_model(folder)
    lies: list[tuple[object, str]] = [
        ({"weight_map": {**dict.fromkeys(names, "a.safetensors"), "extra": "a.safetensors"}}, "has no tensor extra"),
        ({"weight_map": dict.fromkeys(names, "../a.safetensors")}, "points outside"),
        ({"weight_map": dict.fromkeys(names, "b.safetensors")}, r"b.safetensors is missing"),
        ({"weight_map": 3}, "cannot be read as an index"),
        ([], "cannot be read as an index"),
    ]
    for lie, message in lies:
        index.write_text(json.dumps(lie))
        with pytest.raises(ModelError, match=message):
            load_model(folder)
    save_file({names[0]: torch.zeros(2)}, folder / "b.safetensors")
    index.write_text(json.dumps({"weight_map": {names[0]: "b.safetensors", names[1]: "a.safetensors"}}))
    with pytest.raises(ModelError, match="is in two files"):
        load_model(folder)


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    save_model(decoder(), tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    save_file({name: tensor.to(torch.int8) for name, tensor in load_file(path).items()}, path)
    with pytest.raises(ModelError, match="int8: quantised"):
        load_model(tmp_path / "m")


SAVE_FOREVER = """
import sys
from pathlib import Path
import torch
from hanmo.model.decoder import Decoder
from hanmo.model.store import save_model
from tests.model.families.conftest import GPT2

network = Decoder(GPT2)
for step in range(10**9):
    torch.nn.init.constant_(network.embed_tokens.weight, float(step))
    torch.nn.init.constant_(network.position_embedding.weight, float(step))
    save_model(network, Path(sys.argv[1]))
    print(step, flush=True)
"""


def test_a_model_killed_while_it_is_saved_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", SAVE_FOREVER, str(tmp_path / "m")], cwd=root, stdout=subprocess.PIPE, text=True) as saving:
        assert saving.stdout is not None
        lines = [saving.stdout.readline() for _ in range(4)]
        saving.send_signal(signal.SIGKILL)
        saved = int((saving.stdout.read().split() or lines[-1].split())[-1])
    loaded = load_model(tmp_path / "m")
    assert isinstance(loaded, Decoder)
    assert loaded.position_embedding is not None
    assert loaded.embed_tokens.weight.unique().tolist() == loaded.position_embedding.weight.unique().tolist()
    assert loaded.embed_tokens.weight[0, 0].item() in (saved, saved + 1)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model_type": {"a": 1}}, "is not one that this version reads"),
        ({"vocab_size": 1 << 40}, "should be at least 1 and below 2"),
        ({"hidden_dropout": 2.0}, "hidden_dropout .=2.0. should be at least 0 and below 1"),
        ({"initializer_range": -1.0}, "initializer_range .=-1.0. should be at least 0"),
    ],
)
def test_what_fuzzing_found_in_a_config_is_one_line(tmp_path: Path, keys: dict[str, object], message: str) -> None:
    save_model(Recurrent(RecurrentConfig(vocab_size=61, hidden_size=8)), tmp_path / "m")
    change(tmp_path / "m", **keys)
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "m")


def test_an_index_deeper_than_anyone_writes_is_one_line(tmp_path: Path) -> None:
    save_model(decoder(), tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").unlink()
    (tmp_path / "m" / "model.safetensors.index.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match="cannot be read as an index"):
        load_model(tmp_path / "m")
