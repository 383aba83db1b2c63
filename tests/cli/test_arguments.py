from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import pytest
from tyro.conf import arg

from hanmo.base.errors import ConfigError, UsageError
from hanmo.cli.arguments import parse
from hanmo.pipeline.recipe import Recipe
from hanmo.train.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Options:
    """Do something."""

    out: Path
    """Where."""
    name: str = "x"
    """What it is called."""
    train: TrainConfig = field(default_factory=TrainConfig)
    """How."""


@dataclass(frozen=True, kw_only=True)
class WholeOptions:
    """Do everything."""

    recipe: Annotated[Recipe, arg(name="")]
    """What."""


@pytest.fixture
def recipe(tmp_path: Path) -> str:
    path = tmp_path / "small.toml"
    path.write_text('sources = ["a"]\n[train]\nmax_steps = 7\nseed = 3\nwarmup_steps = 1\n')
    return str(path)


def test_flags_fill_the_options() -> None:
    options = parse(Options, ["--out", "here", "--train.max-steps", "50"], "verb")
    assert options.out == Path("here") and options.train.max_steps == 50 and options.name == "x"


def test_recipe_comes_first_and_flags_change_it(recipe: str) -> None:
    options = parse(Options, [recipe, "--out", "here", "--train.seed", "5"], "verb", sections=("train",))
    assert (options.train.max_steps, options.train.seed) == (7, 5)


def test_whole_recipe_needs_no_prefix(recipe: str) -> None:
    options = parse(WholeOptions, [recipe, "--train.max-steps", "9", "--name", "mine"], "verb", whole="recipe")
    assert options.recipe.train.max_steps == 9 and options.recipe.name == "mine" and options.recipe.sources == ("a",)


def test_verb_that_needs_a_recipe_says_so() -> None:
    with pytest.raises(UsageError, match=r"hanmo verb needs a recipe first: hanmo verb RECIPE.toml"):
        parse(WholeOptions, ["--name", "mine"], "verb", whole="recipe")


def test_defaults_given_by_the_verb_yield_to_flags() -> None:
    given = {"name": "given"}
    assert parse(Options, ["--out", "here"], "verb", defaults=given).name == "given"
    assert parse(Options, ["--out", "here", "--name", "said"], "verb", defaults=given).name == "said"


@pytest.mark.parametrize(
    "words, named",
    [
        ([], "--out"),
        (["--out", "here", "--train.max-stepz", "5"], "--train.max-steps"),
        (["--out", "here", "--train.max-steps", "many"], "many"),
        (["--out", "here", "stray"], "stray"),
    ],
)
def test_wrong_words_are_one_line_that_names_them(words: list[str], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(Options, words, "verb")
    assert named in str(caught.value) and "\n" not in str(caught.value) and "│" not in str(caught.value)


def test_values_that_do_not_fit_together_are_told_like_those_of_a_recipe() -> None:
    with pytest.raises(ConfigError, match=r"train.warmup_steps \(=20\) exceeds train.max_steps \(=5\)"):
        parse(Options, ["--out", "here", "--train.max-steps", "5"], "verb")


def test_misspelt_key_of_a_recipe_is_told_with_a_suggestion(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[train]\nlearning_rat = 1.0\n")
    with pytest.raises(ConfigError, match=r"unknown key 'train.learning_rat': did you mean 'learning_rate'\?"):
        parse(Options, [str(path), "--out", "here"], "verb", sections=("train",))


def test_help_is_printed_with_every_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        parse(Options, ["--help"], "verb")
    heard = capsys.readouterr().out
    assert not leaving.value.code and "Do something." in heard and "What it is called." in heard


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "missing: --out PATH Where.; hanmo verb --help tells the rest"),
        (["--out", "x", "--nam", "y"], "Unrecognized options: --nam, y; perhaps you meant --name STR; hanmo verb --help tells the rest"),
        (["--out"], "Missing value for argument '--out'. Expected 1 values; hanmo verb --help tells the rest"),
    ],
)
def test_an_error_is_what_is_wrong_and_what_to_do_without_a_frame(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(Options, words, "verb")
    assert str(caught.value) == said


def test_help_names_the_recipe_and_shows_what_holds_without_one(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, more, usage in (
        (WholeOptions, {"whole": "recipe"}, "usage: hanmo verb RECIPE.toml "),
        (Options, {"sections": ("train",)}, "usage: hanmo verb [RECIPE.toml] "),
        (Options, {}, "usage: hanmo verb [-h]"),
    ):
        with pytest.raises(SystemExit):
            parse(kind, ["--help"], "verb", **more)
        heard = capsys.readouterr().out
        assert heard.startswith(usage) and "--json" in heard
        assert heard.count("(required)") == (kind is Options)  # --out alone
        assert ("--train.warmup-steps" in heard) and "(default: 20)" in heard
