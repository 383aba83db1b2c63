import json

import pytest

from hanmo.base.errors import ConfigError
from hanmo.generate.schema import followed, parts, read_schema


def knows(name: str) -> bool:
    return name in ("date", "uuid")


def test_true_is_the_schema_that_allows_everything_and_false_allows_nothing() -> None:
    assert read_schema("true") == {}
    assert read_schema('{"items": false}') == {"items": False}
    with pytest.raises(ConfigError, match=r"json_schema \(=false\) is satisfied by no text"):
        read_schema("false")


@pytest.mark.parametrize("source", ["3", "null", "[]", '"a"'])
def test_what_is_no_schema_is_refused(source: str) -> None:
    with pytest.raises(ConfigError, match="should be an object or true, not"):
        read_schema(source)


def test_a_text_that_nests_too_deep_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="is not JSON"):
        read_schema("[" * 200_000)


def test_unknown_formats_go_wherever_a_schema_may_stand_and_are_told_once() -> None:
    odd = {"type": "string", "format": "odd"}
    schema = {
        "properties": {"a": odd, "b": {"type": "string", "format": "date"}},
        "items": [odd, {"format": "strange", "uniqueItems": False}],
        "anyOf": [{"not": odd}, True],
        "$defs": {"x": {"additionalProperties": odd}},
        "patternProperties": {"^a": odd},
    }
    left, notes = followed(schema, knows)
    assert [part.get("format") for part in parts(left) if part.get("format")] == ["date"]
    assert ["'odd'" in notes[0], "'strange'" in notes[1], len(notes)] == [True, True, 2]
    assert "uniqueItems" not in json.dumps(left)
    assert "odd" in json.dumps(schema)
    assert followed({"uniqueItems": True, "items": {"uniqueItems": False}}, knows) == ({"items": {}}, ())


def test_values_and_names_of_properties_are_not_taken_for_schemas() -> None:
    schema = {
        "const": {"format": "odd"},
        "enum": [{"format": "odd"}],
        "default": {"format": "odd", "uniqueItems": True},
        "examples": [{"format": "odd"}],
        "properties": {"format": {"type": "string"}, "uniqueItems": {"const": False}},
    }
    assert followed(schema, knows) == (schema, ())


def test_a_format_that_is_no_text_is_left_for_the_follower_to_refuse() -> None:
    assert followed({"format": 3}, knows) == ({"format": 3}, ())
