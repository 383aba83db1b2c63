"""Qwen3 (Yang et al. 2025): Llama with queries and keys normalised a head, and no bias in the MLP; upper layers may slide."""

from hanmo.model.config import DecoderConfig
from hanmo.model.families import llama
from hanmo.model.families.fields import Fields
from hanmo.model.families.layout import Layout
from hanmo.model.families.windows import read_upper_windows, write_upper_windows


def _expresses(config: DecoderConfig) -> bool:
    return llama.plain(config) and config.qk_norm and not config.qkv_bias and not config.mlp_bias


def _write(config: DecoderConfig) -> dict[str, object]:
    return llama.write_modern(config) | write_upper_windows(config) | {"attention_bias": config.attention_bias}


def _read(fields: Fields) -> DecoderConfig:
    window, kinds = read_upper_windows(fields)
    return llama.read_modern(
        fields,
        head_dim=128,
        key_value_heads=32,
        qk_norm=True,
        attention_bias=fields.flag("attention_bias", False),
        sliding_window=window,
        layer_types=kinds,
    )


LAYOUT = Layout(
    model_type="qwen3",
    architecture="Qwen3ForCausalLM",
    expresses=_expresses,
    write=_write,
    read=_read,
    rules=(*llama.RULES, *llama.QK_NORM_RULES),
    prefix="model.",
    spare=llama.SPARE,
)
