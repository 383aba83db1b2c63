"""A scheduler in a thread of its own: requests come from anywhere, what becomes of them goes to whoever asked.

In: prompts with options, at any time. Out: for each request its events as they happen, then its generations; and what other
calls of the network give (embedding, scoring), which run between two steps. Only the thread touches the network; callers hand
over and wait, in threads or in an event loop. A bounded number of sequences and calls may wait. No HTTP here.
"""

import queue
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from hanmo.base.errors import Busy, UsageError
from hanmo.generate.continuation import Continuation, Event, Generation
from hanmo.generate.engine import REMEMBERED, continuations, limits_of
from hanmo.generate.options import SamplingOptions
from hanmo.generate.prefix_cache import PrefixCache
from hanmo.generate.prompt import Prompt
from hanmo.generate.scheduler import CHUNK, ROWS, Scheduler, Totals
from hanmo.model.store import Writer
from hanmo.tokenizer.load import Tokenizer

T = TypeVar("T")


class Sink(Protocol):
    """Where the events of a request go. The worker's thread calls it, so it hands over at once and never waits.

    For asyncio: `loop.call_soon_threadsafe(queue.put_nowait, event)`.
    """

    def hear(self, event: Event) -> None:
        """The next event."""
        ...

    def end(self, error: BaseException | None) -> None:
        """It is over: no event follows; with an error it went wrong."""
        ...


class EventQueue:
    """Events for another thread, which iterates over them, once."""

    def __init__(self) -> None:
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._error: BaseException | None = None

    def hear(self, event: Event) -> None:
        """As in Sink."""
        self._events.put(event)

    def end(self, error: BaseException | None) -> None:
        """As in Sink."""
        self._error = error
        self._events.put(None)

    def __iter__(self) -> Iterator[Event]:
        """Events until the request has ended.

        Raises what went wrong.
        """
        while (event := self._events.get()) is not None:
            yield event
        if self._error is not None:
            raise self._error


@dataclass(frozen=True)
class Usage:
    """How many tokens a request took."""

    prompt_tokens: int
    """Of the prompt, with what an encoder reads."""
    remembered_tokens: int
    """Those of the prompt that were known from an earlier one and not read again."""
    drawn_tokens: int
    """Of all its sequences, without the tokens that end a text."""


class Ticket:
    """One request under way. Its events go to `sink`; without one, iterate over the ticket. `generations` waits for the end."""

    def __init__(self, sequences: Sequence[Continuation], seed: int, sink: Sink | None = None) -> None:
        self.sequences, self.seed = sequences, seed
        self.is_cancelled = False
        self._queue = EventQueue()
        self._sink: Sink = self._queue if sink is None else sink
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def __iter__(self) -> Iterator[Event]:
        """Events until the request has ended, for a request without a sink of its own.

        Raises what went wrong.
        """
        assert self._sink is self._queue, "its events go to its sink"
        return iter(self._queue)

    def cancel(self) -> None:
        """Ask that it be given up; what was drawn until then stays."""
        self.is_cancelled = True

    def generations(self, timeout: float | None = None) -> list[Generation]:
        """What it became, after at most `timeout` seconds.

        Raises what went wrong, TimeoutError when it still runs.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return [each.result(self.seed) for each in self.sequences]

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the form that was asked for is not checked."""
        form = self.sequences[0].limits.form
        return () if form is None else form.notes

    @property
    def usage(self) -> Usage:
        """How many tokens it took so far."""
        first = self.sequences[0]
        read = len(first.prompt_ids) + len(first.source or ())
        return Usage(read, first.remembered, sum(len(each.ids) for each in self.sequences))

    def hear(self, event: Event) -> None:
        """The thread's side: something happened. A sink that fails gives its own request up and no other."""
        if self._error is not None:
            return
        try:
            self._sink.hear(event)
        except Exception as error:
            self._error = error
            self.cancel()

    def end(self, error: BaseException | None = None) -> None:
        """The thread's side: it is over."""
        self._error = self._error or error
        self._ended.set()
        try:
            self._sink.end(self._error)
        except Exception as failed:
            self._error = self._error or failed

    @property
    def is_over(self) -> bool:
        """Whether every sequence has ended."""
        return all(each.finish_reason for each in self.sequences)


