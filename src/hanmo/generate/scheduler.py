"""Continuous batching: sequences arrive, join the running batch, are cancelled, end; nobody waits for a batch to be over.

A step reads at most `chunk` tokens of prompts that wait (whole, what an encoder has to read first), then one token of every
running sequence. Prompts are read each by itself, in chunks whose borders depend on the prompt alone, so what is remembered
of a chunk is what reading it would give. A prompt that several wait for is read once.

What a sequence becomes does not depend on the others. In bf16 that holds to the last bit, logits included: torch's CPU
products give a row the same numbers whatever the number of rows, and attention reads each row by itself. In fp32 torch
has three ways, for one row, two or three, and four or more, whose logits differ in rounding; the text is the same
unless a draw or a tie falls within it.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hanmo.generate.continuation import Continuation, choose
from hanmo.generate.prefix_cache import PrefixCache
from hanmo.generate.reader import DecoderReader, Reader, make_reader
from hanmo.generate.scored import tell_prompts
from hanmo.model.store import Writer

CHUNK = 128
ROWS = 32


@dataclass
class Prefill:
    """A prompt that is being read, for all who wait for it."""

    ids: Sequence[int]
    reader: Reader
    members: list[Continuation]
    done: int


@dataclass
class Totals:
    """What a scheduler has done so far."""

    prompts: int = 0
    """Prompts; one that several sequences begin with counts once."""
    read: int = 0
    """Tokens of prompts, and of what an encoder reads before them."""
    remembered: int = 0
    """Those of them that were known from an earlier prompt and not read again."""
    drawn: int = 0
    """Tokens drawn, ends included."""


class Scheduler:
    """Runs any number of sequences over one network, `rows` at a time.

    vocab_size: how many ids the tokenizer has. prefixes: what is remembered of prompts, None to forget.
    cache: whether networks remember what they read at all.
    """

    def __init__(
        self,
        network: Writer,
        vocab_size: int,
        *,
        rows: int = ROWS,
        chunk: int = CHUNK,
        prefixes: PrefixCache | None = None,
        cache: bool = True,
    ) -> None:
        self.network, self.vocab_size, self.rows, self.chunk, self.cache = network, vocab_size, rows, chunk, cache
        self.prefixes = prefixes
        self.counts = Totals()
        self._waiting: deque[Continuation] = deque()
        self._prefill: Prefill | None = None
        self._running: list[Continuation] = []
        self._reader: Reader | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do."""
        return not (self._waiting or self._prefill or self._running)

    def submit(self, one: Continuation) -> None:
        """Take a sequence in; it starts when there is room, in the order of arrival."""
        if one.finish_reason is None:
            self._waiting.append(one)

    def cancel(self, one: Continuation) -> None:
        """End a sequence where it stands; one that has ended stays as it is."""
        one.cancel()

    @torch.inference_mode()
    def step(self) -> Iterator[tuple[Continuation, str]]:
        """Read and draw once; gives each sequence that drew, with the text that has become certain. To be taken to its end."""
        self._drop_ended()
        yield from self._fill()
        if self._running and self._reader is not None:
            logits_BV = self._reader.read([[each.ids[-1]] for each in self._running])
            yield from self._draw(logits_BV, self._running)
            self._drop_ended()

    def run(self) -> Iterator[tuple[Continuation, str]]:
        """Steps until nothing is left to do."""
        while not self.is_idle:
            yield from self.step()

    def _draw(self, logits_BV: Tensor, members: Sequence[Continuation]) -> Iterator[tuple[Continuation, str]]:
        for each, chosen in zip(members, choose(logits_BV, members, self.vocab_size), strict=True):
            self.counts.drawn += 1
            yield each, each.take(chosen)

    def _drop_ended(self) -> None:
        """Forget who has ended, whether by itself or from outside."""
        self._waiting = deque(each for each in self._waiting if each.finish_reason is None)
        if self._prefill is not None:
            self._prefill.members = [each for each in self._prefill.members if each.finish_reason is None]
            self._prefill = self._prefill if self._prefill.members else None
        going = _closed_up([each.finish_reason is None for each in self._running])
        if len(going) == len(self._running):
            return
        self._running = [self._running[row] for row in going]
        if self._running and self._reader is not None:
            self._reader.keep(going)
        else:
            self._reader = None

    def _fill(self) -> Iterator[tuple[Continuation, str]]:
        """Read prompts until a chunk of tokens has been read, or there is no row left for them."""
        left = self.chunk
        while left > 0:
            self._prefill = self._prefill or self._next_prompt()
            if self._prefill is None:
                return
            prefill = self._prefill
            end = min((prefill.done // self.chunk + 1) * self.chunk, len(prefill.ids))
            logits_1V = prefill.reader.read([prefill.ids[prefill.done : end]])
            self._remember(prefill, end)
            left -= end - prefill.done + (0 if prefill.done else len(prefill.members[0].source or ()))
            prefill.done = end
            if end == len(prefill.ids):
                self._prefill = None
                yield from self._start(prefill, logits_1V)

    def _next_prompt(self) -> Prefill | None:
        """The first that waits, with all who wait for the same prompt, as far as there are rows."""
        room = self.rows - len(self._running)
        if not self._waiting or room <= 0:
            return None
        ids, source = self._waiting[0].prompt_ids, self._waiting[0].source
        self.counts.prompts += 1
        self.counts.read += len(ids) + len(source or ())
        members = [each for each in self._waiting if each.prompt_ids == ids and each.source == source][:room]
        taken = set(map(id, members))
        self._waiting = deque(each for each in self._waiting if id(each) not in taken)
        most = max(len(ids), *(each.options.max_tokens for each in members))
        reader = make_reader(self.network, most, source=source, cache=self.cache)
        done = 0
        if self.prefixes is not None and isinstance(reader, DecoderReader):
            done, parts = self.prefixes.find(ids)
            if parts:
                reader.resume(ids[:done], parts)
        for each in members:
            each.remembered = done
        self.counts.remembered += done
        return Prefill(ids, reader, members, done)

    def _remember(self, prefill: Prefill, end: int) -> None:
        whole = end % self.chunk == 0 and end > prefill.done
        if self.prefixes is not None and whole and isinstance(prefill.reader, DecoderReader):
            self.prefixes.keep(prefill.ids[:end], prefill.reader.part(end - self.chunk, end))

    def _start(self, prefill: Prefill, logits_1V: Tensor) -> Iterator[tuple[Continuation, str]]:
        """Draw the first token of all who waited for this prompt; those who go on join the running."""
        tell_prompts(self.network, prefill.members)
        members = [each for each in prefill.members if each.finish_reason is None]
        if not members:
            return
        yield from self._draw(logits_1V.expand(len(members), -1), members)
        going = [each for each in members if each.finish_reason is None]
        if not going:
            return
        if len(going) > 1:
            prefill.reader.keep([0] * len(going))
        self._running += going
        if self._reader is None:
            self._reader = prefill.reader
        else:
            self._reader.join(prefill.reader)


def _closed_up(goes_on: Sequence[bool]) -> list[int]:
    """The rows that go on, in an order that moves as few as possible: the last ones take the places that are free.

    >>> _closed_up([True, False, True, True])
    [0, 3, 2]
    """
    going = [row for row, does in enumerate(goes_on) if does]
    moved = [row for row in going if row >= len(going)]
    return [row if goes_on[row] else moved.pop() for row in range(len(going))]
