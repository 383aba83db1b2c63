import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.ngram import Ngram
from hanmo.model.recurrent import Recurrent
from hanmo.plan.parameters import count_parameters, most_ngrams

decoders = st.builds(
    DecoderConfig,
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
    attention_bias=st.booleans(),
    mlp_bias=st.booleans(),
    qk_norm=st.booleans(),
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


@given(decoders)
@settings(deadline=None, max_examples=60)
def test_planned_parameters_of_a_decoder_are_the_real_ones(config: DecoderConfig) -> None:
    network, planned = Decoder(config), count_parameters(config)
    named = dict(network.named_parameters())
    assert planned.total == sum(p.numel() for p in named.values())
    assert planned.layer_matrices == sum(p.numel() for name, p in named.items() if name.startswith("layers.") and p.dim() == 2)
    assert planned.attention == sum(p.numel() for name, p in named.items() if ".attention." in name)
    assert planned.mlp == sum(p.numel() for name, p in named.items() if ".mlp." in name)
    assert planned.norms == sum(p.numel() for name, p in named.items() if "_norm." in name and ".attention." not in name)


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
