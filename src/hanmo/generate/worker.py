"""A scheduler in a thread of its own: requests come from anywhere, text goes back to whoever asked.

In: prompts with options, at any time. Out: for each request its pieces as they become certain, then its generations.
Only the thread touches the network; callers hand over and wait. A bounded number of sequences may wait. No HTTP here.
"""

import queue
import secrets
import threading
from collections.abc import Iterator, Sequence

from hanmo.base.errors import HanmoError, UsageError
from hanmo.generate.continuation import Continuation, Generation
from hanmo.generate.engine import REMEMBERED, continuations, limits_of
from hanmo.generate.options import SamplingOptions
from hanmo.generate.prefixes import Prefixes
from hanmo.generate.prompt import Prompt
from hanmo.generate.scheduler import CHUNK, ROWS, Scheduler
from hanmo.model.store import Writer
from hanmo.tokenizer.load import Tokenizer

Piece = tuple[int, str]
"""Number of the sequence among those of its request, and new text."""


class Busy(HanmoError):
    """More requests wait than may; the same request may succeed later."""


class Ticket:
    """One request under way: iterate for its pieces, once; `generations` waits for the end."""

    def __init__(self, sequences: Sequence[Continuation], seed: int) -> None:
        self.sequences, self.seed = sequences, seed
        self.is_cancelled = False
        self._pieces: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def __iter__(self) -> Iterator[Piece]:
        """Pieces until the request has ended.

        Raises what went wrong.
        """
        while (piece := self._pieces.get()) is not None:
            yield piece
        self._raise()

    def cancel(self) -> None:
        """Ask that it be given up; what was drawn until then stays."""
        self.is_cancelled = True

    def generations(self, timeout: float | None = None) -> list[Generation]:
        """What it became, after at most `timeout` seconds.

        Raises what went wrong, TimeoutError when it still runs.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError
        self._raise()
        return [each.result(self.seed) for each in self.sequences]

    def hear(self, piece: Piece) -> None:
        """The thread's side: new text."""
        self._pieces.put(piece)

    def end(self, error: BaseException | None = None) -> None:
        """The thread's side: it is over."""
        self._error = error
        self._ended.set()
        self._pieces.put(None)

    @property
    def is_over(self) -> bool:
        """Whether every sequence has ended."""
        return all(each.finish_reason for each in self.sequences)

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error


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
        self._scheduler = Scheduler(network, tokenizer.vocab_size, rows=rows, prefixes=Prefixes(CHUNK, remembered))
        self._changed = threading.Condition()
        self._arrivals: list[Ticket] = []
        self._open: list[Ticket] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="hanmo worker", daemon=True)
        self._thread.start()

    def submit(self, prompt: Prompt, options: SamplingOptions) -> Ticket:
        """Hand a request over.

        Raises UsageError or ConfigError for one that cannot be, Busy when too many wait, or after `close`.
        """
        if options.method != "draw" or options.speculate:
            raise UsageError("requests that share a batch are drawn one token after another: leave num_beams, penalty_alpha, speculate out")
        seed = secrets.randbits(32) if options.seed is None else options.seed
        limits = limits_of(self.network, self.tokenizer, options, self.end_ids)
        ticket = Ticket(continuations(self.network, prompt, seed, self.tokenizer, limits), seed)
        with self._changed:
            if self._closing:
                raise Busy("the model is being put away: ask again later")
            under_way = sum(len(each.sequences) for each in (*self._open, *self._arrivals))
            if under_way + len(ticket.sequences) > self.most:
                raise Busy(f"{under_way} sequences are under way, at most {self.most} may be: ask again later")
            self._arrivals.append(ticket)
            self._changed.notify()
        return ticket

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

    def _take_in(self) -> bool:
        """Wait for something to do, then take new requests in; False when it is time to go."""
        with self._changed:
            while not (self._arrivals or self._open or self._closing):
                self._changed.wait()
            if self._closing:
                for ticket in (*self._open, *self._arrivals):
                    ticket.cancel()
            arrivals, self._arrivals = self._arrivals, []
            self._open += arrivals
            going = bool(self._open)
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
            owners[id(one)].hear((one.number, piece))
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
        for ticket in failed:
            ticket.end(error)
