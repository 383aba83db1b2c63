"""`hanmo plan` on a small recipe: formulas, a real probe in a process of its own, and what a run folder already knows."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from hanmo.base.errors import HanmoError
from hanmo.base.runs import Run
from hanmo.base.storage import write_json
from hanmo.cli import plan
from hanmo.cli.main import run
from hanmo.cli.recipe import read_recipe
from hanmo.data.prepare import PrepareConfig, prepare
from hanmo.data.reading.read import read_dataset
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.plan.memory import count_memory
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import train_tokenizer
from hanmo.train.config import TrainConfig

RECIPE = """
sources = ["notes"]
[prepare]
workers = 1
[tokenizer]
vocab_size = 300
[model]
hidden_size = 64
num_hidden_layers = 2
num_attention_heads = 2
max_position_embeddings = 32
[train]
max_steps = 40
warmup_steps = 4
batch_size = 4
eval_every = 10
threads = 1
[plan]
probe_seconds = 0.1
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "small.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def probed(recipe: Path) -> dict[str, Any]:
    """The plan of the recipe, with a real probe."""
    return plan.run(plan.parse([str(recipe), "--price-per-hour", "3.6", "--watts", "100"]))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, recipe: Path) -> Run:
    """A run folder with its data and its tokenizer."""
    folder = tmp_path_factory.mktemp("begun")
    notes = folder / "notes.jsonl"
    notes.write_text("".join(json.dumps({"text": f"In year {n} the lake froze on day {n % 31}. 湖水结冰。" * 3}) + "\n" for n in range(60)))
    run = Run(folder / "run").create()
    prepare([notes], run.data, PrepareConfig(workers=1))
    texts = (document.text for document in read_dataset(run.data, "train"))
    train_tokenizer(texts, read_recipe(recipe).tokenizer).save(run.tokenizer)
    return run


def test_parameters_are_those_of_the_real_network(probed: dict[str, Any]) -> None:
    config = DecoderConfig(vocab_size=300, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=32)
    assert probed["parameters"]["total"] == sum(p.numel() for p in Decoder(config).parameters())
    assert sum(probed["parameters"]["parts"].values()) == probed["parameters"]["total"]


def test_forecast_comes_from_the_probe(probed: dict[str, Any]) -> None:
    seen, said = probed["measured"]["probe"], probed["forecast"]
    assert probed["tokens_per_second"] == pytest.approx(seen["tokens_per_second"])
    assert said["peak_memory_bytes"] >= seen["peak_memory_bytes"] > probed["measured"]["process_bytes"] > 5e7
    assert said["minutes"] == pytest.approx(sum(probed["seconds"].values()) / 60)
    assert said["money"] == pytest.approx(0.06 * said["minutes"]) and said["energy_kwh"] == pytest.approx(said["minutes"] / 600)
    assert probed["steps"] == 40 and probed["tokens"] == 40 * 4 * 32 and probed["fits"]
    assert "assume_as_busy" in probed["assumptions"]


def test_formulas_alone_tell_the_memory_of_the_probe(probed: dict[str, Any]) -> None:
    assert max(probed["memory"]["moments"].values()) == pytest.approx(probed["measured"]["probe"]["peak_memory_bytes"], rel=0.15)


def test_plan_is_json_with_stable_keys(probed: dict[str, Any]) -> None:
    assert json.loads(json.dumps(probed)) == probed
    stable = {"name", "parameters", "flops_per_token", "forecast", "seconds", "memory", "disk", "machine", "assumptions", "steps"}
    assert stable <= set(probed)
    assert list(probed["forecast"]) == ["minutes", "peak_memory_bytes", "disk_bytes", "money", "energy_kwh"]


def test_plan_is_shown_as_a_table(probed: dict[str, Any]) -> None:
    shown = plan.show(probed)
    for words in ("parameters", "  embedding", "FLOPs a token", "peak memory", "money", "energy", "kWh", "3.6 for an hour"):
        assert words in shown
    full = plan.show({**probed, "fits": False})
    assert "lower train.micro_batch_size" in full and "lower train.micro_batch_size" not in shown


