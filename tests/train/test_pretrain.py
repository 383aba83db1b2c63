import dataclasses
import json
import math
import random

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from hanmo.base.errors import ConfigError
from hanmo.base.records import Document
from hanmo.base.runs import Run
from hanmo.batches.config import ObjectiveConfig
from hanmo.batches.store import TokenStore
from hanmo.generate.engine import generate
from hanmo.generate.fill import Gap
from hanmo.generate.options import SamplingOptions
from hanmo.model.config import DecoderConfig, RecurrentConfig
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.store import load_model
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer
from hanmo.train.config import TrainConfig
from hanmo.train.pretrain import Settings, pretrain

TEXTS = [
    f"The {a} fox number {n} crossed the {b} river, and 狐狸过了第{n}条河。"
    for n in range(12)
    for a in ("red", "old")
    for b in ("wide", "cold")
]
MODEL = DecoderConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=32)
TRAIN = TrainConfig(max_steps=20, warmup_steps=2, batch_size=4, eval_every=10, precision="fp32", threads=1, learning_rate=5e-3)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A tokenizer folder and token stores of a small bilingual text."""
    folder = tmp_path_factory.mktemp("house")
    tokenizer = train_tokenizer(TEXTS, TokenizerConfig(vocab_size=320))
    tokenizer.save(folder / "tokenizer")
    stores = {}
    for split, texts in {"train": TEXTS[8:], "validation": TEXTS[:8]}.items():
        documents = [Document(id=f"{split}{n}", text=text) for n, text in enumerate(texts)]
        stores[split] = TokenStore.build(folder / split, documents, tokenizer.encode_batch, tokenizer.eot_id, tokenizer.vocab_size)
    return folder / "tokenizer", stores, tokenizer


def run(house, out, model=MODEL, train=TRAIN):
    tokenizer, stores, words = house
    settings = Settings(model=dataclasses.replace(model, vocab_size=words.vocab_size, eos_token_id=words.eot_id), train=train)
    return pretrain(settings, stores=stores, tokenizer=tokenizer, run=Run(out))


def test_a_run_folder_tells_everything_about_itself(house, tmp_path):
    manifest = run(house, tmp_path / "run")
    folder = Run(tmp_path / "run")
    assert json.loads(folder.manifest.read_text()) == json.loads(json.dumps(manifest))
    assert manifest["steps"] == 20
    assert manifest["parameters"] == sum(p.numel() for p in load_model(folder.model).parameters())
    assert manifest["peak_memory_bytes"] > 1e8
    assert 'precision = "fp32"' in folder.config.read_text()
    assert (folder.model / "tokenizer.json").exists()
    losses = [row["loss"] for row in folder.read_metrics()]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("layout", "change"),
    [
        ("llama", {}),
        ("qwen3", {"qk_norm": True}),
        (
            "gpt2",
            {
                "position_embedding": "learned",
                "norm": "layer_norm",
                "hidden_act": "gelu_pytorch_tanh",
                "gated_mlp": False,
                "attention_bias": True,
                "mlp_bias": True,
            },
        ),
    ],
)
def test_what_is_trained_here_loads_in_transformers_with_equal_logits(house, tmp_path, layout, change):
    run(house, tmp_path / "run", model=dataclasses.replace(MODEL, **change))
    folder = Run(tmp_path / "run").model
    assert json.loads((folder / "config.json").read_text())["model_type"] == layout
    theirs, ours = AutoModelForCausalLM.from_pretrained(folder).eval(), load_model(folder).eval()
    ids = torch.from_numpy(house[1]["validation"].document(0))[None].long()
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, ours(ids), atol=1e-4, rtol=1e-4)


def test_the_same_command_again_does_nothing(house, tmp_path, capsys):
    first = run(house, tmp_path / "run")
    stamp = (tmp_path / "run" / "model" / "model.safetensors").stat().st_mtime_ns
    assert json.dumps(run(house, tmp_path / "run"), sort_keys=True) == json.dumps(first, sort_keys=True)
    assert (tmp_path / "run" / "model" / "model.safetensors").stat().st_mtime_ns == stamp
    assert "nothing to do" in capsys.readouterr().err


def test_other_settings_in_the_same_folder_are_refused(house, tmp_path):
    run(house, tmp_path / "run", train=dataclasses.replace(TRAIN, max_steps=2))
    with pytest.raises(ConfigError, match=r"train.learning_rate = 0.005, now 0.1: choose another --out"):
        run(house, tmp_path / "run", train=dataclasses.replace(TRAIN, max_steps=2, learning_rate=0.1))


def test_the_seed_decides_the_weights(house, tmp_path):
    short = dataclasses.replace(TRAIN, max_steps=3)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(house, tmp_path / name, train=dataclasses.replace(short, seed=seed))
    a, b, c = ((tmp_path / name / "model" / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c


def test_a_recurrent_network_takes_the_same_road(house, tmp_path):
    model = RecurrentConfig(hidden_size=32, num_hidden_layers=1)
    manifest = run(house, tmp_path / "run", model=model, train=dataclasses.replace(TRAIN, optimizer="adamw", context_length=16))
    assert manifest["validation_loss"] < 5.8
    with pytest.raises(ConfigError, match=r"train\.context_length"):
        run(house, tmp_path / "other", model=model)


def test_isolated_documents_train_too(house, tmp_path):
    manifest = run(house, tmp_path / "run", train=dataclasses.replace(TRAIN, max_steps=3, packing="isolate"))
    assert manifest["steps"] == 3


SENTENCES = [
    f"{who} {did} the {what} {when}, {after}."
    for who in ("The baker", "Our neighbour", "A child", "The pilot")
    for did in ("carried", "painted", "forgot")
    for what in ("green door", "old lantern", "wooden boat")
    for when in ("before noon", "on Sunday")
    for after in ("and nobody saw it", "because it rained")
]
ENCODER = EncoderConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=32)
BOTH = EncoderDecoderConfig(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=32)
OBJECTIVES = {
    "masked": ENCODER,
    "span_corruption": BOTH,
    "prefix": MODEL,
    "prefix read both ways": BOTH,
    "fill_in_the_middle": MODEL,
}


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """The same with special tokens for every objective, and English sentences to learn."""
    folder = tmp_path_factory.mktemp("marked")
    tokenizer = train_tokenizer(SENTENCES, TokenizerConfig(vocab_size=460, objectives=("masked", "span_corruption", "fill_in_the_middle")))
    tokenizer.save(folder / "tokenizer")
    stores = {}
    mixed = random.Random(3).sample(SENTENCES, len(SENTENCES))  # every word is seen in training
    for split, part in {"train": mixed[:112], "validation": mixed[112:]}.items():
        documents = [Document(id=f"{split}{n}", text=text) for n, text in enumerate(part)]
        stores[split] = TokenStore.build(folder / split, documents, tokenizer.encode_batch, tokenizer.eot_id, tokenizer.vocab_size)
    return folder / "tokenizer", stores, tokenizer


def objective_settings(name, **more):
    objective = ObjectiveConfig(name=name.split()[0])
    return dataclasses.replace(TRAIN, objective=objective, **{"max_steps": 60, "eval_every": 20, "batch_size": 8, **more})


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_lowers_its_validation_loss(marked, tmp_path, name):
    train = objective_settings(name, max_steps=200 if name == "masked" else 60)  # one token in seven teaches
    manifest = run(marked, tmp_path / "run", model=OBJECTIVES[name], train=train)
    losses = [row["validation_loss"] for row in Run(tmp_path / "run").read_metrics() if row.get("validation_loss") is not None]
    start = math.log(marked[2].vocab_size)
    assert losses[-1] < losses[0] < start
    assert losses[-1] < 0.8 * start
    assert manifest["packing"]["objective"] == train.objective.name
    assert type(load_model(Run(tmp_path / "run").model).config) is type(OBJECTIVES[name])


def test_the_same_settings_give_the_same_weights(marked, tmp_path):
    train = objective_settings("span_corruption", max_steps=12, eval_every=6)
    whole = run(marked, tmp_path / "whole", model=BOTH, train=train)
    run(marked, tmp_path / "again", model=BOTH, train=train)
    weights = [load_file(Run(tmp_path / name).model / "model.safetensors") for name in ("whole", "again")]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert whole["steps"] == 12


@pytest.mark.parametrize(
    ("name", "model", "more", "message"),
    [
        ("masked", MODEL, {}, "cannot train network 'decoder'"),
        ("next_token", ENCODER, {}, "cannot train network 'encoder'"),
        ("masked", ENCODER, {"context_length": 33}, "exceeds the 32 positions"),
        ("prefix", BOTH, {"packing": "isolate"}, "one pair a row"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_written(marked, tmp_path, name, model, more, message):
    with pytest.raises(ConfigError, match=message):
        run(marked, tmp_path / "run", model=model, train=objective_settings(name, **more))


def test_a_tokenizer_without_the_special_tokens_is_refused(house, tmp_path):
    with pytest.raises(ConfigError, match="needs a mask token in the tokenizer"):
        run(house, tmp_path / "run", model=ENCODER, train=objective_settings("masked"))


def test_a_trained_encoder_loads_in_transformers(marked, tmp_path):
    run(marked, tmp_path / "run", model=ENCODER, train=objective_settings("masked", max_steps=5, eval_every=5))
    folder = Run(tmp_path / "run").model
    ids, ours = torch.arange(5, 25)[None], load_model(folder)
    theirs = AutoModelForMaskedLM.from_pretrained(folder)
    with torch.no_grad():
        assert (theirs(ids).logits - ours(ids)).abs().max() <= 1e-4


LETTERS = "abcdefghijklmnopqrstuvwxyz"
LEARNERS = {
    "masked": EncoderConfig(hidden_size=64, num_hidden_layers=2, max_position_embeddings=24),
    "span_corruption": EncoderDecoderConfig(hidden_size=64, num_hidden_layers=2, max_position_embeddings=24),
    "fill_in_the_middle": DecoderConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=24),
}


def gaps_filled(network, words, texts):
    """The share of gaps, of one to three letters, that are filled with exactly what was taken out."""
    chance = random.Random(2)
    cuts = [(text, at, at + chance.randint(1, 3)) for text in texts for at in (chance.randrange(2, len(text) - 4),)]
    if isinstance(network, Encoder):
        mask = words.special_id("mask_token")
        right = []
        for text, at, _ in cuts:
            ids = torch.tensor([[words.eot_id, *words.encode(text)]]).long()
            hidden = ids.index_fill(1, torch.tensor([at + 1]), mask)
            with torch.no_grad():
                right.append(int(network(hidden)[0, at + 1].argmax()) == int(ids[0, at + 1]))
        return sum(right) / len(right)
    made = generate(network, words, [Gap(text[:at], text[to:]) for text, at, to in cuts], SamplingOptions(greedy=True, max_tokens=9))
    return sum(one.text == text[at:to] for one, (text, at, to) in zip(made, cuts, strict=True)) / len(cuts)


@pytest.mark.parametrize("name", LEARNERS)
def test_what_its_context_decides_is_learned_to_the_last_letter(tmp_path, name):
    """Runs of the alphabet from any letter on: both ends of a gap decide what stood in it, and how much."""
    every = [(LETTERS * 2)[start : start + length] for start in range(26) for length in range(10, 20)]
    random.Random(1).shuffle(every)
    words = train_tokenizer(every, TokenizerConfig(kind="character", vocab_size=500, objectives=(name,)))
    words.save(tmp_path / "tokenizer")
    stores = {}
    for split, texts in {"train": every[40:], "validation": every[:40]}.items():
        documents = [Document(id=f"{split}{n}", text=text) for n, text in enumerate(texts)]
        stores[split] = TokenStore.build(tmp_path / split, documents, words.encode_batch, words.eot_id, words.vocab_size)
    share, mean_span = (0.3, 1.5) if name == "span_corruption" else (0.15, 3.0)  # several spans: the last one always ends the text
    objective = ObjectiveConfig(name=name, unit="token", rate=0.9, share=share, mean_span=mean_span)
    packing = "fixed" if name == "span_corruption" else "isolate"
    train = dataclasses.replace(
        TRAIN, max_steps=250, warmup_steps=10, batch_size=32, eval_every=125, learning_rate=2e-3, packing=packing, objective=objective
    )
    manifest = run((tmp_path / "tokenizer", stores, words), tmp_path / "run", model=LEARNERS[name], train=train)
    # where a text ends nobody can know, and both halves of an encoder-decoder have more to learn: its gaps are not exact by then
    least = {"masked": 0.15, "span_corruption": 0.6, "fill_in_the_middle": math.log(26)}
    assert manifest["validation_loss"] < least[name]
    if name != "span_corruption":
        assert gaps_filled(load_model(Run(tmp_path / "run").model), words, every[:40]) >= 0.95
