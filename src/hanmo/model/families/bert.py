"""BERT (Devlin et al. 2019): post-norm blocks, learned positions, token types, a head for masked tokens."""

from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig
from hanmo.model.families.fields import Fields
from hanmo.model.families.network import Names, NetworkLayout, built
from hanmo.model.families.weights import ModuleMapping

UNSUPPORTED = {
    "position_embedding_type": (["absolute"], "positions that are not a table"),
    "is_decoder": ([False], "a decoder"),
    "add_cross_attention": ([False], "attention to an encoder"),
    "is_encoder_decoder": ([False], "a decoder beside the encoder"),
    "quantization_config": ([], "quantised weights"),
}


def body(prefix: str) -> tuple[ModuleMapping, ...]:
    """The weight map of everything but the head, which BERT and RoBERTa share."""
    layer = f"{prefix}encoder.layer.{{i}}."
    return (
        ModuleMapping("embed_tokens", (f"{prefix}embeddings.word_embeddings",)),
        ModuleMapping("position_embedding", (f"{prefix}embeddings.position_embeddings",)),
        ModuleMapping("type_embedding", (f"{prefix}embeddings.token_type_embeddings",)),
        ModuleMapping("embedding_norm", (f"{prefix}embeddings.LayerNorm",)),
        *(ModuleMapping(f"layers.{{i}}.attention.{each}", (f"{layer}attention.self.{each}",)) for each in ("query", "key", "value")),
        ModuleMapping("layers.{i}.attention.out", (f"{layer}attention.output.dense",)),
        ModuleMapping("layers.{i}.attention_norm", (f"{layer}attention.output.LayerNorm",)),
        ModuleMapping("layers.{i}.mlp.up", (f"{layer}intermediate.dense",)),
        ModuleMapping("layers.{i}.mlp.down", (f"{layer}output.dense",)),
        ModuleMapping("layers.{i}.mlp_norm", (f"{layer}output.LayerNorm",)),
        ModuleMapping("pooler", (f"{prefix}pooler.dense",)),
    )


def write(config: EncoderConfig) -> dict[str, object]:
    """The keys that BERT and RoBERTa share."""
    return {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.mlp_width,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "max_position_embeddings": config.max_position_embeddings,
        "type_vocab_size": config.type_vocab_size,
        "layer_norm_eps": config.norm_eps,
        "hidden_act": "gelu_new" if config.hidden_act == "gelu_pytorch_tanh" else config.hidden_act,
        "attention_probs_dropout_prob": config.attention_dropout,
        "hidden_dropout_prob": config.hidden_dropout,
        "initializer_range": config.initializer_range,
        "tie_word_embeddings": config.tie_word_embeddings,
        "pad_token_id": config.pad_token_id,
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
    }


def read(fields: Fields, *, pooler: bool, masked_head: bool, position_offset: int = 0, padding: int = 0) -> EncoderConfig:
    """The configuration behind those keys.

    Raises ModelError for what we cannot compute.
    """
    for key, (allowed, meaning) in UNSUPPORTED.items():
        fields.require(key, allowed, meaning)
    for key in ("classifier_dropout", "gradient_checkpointing"):
        fields.skip(key)
    fields.skip("pad_token_id")
    width = fields.integer("hidden_size")
    inner = fields.integer("intermediate_size", 4 * width)
    if inner < 1:
        raise fields.wrong("intermediate_size", inner, "at least 1")
    eps = fields.number("layer_norm_eps", 1e-12)
    if eps <= 0:
        raise fields.wrong("layer_norm_eps", eps, "positive")
    return built(
        EncoderConfig,
        vocab_size=fields.integer("vocab_size"),
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=fields.integer("num_hidden_layers"),
        num_attention_heads=_heads(fields),
        max_position_embeddings=fields.integer("max_position_embeddings", 512),
        position_offset=position_offset,
        type_vocab_size=fields.integer("type_vocab_size", 2),
        norm_eps=eps,
        hidden_act=fields.activation("hidden_act", "gelu"),
        pooler=pooler,
        masked_head=masked_head,
        tie_word_embeddings=fields.flag("tie_word_embeddings", True),
        attention_dropout=fields.number("attention_probs_dropout_prob", 0.1),
        hidden_dropout=fields.number("hidden_dropout_prob", 0.1),
        initializer_range=fields.number("initializer_range", 0.02),
        pad_token_id=padding if fields.values.get("pad_token_id") is None else fields.token("pad_token_id"),
        bos_token_id=fields.token("bos_token_id"),
        eos_token_id=fields.token("eos_token_id"),
    )


def _heads(fields: Fields) -> int:
    heads = fields.integer("num_attention_heads")
    if heads < 1:
        raise fields.wrong("num_attention_heads", heads, "at least 1")
    return heads


def _architecture(config: EncoderConfig) -> str:
    return "BertForMaskedLM" if config.masked_head else "BertModel"


def _read(fields: Fields, names: Names) -> EncoderConfig:
    head = "cls.predictions.bias" in names or "cls.predictions.decoder.bias" in names
    return read(fields, pooler="bert.pooler.dense.weight" in names, masked_head=head)


LAYOUT = NetworkLayout[EncoderConfig](
    model_type="bert",
    architecture=_architecture,
    build=Encoder,
    expresses=lambda config: config.position_offset == 0,
    write=write,
    read=_read,
    rules=lambda config: (
        *body("bert."),
        ModuleMapping("head.dense", ("cls.predictions.transform.dense",)),
        ModuleMapping("head.norm", ("cls.predictions.transform.LayerNorm",)),
        ModuleMapping("head.bias", ("cls.predictions.bias" if config.tie_word_embeddings else "cls.predictions.decoder.bias",)),
        ModuleMapping("lm_head", ("cls.predictions.decoder",)),
    ),
    prefix="bert.",
    renamed=((".gamma", ".weight"), (".beta", ".bias")),
    spare=(r"bert\.embeddings\.(position|token_type)_ids", r"cls\.seq_relationship\.(weight|bias)", r"cls\.predictions\.bias"),
    copies=(("cls.predictions.decoder.weight", "embed_tokens.weight"), ("cls.predictions.decoder.bias", "head.bias")),
)
