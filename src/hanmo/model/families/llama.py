"""Llama (Touvron et al. 2023): rotary positions, RMSNorm, SwiGLU, grouped queries; also SmolLM2 and TinyLlama.

Its relatives (Mistral, Qwen2, Qwen3, Gemma 3) share the keys and names here and add their own. The two dropouts that
transformers has no word for (`embedding_dropout`, `hidden_dropout`) are written under our own names: they change training
only, and other tools pass over them.
"""

from hanmo.model.config import DecoderConfig
from hanmo.model.families.fields import Fields, checked, same_or_default
from hanmo.model.families.layout import Layout
from hanmo.model.families.rope import read_rotary, write_rotary, write_scaling
from hanmo.model.families.weights import ModuleMapping

RULES = (
    ModuleMapping("embed_tokens", ("model.embed_tokens",)),
    ModuleMapping("layers.{i}.attention_norm", ("model.layers.{i}.input_layernorm",)),
    ModuleMapping("layers.{i}.attention.qkv", tuple(f"model.layers.{{i}}.self_attn.{each}_proj" for each in "qkv")),
    ModuleMapping("layers.{i}.attention.out", ("model.layers.{i}.self_attn.o_proj",)),
    ModuleMapping("layers.{i}.mlp_norm", ("model.layers.{i}.post_attention_layernorm",)),
    ModuleMapping("layers.{i}.mlp.up", ("model.layers.{i}.mlp.gate_proj", "model.layers.{i}.mlp.up_proj")),
    ModuleMapping("layers.{i}.mlp.down", ("model.layers.{i}.mlp.down_proj",)),
    ModuleMapping("final_norm", ("model.norm",)),
    ModuleMapping("lm_head", ("lm_head",)),
)
QK_NORM_RULES = tuple(
    ModuleMapping(f"layers.{{i}}.attention.{each}", (f"model.layers.{{i}}.self_attn.{each}",)) for each in ("q_norm", "k_norm")
)
SPARE = (r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq",)
GEMMA_FIELDS = ("sandwich_norm", "zero_centered_norm", "scale_embedding", "query_pre_attn_scalar", "rope_local_base_freq")


def modern(config: DecoderConfig) -> bool:
    """Whether positions, norms and MLP are those of Llama and its relatives."""
    return (config.position_embedding, config.norm, config.gated_mlp) == ("rotary", "rms_norm", True)


def plain(config: DecoderConfig) -> bool:
    """Whether it is modern without what only Gemma has."""
    return modern(config) and not any(getattr(config, name) for name in GEMMA_FIELDS)


def write_modern(config: DecoderConfig) -> dict[str, object]:
    """The keys that Llama and its relatives share; rotary settings in the old place and the new one."""
    keys: dict[str, object] = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.mlp_width,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.key_value_heads,
        "head_dim": config.head_width,
        "max_position_embeddings": config.max_position_embeddings,
        "rope_theta": config.rope_theta,
        "rope_parameters": write_rotary(config.rope_theta, config.rope_scaling),
        **write_scaling(config.rope_scaling),
        "rms_norm_eps": config.norm_eps,
        "hidden_act": config.hidden_act,
        "attention_dropout": config.attention_dropout,
        "initializer_range": config.initializer_range,
        "tie_word_embeddings": config.tie_word_embeddings,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
    }
    ours = {"embedding_dropout": config.embedding_dropout, "hidden_dropout": config.hidden_dropout}
    return keys | {key: value for key, value in ours.items() if value}


def read_modern(fields: Fields, *, head_dim: int = 0, key_value_heads: int = 0, tied: bool = False, **own: object) -> DecoderConfig:
    """The configuration behind those keys, with what a family reads of its `own`.

    head_dim, key_value_heads, tied: the family's defaults where the key is absent, 0 when it follows from other keys.
    Raises ModelError for what we cannot compute.
    """
    fields.require("is_encoder_decoder", [False], "an encoder")
    fields.require("quantization_config", [], "quantised weights")
    fields.require("partial_rotary_factor", [1.0], "positions on a part of each head")
    fields.require("rope_interleaved", [False], "rotary pairs that interleave")
    width, heads = fields.integer("hidden_size"), fields.integer("num_attention_heads")
    if min(width, heads) < 1:
        raise fields.wrong("num_attention_heads" if heads < 1 else "hidden_size", min(width, heads), "at least 1")
    inner = -(-8 * width // 3 // 64) * 64
    usual_keys = heads if "num_key_value_heads" in fields.values else key_value_heads or heads
    if "rope_theta" not in own:
        own["rope_theta"], own["rope_scaling"] = read_rotary(fields)
    if "hidden_act" not in own:
        own["hidden_act"] = fields.activation("hidden_act", "silu")
    return checked(
        vocab_size=fields.integer("vocab_size"),
        hidden_size=width,
        intermediate_size=same_or_default(fields.integer("intermediate_size"), inner),
        num_hidden_layers=fields.integer("num_hidden_layers"),
        num_attention_heads=heads,
        num_key_value_heads=same_or_default(fields.integer("num_key_value_heads", usual_keys), heads),
        head_dim=same_or_default(fields.integer("head_dim", head_dim), -1 if width % heads else width // heads),
        max_position_embeddings=fields.integer("max_position_embeddings"),
        norm_eps=fields.number("rms_norm_eps", 1e-6),
        tie_word_embeddings=fields.flag("tie_word_embeddings", tied),
        embedding_dropout=fields.number("embedding_dropout", 0.0),
        attention_dropout=fields.number("attention_dropout", 0.0),
        hidden_dropout=fields.number("hidden_dropout", 0.0),
        initializer_range=fields.number("initializer_range", 0.02),
        bos_token_id=fields.token("bos_token_id"),
        eos_token_id=fields.token("eos_token_id"),
        **own,
    )


def _expresses(config: DecoderConfig) -> bool:
    divides = config.hidden_size % config.num_attention_heads == 0  # transformers asks for it, with head_dim too
    return plain(config) and divides and not config.qk_norm and not config.qkv_bias and config.sliding_window is None


def _write(config: DecoderConfig) -> dict[str, object]:
    return write_modern(config) | {"attention_bias": config.attention_bias, "mlp_bias": config.mlp_bias}


def _read(fields: Fields) -> DecoderConfig:
    return read_modern(fields, attention_bias=fields.flag("attention_bias", False), mlp_bias=fields.flag("mlp_bias", False))


LAYOUT = Layout(
    model_type="llama",
    architecture="LlamaForCausalLM",
    expresses=_expresses,
    write=_write,
    read=_read,
    rules=RULES,
    prefix="model.",
    spare=SPARE,
)
