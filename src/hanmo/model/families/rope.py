"""Rotary settings of a config.json: `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling` (before it).

Both places are written, and where both are there they have to agree.
"""

import dataclasses
from collections.abc import Mapping
from typing import cast, get_args

from hanmo.base.errors import ConfigError, ModelError
from hanmo.model.config import RopeScaling, RopeType
from hanmo.model.families.fields import Fields

Rotary = tuple[float, RopeScaling]
"""Base of the frequencies, and how they are slowed down."""

KEYS: dict[RopeType, tuple[str, ...]] = {
    "default": (),
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    "yarn": ("factor", "beta_fast", "beta_slow", "attention_factor", "truncate", "original_max_position_embeddings"),
}
"""What each kind of scaling reads."""
REQUIRED = ("factor", "low_freq_factor", "high_freq_factor")
"""Keys without a default in transformers, where the kind reads them."""


def write_rotary(theta: float, scaling: RopeScaling) -> dict[str, object]:
    """One table of `rope_parameters`; what follows from other keys is left out."""
    keys = {key: getattr(scaling, key) for key in KEYS[scaling.rope_type]}
    given = {key: value for key, value in keys.items() if value != 0 or isinstance(value, bool)}
    return {"rope_type": scaling.rope_type, "rope_theta": theta, **given}


def write_scaling(scaling: RopeScaling) -> dict[str, object]:
    """The same for tools before `rope_parameters`; nothing when frequencies are as they are."""
    if scaling.rope_type == "default":
        return {}
    table = write_rotary(0.0, scaling)
    return {"rope_scaling": {key: value for key, value in table.items() if key != "rope_theta"}}


def read_rotary(fields: Fields, default: float = 10000.0) -> Rotary:
    """Base and scaling for all layers.

    Raises ModelError for a kind or key that we do not compute, and when the two places disagree.
    """
    table, old = fields.table("rope_parameters"), fields.table("rope_scaling")
    theta = fields.number("rope_theta", default)
    scaling = read_scaling(table, "rope_parameters")
    if old:
        older = read_scaling(old, "rope_scaling")
        if table and older != scaling:
            raise ModelError("config.json: rope_scaling and rope_parameters disagree: keep one")
        scaling = older
    if table.get("rope_theta") is None:
        return theta, scaling
    inner = Fields(table, fields.family).number("rope_theta", default)
    if fields.values.get("rope_theta") is not None and inner != theta:
        raise ModelError(f"config.json: rope_theta (={theta!r}) and rope_parameters.rope_theta (={inner!r}) disagree: keep one")
    return inner, scaling


def read_scaling(table: Mapping[str, object], where: str) -> RopeScaling:
    """The scaling that one table asks for.

    Raises ModelError for a kind or key that we do not compute, or numbers that make no sense.
    """
    kind = table.get("rope_type", table.get("type", "default"))
    if not isinstance(kind, str) or kind not in get_args(RopeType):
        known = ", ".join(get_args(RopeType))
        raise ModelError(f"config.json: {where}.rope_type (={repr(kind)[:60]}) is not one that this version computes: {known}")
    keys = KEYS[cast("RopeType", kind)]
    for key, value in table.items():
        if key not in (*keys, "rope_type", "type", "rope_theta") and value not in (None, 1.0):
            raise ModelError(f"config.json: {where}.{key[:40]} (={repr(value)[:60]}) is not supported with rope_type {kind}")
    fields, given = Fields(table, where), dict[str, object]()
    for key in keys:
        if table.get(key) is None:
            if key in REQUIRED:
                raise ModelError(f"config.json: {where}.{key} is missing: {kind} needs it")
        elif key == "truncate":
            given[key] = fields.flag(key, True)
        else:
            given[key] = fields.integer(key) if key == "original_max_position_embeddings" else fields.number(key, 0.0)
    try:
        return dataclasses.replace(RopeScaling(rope_type=cast("RopeType", kind)), **given)  # pyright: ignore[reportArgumentType]
    except ConfigError as error:
        raise ModelError(f"config.json: {str(error).replace('model.rope_scaling', where)}") from error
