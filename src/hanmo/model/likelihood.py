"""The one place where logits become log-probabilities of given tokens.

Loss, perplexity, preference tuning, attribution and every audit call this. B rows, T positions, n all of them in a line,
V vocabulary, D width of the hidden state.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from hanmo.model.kernels.functions import cross_entropy_
from hanmo.model.kernels.library import LANES, usable

LOGITS_BYTES = 1 << 28
"""Most memory for logits at once; beyond it the gradient of the output matrix is added up in parts."""
ROWS_IN_CACHE = 1024


def token_log_probs(logits_BTV: Float[Tensor, "B T V"], targets_BT: Int[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """log p(target) = logit of the target - log sum exp of all logits, in nats and fp32.

    The chain rule makes the log-likelihood of a text the sum of these: log p(x) = sum_t log p(x_t | x_<t).
    """
    return -F.cross_entropy(logits_BTV.float().flatten(0, 1), targets_BT.flatten(), reduction="none").view_as(targets_BT)


def divergence(logits_BTV: Float[Tensor, "B T V"], others_BTV: Float[Tensor, "B T V"]) -> Float[Tensor, "B T"]:
    """KL(p || q) = sum_v p_v (log p_v - log q_v), in nats and fp32 (Kullback and Leibler 1951): what saying q costs where p is true."""
    log_p_BTV, log_q_BTV = logits_BTV.float().log_softmax(-1), others_BTV.float().log_softmax(-1)
    return F.kl_div(log_q_BTV, log_p_BTV, reduction="none", log_target=True).sum(-1)


def negative_log_likelihood(
    logits_BTV: Float[Tensor, "B T V"],
    targets_BT: Int[Tensor, "B T"],
    weights_BT: Float[Tensor, "B T"],
    label_smoothing: float = 0.0,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Weighted sum of the loss over all positions, and the sum of weights; divide one by the other for the mean.

    Cross-entropy against the target, or against (1 - s) target + s / V everywhere (label smoothing, Szegedy et al. 2016).
    """
    loss_BT = -token_log_probs(logits_BTV, targets_BT)
    if label_smoothing:
        everywhere_BT = -logits_BTV.float().log_softmax(-1).mean(-1)
        loss_BT = (1 - label_smoothing) * loss_BT + label_smoothing * everywhere_BT
    return (loss_BT * weights_BT).sum(), weights_BT.sum()


