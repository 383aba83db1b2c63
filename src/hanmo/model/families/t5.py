"""T5, T5 1.1, Flan-T5 (Raffel et al. 2020) and mT5 (Xue et al. 2021): relative positions, RMSNorm before each sub-layer.

`tie_word_embeddings` of a T5 only says whether the state is scaled before the head (an mT5's never is); whether the head
has a matrix of its own, the file says. transformers 5 reads both alike.
"""

import dataclasses

from hanmo.model.config import Activation
from hanmo.model.encoder_config import EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.families.fields import THEIR_ACTIVATIONS, Fields
from hanmo.model.families.network import Names, NetworkLayout, built
from hanmo.model.families.weights import ModuleMapping

UNSUPPORTED = {
    "is_decoder": ([False], "a decoder alone"),
    "is_encoder_decoder": ([True], "a network without one of its halves"),
    "quantization_config": ([], "quantised weights"),
}
PLAIN = {
    "position_embedding": "relative",
    "norm": "rms_norm",
    "post_norm": False,
    "attention_bias": False,
    "mlp_bias": False,
    "scaled_scores": False,
    "scale_embedding": False,
    "output_bias": False,
}
"""What makes a network a T5."""


def _attention(ours: str, theirs: str) -> tuple[ModuleMapping, ...]:
    return tuple(ModuleMapping(f"{ours}.{name}", (f"{theirs}.{name[0]}",)) for name in ("query", "key", "value", "out"))


def _half(half: str, *, gated: bool) -> tuple[ModuleMapping, ...]:
    ours, theirs, last = f"{half}.layers.{{i}}", f"{half}.block.{{i}}.layer", 2 if half == "decoder" else 1
    cross = (
        *_attention(f"{ours}.cross_attention", f"{theirs}.1.EncDecAttention"),
        ModuleMapping(f"{ours}.cross_norm", (f"{theirs}.1.layer_norm",)),
    )
    ups = ("wi_0", "wi_1") if gated else ("wi",)
    return (
        ModuleMapping(f"{half}.relative_bias", (f"{half}.block.0.layer.0.SelfAttention.relative_attention_bias",)),
        *_attention(f"{ours}.attention", f"{theirs}.0.SelfAttention"),
        ModuleMapping(f"{ours}.attention_norm", (f"{theirs}.0.layer_norm",)),
        *(cross if half == "decoder" else ()),
        ModuleMapping(f"{ours}.mlp.up", tuple(f"{theirs}.{last}.DenseReluDense.{up}" for up in ups)),
        ModuleMapping(f"{ours}.mlp.down", (f"{theirs}.{last}.DenseReluDense.wo",)),
        ModuleMapping(f"{ours}.mlp_norm", (f"{theirs}.{last}.layer_norm",)),
        ModuleMapping(f"{half}.final_norm", (f"{half}.final_layer_norm",)),
    )


def _rules(config: EncoderDecoderConfig) -> tuple[ModuleMapping, ...]:
    halves = (*_half("encoder", gated=config.gated_mlp), *_half("decoder", gated=config.gated_mlp))
    return (ModuleMapping("embed_tokens", ("shared",)), *halves, ModuleMapping("lm_head", ("lm_head",)))


def _expresses(config: EncoderDecoderConfig) -> bool:
    return all(getattr(config, name) == value for name, value in PLAIN.items()) and config.attention_dropout == config.hidden_dropout


def _projection(act: Activation, *, gated: bool) -> str:
    word = {"gelu_pytorch_tanh": "gelu" if gated else "gelu_new", "relu2": "relu2"}.get(act, act)
    return f"gated-{word}" if gated else word


def _write(config: EncoderDecoderConfig) -> dict[str, object]:
    return {
        "vocab_size": config.vocab_size,
        "d_model": config.hidden_size,
        "d_kv": config.head_width,
        "d_ff": config.mlp_width,
        "num_layers": config.num_hidden_layers,
        "num_decoder_layers": config.decoder_layers,
        "num_heads": config.num_attention_heads,
        "n_positions": config.max_position_embeddings,
        "relative_attention_num_buckets": config.relative_attention_num_buckets,
        "relative_attention_max_distance": config.relative_attention_max_distance,
        "dropout_rate": config.hidden_dropout,
        "layer_norm_epsilon": config.norm_eps,
        "feed_forward_proj": _projection(config.hidden_act, gated=config.gated_mlp),
        "is_encoder_decoder": True,
        "tie_word_embeddings": config.scale_output,
        "pad_token_id": config.pad_token_id,
        "decoder_start_token_id": config.start_token_id,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
    }


