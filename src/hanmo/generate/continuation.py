"""One sequence on its way: its ids, its end, the text that is certain; and the choice of its next token.

Nothing here knows where logits come from or what shares a batch: what a sequence becomes depends on its prompt, its
options, its seed and the logits it is shown. B rows, V vocabulary.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from hanmo.base.errors import ModelError, UsageError
from hanmo.generate.constrain import Form
from hanmo.generate.options import SamplingOptions
from hanmo.generate.prompt import Opening
from hanmo.generate.sample import NEVER, SamplingTokens, draw, largest, process, uniform
from hanmo.generate.stop import StopFilter
from hanmo.model.likelihood import token_log_probs
from hanmo.tokenizer.load import StreamDecoder, Tokenizer

FinishReason = Literal["stop", "length", "closed", "eot", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One continuation of one prompt."""

    text: str
    """The new text, without the prompt, the stop string and the end-of-text token."""
    ids: list[int]
    """The drawn ids, the end-of-text token left out; the last ones may hold a stop string."""
    finish_reason: FinishReason
    """Why it ended: a stop string came (stop); max_tokens or the context was reached (length), and then the JSON was closed
    (closed); the model, or the form asked for, ended the text (eot); it was given up (cancelled)."""
    prompt: str
    """What was continued."""
    seed: int
    """The seed that gives this text again."""
    logprobs: list[float] | None = None
    """Natural log-probability of each id under the model itself, when asked for."""
    top_logprobs: list[dict[int, float]] | None = None
    """At each id's place the likeliest tokens with their log-probabilities, likeliest first, when asked for."""
    prompt_ids: list[int] | None = None
    """The tokens of the prompt, when their log-probabilities were asked for."""
    prompt_logprobs: list[float] | None = None
    """Natural log-probability of each of them but the first, given those before it."""
    prompt_top_logprobs: list[dict[int, float]] | None = None
    """The likeliest tokens in their places, when asked for."""
    score: float | None = None
    """Of a beam: its log-probability (after penalties) divided by its length to the power of length_penalty."""


@dataclass(frozen=True, kw_only=True)
class Event:
    """What has become of one sequence since its last event."""

    sequence: int
    """Its number among the sequences of its request."""
    text: str
    """The text that has become certain; empty while what was drawn may still turn out to be part of a stop string or a character."""
    ids: tuple[int, ...]
    """What was drawn."""
    logprobs: tuple[float, ...] | None = None
    """Natural log-probabilities of these ids, when asked for."""
    top_logprobs: tuple[dict[int, float], ...] | None = None
    """The likeliest tokens at each of their places, when asked for."""
    finish_reason: FinishReason | None = None
    """Why the sequence has ended; None while it goes on. The last event of a sequence has one, and no other."""


@dataclass(frozen=True)
class Chosen:
    """One token, and what was asked to be told about it."""

    token: int
    logprob: float | None = None
    top: dict[int, float] | None = None


class RequestLimits:
    """What bounds the sequences of a request: its options, the model's context (None without one), ids with a meaning, a form."""

    def __init__(self, options: SamplingOptions, context: int | None, words: SamplingTokens, form: Form | None = None) -> None:
        self.options, self.context, self.words, self.form = options, context, words, form
        self.longest = context if options.overflow == "stop" or options.method != "draw" else None

    def also_ended_by(self, end_ids: Sequence[int]) -> "RequestLimits":
        """The same with more tokens that end a text."""
        other = copy(self)
        other.words = replace(self.words, end_ids=(*self.words.end_ids, *end_ids))
        return other

    def check(self, prompt: str, ids: Sequence[int]) -> None:
        """Raise UsageError for a prompt that does not fit."""
        room = self.context if self.context is None or self.longest is None else self.context - 1
        if room is not None and len(ids) > room:
            start = prompt if len(prompt) <= 30 else prompt[:30] + "..."
            raise UsageError(
                f"the prompt {start!r} has {len(ids)} tokens (with the one that opens a text), the model takes at most {room}: shorten it"
            )

    def room(self, length: int) -> int:
        """How many tokens may follow a prompt of `length`."""
        most = self.options.max_tokens
        return most if self.longest is None else min(most, self.longest - length)

    def room_to_close(self, length: int) -> int:
        """The same with the tokens that may close a form."""
        most = self.options.max_tokens + self.options.close_json
        return most if self.longest is None else min(most, self.longest - length)


