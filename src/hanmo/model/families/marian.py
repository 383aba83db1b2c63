"""Marian (Junczys-Dowmunt et al. 2018), the translators of OPUS-MT: the Transformer of 2017 with its sines in another order."""

from hanmo.model.encoder_config import EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.families.fields import Fields
from hanmo.model.families.network import Names, NetworkLayout, built
from hanmo.model.families.weights import ModuleMapping

EPS = 1e-5
"""Added to the variance; its config.json has no word for it."""
PLAIN = {
    "position_embedding": "sinusoidal_halves",
    "norm": "layer_norm",
    "post_norm": True,
    "norm_eps": EPS,
    "gated_mlp": False,
    "attention_bias": True,
    "mlp_bias": True,
    "scaled_scores": True,
    "scale_output": False,
    "tie_word_embeddings": True,
}
"""What makes a network a Marian."""
UNSUPPORTED = {
    "is_decoder": ([False], "a decoder alone"),
    "is_encoder_decoder": ([True], "a network without one of its halves"),
    "share_encoder_decoder_embeddings": ([True], "an embedding for each language"),
    "normalize_before": ([False], "norms before sub-layers"),
    "normalize_embedding": ([False], "a norm of the embedding"),
    "add_final_layer_norm": ([False], "a norm at the end"),
    "static_position_embeddings": ([True], "positions that are learned"),
    "extra_pos_embeddings": ([0], "more rows of positions"),
    "tie_word_embeddings": ([True], "three embeddings"),
    "quantization_config": ([], "quantised weights"),
}
WITHOUT_EFFECT = (
    "activation_dropout",
    "encoder_layerdrop",
    "decoder_layerdrop",
    "classifier_dropout",
    "classif_dropout",
    "num_hidden_layers",
    "force_bos_token_to_be_generated",
    "add_bias_logits",
    "bad_words_ids",
    "num_beams",
    "max_length",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "pad_token_id",
    "share_encoder_decoder_embeddings",
)
"""Keys of training tricks and of decoding that change no logits."""


def _half(half: str) -> tuple[ModuleMapping, ...]:
    ours, theirs = f"{half}.layers.{{i}}", f"model.{half}.layers.{{i}}"
    kinds = {"attention": ("self_attn", "attention_norm"), "cross_attention": ("encoder_attn", "cross_norm")}
    rules = [
        ModuleMapping(f"{ours}.mlp.up", (f"{theirs}.fc1",)),
        ModuleMapping(f"{ours}.mlp.down", (f"{theirs}.fc2",)),
        ModuleMapping(f"{ours}.mlp_norm", (f"{theirs}.final_layer_norm",)),
    ]
    for name, (attention, norm) in kinds.items():
        rules.append(ModuleMapping(f"{ours}.{norm}", (f"{theirs}.{attention}_layer_norm",)))
        for each in ("query", "key", "value", "out"):
            word = "out" if each == "out" else each[0]
            rules.append(ModuleMapping(f"{ours}.{name}.{each}", (f"{theirs}.{attention}.{word}_proj",)))
    return tuple(rules)


def _expresses(config: EncoderDecoderConfig) -> bool:
    fixed = all(getattr(config, name) == value for name, value in PLAIN.items())
    return fixed and config.head_width * config.num_attention_heads == config.hidden_size


def _write(config: EncoderDecoderConfig) -> dict[str, object]:
    sizes: dict[str, object] = {}
    for half, layers in (("encoder", config.num_hidden_layers), ("decoder", config.decoder_layers)):
        sizes |= {
            f"{half}_layers": layers,
            f"{half}_ffn_dim": config.mlp_width,
            f"{half}_attention_heads": config.num_attention_heads,
            f"{half}_layerdrop": 0.0,
        }
    return {
        "vocab_size": config.vocab_size,
        "decoder_vocab_size": config.vocab_size,
        "d_model": config.hidden_size,
        **sizes,
        "max_position_embeddings": config.max_position_embeddings,
        "activation_function": "gelu_new" if config.hidden_act == "gelu_pytorch_tanh" else config.hidden_act,
        "dropout": config.hidden_dropout,
        "attention_dropout": config.attention_dropout,
        "init_std": config.initializer_range,
        "scale_embedding": config.scale_embedding,
        "share_encoder_decoder_embeddings": True,
        "is_encoder_decoder": True,
        "tie_word_embeddings": True,
        "pad_token_id": config.start_token_id if config.pad_token_id is None else config.pad_token_id,
        "decoder_start_token_id": config.start_token_id,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
        "forced_eos_token_id": config.eos_token_id,
    }


def _same(fields: Fields, key: str, other: str) -> int:
    value = fields.integer(key)
    if value < 1:
        raise fields.wrong(key, value, "at least 1")
    fields.require(other, [value], f"another number than {key}")
    return value


def _read(fields: Fields, names: Names) -> EncoderDecoderConfig:
    for key, (allowed, meaning) in UNSUPPORTED.items():
        fields.require(key, allowed, meaning)
    for key in WITHOUT_EFFECT:
        fields.skip(key)
    width, size = fields.integer("d_model"), fields.integer("vocab_size")
    fields.require("decoder_vocab_size", [size], "a vocabulary for each language")
    padding = fields.values.get("pad_token_id")
    return built(
        EncoderDecoderConfig,
        vocab_size=size,
        hidden_size=width,
        intermediate_size=_same(fields, "encoder_ffn_dim", "decoder_ffn_dim"),
        num_hidden_layers=fields.integer("encoder_layers"),
        num_decoder_layers=fields.integer("decoder_layers"),
        num_attention_heads=_same(fields, "encoder_attention_heads", "decoder_attention_heads"),
        max_position_embeddings=fields.integer("max_position_embeddings", 1024),
        hidden_act=fields.activation("activation_function", "gelu"),
        scale_embedding=fields.flag("scale_embedding", False),
        output_bias="final_logits_bias" in names,
        attention_dropout=fields.number("attention_dropout", 0.0),
        hidden_dropout=fields.number("dropout", 0.1),
        initializer_range=fields.number("init_std", 0.02),
        pad_token_id=padding if isinstance(padding, int) else None,
        decoder_start_token_id=fields.token("decoder_start_token_id"),
        bos_token_id=fields.token("bos_token_id"),
        eos_token_id=fields.token("eos_token_id"),
        **PLAIN,
    )


LAYOUT = NetworkLayout[EncoderDecoderConfig](
    model_type="marian",
    architecture=lambda config: "MarianMTModel",
    build=EncoderDecoder,
    expresses=_expresses,
    write=_write,
    read=_read,
    rules=lambda config: (
        ModuleMapping("embed_tokens", ("model.shared",)),
        *_half("encoder"),
        *_half("decoder"),
        ModuleMapping("output_bias", ("final_logits_bias",)),
    ),
    spare=(r"model\.(encoder|decoder)\.embed_positions\.weight",),
    copies=(
        ("model.encoder.embed_tokens.weight", "embed_tokens.weight"),
        ("model.decoder.embed_tokens.weight", "embed_tokens.weight"),
        ("lm_head.weight", "embed_tokens.weight"),
    ),
)
