"""`hanmo pretrain` from the command line; killed at random moments, it gives the same bits."""

import json
import math
import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers

from hanmo.base.runs import Run
from hanmo.base.storage import sha256
from hanmo.cli.main import run
from hanmo.model.decoder import Decoder
from hanmo.model.store import load_model
from hanmo.plan.parameters import count_parameters

TEXTS = [f"{n} geese crossed {m} fields before the storm; 第{n}群大雁飞过了{m}片田野。" for n in range(10) for m in range(7)]
SMALL = [
    "--model.hidden-size=32",
    "--model.num-hidden-layers=2",
    "--model.num-attention-heads=2",
    "--model.max-position-embeddings=32",
    "--model.hidden-dropout=0.1",
    "--train.max-steps=60",
    "--train.warmup-steps=5",
    "--train.batch-size=4",
    "--train.eval-every=15",
    "--train.checkpoint-every=7",
    "--train.precision=bf16",
    "--train.threads=1",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set and a tokenizer made by their verbs."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), "utf-8")
    assert (
        run(["prepare", str(folder / "texts.jsonl"), "--out", str(folder / "data"), "--split.validation", "0.1", "--split.test", "0.1"])
        == 0
    )
    words = ["tokenizer", "train", str(folder / "data"), "--kind", "bpe", "--vocab-size", "300", "--out", str(folder / "tokenizer")]
    assert run(words) == 0
    return folder


def words(house: Path, out: Path, *more: str) -> list[str]:
    return ["pretrain", "--data", str(house / "data"), "--tokenizer", str(house / "tokenizer"), "--out", str(out), *SMALL, *more]


def test_killed_at_random_moments_and_started_again_gives_the_same_weights(house, tmp_path):
    assert run(words(house, tmp_path / "whole")) == 0
    command = [sys.executable, "-m", "hanmo.cli.main", *words(house, tmp_path / "killed")]
    moments, kills = random.Random(7), 0
    while kills < 4:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started = tmp_path / "killed" / "metrics.jsonl"
        try:
            # the first kills fall into the start of a process, the later ones into its training
            process.wait(timeout=moments.uniform(1.0, 3.0) if kills < 2 or not started.exists() else moments.uniform(3.0, 6.0))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    assert kills
    assert run(words(house, tmp_path / "killed")) == 0
    for part in ("model/model.safetensors", "model/config.json", "model/tokenizer.json", "tokens"):
        assert sha256(tmp_path / "killed" / part) == sha256(tmp_path / "whole" / part)
    losses = [
        [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()] for name in ("whole", "killed")
    ]
    assert losses[0] == losses[1]


def test_the_result_is_one_json_object(house, tmp_path, capsys):
    assert run(words(house, tmp_path / "run", "--train.max-steps=5", "--json")) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["run"] == str(tmp_path / "run")
    assert found["steps"] == 5
    assert found["packing"]


GEMMA3 = """
[model]
num_key_value_heads = 1
head_dim = 32
hidden_act = "gelu_pytorch_tanh"
sliding_window = 8
layer_types = ["sliding_attention", "full_attention"]
rope_theta = 1000000.0
rope_local_base_freq = 10000.0
rope_scaling = { rope_type = "linear", factor = 2.0 }
qk_norm = true
sandwich_norm = true
zero_centered_norm = true
scale_embedding = true
"""
QWEN2 = "[model]\nnum_key_value_heads = 1\nqkv_bias = true\ntie_word_embeddings = false\n"


@pytest.mark.parametrize(("recipe", "family"), [(GEMMA3, "gemma3_text"), (QWEN2, "qwen2")], ids=["gemma3", "qwen2"])
def test_what_is_trained_as_another_family_loads_there_with_equal_logits(house, tmp_path, recipe, family):
    (tmp_path / "recipe.toml").write_text(recipe)
    more = ["--train.max-steps=8", "--train.warmup-steps=2", "--model.hidden-dropout=0"]
    assert run(["pretrain", str(tmp_path / "recipe.toml"), *words(house, tmp_path / "run", *more)[1:]]) == 0
    ours = load_model(tmp_path / "run" / "model")
    assert isinstance(ours, Decoder)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "model").eval()
    assert theirs.config.model_type == family
    ids = torch.arange(60).view(2, 30) + 7
    with torch.no_grad():
        assert (theirs(ids).logits - ours(ids)).abs().max() <= 1e-4
    assert count_parameters(ours.config).total == sum(p.numel() for p in theirs.parameters())
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1] < math.log(ours.config.vocab_size) - 0.3


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--train.max-stepss=5"], 2, "max-steps"),
        (["--train.warmup-steps=90"], 2, "train.warmup_steps (=90) exceeds train.max_steps (=60)"),
        (["--model.num-attention-heads=3"], 2, "is not a multiple of model.num_attention_heads (=3)"),
        (["--data=nowhere"], 1, "nowhere"),
        (["--tokenizer=nowhere"], 1, "nowhere"),
        (["--out=/proc/nothing"], 1, "/proc/nothing"),
    ],
)
def test_wrong_words_are_one_line_and_a_code(house, tmp_path, capsys, more, code, message):
    assert run(words(house, tmp_path / "run", *more)) == code
    heard = capsys.readouterr().err
    assert message in heard
    assert "Traceback" not in heard


