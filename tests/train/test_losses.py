"""Losses that the loop never heard of: they fit without a copied line."""

import copy
import dataclasses
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hanmo.base.records import Batch
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.encoder_config import EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.train.config import TrainConfig
from hanmo.train.losses import Loss, TensorBatch, TokenLoss, backward
from hanmo.train.networks import Network

CONFIG = TrainConfig(max_steps=30, warmup_steps=2, batch_size=8, eval_every=10, checkpoint_every=7, learning_rate=1e-2, precision="fp32")


@dataclass(frozen=True)
class Pairs:
    """Two rows, of which the first is preferred."""

    chosen: Batch
    rejected: Batch


@dataclass(frozen=True)
class PreferenceLoss:
    """-ln sigmoid of how much more than the reference the network prefers the chosen rows (Rafailov et al. 2023)."""

    reference: Network

    def weight(self, batch: Pairs) -> float:
        return float(len(batch.chosen.ids))

    def __call__(self, network: Network, batch: Pairs) -> Tensor:
        with torch.no_grad():
            expected = self._margin(self.reference, batch)
        return -F.logsigmoid(self._margin(network, batch) - expected)

    def _margin(self, network: Network, batch: Pairs) -> Tensor:
        given = [TensorBatch.of(each, torch.device("cpu")) for each in (batch.rejected, batch.chosen)]
        rejected, chosen = (each.loss(network)[0] for each in given)
        return rejected - chosen


@dataclass(frozen=True)
class TwicePassed:
    """Maximum likelihood over two passes with different dropout (as R-Drop runs the network, Liang et al. 2021)."""

    tokens: TokenLoss

    def weight(self, batch: Batch) -> float:
        return 2 * self.tokens.weight(batch)

    def __call__(self, network: Network, batch: Batch) -> Tensor:
        return self.tokens(network, batch) + self.tokens(network, batch)


def clipped_by_row(network: Network, loss: Loss[Batch], batch: Batch, weight: float) -> float:
    """Each row's gradient scaled down to norm 1 before it is added (Abadi et al. 2016, algorithm 1, without its noise)."""
    parameters, total = [p for p in network.parameters() if p.requires_grad], 0.0
    sums = [torch.zeros_like(p) for p in parameters]
    for row in range(len(batch.ids)):
        alone = Batch(ids=batch.ids[[row]], targets=batch.targets[[row]], weights=batch.weights[[row]])
        total += backward(network, loss, alone, 1.0)
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        norm = torch.stack([g.norm() for g in gradients]).norm().clamp(min=1.0)
        for kept, gradient in zip(sums, gradients, strict=True):
            kept += gradient / norm / weight
        network.zero_grad()
    for parameter, gradient in zip(parameters, sums, strict=True):
        parameter.grad = gradient
    return total


def reversed_rows(batch: Batch) -> Batch:
    return dataclasses.replace(batch, targets=np.ascontiguousarray(batch.targets[:, ::-1]))


def test_a_preference_loss_with_a_reference_trains_through_the_loop(make_loop):
    made = make_loop(CONFIG)
    rows, reference = made.batch_of, copy.deepcopy(made.network)
    made.batch_of = lambda step, micro: Pairs(rows(step, micro), reversed_rows(rows(step, micro)))
    made.loss = PreferenceLoss(reference)
    made.validate = lambda network: {"validation_loss": float(made.loss(network, made.batch_of(10**6, 0))) / 8}
    made.run()
    losses = [row["loss"] for row in made.folder.read_metrics()]
    assert losses[-1] < losses[0] / 2 and made.state.best_loss < 0.05


def test_two_passes_of_the_same_rows_are_two_passes_of_the_loss(make_loop):
    once, twice = make_loop(CONFIG, name="once"), make_loop(CONFIG, name="twice")
    twice.loss = TwicePassed(TokenLoss())
    once.run()
    twice.run()
    for a, b in zip(once.optimizer.masters, twice.optimizer.masters, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)  # no dropout: the mean of two equal passes is one pass


def test_a_backward_of_its_own_bounds_what_one_row_can_do(make_loop):
    made = make_loop(dataclasses.replace(CONFIG, max_steps=1, warmup_steps=0, max_grad_norm=0.0, log_every=1))
    made.backward = clipped_by_row
    made.run()
    (row,) = made.folder.read_metrics()
    assert 0 < row["gradient_norm"] <= 8 / made.loss.weight(made.batch_of(0, 0)) + 1e-6


def test_a_sum_over_the_weight_of_the_step_is_the_mean_of_all_tokens():
    torch.manual_seed(0)
    network = Decoder(DecoderConfig(vocab_size=9, hidden_size=16, num_hidden_layers=1, num_attention_heads=2))
    ids = np.arange(12).reshape(2, 6) % 9
    batch = Batch(ids=ids[:, :-1], targets=ids[:, 1:], weights=np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], np.float32))
    loss = TokenLoss()
    assert loss.weight(batch) == 7
    with torch.no_grad():
        logits = network(torch.from_numpy(batch.ids)).double().log_softmax(-1)
    chosen = logits.gather(-1, torch.from_numpy(batch.targets)[..., None])[..., 0]
    assert float(loss(network, batch).detach()) == pytest.approx(-float((chosen * torch.from_numpy(batch.weights)).sum()), rel=1e-5)


def test_what_is_read_beside_goes_to_the_network_that_reads():
    torch.manual_seed(0)
    network = EncoderDecoder(EncoderDecoderConfig(vocab_size=9, hidden_size=16, num_hidden_layers=1, num_attention_heads=2))
    ids = np.arange(6).reshape(1, 6)
    rows = {"ids": ids[:, :-1], "targets": ids[:, 1:], "weights": np.ones((1, 5), np.float32)}
    one, other = (Batch(**rows, source=np.full((1, 3), token), source_seen=np.ones((1, 3), bool)) for token in (3, 5))
    assert float(TokenLoss()(network, one).detach()) != float(TokenLoss()(network, other).detach())
