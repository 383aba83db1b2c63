"""What other thresholds would keep, told from the receipts of a data set without reading a single text.

In: a data set folder and assignments such as `filters.min_words=20`. Out: counts before and after, by rule, with examples. The
idea: receipts hold every measured value, so all rules are judged again, in whole columns. What the receipts cannot know is
said: a document that a filter had refused was never compared with others, so it may prove to be a duplicate.
"""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from hanmo.base.config import build, unknown_key
from hanmo.base.errors import ConfigError, DataError
from hanmo.base.storage import read_json
from hanmo.data.cleaning.filters import MILD, RULES, FilterConfig, limits
from hanmo.data.cleaning.language import is_wanted
from hanmo.data.tables import ArrowTable, column_names

SECTION = "filters"
EXAMPLES = 5
FILTER_RULES = ("empty", "languages", *(rule.name for rule in RULES))
FIXED_COLUMNS = ("id", "source", "kept", "rule", "duplicate_of", "value", "threshold", "characters", "words")
CHINESE_MARK = "mean_chinese_word_length"
BEFORE_PRESETS: dict[str, object] = {"none": False, "min_characters": 0, "max_characters": 0, **MILD}
ASSIGNMENT = re.compile(r",(?=\s*[\w-]+(?:\.[\w-]+)*\s*=)")


Flags = NDArray[np.bool_]


class ReplayedReceipt(NamedTuple):
    """One receipt: the rule that refused it before, and the one that does now; empty for kept."""

    identifier: str
    source: str
    before: str
    after: str
    duplicate_of: str
    characters: int
    words: int
    why: tuple[float | None, float | None]
    """Measured value and threshold of the rule before."""
    why_now: tuple[float | None, float | None]


@dataclass(slots=True)
class Replay:
    """Pairs are counts before and after; a rule counts the documents that it refuses."""

    total: int = 0
    kept: list[int] = field(default_factory=lambda: [0, 0])
    characters: list[int] = field(default_factory=lambda: [0, 0])
    words: list[int] = field(default_factory=lambda: [0, 0])
    refused: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    gained: int = 0
    lost: int = 0
    uncompared: int = 0
    """Gained documents that a filter had refused, so that nobody looked whether they repeat others."""
    examples: dict[str, list[dict[str, object]]] = field(default_factory=lambda: {"gained": [], "lost": []})

    def add(self, row: ReplayedReceipt) -> None:
        """Count one receipt."""
        self.total += 1
        for column, rule in enumerate((row.before, row.after)):
            if rule:
                self.refused.setdefault(rule, [0, 0])[column] += 1
                continue
            self.kept[column] += 1
            self.characters[column] += row.characters
            self.words[column] += row.words
        if row.before and not row.after:
            self.gained += 1
            self.uncompared += row.before in FILTER_RULES
            self._show("gained", row, row.before, row.why)
        elif row.after and not row.before:
            self.lost += 1
            self._show("lost", row, row.after, row.why_now)

    def take_out(self, row: ReplayedReceipt) -> None:
        """Undo what `add` counted of a receipt that changed nothing."""
        self.total -= 1
        for column in (0, 1):
            self.refused[row.before][column] -= 1

    def _show(self, change: str, row: ReplayedReceipt, rule: str, why: tuple[float | None, float | None]) -> None:
        if len(self.examples[change]) < EXAMPLES:
            self.examples[change].append({"source": row.source, "rule": rule, "value": why[0], "threshold": why[1]})


def replay(dataset: Path, assignments: str) -> dict[str, Any]:
    """What the data set would keep with other thresholds, as plain values.

    Raises ConfigError for a key that receipts cannot tell about, DataError when the folder has no receipts.
    """
    path = dataset / "receipts.parquet"
    if not path.is_file():
        raise DataError(f"{dataset} has no receipts.parquet: --replay needs a data set that hanmo prepare made, as --out")
    given = read_assignments(assignments)
    config = config_with(_settings(dataset), given)
    result = judge_again(path, config)
    return {"replay": {f"{SECTION}.{key}": value for key, value in given.items()}, **_plain(result)}


def read_assignments(text: str) -> dict[str, object]:
    """Keys of the filters and their values.

    >>> read_assignments('filters.min_words=20, filters.languages=["en", "zh"], filters.preset=web')
    {'min_words': 20, 'languages': ['en', 'zh'], 'preset': 'web'}
    """
    given: dict[str, object] = {}
    for part in ASSIGNMENT.split(text):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        section, _, name = key.replace("-", "_").rpartition(".")
        if not equals or not name:
            raise ConfigError(f'--replay {part.strip()!r} is no assignment: write --replay "filters.min_words=20"')
        if section != SECTION:
            known = [f"{SECTION}.{each.name}" for each in fields(FilterConfig)]
            if section in ("read", "clean", "duplicates", "split"):
                raise ConfigError(f"--replay {key} cannot be told from receipts: only keys of filters, such as filters.min_words")
            raise ConfigError(unknown_key(key, key, known))
        given[name] = _value(value)
    return given


