from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.families import layout_named, layout_of
from hanmo.model.ngram import Ngram
from hanmo.model.recurrent import Recurrent
from hanmo.plan.parameters import count_parameters, most_ngrams

decoders = st.builds(
    dict,  # not the configuration itself: checking the types of its list draws a random item, which hypothesis forbids here
    vocab_size=st.integers(1, 40),
    hidden_size=st.sampled_from([8, 16, 24]),
    intermediate_size=st.sampled_from([0, 20]),
    num_hidden_layers=st.integers(1, 3),
    num_attention_heads=st.sampled_from([2, 4]),
    num_key_value_heads=st.sampled_from([0, 1, 2]),
    head_dim=st.sampled_from([0, 6]),
    max_position_embeddings=st.integers(1, 20),
    position_embedding=st.sampled_from(["rotary", "learned", "sinusoidal", "none"]),
    norm=st.sampled_from(["rms_norm", "layer_norm"]),
    gated_mlp=st.booleans(),
    mlp_bias=st.booleans(),
    qk_norm=st.booleans(),
    sandwich_norm=st.booleans(),
    scale_embedding=st.booleans(),
    sliding_window=st.sampled_from([None, 3]),
    tie_word_embeddings=st.booleans(),
)
recurrents = st.builds(
    RecurrentConfig,
    vocab_size=st.integers(1, 40),
    cell=st.sampled_from(["lstm", "gru"]),
    hidden_size=st.integers(1, 12),
    num_hidden_layers=st.integers(1, 3),
    tie_word_embeddings=st.booleans(),
)


@given(decoders, st.sampled_from([{}, {"attention_bias": True}, {"qkv_bias": True}]))
@settings(deadline=None, max_examples=60)
def test_planned_parameters_of_a_decoder_are_the_real_ones(values: dict[str, Any], biases: dict[str, Any]) -> None:
    config = DecoderConfig(**values, **biases)
    network, planned = Decoder(config), count_parameters(config)
    named = dict(network.named_parameters())
    assert planned.total == sum(p.numel() for p in named.values())
    assert planned.layer_matrices == sum(p.numel() for name, p in named.items() if name.startswith("layers.") and p.dim() == 2)
    assert planned.attention == sum(p.numel() for name, p in named.items() if ".attention." in name)
    assert planned.mlp == sum(p.numel() for name, p in named.items() if ".mlp." in name)
    assert planned.norms == sum(p.numel() for name, p in named.items() if "_norm." in name and ".attention." not in name)


def said(model_type: str, sizes: tuple[int, ...], **others: object) -> dict[str, object]:
    """A config.json of the Llama kind: vocabulary, width, inner width, layers, heads, key heads."""
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    context = {"max_position_embeddings": 4096}
    return {"model_type": model_type, **dict(zip(names, sizes, strict=True)), **context, **others}


