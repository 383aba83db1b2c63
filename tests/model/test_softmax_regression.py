"""Softmax regression: the module against the formulas, and learning what it can learn."""

import pytest
import torch
from torch.nn import functional as F

from hanmo.base.errors import ConfigError, ModelError
from hanmo.model.config import SoftmaxRegressionConfig
from hanmo.model.scoring import language_model
from hanmo.model.softmax_regression import SoftmaxRegression, previous_tokens, softmax, softmax_regression

VOCAB = 6


def network(**changes):
    torch.manual_seed(0)
    sizes = {"vocab_size": VOCAB, "num_previous_tokens": 2, "hidden_size": 4, "initializer_range": 0.5, **changes}
    return SoftmaxRegression(SoftmaxRegressionConfig(**sizes))


def test_softmax_gives_probabilities_even_of_huge_numbers():
    logits = torch.tensor([[1000.0, 999.0, -1000.0], [0.0, 0.0, 0.0]])
    torch.testing.assert_close(softmax(logits), logits.softmax(-1))
    torch.testing.assert_close(softmax(logits).sum(-1), torch.ones(2))


def test_the_module_is_softmax_regression_on_one_hot_features():
    net = network()
    torch.nn.init.normal_(net.lm_head.bias)
    ids = torch.tensor([[3, 1, 5, 1]])
    features = torch.zeros(4, 2 * VOCAB)
    for position, (token, before) in enumerate([(3, None), (1, 3), (5, 1), (1, 5)]):
        features[position, token] = 1
        if before is not None:
            features[position, VOCAB + before] = 1
    tables = net.embed_tokens.weight.view(2, VOCAB + 1, 4)[:, :VOCAB].reshape(2 * VOCAB, 4)
    expected = softmax_regression(features, net.lm_head.weight @ tables.T, net.lm_head.bias)
    torch.testing.assert_close(net(ids)[0].softmax(-1), expected)


def test_a_segment_never_sees_its_neighbour():
    net, ids = network(num_previous_tokens=3), torch.tensor([[3, 1, 5, 1, 2]])
    segments = torch.tensor([[4, 4, 7, 7, 7]])
    logits = net(ids, segments)
    torch.testing.assert_close(logits[:, :2], net(ids[:, :2]))
    torch.testing.assert_close(logits[:, 2:], net(ids[:, 2:]))


def test_only_the_tokens_just_before_are_seen():
    assert previous_tokens(torch.tensor([[3, 1, 5]]), None, 2, 9).tolist() == [[[3, 9], [1, 3], [5, 1]]]
    net = network()
    torch.testing.assert_close(net(torch.tensor([[3, 1, 5]]))[:, -1], net(torch.tensor([[1, 5]]))[:, -1])


def test_loss_is_the_weighted_sum_of_cross_entropies():
    net, ids, targets = network(), torch.tensor([[3, 1, 5]]), torch.tensor([[1, 5, 0]])
    weights = torch.tensor([[1.0, 0.0, 2.0]])
    summed, counted = net.loss(ids, targets, weights)
    expected = F.cross_entropy(net(ids)[0], targets[0], reduction="none") @ weights[0]
    torch.testing.assert_close(summed, expected)
    assert float(counted) == 3


def test_it_learns_what_stands_two_tokens_back():
    net, ids = network(hidden_size=8), torch.tensor([[0, 1, 2, 0, 3, 2, 0, 1, 2, 0, 3, 2, 0, 1]])
    rule = torch.optim.Adam(net.parameters(), lr=0.1)
    for _ in range(60):
        rule.zero_grad()
        loss = net.loss(ids[:, :-1], ids[:, 1:], torch.ones(1, 13))[0]
        loss.backward()
        rule.step()
    scores = language_model(net).score([ids[0].numpy()])[0]
    assert scores[[1, 4, 7, 10]].mean() > -0.2
    assert float(loss.detach()) == pytest.approx(-scores.sum(), rel=0.5)


def test_impossible_sizes_are_told():
    with pytest.raises(ModelError, match="vocab_size"):
        network(vocab_size=0)
    with pytest.raises(ConfigError, match=r"model\.hidden_size"):
        network(hidden_size=0)
