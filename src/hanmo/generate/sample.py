"""From logits to one token: pure functions, one a formula, and the order in which they follow each other.

The order is that of transformers, so that equal settings give equal distributions:
repetition penalty, frequency penalty, no-repeat n-grams, temperature, top-k, top-p, min-p, draw.
Greedy takes the largest logit after the first three.

The draw uses a counter-based generator (Philox, Salmon et al. 2011): the uniform number is a function of (seed, position)
alone, so a sequence draws the same whatever shares its batch, streamed or not.
B rows, V vocabulary. `rows` are all ids of each row (prompt and drawn), `drawn` only those that were drawn.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hanmo.generate.options import SamplingOptions

Rows = Sequence[Sequence[int]]
NEVER = float("-inf")


def penalize_repetition(logits_BV: Float[Tensor, "B V"], rows: Rows, penalty: float) -> Float[Tensor, "B V"]:
    """x / penalty where x > 0, x * penalty where x < 0, for every token seen in the row, the prompt included.

    Source: CTRL, Keskar et al. 2019, section 4.1, in the form for logits of either sign that transformers uses.
    """
    seen_BV = torch.zeros_like(logits_BV, dtype=torch.bool)
    for seen, ids in zip(seen_BV, rows, strict=True):
        seen[torch.tensor(ids, dtype=torch.long, device=logits_BV.device)] = True
    penalized = torch.where(logits_BV < 0, logits_BV * penalty, logits_BV / penalty)
    return torch.where(seen_BV, penalized, logits_BV)


def penalize_frequency(logits_BV: Float[Tensor, "B V"], drawn: Rows, penalty: float) -> Float[Tensor, "B V"]:
    """x - penalty * c, c the number of times the token was drawn so far; the prompt does not count.

    Source: OpenAI's API reference, frequency_penalty (mu[j] - c[j] * alpha).
    """
    counts_BV = torch.zeros_like(logits_BV)
    for counts, ids in zip(counts_BV, drawn, strict=True):
        index = torch.tensor(ids, dtype=torch.long, device=logits_BV.device)
        counts.index_add_(0, index, torch.ones_like(index, dtype=counts.dtype))
    return logits_BV - penalty * counts_BV


def ban_repeated_ngrams(logits_BV: Float[Tensor, "B V"], rows: Rows, size: int) -> Float[Tensor, "B V"]:
    """Minus infinity for each token that would complete an n-gram (n = size) that the row, prompt included, already has.

    A row in which no token would be left keeps them all.
    Source: Paulus et al. 2017, "A Deep Reinforced Model for Abstractive Summarization", section 2.5.
    """
    logits_BV = logits_BV.clone()
    for logits, ids in zip(logits_BV, rows, strict=True):
        if len(ids) < size:
            continue
        windows = np.lib.stride_tricks.sliding_window_view(np.asarray(ids), size)
        ending = np.asarray(ids[len(ids) - size + 1 :])
        allowed = logits.clone()
        allowed[torch.from_numpy(windows[(windows[:, :-1] == ending).all(1), -1]).to(logits.device)] = NEVER
        if bool((allowed > NEVER).any()):
            logits.copy_(allowed)
    return logits_BV


def temper(logits_BV: Float[Tensor, "B V"], temperature: float) -> Float[Tensor, "B V"]:
    """x / T: softmax(x / T) sharpens below 1 and flattens above (Ackley et al. 1985)."""
    return logits_BV / temperature


def keep_top_k(logits_BV: Float[Tensor, "B V"], k: int) -> Float[Tensor, "B V"]:
    """The k largest logits, and any equal to the k-th (Fan et al. 2018, section 5.4)."""
    smallest_B1 = logits_BV.topk(min(k, logits_BV.size(-1))).values[:, -1:]
    return logits_BV.masked_fill(logits_BV < smallest_B1, NEVER)


def keep_nucleus(logits_BV: Float[Tensor, "B V"], p: float) -> Float[Tensor, "B V"]:
    """The smallest set of most likely tokens whose probabilities sum to p or more (nucleus, Holtzman et al. 2020, eq. 3).

    Seen from the other end: a token goes when it and all less likely ones sum to 1 - p or less; the likeliest stays.
    """
    ascending_BV, order_BV = logits_BV.sort()
    outside_BV = ascending_BV.softmax(-1).cumsum(-1) <= 1 - p
    outside_BV[:, -1] = False
    return logits_BV.masked_fill(torch.zeros_like(outside_BV).scatter(1, order_BV, outside_BV), NEVER)


def keep_min_p(logits_BV: Float[Tensor, "B V"], p: float) -> Float[Tensor, "B V"]:
    """Tokens with a probability of at least p times the largest one (Nguyen et al. 2024, "Turning Up the Heat", eq. 1)."""
    probabilities_BV = logits_BV.softmax(-1)
    return logits_BV.masked_fill(probabilities_BV < p * probabilities_BV.amax(-1, keepdim=True), NEVER)


def process(logits_BV: Float[Tensor, "B V"], options: SamplingOptions, rows: Rows, drawn: Rows) -> Float[Tensor, "B V"]:
    """The whole chain in its order; steps that change nothing are left out."""
    if options.repetition_penalty != 1:
        logits_BV = penalize_repetition(logits_BV, rows, options.repetition_penalty)
    if options.frequency_penalty:
        logits_BV = penalize_frequency(logits_BV, drawn, options.frequency_penalty)
    if options.no_repeat_ngram_size:
        logits_BV = ban_repeated_ngrams(logits_BV, rows, options.no_repeat_ngram_size)
    if options.greedy:
        return logits_BV
    if options.temperature != 1:
        logits_BV = temper(logits_BV, options.temperature)
    if options.top_k:
        logits_BV = keep_top_k(logits_BV, options.top_k)
    if options.top_p < 1:
        logits_BV = keep_nucleus(logits_BV, options.top_p)
    if options.min_p:
        logits_BV = keep_min_p(logits_BV, options.min_p)
    return logits_BV


def uniform(seed: int, position: int) -> float:
    """The number in [0, 1) that belongs to a seed and a position: Philox 4x64-10, key = seed, counter = position."""
    return float(int(np.random.Philox(key=seed, counter=position).random_raw()) >> 11) * 2.0**-53


def draw(logits_BV: Float[Tensor, "B V"], uniforms: Sequence[float]) -> Int[Tensor, " B"]:
    """One id a row by inverting the distribution function: the first token at which the sum of softmax passes u.

    In fp64; ids count in order. A token with logit minus infinity is never drawn.
    """
    sums_BV = logits_BV.double().softmax(-1).cumsum(-1)
    total_B1 = sums_BV[:, -1:]
    wanted_B1 = torch.tensor(uniforms, dtype=torch.float64, device=logits_BV.device)[:, None] * total_B1
    wanted_B1 = torch.minimum(wanted_B1, torch.nextafter(total_B1, torch.zeros_like(total_B1)))
    return torch.searchsorted(sums_BV, wanted_B1, right=True)[:, 0]


def largest(logits_BV: Float[Tensor, "B V"]) -> Int[Tensor, " B"]:
    """The id of each row's largest logit; of equals the smallest id."""
    return torch.from_numpy(logits_BV.float().cpu().numpy().argmax(-1))