def _activation(fields: Fields, default: str) -> tuple[Activation, bool]:
    word = fields.word("feed_forward_proj", default)
    for key in ("dense_act_fn", "is_gated_act"):
        fields.skip(key)  # transformers writes down what follows from feed_forward_proj
    gated, name = word.startswith("gated-"), word.removeprefix("gated-")
    if word == "gated-gelu":
        return "gelu_pytorch_tanh", True
    if name not in THEIR_ACTIVATIONS:
        raise fields.wrong("feed_forward_proj", word, f"one of {', '.join(THEIR_ACTIVATIONS)}, with or without gated- before it")
    return THEIR_ACTIVATIONS[name], gated


def _read(fields: Fields, names: Names) -> EncoderDecoderConfig:
    return read(fields, scaled=fields.flag("scale_decoder_outputs", fields.flag("tie_word_embeddings", True)), names=names)


def _read_mt5(fields: Fields, names: Names) -> EncoderDecoderConfig:
    return read(fields, scaled=False, names=names)


def read(fields: Fields, *, scaled: bool, names: Names) -> EncoderDecoderConfig:
    """The configuration behind a T5's keys.

    Raises ModelError for what we cannot compute.
    """
    for key, (allowed, meaning) in UNSUPPORTED.items():
        fields.require(key, allowed, meaning)
    for key in ("initializer_factor", "classifier_dropout", "output_past", "tokenizer_class", "tie_word_embeddings"):
        fields.skip(key)
    act, gated = _activation(fields, "gated-gelu" if fields.family == "mt5" else "relu")
    layers, dropout = fields.integer("num_layers"), fields.number("dropout_rate", 0.1)
    padding = fields.values.get("pad_token_id")
    sizes = {key: fields.integer(key) for key in ("d_model", "d_kv", "d_ff", "num_heads", "vocab_size")}
    least = min(sizes, key=lambda key: sizes[key])
    if sizes[least] < 1:
        raise fields.wrong(least, sizes[least], "at least 1")
    return built(
        EncoderDecoderConfig,
        vocab_size=sizes["vocab_size"],
        hidden_size=sizes["d_model"],
        intermediate_size=sizes["d_ff"],
        num_hidden_layers=layers,
        num_decoder_layers=fields.integer("num_decoder_layers", layers),
        num_attention_heads=sizes["num_heads"],
        head_dim=sizes["d_kv"],
        max_position_embeddings=fields.integer("n_positions", 512),
        relative_attention_num_buckets=fields.integer("relative_attention_num_buckets", 32),
        relative_attention_max_distance=fields.integer("relative_attention_max_distance", 128),
        norm_eps=fields.number("layer_norm_epsilon", 1e-6),
        hidden_act=act,
        gated_mlp=gated,
        scale_output=scaled,
        tie_word_embeddings="lm_head.weight" not in names,
        attention_dropout=dropout,
        hidden_dropout=dropout,
        pad_token_id=padding if isinstance(padding, int) else 0,
        decoder_start_token_id=fields.token("decoder_start_token_id"),
        bos_token_id=fields.token("bos_token_id"),
        eos_token_id=fields.token("eos_token_id"),
        **PLAIN,
    )


LAYOUT = NetworkLayout[EncoderDecoderConfig](
    model_type="t5",
    architecture=lambda config: "T5ForConditionalGeneration",
    build=EncoderDecoder,
    expresses=_expresses,
    write=_write,
    read=_read,
    rules=_rules,
    spare=(r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",),
    copies=(("encoder.embed_tokens.weight", "embed_tokens.weight"), ("decoder.embed_tokens.weight", "embed_tokens.weight")),
)
MT5 = dataclasses.replace(LAYOUT, model_type="mt5", read=_read_mt5, expresses=lambda config: False)
"""Read under its own word, written as a T5 that is not scaled."""
