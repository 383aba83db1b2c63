"""Speculation: guess several next tokens cheaply, ask the network about all of them in one pass, keep those it says too.

The text is that of plain decoding, not only its distribution: at each place the token is drawn from the network's own
distribution with the number that belongs to (seed, place), and a guess is kept while it is that token. So a guess is
accepted with the probability the network gives it, as in rejection sampling (Leviathan et al. 2023, section 2.3) for a
certain guess; options, stop strings and forms apply as ever, because the drawing is the ordinary one.
Who guesses: the text itself (prompt lookup), or a small model.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch

from hanmo.base.errors import UsageError
from hanmo.generate.continuation import Continuation, choose
from hanmo.generate.reader import DecoderReader, Rewinder, context_of, make_reader
from hanmo.model.decoder import Decoder
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.quantized import QuantizedDecoder
from hanmo.model.recurrent import Recurrent
from hanmo.model.store import Writer

LONGEST_END = 3
"""How many last tokens are looked for in the text, at most."""


class Guesser(Protocol):
    """Says what may come next."""

    def guess(self, one: Continuation, count: int) -> Sequence[int]:
        """Up to `count` next tokens of a sequence."""
        ...


class Lookup:
    """What followed the last time the text's last tokens occurred (prompt lookup, Saxena 2023)."""

    def guess(self, one: Continuation, count: int) -> Sequence[int]:
        """As in Guesser; the longest end that occurred before decides, and of its places the last."""
        row = one.row
        for size in range(min(LONGEST_END, len(row) - 1), 0, -1):
            end = row[-size:]
            for start in range(len(row) - size - 1, -1, -1):
                if row[start : start + size] == end:
                    return row[start + size : start + size + count]
        return ()


class Draft:
    """What a smaller model with the same tokenizer would draw, with the same options and numbers."""

    def __init__(self, network: Writer, vocab_size: int, max_tokens: int) -> None:
        if isinstance(network, Recurrent | EncoderDecoder):
            raise UsageError("only a decoder or an n-gram model can guess ahead: it takes tokens back")
        self.vocab_size, self.context = vocab_size, context_of(network)
        self._reader: Rewinder = make_reader(network, max_tokens)  # pyright: ignore[reportAttributeAccessIssue]
        self._read: list[int] = []

    def guess(self, one: Continuation, count: int) -> Sequence[int]:
        """As in Guesser; nothing once the text is longer than the draft's context."""
        if self.context is not None and len(one.row) + count > self.context:
            return ()
        self._go_back(one.row)
        guessed: list[int] = []
        ahead = one.ahead()
        for _ in range(count):
            logits_1V = self._reader.read([ahead.row[len(self._read) :]])
            self._read = ahead.row
            guessed.append(choose(logits_1V, [ahead], self.vocab_size)[0].token)
            if guessed[-1] in one.limits.words.end_ids:
                break
            ahead.imagine(guessed[-1])
        return guessed

    def _go_back(self, row: Sequence[int]) -> None:
        """Take back what was read and did not come; at least the last token is read anew."""
        same = 0
        while same < min(len(self._read), len(row) - 1) and self._read[same] == row[same]:
            same += 1
        if same < len(self._read):
            self._reader.forget(len(self._read) - same)
            del self._read[same:]


class Counts:
    """How much was guessed, and how much of it came."""

    def __init__(self) -> None:
        self.guessed = self.accepted = self.passes = 0


@torch.inference_mode()
def speculate(network: Writer, one: Continuation, guesser: Guesser, vocab_size: int, counts: Counts) -> Iterator[str]:
    """The text of `one` as it becomes certain, until it has ended.

    Raises UsageError for a network other than a decoder.
    """
    if not isinstance(network, Decoder | QuantizedDecoder):
        raise UsageError("speculation asks about several tokens in one pass, which only a decoder can: leave it out")
    most = one.options.speculate
    reader = DecoderReader(network, one.options.max_tokens + most)
    logits_TV, guesses = reader.read([one.prompt_ids]), ()
    while True:
        counts.passes += 1
        for place, logits_V in enumerate(logits_TV):
            chosen = choose(logits_V[None], [one], vocab_size)[0]
            is_guessed = place < len(guesses) and guesses[place] == chosen.token
            counts.accepted += is_guessed
            if piece := one.take(chosen):
                yield piece
            if one.finish_reason:
                return
            if not is_guessed:
                reader.forget(len(guesses) - place)
                break
        room = min(reader.context - len(one.row), one.limits.room(len(one.prompt_ids)) - len(one.ids) - 1)
        guesses = tuple(guesser.guess(one, min(most, room))) if room > 0 else ()
        counts.guessed += len(guesses)
        logits_TV = reader.read_each([one.ids[-1], *guesses]) if guesses else reader.read([[one.ids[-1]]])
