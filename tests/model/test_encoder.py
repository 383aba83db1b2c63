import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model.families.conftest import BERT, ENCODERS, lively

from hanmo.base.errors import ModelError
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig
from hanmo.model.likelihood import token_log_probs


def encoder(config: EncoderConfig = BERT) -> Encoder:
    torch.manual_seed(7)
    network = lively(config)
    assert isinstance(network, Encoder)
    return network


@given(st.lists(st.integers(1, 12), min_size=2, max_size=5), st.sampled_from(sorted(ENCODERS)))
@settings(max_examples=15)
def test_a_text_gives_the_same_states_alone_and_in_a_padded_batch(lengths: list[int], name: str) -> None:
    network, longest = encoder(ENCODERS[name]), max(lengths)
    ids = torch.randint(0, 61, (len(lengths), longest))
    padding = (torch.arange(longest)[None] >= torch.tensor(lengths)[:, None]).long()
    with torch.no_grad():
        together = network.hidden(ids, padding)
        for row, length in enumerate(lengths):
            assert (together[row, :length] - network.hidden(ids[row : row + 1, :length])[0]).abs().max() <= 1e-4


def test_texts_that_share_a_row_do_not_see_each_other() -> None:
    network, one, other = encoder(), torch.randint(0, 61, (1, 5)), torch.randint(0, 61, (1, 7))
    segments = torch.tensor([[0] * 5 + [1] * 7])
    with torch.no_grad():
        both = network(torch.cat([one, other], 1), segments)
        assert (both - torch.cat([network(one), network(other)], 1)).abs().max() <= 1e-4


def test_every_token_is_seen_by_every_other() -> None:
    network, ids = encoder(), torch.arange(10)[None]
    changed = ids.clone()
    changed[0, 9] = 33
    assert (network.hidden(ids) - network.hidden(changed)).abs().amax(-1).min() > 1e-3


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_that_of_weighted_positions(smoothing: float) -> None:
    network, ids, targets = encoder(), torch.randint(0, 61, (3, 9)), torch.randint(0, 61, (3, 9))
    weights = torch.zeros(3, 9)
    weights[0, 2], weights[2, 8] = 1.0, 2.0
    nats, total = network.loss(ids, targets, weights, label_smoothing=smoothing)
    logits = network(ids)
    even = -logits.log_softmax(-1).mean(-1)
    expected = ((1 - smoothing) * -token_log_probs(logits, targets) + smoothing * even) * weights
    assert float(total) == 3.0
    assert (nats - expected.sum()).abs() <= 1e-3
    nothing, none = network.loss(ids, targets, torch.zeros(3, 9))
    assert (float(nothing.detach()), float(none)) == (0.0, 0.0)


def test_what_an_encoder_lacks_is_said() -> None:
    with pytest.raises(ModelError, match="vocab_size"):
        Encoder(EncoderConfig())
    bare = Encoder(dataclasses.replace(BERT, masked_head=False))
    with pytest.raises(ModelError, match="no head"):
        bare(torch.zeros(1, 3, dtype=torch.long))
    with pytest.raises(ModelError, match="no pooler"):
        bare.summary(torch.zeros(1, 3, 32))
    with pytest.raises(ModelError, match="25 tokens exceed"):
        bare.hidden(torch.zeros(1, 25, dtype=torch.long))
