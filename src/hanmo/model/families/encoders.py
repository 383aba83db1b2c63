"""Which layout an encoder, or an encoder with a decoder, is written in and read from; the last of each kind is our own."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeVar

from torch import nn

from hanmo.base.config import build
from hanmo.base.errors import ConfigError, ModelError
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.families import bert, marian, roberta, t5
from hanmo.model.families.fields import BOOKKEEPING, Fields
from hanmo.model.families.network import Names, NetworkLayout

C = TypeVar("C", EncoderConfig, EncoderDecoderConfig)
AnyLayout = NetworkLayout[EncoderConfig] | NetworkLayout[EncoderDecoderConfig]

NOTE = "hanmo's own layout, for a mixture that no other tool knows: only hanmo reads it"


def _own(model_type: str, kind: type[C], network: Callable[[C], nn.Module]) -> NetworkLayout[C]:
    def read(fields: Fields, names: Names) -> C:
        values = {key: value for key, value in fields.values.items() if key not in BOOKKEEPING - {"pad_token_id"} | {"note"}}
        for key in fields.values:
            fields.skip(key)
        try:
            config = build(kind, values)
        except (ConfigError, OverflowError) as error:
            raise ModelError(f"config.json: {error}") from error
        if config.vocab_size < 1:
            raise ModelError(f"config.json: vocab_size (={config.vocab_size}) should be positive")
        return config

    return NetworkLayout[C](
        model_type=model_type,
        architecture=lambda config: "".join(word.capitalize() for word in model_type.split("_")),
        build=network,
        expresses=lambda config: True,
        write=lambda config: {"note": NOTE, **dataclasses.asdict(config)},
        read=read,
    )


ENCODERS = (bert.LAYOUT, roberta.LAYOUT, roberta.XLM, _own("hanmo_encoder", EncoderConfig, Encoder))
ENCODER_DECODERS = (t5.LAYOUT, t5.MT5, marian.LAYOUT, _own("hanmo_encoder_decoder", EncoderDecoderConfig, EncoderDecoder))
LAYOUTS: tuple[AnyLayout, ...] = (*ENCODERS, *ENCODER_DECODERS)


def encoder_layout(config: EncoderConfig) -> NetworkLayout[EncoderConfig]:
    """The first layout that expresses an encoder."""
    return next(layout for layout in ENCODERS if layout.expresses(config))


def encoder_decoder_layout(config: EncoderDecoderConfig) -> NetworkLayout[EncoderDecoderConfig]:
    """The first layout that expresses an encoder-decoder."""
    return next(layout for layout in ENCODER_DECODERS if layout.expresses(config))


def layout_named(values: Mapping[str, object]) -> AnyLayout | None:
    """The layout that a config.json names as its `model_type`, or None when it is not one of these."""
    return next((layout for layout in LAYOUTS if layout.model_type == values.get("model_type")), None)
