"""From logits to one token: pure functions, one a formula, and the order in which they follow each other.

The order is that of transformers, so that equal settings give equal distributions:
bias, the penalties of penalties.py, temperature, top-k, top-p, min-p, typical, epsilon, eta, draw.
Greedy takes the largest logit after the penalties.

The draw uses a counter-based generator (Philox, Salmon et al. 2011): the uniform number is a function of (seed, position)
alone, so a sequence draws the same whatever shares its batch, streamed or not.
B rows, V vocabulary. `rows` are all ids of each row (prompt and drawn), `drawn` only those that were drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hanmo.base.errors import UsageError
from hanmo.generate.options import SamplingOptions
from hanmo.generate.penalties import (
    NEVER,
    Rows,
    add_bias,
    ban_ends,
    ban_repeated_ngrams,
    ban_words,
    force,
    penalize_continued_repetition,
    penalize_frequency,
    penalize_repetition,
)
from hanmo.tokenizer.load import Tokenizer


def temper(logits_BV: Float[Tensor, "B V"], temperature: float) -> Float[Tensor, "B V"]:
    """x / T: softmax(x / T) sharpens below 1 and flattens above (Ackley et al. 1985).

    Beyond 1e-30 and 1e30 it changes nothing any more, but float32 would take T for 0 or infinity and give what is no number.
    """
    return logits_BV / min(max(temperature, 1e-30), 1e30)


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


def keep_typical(logits_BV: Float[Tensor, "B V"], mass: float) -> Float[Tensor, "B V"]:
    """The tokens whose surprise -log p is nearest to the entropy H, until their probabilities sum to `mass`.

    Source: locally typical sampling, Meister et al. 2023, section 4 (those at the same distance as the last one stay too).
    """
    log_p_BV = logits_BV.log_softmax(-1)
    entropy_B1 = -(log_p_BV * log_p_BV.exp()).nansum(-1, keepdim=True)
    distance_BV, order_BV = (-log_p_BV - entropy_B1).abs().sort()
    reached_B = (logits_BV.gather(-1, order_BV).softmax(-1).cumsum(-1) < mass).sum(1).clamp(max=logits_BV.size(-1) - 1)
    outside_BV = distance_BV > distance_BV.gather(1, reached_B[:, None])
    outside_BV[:, 0] = False
    return logits_BV.masked_fill(torch.zeros_like(outside_BV).scatter(1, order_BV, outside_BV), NEVER)


def keep_epsilon(logits_BV: Float[Tensor, "B V"], epsilon: float) -> Float[Tensor, "B V"]:
    """Tokens with a probability of at least epsilon, and the likeliest (Hewitt et al. 2022, section 3.2)."""
    return _keep_above(logits_BV, torch.full_like(logits_BV[:, :1], epsilon))


def keep_eta(logits_BV: Float[Tensor, "B V"], epsilon: float) -> Float[Tensor, "B V"]:
    """Tokens with a probability of at least min(epsilon, sqrt(epsilon) exp(-H)), H the entropy (Hewitt et al. 2022, eq. 5)."""
    log_p_BV = logits_BV.log_softmax(-1)
    entropy_B1 = -(log_p_BV * log_p_BV.exp()).nansum(-1, keepdim=True)
    return _keep_above(logits_BV, (epsilon**0.5 * (-entropy_B1).exp()).clamp(max=epsilon))


def _keep_above(logits_BV: Tensor, least_B1: Tensor) -> Tensor:
    return logits_BV.masked_fill((logits_BV.softmax(-1) < least_B1) & (logits_BV < logits_BV.amax(-1, keepdim=True)), NEVER)


@dataclass(frozen=True)
class SamplingTokens:
    """What the options say of text, in one tokenizer's ids."""

    end_ids: tuple[int, ...] = ()
    """Tokens that end a text."""
    bad: tuple[tuple[int, ...], ...] = ()
    """Sequences that never come."""
    breakers: frozenset[int] = frozenset()
    """Tokens over which no repetition reaches (DRY)."""


