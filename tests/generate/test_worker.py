import asyncio
import threading
from collections.abc import Iterator

import pytest
import torch
from tests.generate.conftest import tiny_decoder
from tests.generate.test_engine import NETWORKS, TOKENIZER, V

from hanmo.base.errors import Busy, HanmoError, ModelError, UsageError
from hanmo.generate.continuation import Event, Generation
from hanmo.generate.engine import generate
from hanmo.generate.options import SamplingOptions
from hanmo.generate.worker import Ticket, Usage, Worker

NEVER_ENDS = {TOKENIZER.eot_id: float("-inf")}
PROMPTS = ["the cat", "猫", "", "on the mat and the"]


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(NETWORKS["decoder"], TOKENIZER, rows=3, most_waiting=40)
    yield made
    made.close()


def test_many_callers_at_once_each_get_what_they_would_get_alone(worker: Worker) -> None:
    heard: dict[int, tuple[dict[int, str], list[Generation]]] = {}

    def ask(number: int) -> None:
        ticket = worker.submit(PROMPTS[number % 4], SamplingOptions(max_tokens=15, seed=number, num_return_sequences=2))
        pieces = {0: "", 1: ""}
        for event in ticket:
            pieces[event.sequence] += event.text
        heard[number] = (pieces, ticket.generations())

    callers = [threading.Thread(target=ask, args=(number,)) for number in range(9)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for number in range(9):
        options = SamplingOptions(max_tokens=15, seed=number, num_return_sequences=2)
        expected = generate(NETWORKS["decoder"], TOKENIZER, [PROMPTS[number % 4]], options)
        assert heard[number] == ({place: each.text for place, each in enumerate(expected)}, expected)


def test_a_cancelled_request_ends_and_leaves_room(worker: Worker) -> None:
    endless = [worker.submit("the", SamplingOptions(max_tokens=10**9, seed=seed, logit_bias=NEVER_ENDS)) for seed in range(3)]
    next(iter(endless[0]))
    waiting = worker.submit("a", SamplingOptions(max_tokens=3, seed=1))
    with pytest.raises(TimeoutError):
        waiting.generations(timeout=0.05)
    endless[1].cancel()
    assert waiting.generations() == generate(NETWORKS["decoder"], TOKENIZER, ["a"], SamplingOptions(max_tokens=3, seed=1))
    (given_up,) = endless[1].generations()
    assert given_up.finish_reason == "cancelled"
    whole = generate(NETWORKS["decoder"], TOKENIZER, ["the"], SamplingOptions(max_tokens=len(given_up.ids), seed=1, logit_bias=NEVER_ENDS))[
        0
    ]
    assert given_up.ids == whole.ids


def test_too_many_are_turned_away_at_once() -> None:
    small = Worker(NETWORKS["n-gram"], TOKENIZER, rows=1, most_waiting=1)
    taken: list[Ticket] = [small.submit("", SamplingOptions(max_tokens=10**9, logit_bias=NEVER_ENDS)) for _ in range(2)]
    with pytest.raises(Busy, match="2 sequences are under way, at most 2 may be"):
        small.submit("", SamplingOptions())
    small.close()
    assert [each.generations()[0].finish_reason for each in taken] == ["cancelled"] * 2
    with pytest.raises(Busy, match="put away"):
        small.submit("", SamplingOptions())


def test_what_cannot_be_is_refused_before_it_waits(worker: Worker) -> None:
    for options in (SamplingOptions(num_beams=2), SamplingOptions(penalty_alpha=0.5, top_k=3), SamplingOptions(speculate=2)):
        with pytest.raises(UsageError, match="share a batch"):
            worker.submit("the", options)
    with pytest.raises(UsageError, match="shorten it"):
        worker.submit("z" * 99, SamplingOptions())
    assert worker.submit("the", SamplingOptions(max_tokens=0)).generations()[0].finish_reason == "length"


def test_an_error_reaches_everyone_it_concerns_and_nobody_after() -> None:
    broken = tiny_decoder(V, 24)
    worker = Worker(broken, TOKENIZER)
    scale = broken.final_norm.weight
    assert isinstance(scale, torch.Tensor)
    before = scale.detach().clone()
    with torch.no_grad():
        scale.fill_(float("nan"))
    ticket = worker.submit("the", SamplingOptions(max_tokens=3, seed=0))
    with pytest.raises(ModelError, match="not numbers"):
        list(ticket)
    with pytest.raises(ModelError, match="not numbers"):
        ticket.generations()
    with torch.no_grad():
        scale.copy_(before)
    made = worker.submit("the", SamplingOptions(max_tokens=3, seed=0)).generations()
    assert made == generate(broken, TOKENIZER, ["the"], SamplingOptions(max_tokens=3, seed=0))
    worker.close()


def joined(events: list[Event], number: int) -> tuple[str, list[int], list[float], list[str]]:
    """What the events of one sequence say together: text, ids, log-probabilities, reasons of its end."""
    own = [each for each in events if each.sequence == number]
    ids = [id for each in own for id in each.ids]
    logprobs = [value for each in own for value in each.logprobs or ()]
    return "".join(each.text for each in own), ids, logprobs, [each.finish_reason for each in own if each.finish_reason]


@pytest.mark.parametrize(
    "options",
    [
        SamplingOptions(max_tokens=12, seed=4, num_return_sequences=3, logprobs=True, top_logprobs=2),
        SamplingOptions(max_tokens=30, seed=1, num_return_sequences=2, stop=("a", "猫"), logprobs=True),
        SamplingOptions(max_tokens=0, seed=1),
    ],
    ids=["length", "stop", "nothing"],
)
def test_events_say_all_that_the_generations_say_and_each_sequence_ends_once(worker: Worker, options: SamplingOptions) -> None:
    ticket = worker.submit("the cat", options)
    events = list(ticket)
    for number, made in enumerate(ticket.generations()):
        assert joined(events, number) == (made.text, made.ids, made.logprobs or [], [made.finish_reason])
        assert next(each for each in reversed(events) if each.sequence == number).finish_reason == made.finish_reason
        tops = [top for each in events if each.sequence == number for top in each.top_logprobs or ()]
        assert tops == (made.top_logprobs or [])


class Queued:
    """A sink in an event loop: the worker's thread only leaves a note there."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard: asyncio.Queue[Event | BaseException | None] = asyncio.Queue()

    def hear(self, event: Event) -> None:
        self._loop.call_soon_threadsafe(self._heard.put_nowait, event)

    def end(self, error: BaseException | None) -> None:
        self._loop.call_soon_threadsafe(self._heard.put_nowait, error)

    async def events(self) -> list[Event]:
        heard: list[Event] = []
        while isinstance(event := await self._heard.get(), Event):
            heard.append(event)
        if event is not None:
            raise event
        return heard


def test_an_asyncio_sink_hears_a_ticket_while_the_loop_goes_on(worker: Worker) -> None:
    async def serve() -> list[tuple[list[Event], Ticket]]:
        sinks = [Queued() for _ in range(4)]
        tickets = [
            worker.submit(prompt, SamplingOptions(max_tokens=9, seed=seed), sink)
            for seed, (prompt, sink) in enumerate(zip(PROMPTS, sinks, strict=True))
        ]
        heard = await asyncio.gather(*(sink.events() for sink in sinks))
        return list(zip(heard, tickets, strict=True))

    for seed, (events, ticket) in enumerate(asyncio.run(serve())):
        (expected,) = generate(NETWORKS["decoder"], TOKENIZER, [PROMPTS[seed]], SamplingOptions(max_tokens=9, seed=seed))
        assert ticket.generations(timeout=0) == [expected]
        assert joined(events, 0)[:2] == (expected.text, expected.ids)


def test_an_asyncio_sink_hears_what_went_wrong_and_may_cancel(worker: Worker) -> None:
    async def give_up() -> list[Event]:
        sink = Queued()
        ticket = worker.submit("the", SamplingOptions(max_tokens=10**9, seed=1, logit_bias=NEVER_ENDS), sink)
        ticket.cancel()
        return await sink.events()

    assert asyncio.run(give_up())[-1].finish_reason == "cancelled"


def test_a_sink_that_fails_gives_up_its_own_request_and_no_other(worker: Worker) -> None:
    class Broken:
        def hear(self, event: Event) -> None:
            raise RuntimeError("the loop is closed")

        def end(self, error: BaseException | None) -> None:
            raise RuntimeError("the loop is closed")

    broken = worker.submit("the", SamplingOptions(max_tokens=10**9, seed=1, logit_bias=NEVER_ENDS), Broken())
    whole = worker.submit("a", SamplingOptions(max_tokens=5, seed=1))
    assert whole.generations() == generate(NETWORKS["decoder"], TOKENIZER, ["a"], SamplingOptions(max_tokens=5, seed=1))
    with pytest.raises(RuntimeError, match="the loop is closed"):
        broken.generations(timeout=30)


def test_calls_run_on_the_thread_that_generates_and_what_fails_reaches_who_asked(worker: Worker) -> None:
    ticket = worker.submit("the", SamplingOptions(max_tokens=10**9, seed=1, logit_bias=NEVER_ENDS))
    names = {worker.call(lambda: threading.current_thread().name).result(30) for _ in range(3)}
    assert names == {"hanmo worker"}
    with pytest.raises(ModelError, match="odd"):
        worker.call(lambda: fail(ModelError("odd"))).result(30)
    assert asyncio.run(awaited(worker)) == 7
    ticket.cancel()
    assert ticket.generations(30)[0].finish_reason == "cancelled"


def fail(error: HanmoError) -> None:
    raise error


async def awaited(worker: Worker) -> int:
    return await asyncio.wrap_future(worker.call(lambda: 7))


def test_calls_are_bounded_and_end_with_the_worker() -> None:
    small = Worker(NETWORKS["n-gram"], TOKENIZER, rows=1, most_waiting=0)
    begun, may_go_on = threading.Event(), threading.Event()
    first = small.call(lambda: (begun.set(), may_go_on.wait(30)))
    assert begun.wait(30)
    second = small.call(lambda: 2)
    with pytest.raises(Busy, match="1 calls wait"):
        small.call(lambda: 3)
    second.cancel()
    may_go_on.set()
    small.close()
    assert first.done() and second.cancelled()
    with pytest.raises(Busy, match="put away"):
        small.call(lambda: 4)


def test_what_is_read_remembered_and_drawn_is_counted() -> None:
    network = tiny_decoder(V, 400)
    worker = Worker(network, TOKENIZER)
    prompt = "the cat sat on the mat and " * 30
    usages: list[Usage] = []
    for _ in range(2):
        ticket = worker.submit(prompt, SamplingOptions(max_tokens=3, seed=0))
        ticket.generations(30)
        usages.append(ticket.usage)
    tokens = len(TOKENIZER.encode(prompt)) + 1
    known = (tokens - 1) // 128 * 128
    assert known > 0
    assert [(each.prompt_tokens, each.remembered_tokens) for each in usages] == [(tokens, 0), (tokens, known)]
    assert (worker.counts.prompts, worker.counts.read, worker.counts.remembered) == (2, 2 * tokens, known)
    assert worker.counts.drawn >= sum(each.drawn_tokens for each in usages) > 0
    worker.close()
