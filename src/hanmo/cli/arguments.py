"""A verb's options: a frozen dataclass, filled by a recipe first and by dotted flags after it."""

import dataclasses
import io
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TypeVar

import tyro

from hanmo.base.errors import UsageError

T = TypeVar("T")

ENTRY = re.compile(r"^  (--[\w.-]+).*\n(?: {8}.*\n)*", re.MULTILINE)
FIRST_HEADING = " positional arguments"
EVERYWHERE = "--json, with every verb: one JSON object last on standard output, all else on standard error."
RECIPE_FIRST = "A RECIPE.toml may come first: its values take the place of the defaults, and flags change them.\n"
RECIPE_NEEDED = "The defaults shown hold where RECIPE.toml says nothing; flags change both.\n"


def parse(
    kind: type[T],
    words: Sequence[str],
    verb: str,
    sections: Sequence[str] = (),
    whole: str = "",
    defaults: Mapping[str, object] | None = None,
    first: Sequence[str] = (),
) -> T:
    """An instance of `kind` from the command line.

    When the first word ends in .toml it is a recipe: the whole file is checked against the full recipe, and its
    `sections` become the defaults that flags then change; with `whole`, the recipe itself fills that field and its flags
    carry no prefix. Other `defaults` are given by field; the flags `first` begin the help. Raises UsageError in one line for wrong words.
    """
    words = list(words)
    defaults = dict(defaults or {})
    asked = bool({"-h", "--help"} & set(words))
    if (sections or whole) and words and words[0].endswith(".toml"):
        from hanmo.pipeline.recipe import read_recipe

        recipe = read_recipe(Path(words.pop(0)))
        defaults |= {name: getattr(recipe, name) for name in sections} if sections else {whole: recipe}
    elif whole and not asked:
        raise UsageError(f"hanmo {verb} needs a recipe first: hanmo {verb} RECIPE.toml --out DIR")
    elif whole:
        from hanmo.pipeline.recipe import Recipe

        defaults |= {whole: Recipe()}
    program = f"hanmo {verb}" + (" RECIPE.toml" if asked and whole else " [RECIPE.toml]" if asked and sections else "")
    notes = (RECIPE_NEEDED if whole else RECIPE_FIRST if sections else "") + EVERYWHERE
    return _parse_flags(kind, words, program, defaults, notes, first)


def flags_said(words: Sequence[str]) -> dict[str, object]:
    """The flags among some words, by field, each with the word that follows; a flag without one says True, `--no-` False.

    >>> flags_said(["m", "--top-k=5", "--no-greedy", "--num-beams", "1", "--logprobs"])
    {'top_k': '5', 'greedy': 'False', 'num_beams': '1', 'logprobs': 'True'}
    """
    found: dict[str, object] = {}
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            continue
        following = words[place + 1] if place + 1 < len(words) and not words[place + 1].startswith("--") else "True"
        off = name.startswith("--no-") and not equals and following == "True"
        key = name.removeprefix("--no-" if name.startswith("--no-") and not name.startswith("--no-repeat") else "--")
        found[key.replace("-", "_")] = "False" if off else value if equals else following
    return found


def _parse_flags(kind: type[T], words: Sequence[str], program: str, defaults: Mapping[str, object], notes: str, first: Sequence[str]) -> T:
    missing = {
        field.name: tyro.MISSING
        for field in dataclasses.fields(kind)  # pyright: ignore[reportArgumentType]
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    heard = io.StringIO()
    try:
        with redirect_stderr(heard), redirect_stdout(heard):
            return tyro.cli(kind, prog=program, args=words, default=kind(**{**missing, **defaults}))
    except SystemExit as leaving:
        if not leaving.code:
            sys.stdout.write(f"{_begun_with(first, heard.getvalue()).rstrip()}\n\n{notes}\n")
            raise
        raise UsageError(_one_line(heard.getvalue(), program)) from None


def _begun_with(first: Sequence[str], text: str) -> str:
    """Help in which these flags stand before all others, in this order."""
    entries = {found[1]: found for found in ENTRY.finditer(text)} if first else {}
    moved = [entries[flag][0] for flag in first if flag in entries]
    if not moved:
        return text
    for entry in moved:
        text = text.replace(entry, "", 1)
    head, heading, rest = text.partition(FIRST_HEADING)
    return f"{head} flags that people use most\n {'-' * 78}\n{''.join(moved)}\n{heading}{rest}"


def _one_line(panel: str, program: str) -> str:
    """The words of an error panel without its frame and title; of what it explains at length, the first line."""
    lines = [line.strip("│╭╮╰╯ ") for line in panel.splitlines()]
    parts = [part.strip().splitlines() for part in re.split(r"^[─-]{8,}.*$", "\n".join(lines), flags=re.MULTILINE)]
    said = next((" ".join(part) for part in parts[1:] if part), " ".join(parts[0]))
    meant = next((f"; perhaps you meant {part[1]}" for part in parts if len(part) > 1 and part[0] == "Perhaps you meant:"), "")
    words = " ".join(said.split()).rstrip(".").replace(f"Missing from {program}:", "missing:").replace(" (required)", "")
    return f"{words}{meant}; {program} --help tells the rest"
