"""Softmax regression over the tokens just before: the simplest network, and the last layer of every other one.

The formulas stand first, as the field writes them; the module computes the same without building one-hot vectors.
Behind the decoder's signatures, without a cache. B rows, T positions, F features, D rank, K tokens before, V vocabulary.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from hanmo.base.errors import ModelError
from hanmo.model.config import SoftmaxRegressionConfig
from hanmo.model.next_token import NextTokenNetwork


def softmax(logits_BV: Float[Tensor, "B V"]) -> Float[Tensor, "B V"]:
    """Numbers to probabilities: p_v = exp(z_v) / sum_u exp(z_u), with the largest z taken off first so that none overflows."""
    exponentials = (logits_BV - logits_BV.amax(-1, keepdim=True)).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def softmax_regression(
    features_BF: Float[Tensor, "B F"], weights_VF: Float[Tensor, "V F"], bias_V: Float[Tensor, " V"]
) -> Float[Tensor, "B V"]:
    """Probability of each class y given features x: p(y | x) = exp(w_y . x + b_y) / sum_v exp(w_v . x + b_v).

    The log-linear model p(y | x) = exp(sum_i w_i f_i(x, y)) / Z(x) with one feature for each pair of x_i and y (Berger et
    al. 1996; Hastie et al. 2009, section 4.4).
    """
    return softmax(features_BF @ weights_VF.mT + bias_V)


def previous_tokens(ids_BT: Int[Tensor, "B T"], segments_BT: Int[Tensor, "B T"] | None, count: int, none: int) -> Int[Tensor, "B T K"]:
    """For each position the token itself and the count - 1 before it, nearest first; `none` beyond a row's or segment's start."""
    columns = [ids_BT]
    for distance in range(1, count):
        moved = F.pad(ids_BT, (distance, 0), value=none)[:, : ids_BT.size(1)]
        if segments_BT is not None:
            beside = F.pad(segments_BT, (distance, 0), value=-1)[:, : ids_BT.size(1)]
            moved = torch.where(beside == segments_BT, moved, none)
        columns.append(moved)
    return torch.stack(columns, -1)


class SoftmaxRegression(NextTokenNetwork):
    """z = b + sum_k W_k onehot(x_{t-k}) with W_k = U C_k of rank D (log-bilinear, Mnih and Hinton 2007).

    Convex but for the factoring: it learns what each token at each distance says, and nothing about their combinations.
    Raises ModelError when `config.vocab_size` is not set.
    """

    def __init__(self, config: SoftmaxRegressionConfig) -> None:
        super().__init__()
        if config.vocab_size < 1:
            raise ModelError(f"vocab_size (={config.vocab_size}) should be at least 1: it comes from the tokenizer")
        self.config = config
        tables = config.num_previous_tokens * (config.vocab_size + 1)
        self.embed_tokens = nn.Embedding(tables, config.hidden_size)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)
        nn.init.normal_(self.embed_tokens.weight, std=config.initializer_range)
        nn.init.normal_(self.lm_head.weight, std=config.initializer_range)
        nn.init.zeros_(self.lm_head.bias)

    @property
    def output_weight(self) -> Float[Tensor, "V D_and_one"]:
        """The matrix that turns `hidden` into logits; the bias is the weight of a feature that is always one."""
        return torch.cat([self.lm_head.weight, self.lm_head.bias[:, None]], 1)

    def hidden(self, ids_BT: Int[Tensor, "B T"], segments_BT: Int[Tensor, "B T"] | None = None) -> Float[Tensor, "B T D_and_one"]:
        """What the tokens at each position and before it say together, and a last feature that is always one."""
        count, none = self.config.num_previous_tokens, self.config.vocab_size
        ids_BTK = previous_tokens(ids_BT, segments_BT, count, none)
        table_K = torch.arange(count, device=ids_BT.device) * (none + 1)
        known_BTK1 = (ids_BTK != none).to(self.embed_tokens.weight.dtype)[..., None]
        x_BTD = (self.embed_tokens(ids_BTK + table_K) * known_BTK1).sum(2)
        return torch.cat([x_BTD, torch.ones_like(x_BTD[..., :1])], -1)

    def forward(self, ids_BT: Int[Tensor, "B T"], segments_BT: Int[Tensor, "B T"] | None = None) -> Float[Tensor, "B T V"]:
        """Logits of what follows each position."""
        return self.logits(self.hidden(ids_BT, segments_BT))
