import math
from pathlib import Path

import numpy as np
import pytest
import torch

import hanmo
from hanmo.api import LoadedModel
from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.ngram import Ngram
from hanmo.model.recurrent import Recurrent
from hanmo.model.store import save_model
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer

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
