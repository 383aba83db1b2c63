"""A JSON schema as its author meant it, in the words that llguidance follows.

In: the schema as JSON. Out: the schema without what only tells something (formats that nobody checks) and without `uniqueItems`,
which unique.py looks after; and notes on what was left out. true allows every text, false none.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from hanmo.base.errors import ConfigError

ONE = (
    *("items", "additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties"),
    *("contains", "propertyNames", "contentSchema", "not", "if", "then", "else"),
)
"""Keywords whose value is a schema."""
SEVERAL = ("prefixItems", "items", "allOf", "anyOf", "oneOf")
"""Keywords whose value is a list of schemas; `items` was one until 2019."""
NAMED = ("properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions")
"""Keywords whose value has schemas under names that are the author's."""
Schema = dict[str, Any]


def read_schema(source: str) -> Schema:
    """The schema in a text of JSON; true becomes the schema that allows everything.

    Raises ConfigError for a text that is no JSON, a value that is no schema, and for false.
    """
    try:
        schema = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"json_schema is not JSON: {error}") from error
    if schema is False:
        raise ConfigError("json_schema (=false) is satisfied by no text: true allows every JSON text")
    if schema is True:
        return {}
    if not isinstance(schema, dict):
        raise ConfigError(f"json_schema should be an object or true, not {type(schema).__name__}")
    return schema


def parts(schema: Schema) -> Iterator[Schema]:
    """The schema and every schema in it; values (`const`, `enum`, `default`, `examples`) and names are none."""
    waiting: list[object] = [schema]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict):
            continue
        yield one
        for word in ONE:
            waiting.append(one.get(word))
        for word in SEVERAL:
            waiting += several if isinstance(several := one.get(word), list) else []
        for word in NAMED:
            waiting += named.values() if isinstance(named := one.get(word), dict) else []


def followed(schema: Schema, knows_format: Callable[[str], bool]) -> tuple[Schema, tuple[str, ...]]:
    """A copy without what only tells something or others look after, and a note on each format that is not checked."""
    copy: Schema = json.loads(json.dumps(schema))
    unknown: set[str] = set()
    for part in parts(copy):
        named = part.get("format")
        if isinstance(named, str) and not knows_format(named):
            unknown.add(named)
            del part["format"]
        if isinstance(part.get("uniqueItems"), bool):
            del part["uniqueItems"]
    notes = (f"json_schema: format {each!r} is not one that is checked, so it only tells what is meant" for each in sorted(unknown))
    return copy, tuple(notes)
