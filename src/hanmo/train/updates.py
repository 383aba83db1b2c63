"""The update rules of the field, each once, as pure functions on one tensor; w weight, g gradient, lr learning rate.

The optimizer uses fused kernels that are tested equal to these.
"""

import torch
from torch import Tensor


def sgd(w: Tensor, g: Tensor, velocity: Tensor, *, lr: float, momentum: float) -> tuple[Tensor, Tensor]:
    """Stochastic gradient descent with momentum: v' = mu v + g; w' = w - lr v' (Robbins and Monro 1951; Sutskever et al. 2013)."""
    velocity = momentum * velocity + g
    return w - lr * velocity, velocity


def adagrad(w: Tensor, g: Tensor, squares: Tensor, *, lr: float, epsilon: float) -> tuple[Tensor, Tensor]:
    """Adagrad: s' = s + g^2; w' = w - lr g / (sqrt(s') + eps) (Duchi, Hazan and Singer 2011)."""
    squares = squares + g * g
    return w - lr * g / (squares.sqrt() + epsilon), squares


def adam(
    w: Tensor, g: Tensor, first: Tensor, second: Tensor, *, step: int, lr: float, betas: tuple[float, float], epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Adam with bias correction, `step` counted from 1 (Kingma and Ba 2015, algorithm 1).

    m' = b1 m + (1 - b1) g; v' = b2 v + (1 - b2) g^2; w' = w - lr m'/(1 - b1^t) / (sqrt(v'/(1 - b2^t)) + eps).
    """
    first = betas[0] * first + (1 - betas[0]) * g
    second = betas[1] * second + (1 - betas[1]) * g * g
    corrected = (second / (1 - betas[1] ** step)).sqrt() + epsilon
    return w - lr * first / (1 - betas[0] ** step) / corrected, first, second


def decoupled_weight_decay(w: Tensor, *, lr: float, weight_decay: float) -> Tensor:
    """The decay of AdamW: w' = (1 - lr wd) w, before the step (Loshchilov and Hutter 2019, algorithm 2)."""
    return w * (1 - lr * weight_decay)


def l1_subgradient(w: Tensor, *, l1: float) -> Tensor:
    """What an L1 penalty adds to the gradient: l1 sign(w) (Tibshirani 1996)."""
    return l1 * w.sign()


NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrices_NRC: Tensor, *, steps: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly: singular values end between 0.7 and 1.2.

    Newton-Schulz iteration of degree five, X' = a X + (b A + c A^2) X with A = X X^T (Jordan et al. 2024, Muon;
    coefficients from there). `matrices_NRC` is a stack [N, rows, columns]; computed in its own precision.
    """
    a, b, c = NEWTON_SCHULZ
    tall = matrices_NRC.size(-2) > matrices_NRC.size(-1)
    x = matrices_NRC.mT if tall else matrices_NRC
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def muon_scale(rows: int, columns: int) -> float:
    """sqrt(max(1, rows / columns)): keeps the size of a layer's output change the same for every shape (Jordan et al. 2024)."""
    return max(1.0, rows / columns) ** 0.5
