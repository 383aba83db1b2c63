"""That a language model's numbers are those of `hanmo evaluate` is tested in the walk of `hanmo run`."""

import json
import math
from pathlib import Path

import pytest

from hanmo.base.runs import Run
from hanmo.base.storage import read_json
from hanmo.pipeline.life import do, stages_of
from hanmo.pipeline.recipe import Recipe, read_recipe
from hanmo.pipeline.stages.evaluate import STAGE

RECIPE = """
stages = ["prepare", "tokenizer", "baselines", "pretrain", "evaluate", "sample", "report"]
[prepare]
workers = 1
[prepare.duplicates]
near = false
[prepare.split]
validation = 0.15
test = 0.25
[tokenizer]
vocab_size = 420
objectives = ["OBJECTIVE"]
[train]
max_steps = 30
warmup_steps = 3
batch_size = 4
eval_every = 10
context_length = 32
threads = 1
precision = "fp32"
learning_rate = 3e-3
[train.objective]
name = "OBJECTIVE"
[encoder]
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
[encoder_decoder]
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
[sample]
prompts = ["At hour"]
[sample.options]
max_tokens = 5
"""


def lived(folder: Path, objective: str) -> Run:
    """A whole life with one objective, in this process."""
    notes = [{"text": f"At hour {n} the ferry left pier {n % 7}. 第{n}时渡船离开了{n % 5}号码头。"} for n in range(80)]
    (folder / "notes.jsonl").write_text("".join(json.dumps(note) + "\n" for note in notes), "utf-8")
    path = folder / "recipe.toml"
    path.write_text(f'sources = ["{folder / "notes.jsonl"}"]\n' + RECIPE.replace("OBJECTIVE", objective), "utf-8")
    recipe, run = read_recipe(path), Run(folder / "run").create()
    for name in stages_of(recipe):
        do(name, recipe, run)
    return run


@pytest.mark.parametrize(("objective", "more"), [("masked", {"pseudo_perplexity"}), ("span_corruption", set())])
def test_a_network_that_does_not_foretell_is_measured_by_what_it_was_asked_to_do(tmp_path, objective, more):
    run = lived(tmp_path, objective)
    found = read_json(run.evaluation)
    assert found["metric"] == "loss" and set(found["models"]) == {"uniform", "unigram", "transformer"}
    ours, guess = found["models"]["transformer"], found["models"]["uniform"]
    assert ours["loss"] < guess["loss"] == pytest.approx(math.log(read_json(run.model / "config.json")["vocab_size"]))
    assert {"loss", "accuracy", *more} == set(ours["intervals"])
    low, high = ours["intervals"]["accuracy"]
    assert low <= ours["accuracy"] <= high
    assert found["differences"]["uniform"]["interval"][1] < 0
    page = run.report.read_text("utf-8")
    assert "rows of held-out text" in page and ("hidden alone" in page) == bool(more)
    assert not run.baselines.exists()


def test_it_needs_the_network_and_uses_baselines_where_the_recipe_has_them(tmp_path):
    assert STAGE.needs == ("pretrain",) and STAGE.uses == ("baselines",)
    assert STAGE.made(Recipe(), Run(tmp_path)) == [Run(tmp_path).evaluation]
