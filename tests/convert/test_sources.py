"""Whatever a user calls a model becomes a folder that loads, or one line."""

import os
from pathlib import Path

import pytest
import torch
import transformers
from tests.convert.conftest import model_folder
from tests.model.families.conftest import SMALL

import hanmo
from hanmo.base.errors import ModelError
from hanmo.convert.gguf import export_gguf
from hanmo.convert.gguf_writer import write_gguf
from hanmo.convert.sources import local_model
from hanmo.data.catalogue import ENTRIES, find
from hanmo.model.store import load_model


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HANMO_CORPORA", str(tmp_path / "corpora"))


def test_folders_and_runs_are_taken_as_they_are(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "run" / "model", SMALL)
    assert local_model(folder) == local_model(str(tmp_path / "run")) == folder


def test_a_gguf_file_is_imported_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", SMALL)
    path = tmp_path / "m.gguf"
    export_gguf(folder, path)
    place = local_model(path)
    assert (tmp_path / "cache" / "imported") in place.parents
    made = (place / "config.json").stat().st_mtime_ns
    assert local_model(path) == place and (place / "config.json").stat().st_mtime_ns == made
    model = hanmo.load(path)
    assert model.generate("the", greedy=True, max_tokens=5) == hanmo.load(str(path)).generate("the", greedy=True, max_tokens=5)
    os.utime(path, ns=(1, 1))
    assert local_model(path) != place


def test_a_fetched_name_stands_for_its_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not on this machine yet: hanmo fetch gemma3-270m"):
        local_model("gemma3-270m")
    place = tmp_path / "corpora" / "gemma3-270m"
    place.mkdir(parents=True)
    export_gguf(model_folder(tmp_path / "m", SMALL), place / "any.gguf")
    assert (local_model("gemma3-270m") / "model.safetensors").is_file()
    with pytest.raises(ModelError, match="is a corpus, no model"):
        local_model("shakespeare")


@pytest.mark.parametrize("name", ["weights.bin", "model.pt", "model.pth", "last.ckpt", "m.pkl"])
def test_pickled_weights_are_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="pickled weights, which can run any code"):
        local_model(tmp_path / name)


def test_a_pickle_under_another_name_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match="does not begin with GGUF"):
        local_model(tmp_path / "model.gguf")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="give the folder"):
        local_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("name", ["m.gguf", "m/model.safetensors"])
def test_a_pointer_of_git_is_told_from_a_damaged_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n")
    with pytest.raises(ModelError, match="is a pointer of Git LFS, not the file itself: say git lfs pull"):
        load_model(local_model(tmp_path / name.removesuffix("/model.safetensors")))


def test_older_forms_and_files_that_go_with_a_model_are_called_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "m.bin.gguf").write_bytes(b"tjgg" + bytes(40))
    with pytest.raises(ModelError, match="is a model of GGML, the form before GGUF"):
        local_model(tmp_path / "m.bin.gguf")
    write_gguf(tmp_path / "a.gguf", {"general.architecture": "llama", "general.type": "adapter"}, {})
    with pytest.raises(ModelError, match=r"holds no model but what goes with one \(general\.type = 'adapter'\)"):
        local_model(tmp_path / "a.gguf")


def test_a_truncated_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", SMALL)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="is damaged or cut short") as caught:
        hanmo.load(folder)
    assert "\n" not in str(caught.value)


def test_what_is_nothing_says_what_there_could_be(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="names that hanmo fetch knows are smollm2-135m-instruct"):
        local_model(tmp_path / "nothing")
    with pytest.raises(ModelError, match=r"config.json is missing"):
        local_model(tmp_path)


SENTENCES = ["A boat lies in the harbour.", "A small ship is moored in the port.", "The bank raised its rates.", "", "long " * 400]
MINILM = find(ENTRIES["minilm-l6"])


@pytest.mark.slow
@pytest.mark.skipif(MINILM is None, reason="hanmo fetch minilm-l6 has not been run here")
def test_a_fetched_encoder_gives_the_vectors_of_transformers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MINILM is not None
    monkeypatch.undo()  # where it has been fetched to, not the empty cache
    vectors = hanmo.load_encoder("minilm-l6").embed(SENTENCES)
    tokenizer = transformers.AutoTokenizer.from_pretrained(MINILM)
    given = tokenizer(SENTENCES, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        states = transformers.AutoModel.from_pretrained(MINILM).eval()(**given).last_hidden_state
    mask = given["attention_mask"][..., None]
    expected = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1)).numpy()
    assert (vectors * expected).sum(1).min() >= 0.9999
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]
