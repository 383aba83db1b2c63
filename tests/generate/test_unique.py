import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.generate.test_constrain import NETWORK, TOKENIZER

from hanmo.base.errors import ConfigError, UsageError
from hanmo.generate.engine import generate
from hanmo.generate.options import SamplingOptions
from hanmo.generate.unique import UniqueItems, comparable, unique_items

pytest.importorskip("llguidance", reason="the extra 'constrain' is not installed")

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 0.5]) | st.text('ab"\\', max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=1), inner, max_size=2),
    max_leaves=6,
)


def accepts(schema: dict[str, Any], text: str, step: int = 1) -> bool:
    walk: UniqueItems | None = unique_items(schema)
    data = text.encode()
    for place in range(0, len(data), step):
        if walk is None:
            return False
        walk = walk.after(data[place : place + step])
    return walk is not None


@given(st.lists(PLAIN, max_size=5), st.integers(1, 7))
def test_an_array_is_refused_exactly_where_two_items_are_equal(items: list[Any], step: int) -> None:
    seen = [comparable(each) for each in items]
    assert accepts({"uniqueItems": True}, json.dumps(items), step) == (len(set(seen)) == len(seen))
    assert accepts({"anyOf": [{"uniqueItems": True}, {}]}, json.dumps(items, separators=(",", ":")), step) == (len(set(seen)) == len(seen))


def test_values_are_equal_as_json_schema_says() -> None:
    for one, other in ((1, 1.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1.0}), ([{}], [{}])):
        assert comparable(one) == comparable(other)
    for one, other in ((1, True), (0, False), ("1", 1), (None, False), ([], {}), ([1, 2], [2, 1]), ("", None)):
        assert comparable(one) != comparable(other)


@pytest.mark.parametrize(
    ("schema", "refused", "accepted"),
    [
        ({"properties": {"a": {"uniqueItems": True}}}, '{"a":[1,1]}', '{"b":[1,1]}'),
        ({"patternProperties": {"^a": {"uniqueItems": True}}}, '{"ab":[1,1]}', '{"b":[1,1]}'),
        ({"properties": {"a": {}}, "additionalProperties": {"uniqueItems": True}}, '{"b":["x","x"]}', '{"a":["x","x"]}'),
        ({"items": {"uniqueItems": True}}, "[[1],[2,2]]", "[[1],[1]]"),
        ({"prefixItems": [{}, {"uniqueItems": True}]}, "[[1,1],[1,1]]", "[[1,1],[1]]"),
        ({"items": [{"uniqueItems": True}], "additionalItems": {}}, "[[1,1]]", "[[1],[1,1]]"),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"uniqueItems": True}}}, '["\\u0061","a"]', '["a","b"]'),
        ({"uniqueItems": True, "items": {"$ref": "#"}}, "[[],[1,1]]", "[[],[1],[2]]"),
        ({"uniqueItems": True}, '[{"a":[true]},{"a":[true]}]', '[{"a":[true]},{"a":[false]}]'),
    ],
)
def test_what_has_to_differ_is_found_wherever_a_schema_says_so(schema: dict[str, Any], refused: str, accepted: str) -> None:
    assert [accepts(schema, refused, step) for step in (1, 3, 99)] == [False] * 3
    assert [accepts(schema, accepted, step) for step in (1, 3, 99)] == [True] * 3


def test_a_schema_that_asks_for_nothing_has_no_walk_and_a_strange_reference_is_refused() -> None:
    assert unique_items({"uniqueItems": False, "items": {"const": {"uniqueItems": True}}}) is None
    with pytest.raises(ConfigError, match="uniqueItems beside \\$ref '#name' cannot be followed"):
        unique_items({"uniqueItems": True, "items": {"$ref": "#name"}})


@pytest.mark.parametrize(
    "items",
    [
        {"enum": ["a", "ab", "b"]},
        {"type": "boolean"},
        {"type": "integer", "minimum": 0, "maximum": 11},
        {"type": "string", "maxLength": 1},
        {"type": "array", "items": {"type": "boolean"}, "maxItems": 1},
        {"type": ["null", "boolean", "integer"]},
    ],
    ids=str,
)
def test_every_item_that_is_drawn_differs_and_no_draw_runs_into_a_wall(items: dict[str, Any]) -> None:
    schema = {"type": "array", "items": items, "uniqueItems": True, "minItems": 2}
    options = SamplingOptions(json_schema=json.dumps(schema), seed=2, num_return_sequences=10, max_tokens=24, close_json=60)
    for each in generate(NETWORK, TOKENIZER, ["x"], options):
        values = json.loads(each.text)
        assert len(values) >= 2 and len({comparable(value) for value in values}) == len(values)


def test_more_different_items_than_there_are_values_end_in_one_line() -> None:
    schema = {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 3}
    with pytest.raises(UsageError, match="uniqueItems leaves no value"):
        generate(NETWORK, TOKENIZER, ["x"], SamplingOptions(json_schema=json.dumps(schema), seed=2, max_tokens=60))
