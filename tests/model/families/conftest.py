"""Small configurations that cover what a family can say, and transformers' own model of each."""

import dataclasses

import pytest
import torch

from hanmo.model.config import DecoderConfig

SMALL = DecoderConfig(
    vocab_size=61,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=24,
    norm_eps=1e-5,
)
GPT2 = dataclasses.replace(
    SMALL,
    position_embedding="learned",
    norm="layer_norm",
    hidden_act="gelu_pytorch_tanh",
    gated_mlp=False,
    attention_bias=True,
    mlp_bias=True,
    embedding_dropout=0.1,
    attention_dropout=0.2,
    hidden_dropout=0.3,
    bos_token_id=0,
    eos_token_id=0,
)
CONFIGS = {
    "gpt2": GPT2,
    "gpt2 untied, relu": dataclasses.replace(GPT2, tie_word_embeddings=False, hidden_act="relu", intermediate_size=0),
    "llama": dataclasses.replace(SMALL, num_key_value_heads=2, tie_word_embeddings=False),
    "llama, tied, biases, wide heads": dataclasses.replace(SMALL, attention_bias=True, mlp_bias=True, head_dim=12, rope_theta=500000.0),
    "llama, one key head, dropout": dataclasses.replace(SMALL, num_key_value_heads=1, hidden_dropout=0.1, eos_token_id=3),
    "qwen3": dataclasses.replace(SMALL, num_key_value_heads=2, head_dim=16, qk_norm=True, rope_theta=1e6),
    "qwen3 untied, bias": dataclasses.replace(SMALL, attention_bias=True, qk_norm=True, tie_word_embeddings=False),
}
MIXTURES = {
    "rotary with layer norm": dataclasses.replace(SMALL, norm="layer_norm"),
    "sinusoidal": dataclasses.replace(GPT2, position_embedding="sinusoidal"),
    "no gate": dataclasses.replace(SMALL, gated_mlp=False, hidden_act="relu2"),
    "qk norm and mlp bias": dataclasses.replace(SMALL, qk_norm=True, mlp_bias=True),
}


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> DecoderConfig:
    return CONFIGS[request.param]


@pytest.fixture(params=[*CONFIGS, *MIXTURES])
def any_config(request: pytest.FixtureRequest) -> DecoderConfig:
    return {**CONFIGS, **MIXTURES}[request.param]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(5)