def test_without_a_probe_the_machine_alone_is_measured(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", str(recipe), "--probe-seconds", "0", "--train.max-steps", "0", "--train.patience", "3", "--json"]) == 0
    heard = capsys.readouterr()
    found = json.loads(heard.out)
    assert found["measured"]["probe"] is None and found["forecast"]["minutes"] is None and found["flops_per_run"] is None
    assert {"assume_no_probe", "assume_no_end"} <= set(found["assumptions"]) and "not known" in heard.err


@pytest.mark.parametrize(
    ("name", "config", "network"),
    [
        ("masked", EncoderConfig(vocab_size=300), Encoder),
        ("span_corruption", EncoderDecoderConfig(vocab_size=300), EncoderDecoder),
    ],
)
def test_other_networks_are_forecast_by_what_their_objective_asks_for(
    recipe: Path, capsys: pytest.CaptureFixture[str], name: str, config: EncoderConfig, network: type[Encoder]
) -> None:
    section = "encoder" if name == "masked" else "encoder-decoder"
    words = ["plan", str(recipe), "--train.objective.name", name, f"--{section}.vocab-size", "300", "--train.context-length", "32"]
    assert run([*words, "--probe-seconds", "0.5", "--train.max-steps", "9", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["parameters"]["total"] == sum(each.numel() for each in network(config).parameters())
    assert found["steps"] == 9 and found["tokens"] == 9 * found["tokens_per_step"]
    assert found["measured"]["probe"]["steps"] > 0 and found["flops_per_token"] > 6 * found["parameters"]["non_embedding"] / 2


def test_a_network_that_cannot_learn_the_objective_is_not_forecast(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", str(recipe), "--train.objective.name", "span_corruption", "--network", "decoder"]) == 2
    assert "cannot train network 'decoder'" in capsys.readouterr().err
    assert run(["plan", str(recipe), "--train.objective.name", "masked", "--train.context-length", "100000"]) == 2
    assert "positions of the encoder" in capsys.readouterr().err


def test_vocabulary_is_the_models_the_tokenizers_or_the_wished_for(begun: Run, recipe: Path) -> None:
    wished = read_recipe(recipe)
    trained = Tokenizer.load(begun.tokenizer).vocab_size
    assert plan.vocabulary(wished, None) == 300
    assert plan.vocabulary(wished, begun) == trained
    own = dataclasses.replace(wished, model=dataclasses.replace(wished.model, vocab_size=777))
    assert plan.vocabulary(own, begun) == 777


def test_tokens_of_prepared_data_are_estimated_then_read(begun: Run, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(begun.tokenizer)
    real = {split: sum(1 + len(tokenizer.encode(d.text)) for d in read_dataset(begun.data, split)) for split in ("train", "validation")}
    assert plan.count_tokens(begun) == real
    stored = Run(tmp_path)
    for name in ("data", "tokenizer"):
        (tmp_path / name).symlink_to(begun.folder / name)
    for split in real:
        write_json(stored.tokens / split / "manifest.json", {"tokens": 5})
    assert plan.count_tokens(stored) == {"train": 5, "validation": 5}
    assert plan.count_tokens(None) == plan.count_tokens(Run(tmp_path / "nothing")) == {}


def test_network_too_large_for_this_machine_is_told_without_trying_it(recipe: Path) -> None:
    huge = dataclasses.replace(read_recipe(recipe).model, hidden_size=65536, num_hidden_layers=200, num_attention_heads=512)
    found = plan.forecast(dataclasses.replace(read_recipe(recipe), model=huge), None)
    assert not found["fits"] and found["measured"]["probe"] is None and found["parameters"]["total"] > 1e12


class Deadly(TrainConfig):
    """Settings whose arrival ends the process, as the system does when memory runs out."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (9,)


def test_probe_ended_by_the_system_is_told_in_one_line() -> None:
    with pytest.raises(HanmoError, match=r"the system ended the probe.*lower train.micro_batch_size \(=16\)"):
        plan.measure(DecoderConfig(vocab_size=9), Deadly(max_steps=50), 9)


def test_measuring_here_finds_what_training_would_choose(begun: Run) -> None:
    model = DecoderConfig(vocab_size=64, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=16)
    train = TrainConfig(max_steps=30, batch_size=2, context_length=16, precision="fp32", threads=1)
    found = plan.measure_here(model, train, 0.01, begun)
    assert not found.low_precision and found.probe is not None and found.probe["steps"] >= 2
    assert min(found.matrix_flops_fp32, found.matrix_flops_bf16) > 1e7 and found.seconds_to_start > 0


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_planned_memory_is_real_where_weights_and_their_state_are_most_of_it(optimizer: str) -> None:
    """25 million parameters beside a row of 16 tokens: nothing hides behind activations or libraries."""
    model = DecoderConfig(vocab_size=2048, hidden_size=512, num_hidden_layers=8, num_attention_heads=8, max_position_embeddings=16)
    train = TrainConfig(max_steps=9, warmup_steps=1, batch_size=1, context_length=16, optimizer=optimizer, precision="fp32", threads=1)
    measured = plan.measure(model, train, 0.1)
    assert measured.probe is not None
    planned = count_memory(model, plan._step(train, low_precision=False, fused=measured.fused), process_bytes=measured.process_bytes)
    step = max(planned.moments[moment] for moment in ("loss", "collecting gradients", "update"))  # the probe saves nothing
    taken = measured.probe["peak_memory_bytes"] - measured.process_bytes
    assert step - measured.process_bytes == pytest.approx(taken, rel=0.15)
