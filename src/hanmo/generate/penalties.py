"""What the text so far does to the next logits: pure functions, one a formula.

B rows, V vocabulary. `rows` are all ids of each row (prompt and drawn), `drawn` only those that were drawn.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

Rows = Sequence[Sequence[int]]
NEVER = float("-inf")
LONGEST_MATCH = 50


def penalize_repetition(logits_BV: Float[Tensor, "B V"], rows: Rows, penalty: float) -> Float[Tensor, "B V"]:
    """x / penalty where x > 0, x * penalty where x < 0, for every token seen in the row, the prompt included.

    Source: CTRL, Keskar et al. 2019, section 4.1, in the form for logits of either sign that transformers uses.
    """
    seen_BV = torch.zeros_like(logits_BV, dtype=torch.bool)
    for seen, ids in zip(seen_BV, rows, strict=True):
        seen[torch.tensor(ids, dtype=torch.long, device=logits_BV.device)] = True
    penalized = torch.where(logits_BV < 0, logits_BV * penalty, logits_BV / penalty)
    return torch.where(seen_BV, penalized, logits_BV)


def penalize_frequency(logits_BV: Float[Tensor, "B V"], drawn: Rows, frequency: float, presence: float = 0.0) -> Float[Tensor, "B V"]:
    """x - frequency * c - presence * [c > 0], c the number of times the token was drawn so far; the prompt does not count.

    Source: OpenAI's API reference, frequency_penalty and presence_penalty.
    """
    counts_BV = torch.zeros_like(logits_BV)
    for counts, ids in zip(counts_BV, drawn, strict=True):
        index = torch.tensor(ids, dtype=torch.long, device=logits_BV.device)
        counts.index_add_(0, index, torch.ones_like(index, dtype=counts.dtype))
    return logits_BV - frequency * counts_BV - presence * (counts_BV > 0)


def penalize_continued_repetition(
    logits_BV: Float[Tensor, "B V"], rows: Rows, multiplier: float, base: float, allowed: int, breakers: Collection[int] = ()
) -> Float[Tensor, "B V"]:
    """x - multiplier * base^(n - allowed) for a token that would go on with a repetition of n >= allowed tokens.

    n is the length of the longest end of the row that occurred before and was followed by the token; no repetition
    reaches over a token of `breakers`, and none counts more than LONGEST_MATCH tokens.
    Source: DRY ("don't repeat yourself"), p-e-w 2024, text-generation-webui pull request 5677.
    """
    logits_BV = logits_BV.clone()
    for logits, ids in zip(logits_BV, rows, strict=True):
        for token, length in _repetitions(ids, breakers).items():
            if length >= allowed:
                logits[token] -= multiplier * base ** (length - allowed)
    return logits_BV


def _repetitions(ids: Sequence[int], breakers: Collection[int]) -> dict[int, int]:
    """For each token that once followed what now ends the row: how many tokens of that end it followed."""
    longest: dict[int, int] = {}
    last = len(ids) - 1
    for place in range(last):
        length = 0
        while (
            length <= place and length < LONGEST_MATCH and ids[place - length] == ids[last - length] and ids[last - length] not in breakers
        ):
            length += 1
        if length and ids[place + 1] not in breakers:
            longest[ids[place + 1]] = max(longest.get(ids[place + 1], 0), length)
    return longest


def ban_repeated_ngrams(logits_BV: Float[Tensor, "B V"], rows: Rows, size: int) -> Float[Tensor, "B V"]:
    """Minus infinity for each token that would complete an n-gram (n = size) that the row, prompt included, already has.

    A row in which no token would be left keeps them all.
    Source: Paulus et al. 2017, "A Deep Reinforced Model for Abstractive Summarization", section 2.5.
    """
    banned = []
    for ids in rows:
        if len(ids) < size:
            banned.append([])
            continue
        windows = np.lib.stride_tricks.sliding_window_view(np.asarray(ids), size)
        ending = np.asarray(ids[len(ids) - size + 1 :])
        banned.append(windows[(windows[:, :-1] == ending).all(1), -1].tolist())
    return _ban(logits_BV, banned)


def ban_words(logits_BV: Float[Tensor, "B V"], rows: Rows, words: Rows) -> Float[Tensor, "B V"]:
    """Minus infinity for each token that would complete one of `words`, sequences of ids; a row keeps all when none would be left."""
    return _ban(logits_BV, [[word[-1] for word in words if tuple(ids[len(ids) - len(word) + 1 :]) == tuple(word[:-1])] for ids in rows])


def ban_ends(logits_BV: Float[Tensor, "B V"], too_short: Sequence[bool], end_ids: Sequence[int]) -> Float[Tensor, "B V"]:
    """Minus infinity for the tokens that end a text, in rows that are too short to end."""
    return _ban(logits_BV, [list(end_ids) if short else [] for short in too_short])


def force(logits_BV: Float[Tensor, "B V"], now: Sequence[bool], token: int) -> Float[Tensor, "B V"]:
    """In some rows one token certain and all others impossible: 0 and minus infinity."""
    certain_V = torch.full_like(logits_BV[0], NEVER)
    certain_V[token] = 0
    return torch.where(torch.tensor(now, device=logits_BV.device)[:, None], certain_V, logits_BV)


def add_bias(logits_BV: Float[Tensor, "B V"], bias: Mapping[int, float]) -> Float[Tensor, "B V"]:
    """x + bias of the token; ids outside the vocabulary have no logit to add to; a row keeps its own when none would be left."""
    biased_BV = logits_BV.clone()
    for token, more in bias.items():
        biased_BV[:, token : token + 1] += more
    return torch.where((biased_BV > NEVER).any(-1, keepdim=True), biased_BV, logits_BV)


def _ban(logits_BV: Tensor, banned: Rows) -> Tensor:
    logits_BV = logits_BV.clone()
    for logits, tokens in zip(logits_BV, banned, strict=True):
        allowed = logits.clone()
        allowed[torch.tensor(tokens, dtype=torch.long, device=logits.device)] = NEVER
        if bool((allowed > NEVER).any()):
            logits.copy_(allowed)
    return logits_BV
