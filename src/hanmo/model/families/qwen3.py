"""Qwen3 (Yang et al. 2025): Llama with queries and keys normalised a head, and no bias in the MLP."""

from hanmo.base.errors import ModelError
from hanmo.model.config import DecoderConfig
from hanmo.model.families import llama
from hanmo.model.families.fields import Fields
from hanmo.model.families.layout import Layout
from hanmo.model.families.weights import Rule

RULES = (
    *llama.RULES,
    Rule("layers.{i}.attention.q_norm", ("model.layers.{i}.self_attn.q_norm",)),
    Rule("layers.{i}.attention.k_norm", ("model.layers.{i}.self_attn.k_norm",)),
)


def _expresses(config: DecoderConfig) -> bool:
    return llama.modern(config) and config.qk_norm and not config.mlp_bias


def _write(config: DecoderConfig) -> dict[str, object]:
    kinds = ["full_attention"] * config.num_hidden_layers
    return llama.write_modern(config) | {"use_sliding_window": False, "sliding_window": None, "layer_types": kinds}


def _read(fields: Fields) -> DecoderConfig:
    fields.require("use_sliding_window", [False], "a sliding window")
    fields.skip("sliding_window")  # without effect while use_sliding_window is false
    kinds = fields.values.get("layer_types")
    fields.skip("layer_types")
    if kinds is not None and (not isinstance(kinds, list) or any(kind != "full_attention" for kind in kinds)):
        raise ModelError(
            f"config.json: layer_types (={str(kinds)[:60]}) asks for attention that is not full, which qwen3 models do not have here"
        )
    return llama.read_modern(fields, head_dim=128, mlp_bias=False, qk_norm=True)


LAYOUT = Layout(
    model_type="qwen3",
    architecture="Qwen3ForCausalLM",
    expresses=_expresses,
    write=_write,
    read=_read,
    rules=RULES,
    prefix="model.",
    spare=llama.SPARE,
)