def test_a_misspelt_recipe_key_names_the_right_one(house, tmp_path, capsys):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[train]\nlearning_rat = 0.1\n")
    assert run(["pretrain", str(recipe), *words(house, tmp_path / "run")[1:]]) == 2
    assert "unknown key 'train.learning_rat': did you mean 'learning_rate'?" in capsys.readouterr().err


@pytest.fixture(scope="module")
def others(house: Path) -> Path:
    """Another data set and another tokenizer of the same size."""
    (house / "other.jsonl").write_text("".join(json.dumps({"text": text[::-1]}) + "\n" for text in TEXTS), "utf-8")
    assert run(["prepare", str(house / "other.jsonl"), "--out", str(house / "data2"), "--split.validation", "0.1"]) == 0
    assert run(["tokenizer", "train", str(house / "data2"), "--vocab-size", "300", "--out", str(house / "tokenizer2")]) == 0
    return house


@pytest.mark.parametrize(
    ("change", "what"), [("--data={}/data2", "another train documents"), ("--tokenizer={}/tokenizer2", "another tokenizer")]
)
def test_a_run_does_not_go_on_with_other_text_or_another_tokenizer(others, tmp_path, capsys, change, what):
    out = tmp_path / "run"
    assert run(words(others, out, "--train.max-steps=5")) == 0
    before = sha256(out / "model")
    for _ in range(2):
        assert run(words(others, out, "--train.max-steps=5", change.format(others))) == 2
        assert f"holds a run with {what}: choose another --out" in capsys.readouterr().err
    assert run(words(others, out, "--train.max-steps=5")) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert sha256(out / "model") == before


def test_a_vocabulary_smaller_than_the_tokenizers_is_refused(house, tmp_path, capsys):
    assert run(words(house, tmp_path / "run", "--model.vocab-size=100")) == 2
    assert "model.vocab_size (=100) is smaller than the tokenizer's (=300)" in capsys.readouterr().err


def test_a_data_set_without_validation_documents_says_how_to_get_some(house, tmp_path, capsys):
    (tmp_path / "one.txt").write_text(TEXTS[0])
    assert run(["prepare", str(tmp_path / "one.txt"), "--out", str(tmp_path / "data")]) == 0
    capsys.readouterr()
    assert run([*words(house, tmp_path / "run"), "--data", str(tmp_path / "data")]) == 1
    assert "has no validation documents: prepare it again with more files" in capsys.readouterr().err


def test_two_processes_do_not_train_in_one_folder(house, tmp_path, capsys):
    with Run(tmp_path).alone("training"):
        assert run(words(house, tmp_path)) == 1
    assert "another hanmo is at work" in capsys.readouterr().err


def test_an_encoder_learns_masked_words_from_the_command_line(house, tmp_path, capsys):
    tokenizer, out = tmp_path / "tokenizer", tmp_path / "run"
    made = ["tokenizer", "train", str(house / "data"), "--vocab-size", "320", "--objectives", "masked", "--out", str(tokenizer)]
    assert run(made) == 0
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        "[encoder]\nhidden_size = 32\nnum_hidden_layers = 1\nmax_position_embeddings = 32\n"
        '[train]\nmax_steps = 12\nwarmup_steps = 2\nbatch_size = 4\nprecision = "fp32"\nthreads = 1\nobjective.name = "masked"\n'
    )
    asked = ["pretrain", str(recipe), "--data", str(house / "data"), "--tokenizer", str(tokenizer), "--out", str(out), "--json"]
    assert run(asked) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["steps"], found["packing"]["objective"]) == (12, "masked")
    written = json.loads((out / "model" / "config.json").read_text())
    assert (written["architectures"], written["pad_token_id"]) == (["BertForMaskedLM"], None)
    assert run([*asked[:-1], "--encoder.vocab-size=100", "--out", str(tmp_path / "other")]) == 2
    assert "encoder.vocab_size (=100) is smaller than the tokenizer's" in capsys.readouterr().err


def test_an_objective_that_the_network_or_the_tokenizer_cannot_serve_is_one_line(house, tmp_path, capsys):
    assert run(words(house, tmp_path / "run", "--train.objective.name=masked", "--network=decoder")) == 2
    assert "train.objective.name (=masked) cannot train network 'decoder', but encoder" in capsys.readouterr().err
    assert run(words(house, tmp_path / "run", "--train.objective.name=span_corruption")) == 2
    assert "sentinels (it has 0) in the tokenizer" in capsys.readouterr().err
