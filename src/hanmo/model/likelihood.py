"""The one place where logits become log-probabilities of given tokens.

Loss, perplexity, preference tuning, attribution and every audit call this. B rows, T positions, V vocabulary.
"""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def token_log_probs(logits_BTV: Float[Tensor, "B T V"], targets_BT: Int[Tensor, "B T"]) -> Float[Tensor, "B T"]:
    """log p(target) = logit of the target - log sum exp of all logits, in nats and fp32.

    The chain rule makes the log-likelihood of a text the sum of these: log p(x) = sum_t log p(x_t | x_<t).
    """
    return -F.cross_entropy(logits_BTV.float().flatten(0, 1), targets_BT.flatten(), reduction="none").view_as(targets_BT)


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
