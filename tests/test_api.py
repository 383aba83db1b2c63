import math
from pathlib import Path

import numpy as np
import pytest
import torch

import hanmo
from hanmo.api import LoadedModel
from hanmo.cli.main import run as verb
from hanmo.data.duplicates.exact import DuplicateConfig
from hanmo.data.prepare import PrepareConfig
from hanmo.data.reading.read import ReadConfig
from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.ngram import Ngram
from hanmo.model.recurrent import Recurrent
from hanmo.model.store import save_model
from hanmo.pipeline.pretrain import PretrainOptions
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer
from hanmo.train.config import TrainConfig

TEXTS = ["the rain in the plain", "雨下在山上，山上有雨。"] * 4


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TEXTS, TokenizerConfig(kind="bpe", vocab_size=280)).save(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tokenizer: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    size, eot = Tokenizer.load(tokenizer).vocab_size, Tokenizer.load(tokenizer).eot_id
    config = DecoderConfig(
        vocab_size=size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=32,
        initializer_range=0.3,
        bos_token_id=eot,
        eos_token_id=eot,
    )
    run = tmp_path_factory.mktemp("run")
    save_model(Decoder(config), run / "model", tokenizer_folder=tokenizer, generation={"temperature": 0.5, "max_new_tokens": 9})
    return run / "model"


def test_a_model_folder_and_its_run_load_as_the_same_model(folder: Path) -> None:
    from_run, from_folder = hanmo.load(folder.parent), hanmo.load(str(folder))
    assert isinstance(from_run, LoadedModel)
    assert from_run.generate("the", seed=1) == from_folder.generate("the", seed=1)
    assert from_run.config == from_run.network.config


def test_a_score_is_the_sum_of_its_log_probabilities_whatever_the_model(folder: Path, tokenizer: Path, tmp_path: Path) -> None:
    words = Tokenizer.load(tokenizer)
    documents = [np.array([words.eot_id, *words.encode(text)]) for text in TEXTS]
    save_model(
        Ngram.fit_sequences(documents, NgramConfig(vocab_size=words.vocab_size, order=3)), tmp_path / "n", tokenizer_folder=tokenizer
    )
    save_model(Recurrent(RecurrentConfig(vocab_size=words.vocab_size, hidden_size=8)), tmp_path / "r", tokenizer_folder=tokenizer)
    for place in (folder, tmp_path / "n", tmp_path / "r"):
        model = hanmo.load(place)
        score = model.score("the rain 雨")
        assert score.bytes == len("the rain 雨".encode())
        assert score.bits == pytest.approx(-sum(score.logprobs) / math.log(2))
        assert score.bits_per_byte == pytest.approx(score.bits / score.bytes)
        assert score.ids == words.encode("the rain 雨").tolist()
        assert model.generate("the", seed=0, max_tokens=4) == model.generate("the", seed=0, max_tokens=4)
    assert math.isnan(hanmo.load(folder).score("").bits_per_byte)


def test_a_score_is_what_the_network_says_itself(folder: Path) -> None:
    model = hanmo.load(folder)
    score = model.score("the plain")
    assert isinstance(model.network, Decoder)
    ids = torch.tensor([[model.tokenizer.eot_id, *score.ids]])
    with torch.no_grad():
        logs = model.network(ids)[0].log_softmax(-1)
    assert score.logprobs == pytest.approx([logs[place, each].item() for place, each in enumerate(score.ids)], abs=1e-5)


NOTES = "".join(f"At hour {n} the ferry left pier {n % 7}. 第{n}时渡船离开了{n % 5}号码头。\n" for n in range(80))
SHAPE = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 32}


def test_the_verbs_make_from_python_what_they_make_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(NOTES, "utf-8")
    config = PrepareConfig(workers=1, read=ReadConfig(split_on="line"), duplicates=DuplicateConfig(near=False))
    data = hanmo.prepare(tmp_path / "notes.txt", out=tmp_path / "data", config=config)
    assert data.kept == sum(data.documents.values()) and data.inputs == data.kept + sum(data.refused.values())
    tokenizer = hanmo.train_tokenizer(data.folder, out=tmp_path / "tokenizer", config=TokenizerConfig(vocab_size=300))
    train = TrainConfig(max_steps=12, warmup_steps=1, batch_size=2, eval_every=6, precision="fp32", threads=1)
    places = {"data": data.folder, "tokenizer": tmp_path / "tokenizer"}
    made = hanmo.pretrain(PretrainOptions(**places, out=tmp_path / "one", model=DecoderConfig(**SHAPE), train=train))
    assert (made.steps, made.stopped_by) == (12, "limit") and made.validation_loss is not None
    flags = [f"--model.{name.replace('_', '-')}={value}" for name, value in SHAPE.items()]
    flags += ["--train.max-steps=12", "--train.warmup-steps=1", "--train.batch-size=2", "--train.eval-every=6"]
    flags += ["--train.precision=fp32", "--train.threads=1", "--fitted"]
    words = ["pretrain", "--data", str(data.folder), "--tokenizer", str(tmp_path / "tokenizer"), "--out", str(tmp_path / "two")]
    assert verb([*words, *flags]) == 0
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    found = hanmo.measure(made.folder, data.folder, split="validation")
    assert found.bits_per_byte < 8 and found.bytes == data.bytes["validation"]
    assert hanmo.load(made.folder).tokenizer.vocab_size == tokenizer.vocab_size


def test_a_recipe_is_run_from_python(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(NOTES, "utf-8")
    recipe = tmp_path / "notes.toml"
    recipe.write_text(f'sources = ["{tmp_path / "notes.txt"}"]\nstages = ["tokenizer"]\n[tokenizer]\nvocab_size = 300\n', "utf-8")
    made = hanmo.run(recipe, out=tmp_path / "run")
    assert made.report is None and made.evaluation == {} and (made.folder / "tokenizer" / "tokenizer.json").exists()
