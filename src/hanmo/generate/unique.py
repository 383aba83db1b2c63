"""Arrays whose items all differ (`uniqueItems`), which llguidance does not know.

In: a JSON schema, and the bytes of a text, token after token. Out: whether more bytes would make an item that is there already.
Items are equal as JSON Schema says: 1 and 1.0 are, 1 and true are not, the order of keys does not matter.
"""

import json
import re
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from hanmo.base.errors import ConfigError
from hanmo.generate.closing import Strings
from hanmo.generate.schema import Schema, parts

BETWEEN = b" \t\r\n"
LITERALS = (b"true", b"false", b"null")


@dataclass(frozen=True)
class Open:
    """An array or an object that is not closed yet."""

    schemas: tuple[Schema, ...]
    """What is asked of it."""
    is_array: bool
    start: int
    """Where its present item, or the name of its present member, begins."""
    item: int = 0
    name: str | None = None
    seen: frozenset[object] | None = None
    """Its items so far; None where they may be equal."""
    is_counted: bool = False
    """Whether the present item is among them."""


class UniqueItems:
    """A JSON text on its way, with the items of its arrays that have to differ."""

    def __init__(self, schema: Schema) -> None:
        self.finished = 0
        self._root = schema
        self._text = b""
        self._open: tuple[Open, ...] = ()
        self._strings = Strings()

    @property
    def is_asked(self) -> bool:
        """Whether an array is open whose items have to differ."""
        return any(each.seen is not None for each in self._open)

    @property
    def is_in_string(self) -> bool:
        """Whether the text stands inside a string, where only a quote ends an item."""
        return self._strings.is_inside

    @property
    def is_between(self) -> bool:
        """Whether no item that has to differ has begun: the last one is finished, and no comma stands behind it."""
        return next((each.is_counted for each in reversed(self._open) if each.seen is not None), True)

    def rests(self) -> list[bytes]:
        """What is missing of the strings that are there already and begin as the present one does."""
        last = self._open[-1] if self._open else None
        if last is None or last.seen is None:
            return []
        begun = self._text[last.start :].lstrip(BETWEEN)
        strings = [each[1] for each in last.seen if isinstance(each, tuple) and each[0] == "str"]
        written = [json.dumps(each, ensure_ascii=False).encode() for each in strings]
        return [each[len(begun) :] for each in written if each.startswith(begun)]

    def __len__(self) -> int:
        """How many arrays and objects are open."""
        return len(self._open)

    def after(self, more: bytes) -> "UniqueItems | None":
        """The same text with more bytes; None where they finish an item that is there already."""
        other = copy(self)
        other._strings = copy(self._strings)
        return other if all(other._push(byte) for byte in more) else None

    def _push(self, byte: int) -> bool:
        was_inside = self._strings.is_inside
        self._strings.push(bytes([byte]))
        self._text += bytes([byte])
        if was_inside or self._strings.is_inside:
            return not (was_inside and not self._strings.is_inside) or self._count()
        letter = chr(byte)
        if letter in "[{":
            self._enter(letter == "[")
        elif letter in "]}":
            return self._leave()
        elif letter == "," and self._open:
            return self._next()
        elif letter == ":":
            self._name()
        elif self._open and self._text[self._open[-1].start :].strip(BETWEEN) in LITERALS:
            return self._count()
        return True

    def _enter(self, is_array: bool) -> None:
        schemas = expanded(self._root, inside(self._root, self._open[-1]) if self._open else [self._root])
        seen = frozenset[object]() if is_array and any(each.get("uniqueItems") is True for each in schemas) else None
        self._open = (*self._open, Open(tuple(schemas), is_array, len(self._text), seen=seen))

    def _leave(self) -> bool:
        is_new = not self._open or self._text[self._open[-1].start : -1].strip(BETWEEN) == b"" or self._count(-1)
        self._open = self._open[:-1]
        return is_new and self._count()

    def _next(self) -> bool:
        is_new = self._count(-1)
        last = self._open[-1]
        self._change(replace(last, start=len(self._text), item=last.item + 1, name=None, is_counted=False))
        return is_new

    def _name(self) -> None:
        last = self._open[-1] if self._open else None
        if last is not None and not last.is_array:
            self._change(replace(last, name=json.loads(self._text[last.start : -1])))

    def _count(self, end: int | None = None) -> bool:
        """Whether the item that is finished now is a new one."""
        last = self._open[-1] if self._open else None
        if last is None or last.seen is None or last.is_counted:
            return True
        value = comparable(json.loads(self._text[last.start : end]))
        self._change(replace(last, seen=last.seen | {value}, is_counted=True))
        self.finished += 1
        return value not in last.seen

    def _change(self, last: Open) -> None:
        self._open = (*self._open[:-1], last)


def unique_items(schema: Schema) -> UniqueItems | None:
    """What keeps the items of a schema's arrays apart; None where it asks for no such thing.

    Raises ConfigError where that stands beside a reference that is not followed here.
    """
    if not any(part.get("uniqueItems") is True for part in parts(schema)):
        return None
    for part in parts(schema):
        if isinstance(place := part.get("$ref"), str) and _referred(schema, place) is None:
            raise ConfigError(f"json_schema: uniqueItems beside $ref {place!r} cannot be followed: write what it refers to in its place")
    return UniqueItems(schema)


def expanded(root: Schema, schemas: Iterable[object]) -> list[Schema]:
    """These schemas with all that they refer to or combine."""
    waiting, found, known = list(schemas), list[Schema](), set[int]()
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict) or id(one) in known:
            continue
        known.add(id(one))
        found.append(one)
        if isinstance(place := one.get("$ref"), str):
            waiting.append(_referred(root, place))
        for word in ("allOf", "anyOf", "oneOf"):
            waiting += several if isinstance(several := one.get(word), list) else []
        waiting += [one.get("then"), one.get("else")]
    return found


def inside(root: Schema, place: Open) -> list[object]:
    """The schemas of the present item or member of an array or object."""
    return [each for schema in place.schemas for each in (_items(schema, place.item) if place.is_array else _members(schema, place.name))]


def _items(schema: Schema, number: int) -> list[object]:
    items, first = schema.get("items"), schema.get("prefixItems")
    if isinstance(items, list):  # as it was until 2019
        items, first = schema.get("additionalItems"), items
    if isinstance(first, list) and number < len(first):
        return [first[number]]
    return [items]


def _members(schema: Schema, name: str | None) -> list[object]:
    named, patterns = schema.get("properties"), schema.get("patternProperties")
    found: list[object] = [named[name]] if isinstance(named, dict) and name in named else []
    if isinstance(patterns, dict) and name is not None:
        found += [each for pattern, each in patterns.items() if re.search(pattern, name)]
    return found or [schema.get("additionalProperties")]


def _referred(root: Schema, place: str) -> object:
    """What a reference within the schema points to; None where it points to nothing."""
    if place != "#" and not place.startswith("#/"):
        return None
    found: Any = root
    for step in place.split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(name)
        elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def comparable(value: Any) -> object:
    """A JSON value as something that is equal exactly where JSON Schema says so."""
    if isinstance(value, dict):
        return ("object", frozenset((name, comparable(each)) for name, each in value.items()))
    if isinstance(value, list):
        return ("array", *map(comparable, value))
    return (type(value).__name__ if value is None or isinstance(value, bool | str) else "number", value)