class Continuation:
    """One sequence: takes tokens, gives text, knows when it has ended. `source` is what an encoder reads before it, if there is one."""

    def __init__(self, start: Opening, seed: int, number: int, tokenizer: Tokenizer, limits: RequestLimits) -> None:
        self.prompt, self.prompt_ids, self.source = start.text, start.ids, start.source
        self.number, self.limits = number, limits
        self.options = limits.options
        self.ids: list[int] = []
        self.score: float | None = None
        self.prompt_told: list[Chosen] | None = None
        waits = limits.options.max_tokens or limits.options.prompt_logprobs
        self.finish_reason: FinishReason | None = None if waits else "length"
        self.following = None if limits.form is None else limits.form.start()
        self._logprobs: list[float] = []
        self._top: list[dict[int, float]] = []
        self.remembered = 0
        """How many first tokens of the prompt did not have to be read again."""
        self._told, self._told_end = 0, False
        self._seed = seed
        self._pieces: list[str] = []
        self._filter = StopFilter(limits.options.stop)
        self._decoder = StreamDecoder(tokenizer)
        for each in start.ids:  # what came before decides on spaces and half characters
            self._decoder.push(each)

    @property
    def row(self) -> list[int]:
        """Prompt and drawn ids."""
        return [*self.prompt_ids, *self.ids]

    @property
    def is_closing(self) -> bool:
        """Whether max_tokens is behind it, and all that is left is to close its form."""
        return bool(self.options.close_json) and len(self.ids) >= self.limits.room(len(self.prompt_ids))

    def allowed(self, size: int) -> Tensor | None:
        """Which of `size` ids its form lets come next, as a mask [V]; None without a form."""
        if self.following is None:
            return None
        return self.following.closing(size) if self.is_closing else self.following.allowed(size)

    def uniform(self) -> float:
        """The random number of the next draw."""
        return uniform(self._seed, len(self.prompt_ids) + len(self.ids))

    def take(self, chosen: Chosen) -> str:
        """Accept one token; gives the text that has become certain."""
        by_itself: FinishReason = "closed" if self.is_closing else "eot"
        if chosen.token in self.limits.words.end_ids:
            return self._end(by_itself)
        self.ids.append(chosen.token)
        if chosen.logprob is not None:
            self._logprobs.append(chosen.logprob)
            self._top.append(chosen.top or {})
        piece = self._filter.push(self._decoder.push(chosen.token))
        if self.following is not None:
            self.following.take(chosen.token)
        if self._filter.found:
            self.finish_reason = "stop"
        elif self.following is not None and self.following.is_complete:
            return piece + self._end(by_itself, piece)
        elif len(self.ids) == self.limits.room_to_close(len(self.prompt_ids)):
            return piece + self._end("length", piece)
        self._pieces.append(piece)
        return piece

    def cancel(self) -> None:
        """Give it up where it stands; one that has ended stays as it is."""
        self.finish_reason = self.finish_reason or "cancelled"

    def tell_prompt(self, told: list[Chosen]) -> None:
        """How likely the tokens of the prompt are; a sequence that asked for nothing more has ended."""
        self.prompt_told = told
        if not self.options.max_tokens:
            self.finish_reason = "length"

    def event(self, text: str = "") -> Event:
        """What was drawn since the last event, with the text that `take` gave for it."""
        new = slice(self._told, len(self.ids))
        self._told, self._told_end = len(self.ids), self.finish_reason is not None
        return Event(
            sequence=self.number,
            text=text,
            ids=tuple(self.ids[new]),
            logprobs=tuple(self._logprobs[new]) if self.options.logprobs else None,
            top_logprobs=tuple(self._top[new]) if self.options.logprobs and self.options.top_logprobs else None,
            finish_reason=self.finish_reason,
        )

    @property
    def has_news(self) -> bool:
        """Whether something happened that no event has told: it was drawn on, or it ended."""
        return self._told < len(self.ids) or (self.finish_reason is not None and not self._told_end)

    def ahead(self) -> "Continuation":
        """A copy for looking ahead: `imagine` tokens in it, this one does not change."""
        other = copy(self)
        other.ids = list(self.ids)
        other.following = None if self.following is None else self.following.copy()
        return other

    def imagine(self, token: int) -> None:
        """Suppose that a token was drawn, for choosing the one after it; no text is made."""
        self.ids.append(token)
        if self.following is not None:
            self.following.take(token)

    def _end(self, reason: FinishReason, piece: str = "") -> str:
        rest = self._filter.push(self._decoder.finish())
        self.finish_reason = "stop" if self._filter.found else reason
        rest += "" if self._filter.found else self._filter.finish()
        self._pieces += [piece, rest]
        return rest

    def result(self, seed: int) -> Generation:
        """The finished continuation of a request with this seed."""
        assert self.finish_reason is not None
        beside = self.prompt_told if self.options.top_logprobs else None
        return Generation(
            text="".join(self._pieces),
            ids=self.ids,
            finish_reason=self.finish_reason,
            prompt=self.prompt,
            seed=seed,
            logprobs=self._logprobs if self.options.logprobs else None,
            top_logprobs=self._top if self.options.logprobs and self.options.top_logprobs else None,
            prompt_ids=None if self.prompt_told is None else self.prompt_ids,
            prompt_logprobs=None if self.prompt_told is None else [each.logprob or 0.0 for each in self.prompt_told],
            prompt_top_logprobs=None if beside is None else [each.top or {} for each in beside],
            score=self.score,
        )


