"""How likely given text is: a whole document, or the tokens of a prompt beside those that are drawn after it.

In: a network and ids. Out: natural log-probabilities, each given all ids before it. Nothing is drawn here.
T positions, V vocabulary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hanmo.generate.continuation import Chosen, Continuation, told
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.ngram import Ngram
from hanmo.model.store import Writer

AT_ONCE = 256
"""Positions whose logits are held at once."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How likely a text is under a model, given that a text begins there."""

    bits: float
    """-log2 of the probability of the whole text."""
    bytes: int
    """Length of the text in UTF-8."""
    ids: list[int]
    """Its tokens."""
    logprobs: list[float]
    """Natural log-probability of each token, given all before it that the model sees."""

    @property
    def bits_per_byte(self) -> float:
        """The currency that models with different tokenizers share; NaN for an empty text."""
        return self.bits / self.bytes if self.bytes else math.nan


def tell_prompts(network: Writer, members: Sequence[Continuation]) -> None:
    """Tell sequences that begin with the same prompt how likely its tokens are, those that ask for it."""
    known: dict[int, list[Chosen]] = {}
    for each in members:
        if not each.options.prompt_logprobs or each.prompt_told is not None:
            continue
        top = each.options.top_logprobs
        if top not in known:
            known[top] = prompt_logprobs(network, each.prompt_ids, top)
        each.tell_prompt(known[top])


@torch.inference_mode()
def prompt_logprobs(network: Writer, ids: Sequence[int], top: int = 0) -> list[Chosen]:
    """Each id after the first with its log-probability given those before it, and the `top` likeliest tokens in its place."""
    if isinstance(network, Ngram):
        rows = [np.log(network.next_probabilities(np.array(ids[:end], np.int64))) for end in range(1, len(ids))]
        return _told(torch.from_numpy(np.stack(rows)).float(), ids[1:], top) if rows else []
    assert not isinstance(network, EncoderDecoder)
    device = network.embed_tokens.weight.device
    hidden_TD = network.hidden(torch.tensor([list(ids)], dtype=torch.long, device=device))[0, :-1]
    parts = range(0, len(hidden_TD), AT_ONCE)
    return [each for start in parts for each in _part(network, hidden_TD[start : start + AT_ONCE], ids[start + 1 :], top)]


def _part(network: Writer, hidden_TD: Tensor, ids: Sequence[int], top: int) -> list[Chosen]:
    assert not isinstance(network, Ngram | EncoderDecoder)
    return _told(network.logits(hidden_TD).float(), ids[: len(hidden_TD)], top)


def _told(logits_TV: Tensor, ids: Sequence[int], top: int) -> list[Chosen]:
    return told(logits_TV, torch.tensor(list(ids), device=logits_TV.device), top)
