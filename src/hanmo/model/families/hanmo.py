"""Our own layout: any mixture the decoder can be, under our names; no other tool reads it, and the model card says so."""

import dataclasses

from hanmo.base.config import build
from hanmo.base.errors import ConfigError, ModelError
from hanmo.model.config import DecoderConfig
from hanmo.model.families.fields import BOOKKEEPING, Fields
from hanmo.model.families.layout import Layout

NOTE = "hanmo's own layout, for a mixture that no other tool knows: only hanmo reads it"


def _expresses(config: DecoderConfig) -> bool:
    return True


def _write(config: DecoderConfig) -> dict[str, object]:
    return {"note": NOTE, **dataclasses.asdict(config)}


def _read(fields: Fields) -> DecoderConfig:
    values = {key: value for key, value in fields.values.items() if key not in BOOKKEEPING | {"note"}}
    for key in fields.values:
        fields.skip(key)
    try:
        config = build(DecoderConfig, values)
    except (ConfigError, OverflowError) as error:
        raise ModelError(f"config.json: {error}") from error
    if config.vocab_size < 1:
        raise ModelError(f"config.json: vocab_size (={config.vocab_size}) should be positive")
    return config


LAYOUT = Layout(model_type="hanmo_decoder", architecture="HanmoDecoder", expresses=_expresses, write=_write, read=_read)
