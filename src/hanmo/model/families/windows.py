"""Sliding windows of a config.json: how many tokens a layer sees, and which layers do so.

A family says the second by `layer_types` (all layers, one by one) or by a rule of its own (every sixth layer full, all
layers from `max_window_layers` on sliding); a list that is there wins over the rule, as in transformers.
"""

from collections.abc import Sequence
from typing import cast, get_args

from hanmo.base.errors import ModelError
from hanmo.model.config import DecoderConfig, LayerType
from hanmo.model.families.fields import Fields

MOST_LAYERS = 1 << 12
"""A list of what each layer does is written out up to here; no network comes near it."""

Windows = tuple[int | None, tuple[LayerType, ...]]
"""`sliding_window` and `layer_types` as DecoderConfig has them."""


def write_layer_types(config: DecoderConfig) -> list[str]:
    """One word a layer."""
    return [config.layer_type(layer) for layer in range(config.num_hidden_layers)]


def read_layer_types(fields: Fields, layers: int) -> tuple[LayerType, ...] | None:
    """What `layer_types` says of each layer, or None when it is absent.

    Raises ModelError for an unknown type, or a list that has not one word a layer.
    """
    kinds = fields.values.get("layer_types")
    fields.skip("layer_types")
    if kinds is None:
        return None
    if not isinstance(kinds, list) or any(kind not in get_args(LayerType) for kind in kinds):
        known = ", ".join(get_args(LayerType))
        raise ModelError(f"config.json: layer_types (={repr(kinds)[:60]}) should be a list of words known here: {known}")
    if len(kinds) != layers:
        raise ModelError(f"config.json: layer_types names {len(kinds)} layers, num_hidden_layers (={layers}) says otherwise")
    return cast("tuple[LayerType, ...]", tuple(kinds))


def ruled(sliding: Sequence[bool]) -> tuple[LayerType, ...]:
    """The words for layers that slide or not."""
    return tuple("sliding_attention" if slides else "full_attention" for slides in sliding)


def read_window(fields: Fields) -> int | None:
    """`sliding_window`: 4096 where the key is absent, as in transformers, and None where it is null."""
    size = fields.integer("sliding_window", 4096)
    return size if fields.values.get("sliding_window", size) is not None else None


def count_layers(fields: Fields) -> int:
    """`num_hidden_layers`, few enough to name one by one.

    Raises ModelError otherwise.
    """
    layers = fields.integer("num_hidden_layers")
    if not 1 <= layers <= MOST_LAYERS:
        raise ModelError(f"config.json: num_hidden_layers (={layers}) should be between 1 and {MOST_LAYERS}")
    return layers


def settled(window: int | None, kinds: tuple[LayerType, ...]) -> Windows:
    """A window and the type of each layer, in their shortest form.

    Raises ModelError when layers slide and no window says how far.
    """
    slides = "sliding_attention" in kinds
    if slides and window is None:
        raise ModelError("config.json: layer_types has sliding_attention, but there is no sliding_window: say how many tokens it sees")
    if not slides:
        return None, ()
    return window, kinds if "full_attention" in kinds else ()


def read_upper_windows(fields: Fields) -> Windows:
    """Qwen's rule: with `use_sliding_window`, the layers from `max_window_layers` on slide."""
    layers, window, first = count_layers(fields), read_window(fields), fields.integer("max_window_layers", 28)
    window = window if fields.flag("use_sliding_window", False) else None
    kinds = read_layer_types(fields, layers) or ruled([window is not None and layer >= first for layer in range(layers)])
    return settled(window, kinds)


def write_upper_windows(config: DecoderConfig) -> dict[str, object]:
    """Qwen's keys: the list, and the rule as far as it says the same."""
    kinds, slides = write_layer_types(config), config.sliding_window is not None
    first = kinds.index("sliding_attention") if slides else len(kinds)
    return {"use_sliding_window": slides, "sliding_window": config.sliding_window, "max_window_layers": first, "layer_types": kinds}
