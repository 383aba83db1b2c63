"""A decoder saved without its head gives the vectors of transformers, and refuses what it has no head for."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tests.convert.conftest import model_folder, outgoing
from tests.model.families.conftest import CONFIGS, SMALL

import hanmo
from hanmo.base.errors import ModelError
from hanmo.convert.folders import write_folder_of
from hanmo.convert.gguf import export_gguf
from hanmo.convert.gguf_reader import GgufFile
from hanmo.convert.gguf_writer import write_gguf
from hanmo.model.decoder import Decoder
from hanmo.model.embedder import Embedder, lacks_head
from hanmo.model.store import load_model

NAMES = ["llama", "mistral", "qwen2", "qwen3", "gemma3_text"]
UNTIED = {name: dataclasses.replace(CONFIGS[name], tie_word_embeddings=False) for name in NAMES}
TEXTS = ["the rain in the plain", "雨下在山上", "a"]


def saved_bare(place: Path, name: str) -> Path:
    """A folder as transformers saves the model inside a language model: no head, names without its prefix."""
    whole = model_folder(place / "whole", UNTIED[name])
    network = transformers.AutoModel.from_pretrained(whole)
    network.save_pretrained(place / "bare")
    for file in whole.glob("token*"):
        (place / "bare" / file.name).write_bytes(file.read_bytes())
    assert "lm_head.weight" not in load_file(place / "bare" / "model.safetensors")
    return place / "bare"


def pooled(folder: Path, kind: str = "lasttoken") -> Path:
    """The same with the files of sentence-transformers."""
    (folder / "1_Pooling").mkdir()
    modules = [{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"}, {"type": "x.Normalize", "path": ""}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{kind}": True}))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_an_embedder_gives_the_vectors_of_transformers(tmp_path: Path, name: str) -> None:
    folder = pooled(saved_bare(tmp_path, name))
    model = hanmo.load(folder)
    assert isinstance(model.network, Embedder)
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    for text, vector in zip(TEXTS, model.embed(TEXTS), strict=True):
        ids = torch.tensor([[*model.tokenizer.opening, *model.tokenizer.encode(text).tolist()]])
        with torch.no_grad():
            state = theirs(ids).last_hidden_state[0, -1]
        assert np.abs(vector - (state / state.norm()).numpy()).max() <= 1e-5
    assert np.array_equal(hanmo.load_encoder(folder).embed(TEXTS), model.embed(TEXTS))
    assert hanmo.load(folder, dtype="int8").embed(TEXTS).shape == (3, 32)


def test_what_needs_a_head_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = saved_bare(tmp_path, "qwen3")
    model = hanmo.load(folder)
    for ask in (
        lambda: model.generate("the rain", max_tokens=2),
        lambda: model.generate("the rain", num_beams=2, max_tokens=2),
        lambda: list(model.stream("the rain", max_tokens=2)),
        lambda: model.score("the rain"),
        lambda: export_gguf(folder, tmp_path / "m.gguf"),
    ):
        with pytest.raises(ModelError, match=r"(?i)embedder") as caught:
            ask()
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "m.gguf").exists()


def test_a_copy_keeps_how_vectors_are_made(tmp_path: Path) -> None:
    folder = pooled(saved_bare(tmp_path, "qwen3"))
    write_folder_of(folder, tmp_path / "copy")
    assert np.array_equal(hanmo.load(tmp_path / "copy").embed(TEXTS), hanmo.load(folder).embed(TEXTS))


def test_a_gguf_file_that_is_for_vectors_is_an_embedder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANMO_CACHE", str(tmp_path / "cache"))
    folder = model_folder(tmp_path / "m", SMALL)
    export_gguf(folder, tmp_path / "plain.gguf", "f32")
    file = GgufFile(tmp_path / "plain.gguf")
    tensors = {name: outgoing(file.read(name)) for name in file.tensors}
    write_gguf(tmp_path / "m.gguf", {**file.metadata, "llama.pooling_type": 3}, tensors)
    model = hanmo.load(tmp_path / "m.gguf")
    assert isinstance(model.network, Embedder) and not isinstance(hanmo.load(tmp_path / "plain.gguf").network, Embedder)
    expected = hanmo.load(folder).embed(TEXTS, pooling="last", normalize=True)
    assert np.abs(model.embed(TEXTS) - expected).max() <= 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_is_an_embedder_again_here_and_there(tmp_path: Path, name: str) -> None:
    folder = saved_bare(tmp_path, name)
    write_folder_of(folder, tmp_path / "copy")
    network = load_model(tmp_path / "copy")
    assert isinstance(network, Embedder)
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "copy").eval()
    assert json.loads((tmp_path / "copy" / "config.json").read_text())["architectures"] == [type(theirs).__name__]
    ids = torch.arange(12)[None]
    with torch.no_grad():
        assert (theirs(ids).last_hidden_state - network.hidden(ids)).abs().max() <= 1e-4


def test_a_head_that_got_lost_is_still_missing(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", UNTIED["llama"])
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"lm_head\.weight is missing"):
        load_model(folder)


def test_a_tied_model_keeps_its_head_unless_its_folder_is_an_embedders(tmp_path: Path) -> None:
    whole = model_folder(tmp_path / "whole", SMALL)
    transformers.AutoModel.from_pretrained(whole).save_pretrained(tmp_path / "bare")
    network = load_model(tmp_path / "bare")
    assert isinstance(network, Decoder) and not isinstance(network, Embedder)
    assert isinstance(load_model(pooled(tmp_path / "bare")), Embedder)


@pytest.mark.parametrize(
    ("architecture", "names", "tied", "is_pooled", "expected"),
    [
        ("LlamaModel", ["embed_tokens.weight"], False, False, True),
        ("LlamaModel", ["model.embed_tokens.weight"], False, False, True),
        ("Qwen3ForCausalLM", ["embed_tokens.weight"], False, False, True),
        ("Qwen3ForCausalLM", ["model.embed_tokens.weight"], False, True, True),
        ("Qwen3ForCausalLM", ["embed_tokens.weight"], True, True, True),
        ("Qwen3ForCausalLM", ["model.embed_tokens.weight", "lm_head.weight"], False, True, False),
        ("Qwen3ForCausalLM", ["model.embed_tokens.weight"], False, False, False),
        ("GPT2LMHeadModel", ["model.wte.weight"], True, True, False),
        ("LlamaModel", ["embed_tokens.weight"], True, False, False),
    ],
)
def test_what_is_an_embedder(architecture: str, names: list[str], tied: bool, is_pooled: bool, expected: bool) -> None:
    values = {"architectures": [architecture]}
    assert lacks_head(values, names, prefix="model.", tied=tied, is_pooled=is_pooled) == expected


def test_a_config_without_an_architecture_says_nothing() -> None:
    assert not lacks_head({"architectures": "x"}, ["model.a"], prefix="model.", tied=False, is_pooled=False)