def words_of(options: SamplingOptions, tokenizer: Tokenizer, end_ids: Sequence[int]) -> SamplingTokens:
    """The strings among the options as ids; a bad word that is an end token does not count.

    Raises UsageError for a forced token that the tokenizer has not.
    """
    for name in ("forced_bos_token_id", "forced_eos_token_id"):
        if (token := getattr(options, name)) is not None and token >= tokenizer.vocab_size:
            raise UsageError(f"{name} (={token}) is no token: the tokenizer has ids from 0 to {tokenizer.vocab_size - 1}")
    written = [form for word in options.bad_words for form in (word, f" {word}")]
    bad = {tuple(tokenizer.encode(form).tolist()) for form in written} - {(), *((end,) for end in end_ids)}
    breakers: list[int] = []
    if options.dry_multiplier:
        visible = ((id, tokenizer.bytes_of(id)) for id in range(tokenizer.vocab_size))
        wanted = [each.encode() for each in options.dry_breakers]
        breakers = [id for id, text in visible if any(each in text for each in wanted)]
    return SamplingTokens(tuple(end_ids), tuple(sorted(bad)), frozenset(breakers))


def apply_penalties(
    logits_BV: Float[Tensor, "B V"], options: SamplingOptions, rows: Rows, drawn: Rows, words: SamplingTokens | None = None
) -> Float[Tensor, "B V"]:
    """What holds for greedy and searches too: what the text so far, and the user, have against tokens."""
    words = words or SamplingTokens()
    if options.logit_bias:
        logits_BV = add_bias(logits_BV, options.logit_bias)
    if options.repetition_penalty != 1:
        logits_BV = penalize_repetition(logits_BV, rows, options.repetition_penalty)
    if options.frequency_penalty or options.presence_penalty:
        logits_BV = penalize_frequency(logits_BV, drawn, options.frequency_penalty, options.presence_penalty)
    if options.dry_multiplier:
        strength = (options.dry_multiplier, options.dry_base, options.dry_allowed_length)
        logits_BV = penalize_continued_repetition(logits_BV, rows, *strength, words.breakers)
    if options.no_repeat_ngram_size:
        logits_BV = ban_repeated_ngrams(logits_BV, rows, options.no_repeat_ngram_size)
    if words.bad:
        logits_BV = ban_words(logits_BV, rows, words.bad)
    if options.min_tokens or options.min_length:
        lengths = zip(rows, drawn, strict=True)
        short = [len(new) < options.min_tokens or len(row) < options.min_length for row, new in lengths]
        logits_BV = ban_ends(logits_BV, short, words.end_ids)
    if options.forced_bos_token_id is not None:
        logits_BV = force(logits_BV, [len(row) == 1 for row in rows], options.forced_bos_token_id)
    if options.forced_eos_token_id is not None:
        logits_BV = force(logits_BV, [len(new) == options.max_tokens - 1 for new in drawn], options.forced_eos_token_id)
    return logits_BV


def apply_cutoffs(logits_BV: Float[Tensor, "B V"], options: SamplingOptions) -> Float[Tensor, "B V"]:
    """What shapes a draw: temperature and the cuts, in their order."""
    if options.temperature != 1:
        logits_BV = temper(logits_BV, options.temperature)
    if options.top_k:
        logits_BV = keep_top_k(logits_BV, options.top_k)
    cuts = (
        (options.top_p, 1, keep_nucleus),
        (options.min_p, 0, keep_min_p),
        (options.typical_p, 1, keep_typical),
        (options.epsilon_cutoff, 0, keep_epsilon),
        (options.eta_cutoff, 0, keep_eta),
    )
    for value, neutral, cut in cuts:
        if value != neutral:
            logits_BV = cut(logits_BV, value)
    return logits_BV


def process(
    logits_BV: Float[Tensor, "B V"], options: SamplingOptions, rows: Rows, drawn: Rows, words: SamplingTokens | None = None
) -> Float[Tensor, "B V"]:
    """The whole chain in its order; steps that change nothing are left out."""
    logits_BV = apply_penalties(logits_BV, options, rows, drawn, words)
    return logits_BV if options.greedy else apply_cutoffs(logits_BV, options)


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
