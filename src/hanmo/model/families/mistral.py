"""Mistral (Jiang et al. 2023): Llama whose layers all slide, without biases."""

from hanmo.base.errors import ModelError
from hanmo.model.config import DecoderConfig
from hanmo.model.families import llama
from hanmo.model.families.fields import Fields
from hanmo.model.families.layout import Layout
from hanmo.model.families.windows import count_layers, read_layer_types, read_window


def _expresses(config: DecoderConfig) -> bool:
    biased = config.attention_bias or config.qkv_bias or config.mlp_bias
    return llama.plain(config) and not config.qk_norm and not biased and config.kinds_of_layer == {"sliding_attention"}


def _write(config: DecoderConfig) -> dict[str, object]:
    return llama.write_modern(config) | {"sliding_window": config.sliding_window}


def _read(fields: Fields) -> DecoderConfig:
    window, kinds = read_window(fields), read_layer_types(fields, count_layers(fields))
    if kinds is not None and set(kinds) != {"full_attention" if window is None else "sliding_attention"}:
        raise ModelError("config.json: layer_types contradicts sliding_window, which is for all layers of a mistral model: keep one")
    return llama.read_modern(fields, key_value_heads=8, sliding_window=window)


LAYOUT = Layout(
    model_type="mistral",
    architecture="MistralForCausalLM",
    expresses=_expresses,
    write=_write,
    read=_read,
    rules=llama.RULES,
    prefix="model.",
    spare=llama.SPARE,
)