def linear_negative_log_likelihood(
    hidden_BTD: Float[Tensor, "B T D"],
    weight_VD: Float[Tensor, "V D"],
    targets_BT: Int[Tensor, "B T"],
    weights_BT: Float[Tensor, "B T"],
    label_smoothing: float = 0.0,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """`negative_log_likelihood` of the logits hidden W^T, of which only a bounded number exists at any time.

    Positions of weight 0 cost nothing. The gradient is made on the way forward: it can be taken once, not twice.
    """
    counted_n = weights_BT.flatten().nonzero().flatten()
    hidden_nD, targets_n, weights_n = hidden_BTD.flatten(0, 1), targets_BT.flatten(), weights_BT.flatten().float()
    if len(counted_n) < len(weights_n):
        hidden_nD, targets_n, weights_n = hidden_nD[counted_n], targets_n[counted_n], weights_n[counted_n]
    summed = _LinearLikelihood.apply(hidden_nD, weight_VD, targets_n.contiguous(), weights_n, label_smoothing)
    return summed, weights_BT.float().sum()


class _LinearLikelihood(torch.autograd.Function):
    """Blocks of logits are turned into their gradient while in cache, then multiplied into those of hidden state and matrix."""

    @staticmethod
    def forward(ctx: Any, hidden_nD: Tensor, weight_VD: Tensor, targets_n: Tensor, weights_n: Tensor, smoothing: float) -> Tensor:
        of_hidden, of_weight = ctx.needs_input_grad[:2]
        wide = -(-weight_VD.size(0) // (2 * LANES)) * 2 * LANES
        at_once = max(1, LOGITS_BYTES // (wide * hidden_nD.element_size()))
        gradient_hidden = torch.empty_like(hidden_nD) if of_hidden else None
        gradient_weight: Tensor | None = None
        summed = hidden_nD.new_zeros((), dtype=torch.float32)
        for start in range(0, len(hidden_nD), at_once):
            part = slice(start, start + at_once)
            logits = hidden_nD.new_empty(len(hidden_nD[part]), wide)[:, : weight_VD.size(0)]
            inputs = (hidden_nD[part], weight_VD, targets_n[part], weights_n[part], smoothing)
            summed += _logits_to_gradients(logits, inputs, None if gradient_hidden is None else gradient_hidden[part], of_weight)
            if of_weight:
                fresh = _outer(logits, hidden_nD[part])
                if gradient_weight is None:
                    gradient_weight = fresh if len(hidden_nD) <= at_once else fresh.float()
                else:
                    gradient_weight += fresh
        if of_weight and gradient_weight is None:
            gradient_weight = torch.zeros_like(weight_VD)
        ctx.gradients = gradient_hidden, None if gradient_weight is None else gradient_weight.to(weight_VD.dtype)
        return summed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden, weight = ctx.gradients
        ctx.gradients = None, None
        for gradient in (hidden, weight):
            if gradient is not None:
                gradient *= grad_outputs[0]
        return hidden, weight, None, None, None


def _logits_to_gradients(
    logits_nV: Tensor, inputs: tuple[Tensor, Tensor, Tensor, Tensor, float], gradient_hidden_nD: Tensor | None, of_weight: bool
) -> Tensor:
    """Fill `logits_nV` with the gradient of the logits, `gradient_hidden_nD` with that of the hidden state; gives the summed nats."""
    hidden_nD, weight_VD, targets_n, weights_n, smoothing = inputs
    with_gradient = of_weight or gradient_hidden_nD is not None
    summed = hidden_nD.new_zeros((), dtype=torch.float32)
    for start in range(0, len(hidden_nD), ROWS_IN_CACHE):
        part = slice(start, start + ROWS_IN_CACHE)
        torch.mm(hidden_nD[part], weight_VD.T, out=logits_nV[part])
        fused = usable(hidden_nD)
        step = cross_entropy_ if fused else _cross_entropy_
        nats_n = step(logits_nV[part], targets_n[part], weights_n[part], smoothing, with_gradient=with_gradient)
        summed += nats_n @ weights_n[part]
        if gradient_hidden_nD is not None:
            torch.mm(logits_nV[part], weight_VD, out=gradient_hidden_nD[part])
    return summed


def _cross_entropy_(logits_nV: Tensor, targets_n: Tensor, weights_n: Tensor, smoothing: float, *, with_gradient: bool) -> Tensor:
    """The kernel's work in torch: nats [n]; the logits become weight (softmax - (1 - s) onehot - s / V) in place."""
    log_probs_nV = logits_nV.float().log_softmax(-1)
    at_target = log_probs_nV.gather(1, targets_n[:, None])
    nats_n = -(1 - smoothing) * at_target[:, 0] - (smoothing * log_probs_nV.mean(-1) if smoothing else 0)
    if with_gradient:
        gradient_nV = log_probs_nV.exp_().sub_(smoothing / logits_nV.size(1))
        gradient_nV.scatter_add_(1, targets_n[:, None], torch.full_like(at_target, smoothing - 1))
        logits_nV.copy_(gradient_nV.mul_(weights_n[:, None]))
    return nats_n


def _outer(gradient_nV: Tensor, hidden_nD: Tensor) -> Tensor:
    """G^T H; in two parts, because a product over an odd number of columns is slow."""
    vocabulary = gradient_nV.size(1)
    even = vocabulary // (2 * LANES) * 2 * LANES
    if even in (0, vocabulary):
        return gradient_nV.T @ hidden_nD
    product = hidden_nD.new_empty(vocabulary, hidden_nD.size(1))
    torch.mm(gradient_nV[:, :even].T, hidden_nD, out=product[:even])
    torch.mm(gradient_nV[:, even:].T, hidden_nD, out=product[even:])
    return product
