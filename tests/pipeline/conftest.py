"""A small recipe, and a run folder that already has its data and its tokenizer."""

import json
from pathlib import Path

import pytest

from hanmo.base.runs import Run
from hanmo.data.duplicates.exact import DuplicateConfig
from hanmo.data.mixing.split import SplitConfig
from hanmo.data.prepare import PrepareConfig, prepare
from hanmo.data.reading.read import read_dataset
from hanmo.pipeline.recipe import read_recipe
from hanmo.tokenizer.train import train_tokenizer

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
def begun(tmp_path_factory: pytest.TempPathFactory, recipe: Path) -> Run:
    """A run folder with its data and its tokenizer."""
    folder = tmp_path_factory.mktemp("begun")
    notes = folder / "notes.jsonl"
    notes.write_text("".join(json.dumps({"text": f"In year {n} the lake froze on day {n % 31}. 湖水结冰。" * 3}) + "\n" for n in range(60)))
    run = Run(folder / "run").create()
    split = SplitConfig(validation=0.15, test=0.15)
    prepare([notes], run.data, PrepareConfig(workers=1, split=split, duplicates=DuplicateConfig(near=False)))
    texts = (document.text for document in read_dataset(run.data, "train"))
    train_tokenizer(texts, read_recipe(recipe).tokenizer).save(run.tokenizer)
    return run
