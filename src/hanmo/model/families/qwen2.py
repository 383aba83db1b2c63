"""Qwen2 and Qwen2.5 (Yang et al. 2024): Llama with biases on queries, keys and values only; upper layers may slide."""

from hanmo.model.config import DecoderConfig
from hanmo.model.families import llama
from hanmo.model.families.fields import Fields
from hanmo.model.families.layout import Layout
from hanmo.model.families.windows import read_upper_windows, write_upper_windows


def _expresses(config: DecoderConfig) -> bool:
    return llama.plain(config) and config.qkv_bias and not config.qk_norm and not config.mlp_bias


def _write(config: DecoderConfig) -> dict[str, object]:
    return llama.write_modern(config) | write_upper_windows(config)


def _read(fields: Fields) -> DecoderConfig:
    window, kinds = read_upper_windows(fields)
    return llama.read_modern(fields, key_value_heads=32, qkv_bias=True, sliding_window=window, layer_types=kinds)


LAYOUT = Layout(
    model_type="qwen2",
    architecture="Qwen2ForCausalLM",
    expresses=_expresses,
    write=_write,
    read=_read,
    rules=llama.RULES,
    prefix="model.",
    spare=llama.SPARE,
)