class Worker:
    """Runs the requests of many callers over one network, `rows` sequences at a time, `most_waiting` at most behind them.

    end_ids: as in `generate`. remembered: how many tokens of prompts are kept for others that begin alike.
    """

    def __init__(
        self,
        network: Writer,
        tokenizer: Tokenizer,
        *,
        end_ids: Sequence[int] = (),
        rows: int = ROWS,
        most_waiting: int = 4 * ROWS,
        remembered: int = REMEMBERED,
    ) -> None:
        self.network, self.tokenizer, self.end_ids = network, tokenizer, end_ids
        self.most = rows + most_waiting
        self._scheduler = Scheduler(network, tokenizer.vocab_size, rows=rows, prefixes=PrefixCache(CHUNK, remembered))
        self._changed = threading.Condition()
        self._arrivals: list[Ticket] = []
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._open: list[Ticket] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="hanmo worker", daemon=True)
        self._thread.start()

    def submit(self, prompt: Prompt, options: SamplingOptions, sink: Sink | None = None) -> Ticket:
        """Hand a request over; its events go to `sink`, or to who iterates over the ticket.

        Raises UsageError or ConfigError for one that cannot be, Busy when too many wait, or after `close`.
        """
        if options.method != "draw" or options.speculate:
            raise UsageError("requests that share a batch are drawn one token after another: leave num_beams, penalty_alpha, speculate out")
        seed = secrets.randbits(32) if options.seed is None else options.seed
        limits = limits_of(self.network, self.tokenizer, options, self.end_ids)
        ticket = Ticket(continuations(self.network, prompt, seed, self.tokenizer, limits), seed, sink)
        with self._changed:
            if self._closing:
                raise Busy("the model is being put away: ask again later")
            under_way = sum(len(each.sequences) for each in (*self._open, *self._arrivals))
            if under_way + len(ticket.sequences) > self.most:
                raise Busy(f"{under_way} sequences are under way, at most {self.most} may be: ask again later")
            self._arrivals.append(ticket)
            self._changed.notify()
        return ticket

    def call(self, function: Callable[[], T]) -> "Future[T]":
        """Let the thread run a function between two steps (embedding, scoring): nobody else touches the network meanwhile.

        Raises Busy when too many wait, or after `close`.
        """
        made: Future[T] = Future()
        with self._changed:
            if self._closing:
                raise Busy("the model is being put away: ask again later")
            if len(self._calls) >= self.most:
                raise Busy(f"{len(self._calls)} calls wait, at most {self.most} may: ask again later")
            self._calls.append((function, made))
            self._changed.notify()
        return made

    @property
    def counts(self) -> Totals:
        """What was read, remembered and drawn so far."""
        return self._scheduler.counts

    def close(self) -> None:
        """Take nothing in any more, cancel what runs, and wait for the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while self._take_in():
            try:
                self._step()
            except BaseException as error:
                self._fail(error)
            self._call_one()
        for _, made in self._calls:
            if made.set_running_or_notify_cancel():
                made.set_exception(Busy("the model was put away before it came to this"))

    def _call_one(self) -> None:
        """Run the call that waits longest; what goes wrong in it is told to who asked."""
        with self._changed:
            function, made = self._calls.popleft() if self._calls else (None, None)
        if function is None or made is None or not made.set_running_or_notify_cancel():
            return
        try:
            made.set_result(function())
        except BaseException as error:
            made.set_exception(error)

    def _take_in(self) -> bool:
        """Wait for something to do, then take new requests in; False when it is time to go."""
        with self._changed:
            while not (self._arrivals or self._open or self._calls or self._closing):
                self._changed.wait()
            if self._closing:
                for ticket in (*self._open, *self._arrivals):
                    ticket.cancel()
            arrivals, self._arrivals = self._arrivals, []
            self._open += arrivals
            going = bool(self._open) or not self._closing
        for ticket in arrivals:
            for each in ticket.sequences:
                self._scheduler.submit(each)
        return going

    def _step(self) -> None:
        owners = {id(one): ticket for ticket in self._open for one in ticket.sequences}
        for ticket in self._open:
            if ticket.is_cancelled:
                for one in ticket.sequences:
                    self._scheduler.cancel(one)
        for one, piece in self._scheduler.step():
            owners[id(one)].hear(one.event(piece))
        for ticket in self._open:  # who was given up, or never drew
            for one in ticket.sequences:
                if one.has_news:
                    ticket.hear(one.event())
        over = [ticket for ticket in self._open if ticket.is_over]
        with self._changed:
            self._open = [ticket for ticket in self._open if not ticket.is_over]
        for ticket in over:
            ticket.end()

    def _fail(self, error: BaseException) -> None:
        """Nobody is left waiting: all that was under way ends with the error, and the next request starts afresh."""
        with self._changed:
            failed, self._open = self._open, []
        old = self._scheduler
        self._scheduler = Scheduler(self.network, old.vocab_size, rows=old.rows, prefixes=old.prefixes)
        self._scheduler.counts = old.counts
        for ticket in failed:
            ticket.end(error)
