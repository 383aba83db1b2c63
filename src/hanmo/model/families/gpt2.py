"""GPT-2 (Radford et al. 2019): learned positions, LayerNorm, biases everywhere, matrices stored transposed (Conv1D)."""

from hanmo.model.config import DecoderConfig
from hanmo.model.families.fields import Fields, checked, same_or_default
from hanmo.model.families.layout import Layout
from hanmo.model.families.weights import ModuleMapping

RULES = (
    ModuleMapping("embed_tokens", ("transformer.wte",)),
    ModuleMapping("position_embedding", ("transformer.wpe",)),
    ModuleMapping("layers.{i}.attention_norm", ("transformer.h.{i}.ln_1",)),
    ModuleMapping("layers.{i}.attention.qkv", ("transformer.h.{i}.attn.c_attn",), transposed=True),
    ModuleMapping("layers.{i}.attention.out", ("transformer.h.{i}.attn.c_proj",), transposed=True),
    ModuleMapping("layers.{i}.mlp_norm", ("transformer.h.{i}.ln_2",)),
    ModuleMapping("layers.{i}.mlp.up", ("transformer.h.{i}.mlp.c_fc",), transposed=True),
    ModuleMapping("layers.{i}.mlp.down", ("transformer.h.{i}.mlp.c_proj",), transposed=True),
    ModuleMapping("final_norm", ("transformer.ln_f",)),
    ModuleMapping("lm_head", ("lm_head",)),
)
MODERN_FIELDS = ("gated_mlp", "qk_norm", "sandwich_norm", "scale_embedding", "query_pre_attn_scalar", "sliding_window")
UNSUPPORTED = {
    "scale_attn_weights": ([True], "attention scores that are not scaled"),
    "scale_attn_by_inverse_layer_idx": ([False], "attention scaled by the layer"),
    "add_cross_attention": ([False], "attention to an encoder"),
    "is_encoder_decoder": ([False], "an encoder"),
    "quantization_config": ([], "quantised weights"),
}


def _expresses(config: DecoderConfig) -> bool:
    return (
        (config.position_embedding, config.norm) == ("learned", "layer_norm")
        and (config.attention_bias, config.mlp_bias) == (True, True)
        and not any(getattr(config, name) for name in MODERN_FIELDS)
        and config.key_value_heads == config.num_attention_heads
        and config.head_width * config.num_attention_heads == config.hidden_size
    )


def _write(config: DecoderConfig) -> dict[str, object]:
    act = config.hidden_act
    return {
        "vocab_size": config.vocab_size,
        "n_positions": config.max_position_embeddings,
        "n_embd": config.hidden_size,
        "n_layer": config.num_hidden_layers,
        "n_head": config.num_attention_heads,
        "n_inner": config.mlp_width,
        "activation_function": "gelu_new" if act == "gelu_pytorch_tanh" else act,
        "layer_norm_epsilon": config.norm_eps,
        "embd_pdrop": config.embedding_dropout,
        "attn_pdrop": config.attention_dropout,
        "resid_pdrop": config.hidden_dropout,
        "initializer_range": config.initializer_range,
        "tie_word_embeddings": config.tie_word_embeddings,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
    }


def _read(fields: Fields) -> DecoderConfig:
    for key, (allowed, meaning) in UNSUPPORTED.items():
        fields.require(key, allowed, meaning)
    fields.flag("reorder_and_upcast_attn", False)  # another order of rounding, the same formula
    width, positions = fields.integer("n_embd"), fields.integer("n_positions")
    fields.require("n_ctx", [positions], "a context that is not n_positions")
    return checked(
        vocab_size=fields.integer("vocab_size"),
        hidden_size=width,
        intermediate_size=same_or_default(fields.integer("n_inner", 4 * width), 4 * width),
        num_hidden_layers=fields.integer("n_layer"),
        num_attention_heads=fields.integer("n_head"),
        max_position_embeddings=positions,
        position_embedding="learned",
        norm="layer_norm",
        norm_eps=fields.number("layer_norm_epsilon", 1e-5),
        hidden_act=fields.activation("activation_function", "gelu_new"),
        gated_mlp=False,
        attention_bias=True,
        mlp_bias=True,
        tie_word_embeddings=fields.flag("tie_word_embeddings", True),
        embedding_dropout=fields.number("embd_pdrop", 0.1),
        attention_dropout=fields.number("attn_pdrop", 0.1),
        hidden_dropout=fields.number("resid_pdrop", 0.1),
        initializer_range=fields.number("initializer_range", 0.02),
        bos_token_id=fields.token("bos_token_id"),
        eos_token_id=fields.token("eos_token_id"),
    )


LAYOUT = Layout(
    model_type="gpt2",
    architecture="GPT2LMHeadModel",
    expresses=_expresses,
    write=_write,
    read=_read,
    rules=RULES,
    prefix="transformer.",
    spare=(r"transformer\.h\.\d+\.attn\.(bias|masked_bias)",),
)
