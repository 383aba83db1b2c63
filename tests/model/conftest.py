"""Small decoders of every kind, in our words."""

import dataclasses
from collections.abc import Mapping

import pytest
import torch

from hanmo.model.config import DecoderConfig, RopeScaling
from hanmo.model.decoder import Decoder

MODERN = DecoderConfig(
    vocab_size=67,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=40,
    norm_eps=1e-5,
)
GPT2 = dataclasses.replace(
    MODERN,
    position_embedding="learned",
    norm="layer_norm",
    hidden_act="gelu_pytorch_tanh",
    gated_mlp=False,
    attention_bias=True,
    mlp_bias=True,
)
KINDS: Mapping[str, DecoderConfig] = {
    "gpt2": GPT2,
    "llama": dataclasses.replace(MODERN, num_attention_heads=4, head_dim=32, num_key_value_heads=2, tie_word_embeddings=False),
    "qwen3": dataclasses.replace(MODERN, num_key_value_heads=1, qk_norm=True),
    "mistral": dataclasses.replace(MODERN, num_key_value_heads=1, sliding_window=6),
    "qwen2": dataclasses.replace(MODERN, qkv_bias=True, sliding_window=9, layer_types=("full_attention", "sliding_attention")),
    "gemma3": dataclasses.replace(
        MODERN,
        num_hidden_layers=3,
        num_key_value_heads=1,
        hidden_act="gelu_pytorch_tanh",
        rope_theta=1e6,
        rope_local_base_freq=10000.0,
        rope_scaling=RopeScaling(rope_type="linear", factor=2.0),
        sliding_window=5,
        layer_types=("sliding_attention", "sliding_attention", "full_attention"),
        qk_norm=True,
        query_pre_attn_scalar=24,
        sandwich_norm=True,
        zero_centered_norm=True,
        scale_embedding=True,
    ),
    "sinusoidal": dataclasses.replace(GPT2, position_embedding="sinusoidal", hidden_act="gelu"),
    "no positions": dataclasses.replace(MODERN, position_embedding="none", gated_mlp=False, hidden_act="relu2", qk_norm=True),
}


def lively(config: DecoderConfig) -> Decoder:
    """A decoder whose weights are far enough from zero for every part to matter."""
    network = Decoder(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network.eval()


@pytest.fixture(params=KINDS)
def config(request: pytest.FixtureRequest) -> DecoderConfig:
    return KINDS[request.param]


@pytest.fixture(autouse=True)
def two_threads() -> None:
    torch.set_num_threads(2)
    torch.manual_seed(5)
