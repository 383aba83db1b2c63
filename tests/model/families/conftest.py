"""Small configurations that cover what a family can say, and transformers' own model of each."""

import dataclasses

import pytest
import torch

from hanmo.model.config import DecoderConfig, RopeScaling
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder

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
SLIDING = ("sliding_attention",) * 5
GEMMA3 = dataclasses.replace(
    SMALL,
    num_hidden_layers=7,
    num_key_value_heads=1,
    head_dim=16,
    hidden_act="gelu_pytorch_tanh",
    rope_theta=1e6,
    rope_local_base_freq=10000.0,
    sliding_window=5,
    layer_types=(*SLIDING, "full_attention"),
    qk_norm=True,
    sandwich_norm=True,
    zero_centered_norm=True,
    scale_embedding=True,
)
CONFIGS = {
    "gpt2": GPT2,
    "gpt2 untied, relu": dataclasses.replace(GPT2, tie_word_embeddings=False, hidden_act="relu", intermediate_size=0),
    "llama": dataclasses.replace(SMALL, num_key_value_heads=2, tie_word_embeddings=False),
    "llama, tied, biases, wide heads": dataclasses.replace(SMALL, attention_bias=True, mlp_bias=True, head_dim=12, rope_theta=500000.0),
    "llama, one key head, dropout": dataclasses.replace(SMALL, num_key_value_heads=1, hidden_dropout=0.1, eos_token_id=3),
    "llama, llama3 positions": dataclasses.replace(
        SMALL, rope_scaling=RopeScaling(rope_type="llama3", factor=4.0, original_max_position_embeddings=12), rope_theta=50.0
    ),
    "llama, linear positions": dataclasses.replace(SMALL, rope_scaling=RopeScaling(rope_type="linear", factor=3.0)),
    "llama, yarn positions": dataclasses.replace(
        SMALL, rope_scaling=RopeScaling(rope_type="yarn", factor=4.0, original_max_position_embeddings=10), rope_theta=50.0, head_dim=16
    ),
    "mistral": dataclasses.replace(SMALL, num_key_value_heads=2, head_dim=12, sliding_window=5, tie_word_embeddings=False),
    "mistral, tied": dataclasses.replace(SMALL, num_key_value_heads=1, sliding_window=1),
    "qwen2": dataclasses.replace(SMALL, num_key_value_heads=2, qkv_bias=True, rope_theta=1e6),
    "qwen2, upper layers slide": dataclasses.replace(
        SMALL, qkv_bias=True, sliding_window=6, num_hidden_layers=3, layer_types=("full_attention", *SLIDING[:2]), tie_word_embeddings=False
    ),
    "qwen3": dataclasses.replace(SMALL, num_key_value_heads=2, head_dim=16, qk_norm=True, rope_theta=1e6),
    "qwen3 untied, bias": dataclasses.replace(SMALL, attention_bias=True, qk_norm=True, tie_word_embeddings=False),
    "qwen3, sliding, yarn positions": dataclasses.replace(
        SMALL,
        qk_norm=True,
        sliding_window=4,
        layer_types=("sliding_attention", "full_attention"),
        rope_scaling=RopeScaling(rope_type="yarn", factor=2.0, attention_factor=1.25, truncate=False, beta_fast=4.0),
    ),
    "gemma3_text": GEMMA3,
    "gemma3_text, pattern of two, biases, scaled": dataclasses.replace(
        GEMMA3,
        num_hidden_layers=3,
        layer_types=("sliding_attention", "full_attention"),
        attention_bias=True,
        query_pre_attn_scalar=24,
        tie_word_embeddings=False,
        rope_scaling=RopeScaling(rope_type="linear", factor=8.0),
    ),
    "gemma3_text, one base": dataclasses.replace(GEMMA3, rope_local_base_freq=None, head_dim=0),
    "gemma3_text, nothing slides": dataclasses.replace(GEMMA3, rope_local_base_freq=None, sliding_window=None, layer_types=()),
}
MIXTURES = {
    "rotary with layer norm": dataclasses.replace(SMALL, norm="layer_norm"),
    "sinusoidal": dataclasses.replace(GPT2, position_embedding="sinusoidal"),
    "no gate": dataclasses.replace(SMALL, gated_mlp=False, hidden_act="relu2"),
    "sliding with learned positions": dataclasses.replace(GPT2, sliding_window=3),
    "sandwich of layer norms": dataclasses.replace(GPT2, sandwich_norm=True, scale_embedding=True),
    "qk norm and mlp bias": dataclasses.replace(SMALL, qk_norm=True, mlp_bias=True),
}
BERT = EncoderConfig(vocab_size=61, hidden_size=32, intermediate_size=48, num_hidden_layers=2, max_position_embeddings=24, pad_token_id=0)
ENCODERS = {
    "bert": BERT,
    "bert untied, relu, pooler": dataclasses.replace(BERT, tie_word_embeddings=False, hidden_act="relu", pooler=True),
    "roberta": dataclasses.replace(BERT, position_offset=2, pad_token_id=1, type_vocab_size=1, norm_eps=1e-5),
    "roberta untied": dataclasses.replace(BERT, position_offset=4, pad_token_id=3, tie_word_embeddings=False),
}
T5 = EncoderDecoderConfig(
    vocab_size=61,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_decoder_layers=3,
    head_dim=12,
    pad_token_id=0,
    eos_token_id=1,
)
MARIAN = dataclasses.replace(
    T5,
    head_dim=0,
    position_embedding="sinusoidal_halves",
    norm="layer_norm",
    post_norm=True,
    norm_eps=1e-5,
    hidden_act="silu",
    gated_mlp=False,
    attention_bias=True,
    mlp_bias=True,
    scaled_scores=True,
    scale_embedding=True,
    scale_output=False,
    output_bias=True,
    pad_token_id=60,
)
ENCODER_DECODERS = {
    "t5": dataclasses.replace(T5, gated_mlp=False, hidden_act="relu"),
    "flan-t5, its own head": dataclasses.replace(T5, tie_word_embeddings=False, scale_output=False),
    "t5, few buckets": dataclasses.replace(T5, relative_attention_num_buckets=8, relative_attention_max_distance=20),
    "marian": MARIAN,
    "marian, relu, not scaled": dataclasses.replace(MARIAN, hidden_act="relu", scale_embedding=False),
}
VASWANI = dataclasses.replace(MARIAN, position_embedding="sinusoidal", hidden_act="relu", output_bias=False)
"""The Transformer of 2017 to the letter; no other tool has its order of sines."""


def lively(config: EncoderConfig | EncoderDecoderConfig) -> Encoder | EncoderDecoder:
    """A network whose weights are far from their initial values, norms and biases included, so that a mix-up shows."""
    network = Encoder(config) if isinstance(config, EncoderConfig) else EncoderDecoder(config)
    with torch.no_grad():
        for parameter in [*network.parameters(), *network.buffers()]:
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return network.eval()


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
