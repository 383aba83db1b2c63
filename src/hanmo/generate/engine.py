"""The decoding loop: prompts of any lengths in one batch, each sequence with a seed, a stop filter and an end of its own.

In: a network, a tokenizer, prompts, options. Out: `Generation`s, prompt by prompt, and text as soon as it is certain.
What a sequence becomes depends on its prompt, its seed and its number among the sequences of that prompt, not on what
shares the batch (up to the rounding of batched matrix products).
"""

import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hanmo.base.errors import ModelError, UsageError
from hanmo.base.runtime import derive_seed
from hanmo.generate.options import SamplingOptions
from hanmo.generate.reader import context_of, make_reader
from hanmo.generate.sample import NEVER, draw, largest, process, uniform
from hanmo.generate.stop import StopFilter
from hanmo.model.likelihood import token_log_probs
from hanmo.model.store import Model
from hanmo.tokenizer.load import StreamDecoder, Tokenizer

FinishReason = Literal["stop", "length", "eot"]

ROWS_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One continuation of one prompt."""

    text: str
    """The new text, without the prompt, the stop string and the end-of-text token."""
    ids: list[int]
    """The drawn ids, the end-of-text token left out; the last ones may hold a stop string."""
    finish_reason: FinishReason
    """A stop string came; max_tokens or the context was reached; the model ended the text."""
    prompt: str
    """What was continued."""
    seed: int
    """The seed that gives this text again."""
    logprobs: list[float] | None = None
    """Natural log-probability of each id under the model itself, when asked for."""


def generate(
    network: Model,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    options: SamplingOptions,
    *,
    on_text: Callable[[int, str], None] | None = None,
    end_ids: Sequence[int] = (),
    cache: bool = True,
) -> list[Generation]:
    """`options.num_return_sequences` continuations of each prompt, prompt by prompt.

    on_text is told (number of the sequence, new text) as text becomes certain. end_ids are tokens that end a text
    beside the tokenizer's own. Raises UsageError for a prompt that does not fit the context.
    """
    events = stream(network, tokenizer, prompts, options, end_ids=end_ids, cache=cache)
    while True:
        try:
            number, piece = next(events)
        except StopIteration as finished:
            return finished.value
        if on_text is not None:
            on_text(number, piece)


def stream(
    network: Model,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    options: SamplingOptions,
    *,
    end_ids: Sequence[int] = (),
    cache: bool = True,
) -> Generator[tuple[int, str], None, list[Generation]]:
    """As `generate`, giving (number of the sequence, new text) on the way and the generations at the end."""
    seed = secrets.randbits(32) if options.seed is None else options.seed
    limits = _Limits(options, context_of(network), frozenset((tokenizer.eot_id, *end_ids)))
    sequences: list[Continuation] = []
    for prompt in prompts:
        ids = [tokenizer.eot_id, *map(int, tokenizer.encode(prompt))]
        limits.check(prompt, ids)
        for index in range(options.num_return_sequences):
            sequences.append(Continuation(prompt, ids, derive_seed(seed, index), len(sequences), tokenizer, limits))
    for start in range(0, len(sequences), ROWS_AT_ONCE):
        batch = sequences[start : start + ROWS_AT_ONCE]
        yield from _run(network, [each for each in batch if not each.finish_reason], options, tokenizer.vocab_size, cache=cache)
    return [each.result(seed) for each in sequences]


class _Limits:
    """What ends a sequence."""

    def __init__(self, options: SamplingOptions, context: int | None, end_ids: frozenset[int]) -> None:
        self.options, self.context, self.end_ids = options, context, end_ids
        self.longest = context if options.overflow == "stop" else None

    def check(self, prompt: str, ids: Sequence[int]) -> None:
        room = self.context if self.context is None or self.longest is None else self.context - 1
        if room is not None and len(ids) > room:
            start = prompt if len(prompt) <= 30 else prompt[:30] + "..."
            raise UsageError(
                f"the prompt {start!r} has {len(ids)} tokens (with the one that opens a text), the model takes at most {room}: shorten it"
            )


class Continuation:
    """One sequence on its way: ids, text that is out, and why it ended."""

    def __init__(self, prompt: str, prompt_ids: Sequence[int], seed: int, number: int, tokenizer: Tokenizer, limits: _Limits) -> None:
        self.prompt, self.prompt_ids, self.number = prompt, prompt_ids, number
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.finish_reason: FinishReason | None = None if limits.options.max_tokens else "length"
        self._seed, self._limits = seed, limits
        self._pieces: list[str] = []
        self._filter = StopFilter(limits.options.stop)
        self._decoder = StreamDecoder(tokenizer)
        for each in prompt_ids:  # what came before decides on spaces and half characters
            self._decoder.push(each)

    @property
    def row(self) -> list[int]:
        """Prompt and drawn ids."""
        return [*self.prompt_ids, *self.ids]

    def uniform(self) -> float:
        """The random number of the next draw."""
        return uniform(self._seed, len(self.prompt_ids) + len(self.ids))

    def take(self, token: int, logprob: float | None) -> str:
        """Accept one drawn token; gives the text that has become certain."""
        if token in self._limits.end_ids:
            return self._end("eot")
        self.ids.append(token)
        if logprob is not None:
            self.logprobs.append(logprob)
        piece = self._filter.push(self._decoder.push(token))
        if self._filter.found:
            self.finish_reason = "stop"
        elif len(self.ids) == self._limits.options.max_tokens or len(self.prompt_ids) + len(self.ids) == self._limits.longest:
            return piece + self._end("length", piece)
        self._pieces.append(piece)
        return piece

    def _end(self, reason: FinishReason, piece: str = "") -> str:
        rest = self._filter.push(self._decoder.finish())
        self.finish_reason = "stop" if self._filter.found else reason
        rest += "" if self._filter.found else self._filter.finish()
        self._pieces += [piece, rest]
        return rest

    def result(self, seed: int) -> Generation:
        """The finished continuation of a request with this seed."""
        assert self.finish_reason is not None
        return Generation(
            text="".join(self._pieces),
            ids=self.ids,
            finish_reason=self.finish_reason,
            prompt=self.prompt,
            seed=seed,
            logprobs=self.logprobs if self._limits.options.logprobs else None,
        )


def _run(
    network: Model, active: list[Continuation], options: SamplingOptions, vocab_size: int, *, cache: bool
) -> Iterator[tuple[int, str]]:
    """Draw tokens until every sequence has ended; a prompt that several continue is read once."""
    if not active:
        return
    reader = make_reader(network, options.max_tokens, cache=cache)
    distinct = {each.prompt: each.prompt_ids for each in active}
    places = {prompt: place for place, prompt in enumerate(distinct)}
    with torch.inference_mode():
        logits_BV = reader.read(list(distinct.values()))
    if len(distinct) < len(active):
        rows = [places[each.prompt] for each in active]
        reader.keep(rows)
        logits_BV = logits_BV[rows]
    while True:
        tokens, logprobs = _choose(logits_BV, active, options, vocab_size)
        for each, token, logprob in zip(active, tokens, logprobs, strict=True):
            if piece := each.take(token, logprob):
                yield each.number, piece
        going = [row for row, each in enumerate(active) if each.finish_reason is None]
        if not going:
            return
        if len(going) < len(active):
            active = [active[row] for row in going]
            reader.keep(going)
        with torch.inference_mode():
            logits_BV = reader.read([[each.ids[-1]] for each in active])


@torch.inference_mode()
def _choose(
    logits_BV: Tensor, active: Sequence[Continuation], options: SamplingOptions, vocab_size: int
) -> tuple[list[int], list[float] | list[None]]:
    if bool(logits_BV.isnan().any()):
        raise ModelError("the model's logits are not numbers (NaN): its weights are damaged")
    possible_BV = logits_BV
    if vocab_size < logits_BV.size(-1):  # rows of the embedding that no token of the tokenizer uses
        possible_BV = logits_BV.clone()
        possible_BV[:, vocab_size:] = NEVER
    processed_BV = process(possible_BV, options, [each.row for each in active], [each.ids for each in active])
    tokens_B = largest(processed_BV) if options.greedy else draw(processed_BV, [each.uniform() for each in active])
    logprobs = token_log_probs(logits_BV[:, None], tokens_B[:, None])[:, 0].tolist() if options.logprobs else [None] * len(active)
    return tokens_B.tolist(), logprobs
