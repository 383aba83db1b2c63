import threading
from collections.abc import Iterator

import pytest
import torch
from tests.generate.conftest import tiny_decoder
from tests.generate.test_engine import NETWORKS, TOKENIZER, V

from hanmo.base.errors import ModelError, UsageError
from hanmo.generate.continuation import Generation
from hanmo.generate.engine import generate
from hanmo.generate.options import SamplingOptions
from hanmo.generate.worker import Busy, Ticket, Worker

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
        for sequence, piece in ticket:
            pieces[sequence] += piece
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
