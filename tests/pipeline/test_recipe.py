import tomllib
from pathlib import Path

import pytest

from hanmo.base.config import build, to_toml
from hanmo.base.errors import ConfigError
from hanmo.pipeline.recipe import Recipe, read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_in_the_house_is_valid_and_ends(path):
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    assert recipe.sources
    recipe.train.check_limits()
    recipe.baselines.recurrent_train.check_limits()


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_resolved_recipe_reads_back_the_same(path):
    recipe = read_recipe(path)
    assert build(Recipe, tomllib.loads(to_toml(recipe))) == recipe


def test_a_misspelt_section_or_value_is_refused(tmp_path):
    file = tmp_path / "bad.toml"
    for text, words in (
        ("[modl]\nhidden_size = 3\n", r"unknown key 'modl': did you mean 'model'\?"),
        ('[model]\nhidden_size = "big"\n', r"model.hidden_size \(='big'\) should be of type int"),
        ('[train]\noptimizer = "adamx"\n', r"train.optimizer \(='adamx'\) should be one of"),
        ("sources = [\n", "is not valid TOML"),
    ):
        file.write_text(text)
        with pytest.raises(ConfigError, match=words):
            read_recipe(file)
    with pytest.raises(ConfigError, match="does not exist"):
        read_recipe(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[plan]\nwatts = -3.0\n", r"plan.watts \(=-3.0\) should be a number that is not negative"),
        ("[plan]\nprice_per_hour = nan\n", r"plan.price_per_hour \(=nan\)"),
        ("[plan]\nprobe_seconds = -1\n", r"plan.probe_seconds \(=-1.0\)"),
        ("[evaluate]\nstride = -1\n", r"evaluate.stride \(=-1\) should not be negative"),
        (
            "[evaluate]\nstride = 65\n[model]\nmax_position_embeddings = 64\n",
            r"evaluate.stride \(=65\) exceeds model.max_position_embeddings",
        ),
    ],
)
def test_what_would_fail_after_training_is_refused_before_it(tmp_path, text, words):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_recipe(tmp_path / "bad.toml")
