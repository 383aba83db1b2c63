"""LSTM and GRU behind the decoder's signatures."""

import pytest
import torch
from torch.nn import functional as F

from hanmo.base.errors import ModelError
from hanmo.model.config import RecurrentConfig
from hanmo.model.recurrent import Recurrent, StateCache

CELLS = ["lstm", "gru"]


def network(cell="lstm", **changes):
    torch.manual_seed(0)
    return Recurrent(RecurrentConfig(**{"vocab_size": 11, "cell": cell, "hidden_size": 16, "num_hidden_layers": 2, **changes}))


def ids(rows, length, seed=1):
    return torch.randint(11, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("cell", CELLS)
def test_with_a_cache_the_same_as_without(cell):
    net, tokens = network(cell), ids(3, 9)
    whole, cache = net(tokens), StateCache()
    parts = [net(tokens[:, a:b], cache=cache) for a, b in [(0, 4), (4, 5), (5, 9)]]
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    assert cache.length == 9


@pytest.mark.parametrize("cell", CELLS)
def test_rows_padded_on_the_left_read_as_alone(cell):
    net, tokens = network(cell), ids(2, 7)
    cache = StateCache(torch.tensor([3, 0]))
    first = net(tokens[:, :6], cache=cache)
    second = net(tokens[:, 6:], cache=cache)
    alone = net(tokens[:1, 3:])
    torch.testing.assert_close(first[:1, 3:], alone[:, :3])
    torch.testing.assert_close(second[:1], alone[:, 3:])


@pytest.mark.parametrize("cell", CELLS)
def test_rows_of_a_cache_can_be_chosen_again(cell):
    net, tokens = network(cell), ids(3, 5)
    cache = StateCache()
    cache.keep([0])
    net(tokens, cache=cache)
    cache.keep([2, 0])
    after = net(tokens[[2, 0], :1], cache=cache)
    torch.testing.assert_close(after, net(torch.cat([tokens, tokens[:, :1]], 1))[[2, 0], -1:])


@pytest.mark.parametrize("cell", CELLS)
def test_a_segment_never_sees_its_neighbour(cell):
    net, tokens = network(cell), ids(2, 6)
    segments = torch.tensor([[0, 0, 1, 1, 1, 2], [5, 5, 5, 5, 5, 5]], dtype=torch.int32)
    logits = net(tokens, segments)
    for row, a, b in [(0, 0, 2), (0, 2, 5), (0, 5, 6), (1, 0, 6)]:
        torch.testing.assert_close(logits[row, a:b], net(tokens[row : row + 1, a:b])[0])


def test_the_future_changes_nothing():
    net, tokens = network(), ids(1, 8)
    changed = tokens.clone()
    changed[:, 5:] = 0
    torch.testing.assert_close(net(tokens)[:, :5], net(changed)[:, :5])


def test_loss_is_the_weighted_sum_of_cross_entropies():
    net, tokens, targets = network(tie_word_embeddings=False), ids(2, 5), ids(2, 5, seed=2)
    weights = torch.tensor([[1.0, 1, 0, 1, 0.5], [0, 0, 1, 1, 1]])
    summed, counted = net.loss(tokens, targets, weights)
    expected = F.cross_entropy(net(tokens).flatten(0, 1), targets.flatten(), reduction="none")
    torch.testing.assert_close(summed, (expected * weights.flatten()).sum())
    assert float(counted) == float(weights.sum())
    summed.backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())


def test_bfloat16_is_close_to_float32():
    net, tokens = network(), ids(2, 5)
    exact = net(tokens)
    rough = net.to(torch.bfloat16)(tokens).float()
    torch.testing.assert_close(rough, exact, atol=0.02, rtol=0.1)


def test_one_layer_needs_no_dropout_and_many_drop_only_in_training():
    network(num_hidden_layers=1, hidden_dropout=0.5)
    net, tokens = network(hidden_dropout=0.5), ids(2, 5)
    assert not torch.equal(net(tokens), net(tokens))
    net.eval()
    assert torch.equal(net(tokens), net(tokens))


def test_impossible_requests_are_told():
    with pytest.raises(ModelError, match="vocab_size"):
        network(vocab_size=0)
    net, cache = network(), StateCache()
    net(ids(1, 3), cache=cache)
    with pytest.raises(ModelError, match="segments"):
        net(ids(1, 2), torch.zeros(1, 2, dtype=torch.int32), cache)