LLAMA3 = {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
GEMMA3 = {"head_dim": 256, "sliding_window": 512, "rope_local_base_freq": 1e4, "query_pre_attn_scalar": 256}
PUBLISHED: dict[str, tuple[dict[str, object], int]] = {
    "SmolLM2-135M": (said("llama", (49152, 576, 1536, 30, 9, 3), tie_word_embeddings=True, rope_theta=100000), 134_515_008),
    "SmolLM2-360M": (said("llama", (49152, 960, 2560, 32, 15, 5), tie_word_embeddings=True, rope_theta=100000), 361_821_120),
    "TinyLlama-1.1B": (said("llama", (32000, 2048, 5632, 22, 32, 4)), 1_100_048_384),
    "Llama-3.2-1B": (said("llama", (128256, 2048, 8192, 16, 32, 8), tie_word_embeddings=True, rope_scaling=LLAMA3), 1_235_814_400),
    "Mistral-7B-v0.1": (said("mistral", (32000, 4096, 14336, 32, 32, 8), sliding_window=4096), 7_241_732_096),
    "Qwen2.5-0.5B": (
        said("qwen2", (151936, 896, 4864, 24, 14, 2), tie_word_embeddings=True, use_sliding_window=False, max_window_layers=21),
        494_032_768,
    ),
    "Qwen3-0.6B": (said("qwen3", (151936, 1024, 3072, 28, 16, 8), tie_word_embeddings=True, head_dim=128), 596_049_920),
    "Gemma-3-270M": (said("gemma3_text", (262144, 640, 2048, 18, 4, 1), **GEMMA3), 268_098_176),
    "Gemma-3-1B": (said("gemma3_text", (262144, 1152, 6912, 26, 4, 1), sliding_window_pattern=6, **GEMMA3), 999_885_952),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configurations_have_their_published_number_of_parameters(name: str) -> None:
    values, published = PUBLISHED[name]
    config = layout_named(values).from_hf(values)
    assert layout_of(config).model_type == values["model_type"]
    assert count_parameters(config).total == published


encoders = st.builds(
    EncoderConfig,
    vocab_size=st.integers(1, 40),
    hidden_size=st.sampled_from([8, 16]),
    intermediate_size=st.sampled_from([0, 20]),
    num_hidden_layers=st.integers(1, 3),
    num_attention_heads=st.sampled_from([2, 4]),
    max_position_embeddings=st.integers(3, 20),
    type_vocab_size=st.integers(1, 3),
    pooler=st.booleans(),
    masked_head=st.booleans(),
    tie_word_embeddings=st.booleans(),
)
encoder_decoders = st.builds(
    EncoderDecoderConfig,
    vocab_size=st.integers(1, 40),
    hidden_size=st.sampled_from([8, 16]),
    intermediate_size=st.sampled_from([0, 20]),
    num_hidden_layers=st.integers(1, 2),
    num_decoder_layers=st.sampled_from([0, 1, 3]),
    num_attention_heads=st.sampled_from([2, 4]),
    head_dim=st.sampled_from([0, 6]),
    position_embedding=st.sampled_from(["relative", "sinusoidal", "sinusoidal_halves"]),
    norm=st.sampled_from(["rms_norm", "layer_norm"]),
    post_norm=st.booleans(),
    gated_mlp=st.booleans(),
    attention_bias=st.booleans(),
    mlp_bias=st.booleans(),
    output_bias=st.booleans(),
    tie_word_embeddings=st.booleans(),
)


@given(st.one_of(encoders, encoder_decoders))
@settings(deadline=None, max_examples=60)
def test_planned_parameters_of_networks_with_an_encoder_are_the_real_ones(config: EncoderConfig | EncoderDecoderConfig) -> None:
    network = Encoder(config) if isinstance(config, EncoderConfig) else EncoderDecoder(config)
    named, planned = dict(network.named_parameters()), count_parameters(config)
    assert planned.total == sum(p.numel() for p in named.values())
    assert planned.layer_matrices == sum(p.numel() for name, p in named.items() if "layers." in name and p.dim() == 2)
    assert planned.norms == sum(p.numel() for name, p in named.items() if "_norm." in name)


@given(recurrents)
@settings(deadline=None, max_examples=30)
def test_planned_parameters_of_a_recurrent_network_are_the_real_ones(config: RecurrentConfig) -> None:
    assert count_parameters(config).total == sum(p.numel() for p in Recurrent(config).parameters())


def test_parts_that_are_absent_are_not_named() -> None:
    parts = count_parameters(DecoderConfig(vocab_size=10)).parts
    assert set(parts) == {"embedding", "attention", "mlp", "norms"}


def test_embeddings_are_left_out_of_the_n_of_scaling_laws() -> None:
    config = DecoderConfig(vocab_size=10, position_embedding="learned", tie_word_embeddings=False)
    larger = DecoderConfig(vocab_size=1000, max_position_embeddings=512, position_embedding="learned", tie_word_embeddings=False)
    assert count_parameters(config).non_embedding == count_parameters(larger).non_embedding


@pytest.mark.parametrize("order", [1, 2, 3])
@given(ids=st.lists(st.integers(0, 3), min_size=2, max_size=60))
def test_a_text_holds_no_more_ngrams_than_bounded(order: int, ids: list[int]) -> None:
    config = NgramConfig(vocab_size=4, order=order)
    model = Ngram.fit(np.array(ids), np.array([0, len(ids)]), config)
    assert sum(model.num_ngrams) <= most_ngrams(config, len(ids))
