import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.config import build, read_toml, to_table, to_toml, unknown_key
from hanmo.base.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A part."""

    rate: float = 1.0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outer:
    """All kinds of values."""

    title: str
    count: int = 3
    share: float = 0.5
    on: bool = False
    kind: Literal["a", "b"] = "a"
    limit: int | None = None
    path: Path = Path("here")
    grid: tuple[tuple[int, ...], ...] = ()
    notes: dict[str, str] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)
    inners: tuple[Inner, ...] = ()


floats = st.floats(allow_nan=False)
text = st.text(st.characters(exclude_categories=["Cs"]))
inners = st.builds(Inner, rate=floats, names=st.lists(text, max_size=3).map(tuple))
outers = st.builds(
    Outer,
    title=text,
    count=st.integers(),
    share=floats,
    on=st.booleans(),
    kind=st.sampled_from(["a", "b"]),
    limit=st.none() | st.integers(),
    path=st.text("abc/. 翰", min_size=1).map(Path),
    grid=st.lists(st.lists(st.integers(), max_size=3).map(tuple), max_size=3).map(tuple),
    notes=st.dictionaries(text, text, max_size=3),
    inner=inners,
    inners=st.lists(inners, max_size=2).map(tuple),
)


@given(outers)
def test_written_and_read_again_is_the_same(config: Outer) -> None:
    assert build(Outer, tomllib.loads(to_toml(config))) == config


@given(outers)
def test_a_table_writes_as_its_dataclass_does(config: Outer) -> None:
    assert to_toml(to_table(config)) == to_toml(config)


def test_a_number_that_is_none_is_written_as_toml_has_it() -> None:
    assert math.isnan(tomllib.loads(to_toml(Inner(rate=math.nan)))["rate"])


@pytest.mark.parametrize(
    "values, words",
    [
        ({"title": "x", "cuont": 1}, "unknown key 'cuont': did you mean 'count'?"),
        ({"title": "x", "inner": {"rat": 1}}, "unknown key 'inner.rat': did you mean 'rate'?"),
        ({"title": "x", "zzzzzz": 1}, "unknown key 'zzzzzz': known keys: count, grid,"),
        ({}, "title is missing: it has no default"),
        ({"title": 3}, "title (=3) should be of type str, not int"),
        ({"title": "x", "count": True}, "count (=True) should be of type int, not bool"),
        ({"title": "x", "count": 1.5}, "count (=1.5) should be of type int, not float"),
        ({"title": "x", "on": 1}, "on (=1) should be of type bool, not int"),
        ({"title": "x", "kind": "c"}, "kind (='c') should be one of 'a', 'b'"),
        ({"title": "x", "limit": "many"}, "limit (='many') should be of type int, not str"),
        ({"title": "x", "grid": 1}, "grid (=1) should be a list"),
        ({"title": "x", "grid": [[1, "b"]]}, "grid[0][1] (='b') should be of type int, not str"),
        ({"title": "x", "notes": {"a": 1}}, "notes.a (=1) should be of type str, not int"),
        ({"title": "x", "notes": "a"}, "notes (='a') should be a table of keys"),
        ({"title": "x", "inner": 1}, "inner (=1) should be a table of keys"),
    ],
)
def test_wrong_values_are_named_with_their_key(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(Outer, values)
    assert words in str(caught.value)


def test_whole_numbers_serve_as_decimals_and_none_as_nothing() -> None:
    made = build(Outer, {"title": "x", "share": 1, "limit": "none", "path": "a/b"})
    assert made.share == 1.0 and isinstance(made.share, float) and made.limit is None and made.path == Path("a/b")


def test_suggestions_come_only_when_near() -> None:
    assert unknown_key("train.warmup", "warmup", ["warmup_steps", "seed"]).endswith("did you mean 'warmup_steps'?")
    assert unknown_key("q", "q", ["b", "a"]).endswith("known keys: a, b")


def test_recipe_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    broken, binary = tmp_path / "broken.toml", tmp_path / "binary.toml"
    broken.write_text("a = [1,\nb")
    binary.write_bytes(b"\xff\xfe")
    for path, words in [
        (tmp_path / "none.toml", "does not exist"),
        (broken, "not valid TOML"),
        (binary, "cannot be read"),
        (tmp_path, "cannot"),
    ]:
        with pytest.raises(ConfigError, match=words):
            read_toml(path)


def test_a_recipe_joined_from_files_of_an_editor_that_writes_byte_order_marks_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("\ufeff[train]\nseed = 1\n\ufeff[data]\n", "utf-8")
    assert read_toml(tmp_path / "a.toml") == {"train": {"seed": 1}, "data": {}}


def test_a_part_that_was_built_before_may_stand_for_its_table() -> None:
    inner = Inner(rate=2.0)
    assert build(Outer, {"title": "a", "inner": inner}).inner is inner
