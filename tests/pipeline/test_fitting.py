"""What nobody named follows the text; what a recipe, a flag or an earlier start said stays."""

from pathlib import Path

import pytest

from hanmo.base.config import to_table, to_toml
from hanmo.base.errors import ConfigError
from hanmo.base.runs import Run
from hanmo.model.config import DecoderConfig
from hanmo.pipeline.fitting import check_end, fitted_to_text, named_by, named_in, still_free, tell
from hanmo.pipeline.recipe import Recipe, read_recipe
from hanmo.plan.defaults import FITTABLE
from hanmo.train.config import TrainConfig

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


def test_a_recipe_and_flags_name_what_they_name() -> None:
    assert named_in({"model": {"hidden_size": 1, "rope_scaling": {"factor": 2.0}}}) == {"model.hidden_size", "model.rope_scaling.factor"}
    assert named_by(["data", "--train.max-steps", "-3", "--model.no-qk-norm", "--out=x"]) == {"train.max_steps", "model.qk_norm", "out"}
    assert still_free(("train.patience", "train.max_steps"), ["--train.max-steps", "9"]) == ("train.patience",)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_no_recipe_in_the_house_is_changed_by_its_text(path: Path) -> None:
    recipe = read_recipe(path)
    model, train, _ = fitted_to_text(recipe.model, recipe.train, recipe.fitted, 300_000)
    assert (model, train) == (recipe.model, recipe.train)


def test_a_resolved_recipe_remembers_what_is_free(tmp_path: Path) -> None:
    (tmp_path / "short.toml").write_text("[train]\nmax_steps = 9\nwarmup_steps = 2\n")
    recipe = read_recipe(tmp_path / "short.toml")
    assert "train.max_steps" not in recipe.fitted and "model.hidden_size" in recipe.fitted
    (tmp_path / "whole.toml").write_text(to_toml(recipe))
    assert read_recipe(tmp_path / "whole.toml").fitted == recipe.fitted
    assert Recipe().fitted == ()


def test_free_settings_follow_the_text_and_say_why(capsys: pytest.CaptureFixture[str]) -> None:
    model, train, found = fitted_to_text(DecoderConfig(vocab_size=8192), TrainConfig(), FITTABLE, 385_000)
    assert found is not None
    assert model.hidden_dropout == 0.2 and train.max_steps == found.values["train.max_steps"] and train.patience
    tell(found)
    said = capsys.readouterr().err
    assert "385,000 tokens" in said and "epochs" in said and "learnt by heart" in said


@pytest.mark.parametrize(("free", "tokens"), [((), 385_000), (FITTABLE, 0)])
def test_nothing_free_or_no_text_known_changes_nothing(free: tuple[str, ...], tokens: int) -> None:
    model, train = DecoderConfig(vocab_size=8192), TrainConfig()
    assert fitted_to_text(model, train, free, tokens) == (model, train, None)


def test_a_begun_run_goes_on_with_what_it_began_with(tmp_path: Path) -> None:
    model, train, _ = fitted_to_text(DecoderConfig(vocab_size=8192), TrainConfig(), FITTABLE, 385_000)
    run = Run(tmp_path / "run").create()
    run.write_config(to_toml({"model": to_table(model), "train": to_table(train)}))
    again = fitted_to_text(DecoderConfig(vocab_size=8192), TrainConfig(max_minutes=500), FITTABLE, 385_000, run)
    assert again[0] == model and again[1].max_steps == train.max_steps and again[2] is None


def test_a_run_that_nothing_ends_is_refused_only_where_the_text_gives_it_no_steps() -> None:
    check_end(TrainConfig(), FITTABLE)
    with pytest.raises(ConfigError, match="nothing ends this run"):
        check_end(TrainConfig(), ())