@torch.inference_mode()
def choose(logits_BV: Tensor, active: Sequence[Continuation], vocab_size: int) -> list[Chosen]:
    """The next token of each sequence.

    Raises ModelError for logits that are not numbers.
    """
    possible_BV = _allowed(possible(logits_BV, vocab_size), active)
    groups: dict[int, list[int]] = {}
    for row, each in enumerate(active):
        groups.setdefault(id(each.limits), []).append(row)
    chosen: dict[int, Chosen] = {}
    for rows in groups.values():
        members = [active[row] for row in rows]
        chosen |= zip(rows, _choose_alike(logits_BV[rows], possible_BV[rows], members), strict=True)
    return [chosen[row] for row in range(len(active))]


def possible(logits_BV: Tensor, vocab_size: int) -> Tensor:
    """Logits without rows of the embedding that no token of the tokenizer uses.

    Raises ModelError for logits that are not numbers.
    """
    if bool(logits_BV.amax(-1).isnan().any()):  # a maximum with a NaN is one
        raise ModelError("the model's logits are not numbers (NaN): its weights are damaged")
    if vocab_size == logits_BV.size(-1):
        return logits_BV
    logits_BV = logits_BV.clone()
    logits_BV[:, vocab_size:] = NEVER
    return logits_BV


def _allowed(logits_BV: Tensor, active: Sequence[Continuation]) -> Tensor:
    """Logits without tokens that would leave the form a sequence has to follow."""
    if all(each.following is None for each in active):
        return logits_BV
    masks = [each.allowed(logits_BV.size(-1)) for each in active]
    everything_V = torch.ones(logits_BV.size(-1), dtype=torch.bool)
    allowed_BV = torch.stack([everything_V if mask is None else mask for mask in masks]).to(logits_BV.device)
    return logits_BV.masked_fill(~allowed_BV, NEVER)


def _choose_alike(logits_BV: Tensor, possible_BV: Tensor, members: Sequence[Continuation]) -> list[Chosen]:
    """The same for sequences with the same options."""
    options, words = members[0].options, members[0].limits.words
    processed_BV = process(possible_BV, options, [each.row for each in members], [each.ids for each in members], words)
    tokens_B = largest(processed_BV) if options.greedy else draw(processed_BV, [each.uniform() for each in members])
    return told_if_asked(logits_BV, tokens_B, options)


def told_if_asked(logits_BV: Tensor, tokens_B: Tensor, options: SamplingOptions) -> list[Chosen]:
    """One token a row with what the options ask to be told about it."""
    if not options.logprobs:
        return [Chosen(token) for token in tokens_B.tolist()]
    return told(logits_BV, tokens_B, options.top_logprobs)


def told(logits_BV: Tensor, tokens_B: Tensor, top: int) -> list[Chosen]:
    """One token a row with its log-probability and the `top` likeliest ones beside it."""
    logprobs = token_log_probs(logits_BV[:, None], tokens_B[:, None])[:, 0].tolist()
    tops = likeliest(logits_BV, top)
    return [Chosen(*each) for each in zip(tokens_B.tolist(), logprobs, tops, strict=True)]


def likeliest(logits_BV: Tensor, count: int) -> list[dict[int, float]]:
    """The `count` likeliest tokens of each row with their natural log-probabilities, likeliest first."""
    ids_BC = logits_BV.topk(min(count, logits_BV.size(-1))).indices
    logprobs_BC = token_log_probs(logits_BV[:, None].expand(-1, ids_BC.size(1), -1), ids_BC)
    return [dict(zip(*each, strict=True)) for each in zip(ids_BC.tolist(), logprobs_BC.tolist(), strict=True)]
