"""What a run folder already knows is counted, not assumed; what does not fit is not tried."""

import dataclasses
from pathlib import Path

from hanmo.base.runs import Run
from hanmo.base.storage import write_json
from hanmo.data.reading.read import read_dataset
from hanmo.pipeline.forecast import count_tokens, forecast, vocabulary
from hanmo.pipeline.recipe import read_recipe
from hanmo.tokenizer.load import Tokenizer


def test_vocabulary_is_the_models_the_tokenizers_or_the_wished_for(begun: Run, recipe: Path) -> None:
    wished = read_recipe(recipe)
    trained = Tokenizer.load(begun.tokenizer).vocab_size
    assert vocabulary(wished, None) == 300
    assert vocabulary(wished, begun) == trained
    own = dataclasses.replace(wished, model=dataclasses.replace(wished.model, vocab_size=777))
    assert vocabulary(own, begun) == 777


def test_tokens_of_prepared_data_are_estimated_then_read(begun: Run, tmp_path: Path) -> None:
    tokenizer = Tokenizer.load(begun.tokenizer)
    real = {split: sum(1 + len(tokenizer.encode(d.text)) for d in read_dataset(begun.data, split)) for split in ("train", "validation")}
    assert count_tokens(begun) == real
    stored = Run(tmp_path)
    for name in ("data", "tokenizer"):
        (tmp_path / name).symlink_to(begun.folder / name)
    for split in real:
        write_json(stored.tokens / split / "manifest.json", {"tokens": 5})
    assert count_tokens(stored) == {"train": 5, "validation": 5}
    assert count_tokens(None) == count_tokens(Run(tmp_path / "nothing")) == {}


def test_a_plan_says_how_often_the_text_is_read_and_what_one_more_time_is_worth(begun: Run, recipe: Path) -> None:
    wanted = read_recipe(recipe)
    found = forecast(dataclasses.replace(wanted, plan=dataclasses.replace(wanted.plan, probe_seconds=0.0)), begun)
    readings, tokens = found["readings"], count_tokens(begun)["train"]
    assert readings["train_tokens"] == tokens and readings["epochs"] == found["tokens"] / tokens
    assert tokens < readings["worth_new_tokens"] < found["tokens"] and readings["worth_of_next_reading"] < 1


def test_network_too_large_for_this_machine_is_told_without_trying_it(recipe: Path) -> None:
    huge = dataclasses.replace(read_recipe(recipe).model, hidden_size=65536, num_hidden_layers=200, num_attention_heads=512)
    found = forecast(dataclasses.replace(read_recipe(recipe), model=huge), None)
    assert not found["fits"] and found["measured"]["probe"] is None and found["parameters"]["total"] > 1e12
