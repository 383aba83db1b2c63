"""A whole life from the command line, on a small bilingual text; then again, and half of it again."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hanmo.base.runs import Run
from hanmo.base.storage import sha256
from hanmo.cli.main import run
from hanmo.pipeline.recipe import DEFAULT_STAGES

TEXTS = [
    "\n".join(f"At hour {n + k} the ferry left pier {m * k}. 第{n * k}时渡船离开了{m + k}号码头。" for k in range(12))
    for n in range(9)
    for m in range(4)
]
RECIPE = """
sources = ["texts"]
[prepare.duplicates]
near = false # its texts differ by a number
[prepare.split]
validation = 0.15
test = 0.25
[tokenizer]
vocab_size = 300
[model]
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
max_position_embeddings = 32
[train]
max_steps = 30
warmup_steps = 3
batch_size = 4
eval_every = 10
learning_rate = 1e-2
[baselines.recurrent]
hidden_size = 16
num_hidden_layers = 1
[baselines.recurrent_train]
optimizer = "adamw"
max_steps = 5
warmup_steps = 1
batch_size = 4
context_length = 16
[plan]
probe_seconds = 0.5
price_per_hour = 0.2
watts = 30.0
[sample]
prompts = ["At hour", "第"]
[sample.options]
max_tokens = 12
seed = 3
"""


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recipe and the run made from it."""
    folder = tmp_path_factory.mktemp("life")
    (folder / "texts").mkdir()
    for number, text in enumerate(TEXTS):
        (folder / "texts" / f"{number:02d}.txt").write_text(text, "utf-8")
    recipe = folder / "ferry.toml"
    recipe.write_text(RECIPE.replace('"texts"', f'"{folder / "texts"}"'), "utf-8")
    assert run(["run", str(recipe), "--out", str(folder / "run")]) == 0
    return recipe, folder / "run"


@pytest.mark.timeout(400)
def test_a_recipe_becomes_a_model_with_its_report(life):
    _, out = life
    evaluation = json.loads((out / "evaluation.json").read_text())
    assert set(evaluation["models"]) == {"uniform", "unigram", "kneser-ney", "lstm", "transformer"}
    assert evaluation["models"]["transformer"]["bits_per_byte"] < evaluation["models"]["uniform"]["bits_per_byte"]
    plan = json.loads((out / "plan.json").read_text())
    assert plan["parameters"]["total"] == json.loads((out / "manifest.json").read_text())["parameters"]
    assert plan["fact"]["peak_memory_bytes"] > 1e8
    samples = json.loads((out / "samples.json").read_text())["samples"]
    assert [sample["prompt"] for sample in samples] == ["At hour", "第"]
    page = (out / "report.html").read_text("utf-8")
    assert "Transformer" in page
    assert 'src="http' not in page
    stages = json.loads((out / "stages.json").read_text())
    assert set(stages) == set(DEFAULT_STAGES)


@pytest.mark.timeout(400)
def test_the_same_command_again_does_nothing_and_a_lost_stage_is_done_again(life, capfd):
    recipe, out = life
    before = {name: sha256(out / name) for name in ("model", "data", "tokenizer", "samples.json", "evaluation.json")}
    stages = json.loads((out / "stages.json").read_text())
    del stages["sample"]
    (out / "stages.json").write_text(json.dumps(stages))
    assert run(["run", str(recipe), "--out", str(out), "--json"]) == 0
    heard = capfd.readouterr()
    assert heard.err.count("done before") == len(DEFAULT_STAGES) - 2  # the sample and the report that shows it
    assert {name: sha256(out / name) for name in before} == before
    assert json.loads(heard.out.splitlines()[-1])["run"] == str(out)


def test_flags_reach_every_stage_and_wrong_ones_are_refused(life, tmp_path, capsys):
    recipe, _ = life
    assert run(["run", str(recipe), "--out", str(tmp_path / "run"), "--train.max-stepz", "3"]) == 2
    assert "max-steps" in capsys.readouterr().err
    assert run(["run", "--out", str(tmp_path / "run")]) == 2
    assert "needs a recipe first" in capsys.readouterr().err
    masked = ["--train.objective.name", "masked", "--network", "decoder"]
    assert run(["run", str(recipe), "--out", str(tmp_path / "run"), *masked]) == 2
    assert "cannot train network 'decoder'" in capsys.readouterr().err
    empty = tmp_path / "empty.toml"
    empty.write_text("[train]\nmax_steps = 30\n")
    assert run(["run", str(empty), "--out", str(tmp_path / "run")]) == 2
    assert "names no sources" in capsys.readouterr().err