def config_with(settings: Mapping[str, object], given: Mapping[str, object]) -> FilterConfig:
    """The filters of a data set with some keys changed.

    A data set made before presets wrote down mild's thresholds as if by hand; another preset goes before those.
    """
    base = {name: value for name, value in settings.items() if "preset" in settings or value != BEFORE_PRESETS.get(name)}
    return build(FilterConfig, {**base, **given}, SECTION)


def judge_again(path: Path, config: FilterConfig) -> Replay:
    """Judge all rows of a file of receipts, one row group at a time."""
    columns = _columns(path, config)
    result, lost, copies = Replay(), set[str](), dict[str, ReplayedReceipt]()
    for table in ArrowTable.groups(path, columns):
        for row in _rows(table, config):
            result.add(row)
            if row.after and not row.before:
                lost.add(row.identifier)
            elif row.duplicate_of and row.after == row.before:
                copies.setdefault(row.duplicate_of, row)
    for original in sorted(lost & copies.keys()):  # where the best copy is lost, another one takes its place
        result.take_out(copies[original])
        result.add(copies[original]._replace(after=""))
    return result


def failing(table: ArrowTable, config: FilterConfig) -> NDArray[np.int64]:
    """For each row the place in FILTER_RULES of the first rule that its values fail, -1 for none."""
    found = np.full(len(table), -1, dtype=np.int64)
    found[table.floats("characters") == 0] = FILTER_RULES.index("empty")
    if config.languages and not config.none:
        pairs = zip(table.texts("language"), table.texts("script"), strict=True)
        wanted = np.array([is_wanted(code or "", script or "", config.languages) for code, script in pairs], dtype=np.bool_)
        found[(found < 0) & ~wanted] = FILTER_RULES.index("languages")
    chinese = _chinese(table)
    for among in (True, False):
        for name, measured, threshold, least in limits(config, among):
            values = table.floats(measured)
            fails = values < threshold if least else values > threshold  # NaN, a value that makes no sense here, passes
            found[(found < 0) & (chinese == among) & fails] = FILTER_RULES.index(name)
    return found


def _rows(table: ArrowTable, config: FilterConfig) -> Iterator[ReplayedReceipt]:
    measured = table.present("characters")
    places = np.where(measured, failing(table, config), -1)
    values, thresholds = (_numbers(table.floats(name)) for name in ("value", "threshold"))
    characters, words = (np.nan_to_num(table.floats(name)).astype(np.int64).tolist() for name in ("characters", "words"))
    copies = table.texts("duplicate_of")
    limit = {among: {name: (column, most) for name, column, most, _ in limits(config, among)} for among in (True, False)}
    found = {name: table.floats(name) for among in (True, False) for name, _ in limit[among].values()}
    chinese = _chinese(table)
    for index, (identifier, source, rule) in enumerate(zip(*(table.texts(name) for name in ("id", "source", "rule")), strict=True)):
        before, place = rule or "", int(places[index])
        after = FILTER_RULES[place] if place >= 0 else "" if measured[index] and before in FILTER_RULES else before
        name, threshold = limit[bool(chinese[index])].get(after, ("", None))
        now = (float(found[name][index]), threshold) if name and not before else (None, None)
        why = (values[index], thresholds[index])
        yield ReplayedReceipt(identifier, source, before, after, copies[index] or "", characters[index], words[index], why, now)


def _chinese(table: ArrowTable) -> Flags:
    """Which rows have mostly Chinese words."""
    return table.present(CHINESE_MARK) if CHINESE_MARK in table.names else np.zeros(len(table), dtype=np.bool_)


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(value) else value for value in cast("list[float]", values.tolist())]


def _columns(path: Path, config: FilterConfig) -> list[str]:
    """The columns to read.

    Raises DataError when a rule needs one that the receipts do not have.
    """
    there = column_names(path)
    needed = {measured: name for among in (True, False) for name, measured, _, _ in limits(config, among)}
    if config.languages and not config.none:
        needed |= {"language": "languages", "script": "languages"}
    for column, rule in needed.items():
        if column not in there:
            raise DataError(f"the receipts have no column {column!r}, which filters.{rule} judges: prepare the data set again")
    return [name for name in there if name in FIXED_COLUMNS or name in needed or name == CHINESE_MARK]


def _settings(dataset: Path) -> Mapping[str, object]:
    """The filters that the data set was made with; where nothing was kept there is no manifest, and defaults are assumed."""
    path = dataset / "manifest.json"
    return read_json(path)["settings"]["filters"] if path.is_file() else {"preset": "mild"}


def _value(text: str) -> object:
    """A value as TOML writes it; what is no TOML is a word."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _plain(result: Replay) -> dict[str, Any]:
    pairs = {name: dict(zip(("before", "after"), getattr(result, name), strict=True)) for name in ("kept", "characters", "words")}
    refused = {rule: dict(zip(("before", "after"), pair, strict=True)) for rule, pair in sorted(result.refused.items()) if any(pair)}
    numbers = {name: getattr(result, name) for name in ("total", "gained", "lost", "uncompared")}
    return {**numbers, **pairs, "refused": refused, "examples": result.examples}
