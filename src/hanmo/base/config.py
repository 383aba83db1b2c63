"""Recipes: TOML in, frozen dataclasses out, and back.

A configuration is a frozen keyword-only dataclass in the file that uses it; an unknown key is an error with a
suggestion; the resolved configuration is written back as TOML beside what it made.
"""

import dataclasses
import difflib
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

from hanmo.base.errors import ConfigError
from hanmo.base.storage import read_text

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a recipe.

    Raises ConfigError with the line where the file is not TOML.
    """
    try:
        return tomllib.loads(read_text(path))
    except FileNotFoundError:
        raise ConfigError(f"the recipe {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the recipe {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the recipe {path} is not valid TOML: {error}") from error


def build(kind: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """An instance of the dataclass `kind` from a table.

    Raises ConfigError for an unknown key (with the nearest known one), a missing one, or a value of a wrong type.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}  # pyright: ignore[reportArgumentType]
    hints = typing.get_type_hints(kind)
    arguments = {}
    for key, value in values.items():
        if key not in fields:
            raise ConfigError(unknown_key(_join(where, key), key, list(fields)))
        arguments[key] = _convert(hints[key], value, _join(where, key))
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in arguments:
            raise ConfigError(f"{_join(where, name)} is missing: it has no default")
    return kind(**arguments)


def unknown_key(path: str, key: str, known: list[str]) -> str:
    """The message for a key nobody knows, with the nearest known one."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
    return f"unknown key {path!r}: {hint}"


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):  # built and checked before
            return value
        return build(cast("type[Any]", hint), _table(value, where), where)
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(hint, value, where)
    if origin is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{where} (={value!r}) should be one of {', '.join(map(repr, get_args(hint)))}")
        return value
    if origin in (tuple, list):
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} (={value!r}) should be a list")
        item = get_args(hint)[0]
        return tuple(_convert(item, each, f"{where}[{i}]") for i, each in enumerate(cast("list[Any]", value)))
    if origin is dict:
        key_hint, item = get_args(hint)
        return {_convert_key(key_hint, k, where): _convert(item, v, f"{where}.{k}") for k, v in _table(value, where).items()}
    return _convert_scalar(hint, value, where)


def _convert_key(hint: Any, key: Any, where: str) -> Any:
    """A key of a table; TOML and JSON write numbers there as strings."""
    is_number = hint is int and isinstance(key, str) and key.isdecimal()
    return _convert(hint, int(cast("str", key)) if is_number else key, where)


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} (={value!r}) should be a table of keys")
    return cast("Mapping[str, Any]", value)


def _convert_union(hint: Any, value: Any, where: str) -> Any:
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    if value is None or (value == "none" and len(kinds) < len(get_args(hint))):
        return None
    errors: list[ConfigError] = []
    for kind in kinds:
        try:
            return _convert(kind, value, where)
        except ConfigError as error:
            errors.append(error)
    raise errors[0]


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is Path and isinstance(value, str | Path):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Any or (isinstance(value, hint) and not (hint is int and isinstance(value, bool))):
        return value
    raise ConfigError(f"{where} (={value!r}) should be of type {hint.__name__}, not {type(value).__name__}")


def to_table(config: Any) -> dict[str, Any]:
    """A dataclass as nested plain values; TOML has no word for None, so it is written as "none"."""
    table: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        table[field.name] = "none" if value is None else _plain(value)
    return table


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_table(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return value


def to_toml(config: Any) -> str:
    """A dataclass as TOML text that `build(kind, tomllib.loads(text))` turns back into an equal one."""
    lines: list[str] = []
    _write_table(cast("dict[str, Any]", config) if isinstance(config, dict) else to_table(config), "", lines)
    return "\n".join(lines).strip() + "\n"


def _write_table(table: Mapping[str, Any], name: str, lines: list[str]) -> None:
    if name:
        lines += ["", f"[{name}]"]
    lines += [f"{_key(k)} = {_value(v)}" for k, v in table.items() if not isinstance(v, Mapping)]
    for key, value in table.items():
        if isinstance(value, Mapping):
            _write_table(cast("Mapping[str, Any]", value), _join(name, _key(key)), lines)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
        return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'
    if isinstance(value, float):
        return repr(value) if abs(value) != float("inf") and value == value else str(value)
    if isinstance(value, list):
        return "[" + ", ".join(_value(each) for each in value) + "]"  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, Any]", value).items()
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in pairs) + "}"
    return str(value)