def test_a_stage_that_fails_is_named_and_keeps_its_words(tmp_path, capfd):
    recipe = tmp_path / "nothing.toml"
    recipe.write_text(RECIPE.replace('"texts"', f'"{tmp_path / "missing"}"'), "utf-8")
    assert run(["run", str(recipe), "--out", str(tmp_path / "run")]) == 1
    heard = capfd.readouterr().err
    assert "missing" in heard
    assert "the stage 'prepare' did not finish" in heard
    assert "Traceback" not in heard


def ended(pid: int) -> bool:
    """Whether a process is no more, or waits only to be counted out."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[-1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def hear_everything() -> None:
    """Who starts these tests in the background may have told them to ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whoever_stops_a_run_stops_its_stage_and_the_same_command_goes_on(life, tmp_path, number):
    recipe, out = life
    shutil.copytree(out, tmp_path / "run")
    untrained = Run(tmp_path / "run")
    for folder in (untrained.checkpoints, untrained.model):
        shutil.rmtree(folder)
    for file in (untrained.metrics, untrained.manifest, untrained.config):
        file.unlink()
    more = ["--out", str(tmp_path / "run"), "--train.max-steps", "100000", "--train.checkpoint-every", "0"]
    command = [sys.executable, "-m", "hanmo.cli.main", "run", str(recipe), *more]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, preexec_fn=hear_everything) as parent:  # noqa: PLW1509
        assert parent.stderr is not None
        heard: list[str] = []
        for line in parent.stderr:
            heard.append(line)
            if line.startswith("step ") and "— pretrain\n" in heard:
                break
        (child,) = (int(pid) for pid in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split())
        parent.send_signal(number)
        heard += parent.stderr.readlines()
    assert ended(child)
    assert any("saved at step" in line for line in heard), heard
    assert not any("Traceback" in line for line in heard)
    assert list((tmp_path / "run" / "checkpoints").glob("step-*"))
    if number != signal.SIGKILL:
        assert parent.returncode == 1
        assert f"asked to stop ({signal.Signals(number).name}) in the stage 'pretrain'" in heard[-1]


def test_a_recipe_that_changes_what_was_trained_on_is_refused_and_changes_nothing(life, capfd):
    recipe, out = life
    before = {name: sha256(out / name) for name in ("recipe.toml", "stages.json", "plan.json", "data")}
    assert run(["run", str(recipe), "--out", str(out), "--prepare.split.seed", "9"]) == 2
    assert "holds training with prepare.split.seed = " in capfd.readouterr().err
    assert {name: sha256(out / name) for name in before} == before


def test_two_runs_do_not_share_a_folder(life, capfd):
    recipe, out = life
    with Run(out).alone("run"):
        assert run(["run", str(recipe), "--out", str(out)]) == 1
    assert "another hanmo is at work" in capfd.readouterr().err


@pytest.mark.timeout(200)
@pytest.mark.parametrize("unit", ["document", "passage"])
def test_a_run_measures_its_models_as_evaluate_does(life, tmp_path, capfd, unit):
    """The same intervals too: cut into passages, a text needs the bytes behind each token."""
    recipe, out = life
    copy = shutil.copytree(out, tmp_path / "run")
    assert run(["run", str(recipe), "--out", str(copy), "--evaluate.unit", unit, "--only", "evaluate"]) == 0
    found = json.loads((copy / "evaluation.json").read_text())["models"]
    for name, place in (("transformer", copy), ("uniform", copy / "baselines" / "uniform")):
        capfd.readouterr()
        assert run(["evaluate", str(place), "--data", str(out / "data"), "--unit", unit, "--json"]) == 0
        again = json.loads(capfd.readouterr().out.splitlines()[-1])
        assert {key: again[key] for key in found[name]} == found[name]
        assert again["interval"][1] - again["interval"][0] > 0.01  # not every token has the same number of bytes
