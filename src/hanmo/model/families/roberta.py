"""RoBERTa (Liu et al. 2019): BERT whose first token has the row behind the padding token's, and a head named otherwise."""

import dataclasses

from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig
from hanmo.model.families import bert
from hanmo.model.families.fields import Fields
from hanmo.model.families.network import Names, NetworkLayout
from hanmo.model.families.weights import ModuleMapping

PADDING = 1
"""The padding id where a configuration names none."""


def _expresses(config: EncoderConfig) -> bool:
    """Its head has no other activation than gelu."""
    offset = (PADDING if config.pad_token_id is None else config.pad_token_id) + 1
    return config.position_offset == offset and (config.hidden_act == "gelu" or not config.masked_head)


def _architecture(config: EncoderConfig) -> str:
    return "RobertaForMaskedLM" if config.masked_head else "RobertaModel"


def _read(fields: Fields, names: Names) -> EncoderConfig:
    padding = fields.token("pad_token_id")
    padding = PADDING if padding is None else padding
    head = "lm_head.bias" in names or "lm_head.decoder.bias" in names
    if head:
        fields.require("hidden_act", ["gelu"], "another activation than gelu in the head")
    return bert.read(fields, pooler="roberta.pooler.dense.weight" in names, masked_head=head, position_offset=padding + 1, padding=padding)


LAYOUT = NetworkLayout[EncoderConfig](
    model_type="roberta",
    architecture=_architecture,
    build=Encoder,
    expresses=_expresses,
    write=bert.write,
    read=_read,
    rules=lambda config: (
        *bert.body("roberta."),
        ModuleMapping("head.dense", ("lm_head.dense",)),
        ModuleMapping("head.norm", ("lm_head.layer_norm",)),
        ModuleMapping("head.bias", ("lm_head.bias" if config.tie_word_embeddings else "lm_head.decoder.bias",)),
        ModuleMapping("lm_head", ("lm_head.decoder",)),
    ),
    prefix="roberta.",
    renamed=((".gamma", ".weight"), (".beta", ".bias")),
    spare=(r"roberta\.embeddings\.(position|token_type)_ids", r"lm_head\.bias"),
    copies=(("lm_head.decoder.weight", "embed_tokens.weight"), ("lm_head.decoder.bias", "head.bias")),
)

XLM = dataclasses.replace(LAYOUT, model_type="xlm-roberta", expresses=lambda config: False)
"""XLM-RoBERTa (Conneau et al. 2020): the same network of many languages, under another word; written as RoBERTa."""
