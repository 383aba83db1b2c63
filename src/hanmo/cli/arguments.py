"""A verb's options: a frozen dataclass, filled by a recipe first and by dotted flags after it."""

import dataclasses
import io
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TypeVar

import tyro

from hanmo.base.errors import UsageError

T = TypeVar("T")


def parse(
    kind: type[T],
    words: Sequence[str],
    verb: str,
    sections: Sequence[str] = (),
    whole: str = "",
    defaults: Mapping[str, object] | None = None,
) -> T:
    """An instance of `kind` from the command line.

    When the first word ends in .toml it is a recipe: the whole file is checked against the full recipe, and its
    `sections` become the defaults that flags then change; with `whole`, the recipe itself fills that field and its flags
    carry no prefix. Other `defaults` are given by field. Raises UsageError in one line for wrong words.
    """
    words = list(words)
    defaults = dict(defaults or {})
    if (sections or whole) and words and words[0].endswith(".toml"):
        from hanmo.cli.recipe import read_recipe

        recipe = read_recipe(Path(words.pop(0)))
        defaults |= {name: getattr(recipe, name) for name in sections} if sections else {whole: recipe}
    elif whole and not {"-h", "--help"} & set(words):
        raise UsageError(f"hanmo {verb} needs a recipe first: hanmo {verb} RECIPE.toml --out DIR")
    return _parse_flags(kind, words, verb, defaults)


def _parse_flags(kind: type[T], words: Sequence[str], verb: str, defaults: Mapping[str, object]) -> T:
    missing = {
        field.name: tyro.MISSING
        for field in dataclasses.fields(kind)  # pyright: ignore[reportArgumentType]
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    heard = io.StringIO()
    try:
        with redirect_stderr(heard), redirect_stdout(heard):
            return tyro.cli(kind, prog=f"hanmo {verb}", args=words, default=kind(**{**missing, **defaults}))
    except SystemExit as leaving:
        if not leaving.code:
            sys.stdout.write(heard.getvalue())
            raise
        raise UsageError(_one_line(heard.getvalue())) from None


def _one_line(panel: str) -> str:
    """The words of an error panel, without its frame."""
    lines = (line.strip("│╭╮╰╯─ ") for line in panel.splitlines())
    return " ".join(line for line in lines if line)
