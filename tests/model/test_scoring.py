"""Every model behind one interface; every token scored once, with the context that the rule promises."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.base.errors import ModelError
from hanmo.model import scoring
from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.ngram import Ngram, Uniform
from hanmo.model.recurrent import Recurrent
from hanmo.model.scoring import LanguageModel, NetworkScorer, StateScorer, language_model, windows

VOCAB, CONTEXT = 13, 8


def decoder():
    torch.manual_seed(0)
    config = DecoderConfig(
        vocab_size=VOCAB, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=CONTEXT, initializer_range=0.3
    )
    return Decoder(config)


def recurrent(cell="lstm"):
    torch.manual_seed(0)
    return Recurrent(RecurrentConfig(vocab_size=VOCAB, hidden_size=16, num_hidden_layers=2, cell=cell, initializer_range=0.5))


def sequences(*lengths):
    rng = np.random.default_rng(3)
    return [np.concatenate([[0], rng.integers(1, VOCAB, length - 1)]) if length else np.zeros(0, np.int64) for length in lengths]


@given(st.integers(0, 60), st.integers(1, 16), st.data())
def test_every_input_is_counted_once_with_enough_context(num_inputs, context, data):
    stride = data.draw(st.integers(1, context))
    counted = []
    for number, window in enumerate(windows(0, num_inputs, context, stride)):
        assert window.length == min(context, num_inputs)
        assert window.begin <= window.new < window.end <= num_inputs
        assert number == 0 or window.new - window.begin >= context - stride
        counted += range(window.new, window.end)
    assert counted == list(range(num_inputs))


@settings(max_examples=6, deadline=None)
@given(st.lists(st.integers(0, 21), max_size=3), st.integers(2, CONTEXT))
def test_windows_in_batches_give_what_each_prediction_alone_gives(lengths, stride):
    network, rows = decoder(), sequences(*lengths)
    for ids, logs in zip(rows, NetworkScorer(network, CONTEXT).score(rows, stride), strict=True):
        expected = np.full(max(len(ids) - 1, 0), np.nan)
        for window in windows(0, len(ids) - 1, CONTEXT, stride):
            logits = network(torch.from_numpy(ids[None, window.begin : window.end])).detach().log_softmax(-1)[0]
            for at in range(window.new, window.end):
                expected[at] = logits[at - window.begin, ids[at + 1]]
        np.testing.assert_allclose(logs, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_recurrent_network_sees_the_whole_document(cell, monkeypatch):
    monkeypatch.setattr(scoring, "_STATE_CHUNK", 4)
    monkeypatch.setattr(scoring, "_STATE_ROWS", 3)
    network, rows = recurrent(cell), sequences(9, 30, 2, 0, 17, 1, 30)
    for ids, logs in zip(rows, StateScorer(network).score(rows), strict=True):
        assert len(logs) == max(len(ids) - 1, 0)
        if len(logs):
            logits = network(torch.from_numpy(ids[None, :-1])).detach().log_softmax(-1)[0]
            np.testing.assert_allclose(logs, logits[np.arange(len(logs)), ids[1:]], rtol=1e-5, atol=1e-6)


def test_small_batches_and_large_ones_agree(monkeypatch):
    rows = sequences(20, 3, 12, 7, 7, 9)
    models = [NetworkScorer(decoder(), CONTEXT), StateScorer(recurrent())]
    large = [model.score(rows) for model in models]
    monkeypatch.setattr(scoring, "_LOGITS_AT_ONCE", 1)
    for model, expected in zip(models, large, strict=True):
        for a, b in zip(model.score(rows), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_scoring_leaves_the_mode_of_the_network():
    network = decoder().train()
    NetworkScorer(network, CONTEXT).score(sequences(5))
    assert network.training
    assert not NetworkScorer(network.eval(), CONTEXT).network.training


def test_every_model_meets_the_interface():
    rows = sequences(12, 5)
    ngram = Ngram.fit_sequences(rows, NgramConfig(vocab_size=VOCAB, order=3))
    for model in (decoder(), recurrent(), ngram, Uniform(VOCAB)):
        scorer = language_model(model)
        assert isinstance(scorer, LanguageModel)
        assert scorer.vocab_size == VOCAB
        assert [len(logs) for logs in scorer.score(rows)] == [11, 4]
        assert all((logs < 0).all() for logs in scorer.score(rows, stride=3))


@pytest.mark.parametrize("model", [decoder, recurrent])
def test_probabilities_of_all_tokens_sum_to_one(model):
    context = sequences(20)[0]
    ends = language_model(model()).score([np.append(context, word) for word in range(VOCAB)])
    assert np.exp([logs[-1] for logs in ends]).sum() == pytest.approx(1, abs=1e-5)


def test_wrong_ids_and_strides_are_told():
    network, state = NetworkScorer(decoder(), CONTEXT), StateScorer(recurrent())
    with pytest.raises(ModelError, match="stride"):
        network.score(sequences(5), stride=CONTEXT + 1)
    with pytest.raises(ModelError, match="stride"):
        state.score(sequences(5), stride=0)
    for model in (network, state):
        with pytest.raises(ModelError, match="do not fit a vocabulary of 13"):
            model.score([np.array([0, 13])])
