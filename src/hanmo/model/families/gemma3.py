"""Gemma 3, text (Gemma Team 2025): sliding and full layers with rotary bases of their own, norms on both sides of a sub-layer.

Its words differ from Llama's in two places: the activation is `hidden_activation`, and rotary settings are kept apart for the
two kinds of layer (`rope_local_base_freq` before transformers 5, a table of tables since).
"""

from collections.abc import Mapping
from typing import get_args

from hanmo.base.errors import ModelError
from hanmo.model.config import DecoderConfig, LayerType
from hanmo.model.families import llama
from hanmo.model.families.fields import Fields
from hanmo.model.families.layout import Layout
from hanmo.model.families.rope import Rotary, read_rotary, write_rotary
from hanmo.model.families.weights import ModuleMapping
from hanmo.model.families.windows import Windows, count_layers, read_layer_types, read_window, ruled, settled, write_layer_types

RULES = (
    *(rule for rule in llama.RULES if rule.ours != "layers.{i}.mlp_norm"),
    *llama.QK_NORM_RULES,
    ModuleMapping("layers.{i}.attention_post_norm", ("model.layers.{i}.post_attention_layernorm",)),
    ModuleMapping("layers.{i}.mlp_norm", ("model.layers.{i}.pre_feedforward_layernorm",)),
    ModuleMapping("layers.{i}.mlp_post_norm", ("model.layers.{i}.post_feedforward_layernorm",)),
)
THETA, LOCAL_THETA, PATTERN = 1000000.0, 10000.0, 6


def _expresses(config: DecoderConfig) -> bool:
    marks = (config.sandwich_norm, config.zero_centered_norm, config.scale_embedding, config.qk_norm)
    divides = config.hidden_size % config.num_attention_heads == 0  # transformers asks for it, with head_dim too
    return llama.modern(config) and all(marks) and divides and not config.qkv_bias and not config.mlp_bias


def _write(config: DecoderConfig) -> dict[str, object]:
    keys = llama.write_modern(config)
    keys["hidden_activation"] = keys.pop("hidden_act")
    local = config.rotary_of("sliding_attention")
    return keys | {
        "rope_local_base_freq": local[0],
        "rope_parameters": {
            "full_attention": write_rotary(config.rope_theta, config.rope_scaling),
            "sliding_attention": keys["rope_parameters"] if config.rope_local_base_freq is None else write_rotary(*local),
        },
        "attention_bias": config.attention_bias,
        "query_pre_attn_scalar": config.query_pre_attn_scalar or config.head_width,
        "sliding_window": config.sliding_window or config.max_position_embeddings,  # transformers wants one, used or not
        "layer_types": write_layer_types(config),
        "pad_token_id": None,  # transformers would take 0, and give the embedding of that token no gradient
        "final_logit_softcapping": None,
        "attn_logit_softcapping": None,
    }


def _read(fields: Fields) -> DecoderConfig:
    fields.require("final_logit_softcapping", [], "logits kept within bounds")
    fields.require("attn_logit_softcapping", [], "attention scores kept within bounds")
    fields.require("use_bidirectional_attention", [False], "attention to what follows")
    window, kinds = _windows(fields)
    (theta, scaling), local = _rotary(fields)
    head_dim = fields.integer("head_dim", 256)
    scalar = fields.integer("query_pre_attn_scalar", 256)
    if min(scalar, head_dim) < 1:
        raise fields.wrong("query_pre_attn_scalar" if scalar < 1 else "head_dim", min(scalar, head_dim), "at least 1")
    return llama.read_modern(
        fields,
        head_dim=256,
        key_value_heads=4,
        tied=True,
        hidden_act=fields.activation("hidden_activation", "gelu_pytorch_tanh"),
        rope_theta=theta,
        rope_scaling=scaling,
        rope_local_base_freq=local if window is not None else None,
        sliding_window=window,
        layer_types=kinds,
        query_pre_attn_scalar=0 if scalar == head_dim else scalar,
        qk_norm=True,
        sandwich_norm=True,
        zero_centered_norm=True,
        scale_embedding=True,
        attention_bias=fields.flag("attention_bias", False),
    )


def _windows(fields: Fields) -> Windows:
    """`layer_types`, or every `sliding_window_pattern`-th layer full and the others sliding."""
    layers, every = count_layers(fields), fields.integer("sliding_window_pattern", PATTERN)
    fields.skip("_sliding_window_pattern")  # what transformers keeps of it beside layer_types
    if every < 1:
        raise fields.wrong("sliding_window_pattern", every, "at least 1")
    rule = ruled([bool((layer + 1) % every) for layer in range(layers)])
    kinds = read_layer_types(fields, layers)
    if kinds is not None and kinds != rule and fields.values.get("sliding_window_pattern") is not None:
        raise ModelError(f"config.json: layer_types and sliding_window_pattern (={every}) disagree: keep one")
    return settled(read_window(fields), kinds or rule)


def _rotary(fields: Fields) -> tuple[Rotary, float | None]:
    """Rotary settings of full layers, and the base of sliding ones; None when they turn as the full ones do."""
    tables = fields.table("rope_parameters")
    if strange := sorted(set(tables) - set(get_args(LayerType))):
        raise ModelError(f"config.json: rope_parameters.{strange[0][:40]} is no kind of layer: {', '.join(get_args(LayerType))} are")
    full = read_rotary(_of_kind(fields, tables, "full_attention", "rope_theta", "rope_scaling"), THETA)
    sliding = read_rotary(_of_kind(fields, tables, "sliding_attention", "rope_local_base_freq"), LOCAL_THETA)
    if sliding == full:
        return full, None
    if sliding[1].rope_type != "default":
        raise ModelError("config.json: rope_parameters.sliding_attention asks for scaled positions, which full layers do not have")
    return full, sliding[0]


def _of_kind(fields: Fields, tables: Mapping[str, object], kind: LayerType, theta: str, scaling: str = "") -> Fields:
    """The keys for one kind of layer, under the names of a family that has one kind."""
    for key in (theta, scaling):
        fields.skip(key)
    keys = {"rope_parameters": tables.get(kind), "rope_theta": fields.values.get(theta), "rope_scaling": fields.values.get(scaling)}
    return Fields(keys, fields.family)


LAYOUT = Layout(
    model_type="gemma3_text",
    architecture="Gemma3ForCausalLM",
    base="Gemma3TextModel",
    expresses=_expresses,
    write=_write,
    read=_read,
    rules=RULES,
    prefix="model.",
    spare=llama.SPARE,
)
