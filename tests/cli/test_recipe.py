import tomllib
from pathlib import Path

import pytest

from hanmo.base.config import build, to_toml
from hanmo.base.errors import ConfigError
from hanmo.cli.recipe import Recipe, read_recipe

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
