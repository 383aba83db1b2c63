"""Families: one configuration and one weight map each, all served by the same decoder.

In: a DecoderConfig or a config.json. Out: the layout that says the same in the words of other tools.
Reading order: layout, weights, fields, rope, windows, gpt2, llama, mistral, qwen2, qwen3, gemma3, hanmo; network, bert, roberta, t5,
marian, encoders.
Never here: no forward pass; a family is words and names only.
"""

from collections.abc import Mapping

from hanmo.base.errors import ModelError
from hanmo.model.config import DecoderConfig
from hanmo.model.families import gemma3, gpt2, hanmo, llama, mistral, qwen2, qwen3
from hanmo.model.families.layout import Layout

LAYOUTS: tuple[Layout, ...] = tuple(family.LAYOUT for family in (gpt2, llama, mistral, qwen2, qwen3, gemma3, hanmo))


def layout_of(config: DecoderConfig) -> Layout:
    """The first layout that expresses `config`; our own "hanmo_decoder" expresses everything."""
    return next(layout for layout in LAYOUTS if layout.expresses(config))


def layout_named(values: Mapping[str, object]) -> Layout:
    """The layout that a config.json names as its `model_type`.

    Raises ModelError for one that is not known.
    """
    for layout in LAYOUTS:
        if layout.model_type == values.get("model_type"):
            return layout
    known = ", ".join(layout.model_type for layout in LAYOUTS)
    raise ModelError(f"config.json: model_type (={values.get('model_type')!r}) is not one that this version reads: {known}")
