import pytest
import torch
from torch import Tensor

from hanmo.model import likelihood
from hanmo.model.kernels.library import switched_off
from hanmo.model.likelihood import divergence, linear_negative_log_likelihood, negative_log_likelihood, token_log_probs

Problem = tuple[Tensor, Tensor, Tensor, Tensor]


def problem(vocabulary: int = 77, width: int = 32) -> Problem:
    """Hidden states, an output matrix, targets, and weights of which some are zero."""
    weights = torch.rand(3, 50) * (torch.rand(3, 50) > 0.3)
    return torch.randn(3, 50, width), torch.randn(vocabulary, width) * 0.3, torch.randint(vocabulary, (3, 50)), weights


def gradients(summed: Tensor, *leaves: Tensor) -> tuple[Tensor, ...]:
    """With a scale, as the loop divides by the sum of weights."""
    return torch.autograd.grad(summed / 7, leaves)


def test_token_log_probs_are_those_of_softmax() -> None:
    logits, targets = torch.randn(2, 5, 11), torch.randint(11, (2, 5))
    expected = logits.softmax(-1).gather(-1, targets[..., None])[..., 0].log()
    torch.testing.assert_close(token_log_probs(logits, targets), expected)


def test_divergence_is_that_of_kullback_and_leibler() -> None:
    p, q = torch.randn(2, 3, 7), torch.randn(2, 3, 7)
    shares, others = p.softmax(-1), q.softmax(-1)
    torch.testing.assert_close(divergence(p, q), (shares * (shares / others).log()).sum(-1))
    assert (divergence(p, q) > 0).all() and not torch.equal(divergence(p, q), divergence(q, p))
    torch.testing.assert_close(divergence(p, p + 5), torch.zeros(2, 3), atol=1e-6, rtol=0)


def test_log_probs_of_all_tokens_sum_to_one() -> None:
    logits = torch.randn(1, 1, 6).expand(1, 6, 6)
    assert token_log_probs(logits, torch.arange(6)[None]).exp().sum() == pytest.approx(1.0)


def test_label_smoothing_is_cross_entropy_against_the_smoothed_target() -> None:
    logits, targets = torch.randn(1, 4, 9), torch.randint(9, (1, 4))
    smoothed = 0.8 * torch.nn.functional.one_hot(targets, 9) + 0.2 / 9
    expected = -(smoothed * logits.log_softmax(-1)).sum()
    torch.testing.assert_close(negative_log_likelihood(logits, targets, torch.ones(1, 4), 0.2)[0], expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("room", [1 << 28, 4000])
def test_the_fused_loss_equals_the_loss_of_logits(smoothing: float, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihood, "LOGITS_BYTES", room)
    monkeypatch.setattr(likelihood, "ROWS_IN_CACHE", 16)
    hidden, matrix, targets, weights = problem()
    hidden.requires_grad_(), matrix.requires_grad_()
    expected, weight = negative_log_likelihood(hidden @ matrix.T, targets, weights, smoothing)
    given, given_weight = linear_negative_log_likelihood(hidden, matrix, targets, weights, smoothing)
    torch.testing.assert_close((given, given_weight), (expected, weight))
    torch.testing.assert_close(gradients(given, hidden, matrix), gradients(expected, hidden, matrix), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("with_kernels", [True, False])
@pytest.mark.parametrize("room", [1 << 28, 3000])
def test_in_bf16_it_differs_by_rounding_only(with_kernels: bool, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likelihood, "LOGITS_BYTES", room)
    hidden, matrix, targets, weights = problem()
    low = hidden.bfloat16().requires_grad_(), matrix.bfloat16().requires_grad_()
    leaves = [x.detach().float().requires_grad_() for x in low]
    expected, _ = negative_log_likelihood(leaves[0] @ leaves[1].T, targets, weights)
    if with_kernels:
        given, _ = linear_negative_log_likelihood(*low, targets, weights)
    else:
        with switched_off():
            given, _ = linear_negative_log_likelihood(*low, targets, weights)
    torch.testing.assert_close(given, expected, rtol=2e-3, atol=0)
    for mine, theirs in zip(gradients(given, *low), gradients(expected, *leaves), strict=True):
        assert float((mine.float() - theirs).norm()) < 0.01 * float(theirs.norm())


def test_a_frozen_output_matrix_gets_no_gradient() -> None:
    hidden, matrix, targets, weights = problem()
    hidden.requires_grad_()
    summed, _ = linear_negative_log_likelihood(hidden, matrix, targets, weights)
    summed.backward()
    assert hidden.grad is not None and matrix.grad is None


def test_without_gradients_the_value_is_the_same() -> None:
    hidden, matrix, targets, weights = problem()
    with torch.no_grad():
        given, _ = linear_negative_log_likelihood(hidden, matrix, targets, weights)
        torch.testing.assert_close(given, negative_log_likelihood(hidden @ matrix.T, targets, weights)[0])


def test_a_batch_without_weight_costs_nothing() -> None:
    hidden, matrix, targets, _ = problem()
    hidden.requires_grad_(), matrix.requires_grad_()
    summed, weight = linear_negative_log_likelihood(hidden, matrix, targets, torch.zeros(3, 50))
    assert (float(summed.detach()), float(weight)) == (0.0, 0.0)
    assert all(float(g.abs().sum()) == 0 for g in gradients(summed, hidden, matrix))
