"""Speculation: guess several next tokens cheaply, ask the network about all of them in one pass, keep those it says too.

The text is that of plain decoding, not only its distribution: at each place the token is drawn from the network's own
distribution with the number that belongs to (seed, place), and a guess is kept while it is that token. So a guess is
accepted with the probability the network gives it, as in rejection sampling (Leviathan et al. 2023, section 2.3) for a
certain guess; options, stop strings and forms apply as ever, because the drawing is the ordinary one.
Who guesses: the text itself (prompt lookup), or a small model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from hanmo.base.errors import UsageError
from hanmo.generate.continuation import Continuation, choose
from hanmo.generate.reader import DecoderReader, Rewinder, context_of, make_reader
from hanmo.model.decoder import Decoder
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.quantized import QuantizedDecoder
from hanmo.model.recurrent import Recurrent
from hanmo.model.rounding import Bits
from hanmo.model.store import Writer

LONGEST_END = 16
"""How many last tokens are compared with the text before, at most."""
TRUST = 4
"""How many guesses the first opinion of a copy counts for, beside what came of guesses in this text."""


@dataclass(frozen=True)
class Price:
    """How much longer than one token alone a pass takes (one token alone = 1), on two cores with a model of 135 million."""

    first: float
    """For any guess at all; below zero where the first ones cost nothing, because reading the weights takes longer than computing."""
    more: float
    """For each guess."""

    def of(self, count: int) -> float:
        """What `count` guesses add."""
        return max(0.0, self.first + self.more * count)


PRICES: Mapping[Bits | None, Price] = {
    "int4": Price(-0.3, 0.2),
    "int8": Price(-0.2, 0.12),
    "bfloat16": Price(-0.15, 0.13),
    None: Price(0.5, 0.02),
}
"""By the bits of the weights; `benchmarks/lookup_speed.py` measures it."""


class Guesser(Protocol):
    """Says what may come next."""

    def guess(self, one: Continuation, count: int) -> Sequence[int]:
        """Up to `count` next tokens of a sequence."""
        ...


class Lookup:
    """What followed where the text's last tokens occurred before (prompt lookup, Saxena 2023), as far as it pays.

    A copy of m tokens goes on with probability p_m: m / (m + 1) at first, then as often as copies of that length went on in
    this text. k guesses give 1 + p_m + p_m p_m+1 + ... tokens for the price of a longer pass; k is where a pass gives most.
    """

    def __init__(self, price: Price = PRICES[None]) -> None:
        self.price = price
        self._places: dict[int, list[int]] = {}
        self._known: list[int] = []
        self._tried, self._came = [0] * (LONGEST_END + 1), [0] * (LONGEST_END + 1)
        self._asked: tuple[int, int, Sequence[int]] = (0, 0, ())

    def guess(self, one: Continuation, count: int) -> Sequence[int]:
        """As in Guesser; the longest end that occurred before decides, and of its places the last."""
        self._read(one.row)
        length, place = self._longest_end()
        count = min(count, self._best_count(length, count))
        guesses: list[int] = []
        for at in range(place, place + count):  # beyond the text's end a copy goes on with itself
            guesses.append(self._known[at] if at < len(self._known) else guesses[at - len(self._known)])
        self._asked = length, len(self._known), guesses
        return guesses

    def _read(self, row: list[int]) -> None:
        """Note where tokens stand, and what came of the last guesses."""
        length, begin, guesses = self._asked
        for number, (guessed, came) in enumerate(zip(guesses, row[begin:], strict=False)):
            at = min(length + number, LONGEST_END)
            self._tried[at] += 1
            self._came[at] += guessed == came
            if guessed != came:
                break
        for at in range(max(len(self._known) - 1, 0), len(row) - 1):  # the last one is what is looked for
            self._places.setdefault(row[at], []).append(at)
        self._known = row

    def _longest_end(self) -> tuple[int, int]:
        """How many last tokens occurred before, and the place behind their last occurrence."""
        row, best, behind = self._known, 0, 0
        for place in reversed(self._places.get(row[-1], ())):
            length, most = 1, min(place + 1, LONGEST_END)
            while length < most and row[place - length] == row[-1 - length]:
                length += 1
            if length > best:
                best, behind = length, place + 1
            if best == LONGEST_END:
                break
        return best, behind

    def _best_count(self, length: int, most: int) -> int:
        """The number of guesses with which a pass gives most tokens for its time."""
        if not length:
            return 0
        best, best_rate, tokens, all_come = 0, 1.0, 1.0, 1.0
        for count in range(1, most + 1):
            all_come *= self._goes_on(min(length + count - 1, LONGEST_END))
            tokens += all_come
            rate = tokens / (1 + self.price.of(count))
            if rate > best_rate:
                best, best_rate = count, rate
        return best

    def _goes_on(self, length: int) -> float:
        """p_m for a copy of m tokens."""
        return (self._came[length] + TRUST * length / (length + 1)) / (self._tried[length] + TRUST)


class Draft:
    """What a smaller model with the same tokenizer would draw, with the same options and numbers."""

    def __init__(self, network: Writer, vocab_size: int, max_tokens: int) -> None:
        if isinstance(network, Recurrent | EncoderDecoder):
            raise UsageError("this network cannot take tokens back, so it does not guess ahead: draft with a decoder or an n-gram model")
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


class AcceptanceCounts:
    """How much was guessed, and how much of it came."""

    def __init__(self) -> None:
        self.guessed = self.accepted = self.passes = 0


def price_of(network: Writer) -> Price:
    """What guesses cost this network."""
    return PRICES[network.bits if isinstance(network, QuantizedDecoder) else None]


@torch.inference_mode()
def speculate(network: Writer, one: Continuation, guesser: Guesser, vocab_size: int, counts: AcceptanceCounts) -> Iterator[str]:
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
