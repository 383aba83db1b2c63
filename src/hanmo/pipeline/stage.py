"""What a stage of a model's life is; order, inputs and what it undoes follow from what it needs.

A stage is one object in one file of `stages/`. It names the earlier stages whose results it reads and the keys of the
recipe that change its result; nothing else has to be told: it is done after what it needs, done again when a setting of
its own or of anything before it has changed, and undoes whatever was made from its earlier result.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hanmo.base.config import to_table
from hanmo.base.errors import ConfigError
from hanmo.base.runs import Run
from hanmo.pipeline.recipe import Recipe


def _nothing(recipe: Recipe) -> str:
    return ""


def _fine(recipe: Recipe) -> None:
    """Nothing to refuse."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step from a recipe to a finished model."""

    name: str
    """What the recipe, the receipts and `--only` call it."""
    needs: tuple[str, ...] = ()
    """Stages whose results it reads; they come along wherever it is asked for."""
    uses: tuple[str, ...] = ()
    """Stages whose results it reads where the recipe has them."""
    settings: tuple[str, ...] = ()
    """Keys of the recipe that change its result; what is made from that result depends on them too."""
    appearance: tuple[str, ...] = ()
    """Keys that change the looks of its own result alone."""
    without_effect: tuple[str, ...] = ()
    """Dotted keys below `settings` that change nothing of the result."""
    free_to_change: tuple[str, ...] = ()
    """Dotted keys below `settings` with which a begun training may still go on."""
    made: Callable[[Recipe, Run], Sequence[Path]]
    """What has to be there for it to count as done."""
    do: Callable[[Recipe, Run], None]
    """The deed; it goes on where an earlier call was stopped."""
    check: Callable[[Recipe], None] = _fine
    """Raises ConfigError for settings with which it could not end well, before any stage has begun."""
    outside: Callable[[Recipe], str] = _nothing
    """Digest of what it reads outside the run folder; empty when that is nothing, or not at hand."""
    identity: Callable[[Run], str] | None = None
    """What its result is, by its own account: done again with the same result, it undoes nothing."""


Stages = Mapping[str, Stage]


def before(name: str, stages: Stages) -> list[str]:
    """Every stage whose result goes into this one's, itself left out, in the order of `stages`."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        stage = stages[waiting.pop()]
        fresh = [each for each in (*stage.needs, *stage.uses) if each in stages and each not in found]
        found.update(fresh)
        waiting += fresh
    return [each for each in stages if each in found]


def undone_by(name: str, stages: Stages) -> list[str]:
    """Every stage that was made from this one's result."""
    return [each for each in stages if name in before(each, stages)]


def ordered(wanted: Sequence[str], known: Stages) -> dict[str, Stage]:
    """The wanted stages and all that they need, each after what it reads; ties stay in the order of `known`.

    Raises ConfigError for a name that nobody knows and for stages that need each other.
    """
    chosen = set[str]()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in known:
            raise ConfigError(f"stages names {name!r}, which is none of {', '.join(known)}")
        if name not in chosen:
            chosen.add(name)
            waiting += known[name].needs
    left = [name for name in known if name in chosen]
    done: dict[str, Stage] = {}
    while left:
        ready = [name for name in left if not _missing(known[name], chosen, done)]
        if not ready:
            raise ConfigError(f"the stages {', '.join(left)} need each other: none can be first")
        done[ready[0]] = known[ready[0]]
        left.remove(ready[0])
    return done


def _missing(stage: Stage, chosen: set[str], done: Mapping[str, Stage]) -> list[str]:
    return [name for name in (*stage.needs, *stage.uses) if name in chosen and name not in done]


def settings_of(name: str, recipe: Recipe, stages: Stages) -> dict[str, object]:
    """Dotted key -> value of everything that the result of a stage depends on, its own looks left out."""
    table, flat = to_table(recipe), dict[str, object]()
    for each in (*before(name, stages), name):
        stage = stages[each]
        own = flattened({key: table[key] for key in stage.settings})
        flat |= {key: value for key, value in own.items() if key not in stage.without_effect}
    return flat


def fingerprint(name: str, recipe: Recipe, stages: Stages) -> str:
    """SHA-256 of all settings a stage depends on."""
    table = to_table(recipe)
    looks = {key: table[key] for key in stages[name].appearance}
    text = json.dumps([settings_of(name, recipe, stages), looks], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def flattened(table: Mapping[str, object], above: str = "") -> dict[str, object]:
    """A table of tables as one of dotted names.

    >>> flattened({"a": 1, "b": {"c": 2}})
    {'a': 1, 'b.c': 2}
    """
    flat: dict[str, object] = {}
    for key, value in table.items():
        flat |= flattened(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat
