"""`hanmo plan` on a small recipe: formulas, a real probe in a process of its own, and what a run folder already knows."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.conftest import RECIPE

from hanmo.cli import plan
from hanmo.cli.main import run
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "small.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def probed(recipe: Path) -> dict[str, Any]:
    """The plan of the recipe, with a real probe."""
    return plan.run(plan.parse([str(recipe), "--price-per-hour", "3.6", "--watts", "100"]))


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


def test_how_often_the_text_is_read_is_shown_where_it_is_known(probed: dict[str, Any]) -> None:
    assert "training text" not in plan.show(probed)
    known = {"train_tokens": 385_000, "epochs": 4.0, "worth_new_tokens": 1.4e6, "worth_of_next_reading": 0.82, "epochs_that_pay": 11.7}
    said = plan.show({**probed, "readings": known})
    assert "385,000 tokens, read 4.0 times: worth 1,400,000 tokens read once" in said
    assert "82% of new text; less than half from 12 epochs on" in said


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
