"""Tiny random networks: what they say is noise, which is the hardest case for equalities."""

import pytest
import torch

from hanmo.model.config import DecoderConfig, RecurrentConfig, SoftmaxRegressionConfig
from hanmo.model.decoder import Decoder
from hanmo.model.recurrent import Recurrent
from hanmo.model.softmax_regression import SoftmaxRegression

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "initializer_range": 0.3}


def tiny_decoder(vocab_size: int, context: int, kind: str = "modern") -> Decoder:
    torch.manual_seed(3)
    if kind == "gpt2":
        config = DecoderConfig(
            vocab_size=vocab_size,
            max_position_embeddings=context,
            position_embedding="learned",
            norm="layer_norm",
            gated_mlp=False,
            hidden_act="gelu",
            **SIZES,  # pyright: ignore[reportArgumentType]
        )
    elif kind == "gpt2 layout":
        config = DecoderConfig(
            vocab_size=vocab_size,
            max_position_embeddings=context,
            position_embedding="learned",
            norm="layer_norm",
            gated_mlp=False,
            hidden_act="gelu_pytorch_tanh",
            attention_bias=True,
            mlp_bias=True,
            bos_token_id=0,
            eos_token_id=0,
            **SIZES,  # pyright: ignore[reportArgumentType]
        )
    elif kind == "llama layout":
        config = DecoderConfig(vocab_size=vocab_size, max_position_embeddings=context, bos_token_id=0, eos_token_id=0, **SIZES)  # pyright: ignore[reportArgumentType]
    else:
        config = DecoderConfig(vocab_size=vocab_size, max_position_embeddings=context, num_key_value_heads=1, qk_norm=True, **SIZES)  # pyright: ignore[reportArgumentType]
    return Decoder(config).eval()


def tiny_recurrent(vocab_size: int) -> Recurrent:
    torch.manual_seed(3)
    return Recurrent(RecurrentConfig(vocab_size=vocab_size, hidden_size=16, num_hidden_layers=2, initializer_range=0.5)).eval()


def tiny_regression(vocab_size: int) -> SoftmaxRegression:
    torch.manual_seed(3)
    config = SoftmaxRegressionConfig(vocab_size=vocab_size, hidden_size=8, num_previous_tokens=3, initializer_range=1.0)
    return SoftmaxRegression(config).eval()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
