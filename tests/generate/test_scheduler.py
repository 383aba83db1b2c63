import dataclasses
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generate.conftest import tiny_decoder
from tests.generate.test_engine import NETWORKS, TOKENIZER, V

from hanmo.generate.continuation import Continuation, Generation
from hanmo.generate.engine import continuations, generate, limits_of
from hanmo.generate.options import SamplingOptions
from hanmo.generate.prefix_cache import PrefixCache
from hanmo.generate.scheduler import Scheduler, _closed_up
from hanmo.model.decoder import Decoder
from hanmo.model.quantized import quantized
from hanmo.model.rounding import Bits
from hanmo.model.store import Model

CHUNK = 4
SHARED = "on the mat and "
BEGINNINGS = ["", SHARED, SHARED + "the ", "猫"]

any_request = st.fixed_dictionaries(
    {
        "prompt": st.tuples(st.sampled_from(BEGINNINGS), st.sampled_from(["", "the cat", "🙂", "a"])).map("".join),
        "arrival": st.integers(0, 12),
        "cancelled": st.one_of(st.none(), st.none(), st.integers(0, 20)),
        "options": st.builds(
            SamplingOptions,
            max_tokens=st.integers(0, 14),
            seed=st.integers(0, 2**64 - 1),
            greedy=st.booleans(),
            temperature=st.sampled_from([0.7, 1.3]),
            top_k=st.sampled_from([0, 20]),
            repetition_penalty=st.sampled_from([1.0, 1.2]),
            stop=st.sampled_from([(), ("e",)]),
        ),
    }
)


def sequence(network: Model, prompt: str, options: SamplingOptions) -> Continuation:
    return continuations(network, prompt, options.seed or 0, TOKENIZER, limits_of(network, TOKENIZER, options))[0]


def alone(network: Model, prompt: str, options: SamplingOptions) -> Generation:
    return generate(network, TOKENIZER, [prompt], options)[0]


WIDE = Decoder(dataclasses.replace(tiny_decoder(V, 40).config, hidden_size=64, intermediate_size=64)).eval()
BITS: tuple[Bits, ...] = ("int4", "int8", "bfloat16")
EVERY = {**NETWORKS, **{bits: quantized(WIDE, bits) for bits in BITS}}


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=20, deadline=None, derandomize=True)
@given(requests=st.lists(any_request, min_size=1, max_size=7), rows=st.integers(1, 4), remembered=st.sampled_from([0, 8, 1000]))
def test_whoever_comes_goes_and_is_cancelled_a_text_is_what_it_is_alone(
    name: str, requests: list[dict], rows: int, remembered: int
) -> None:
    """Streamed pieces joined are the text; what is cancelled is a beginning of it."""
    network = EVERY[name]
    scheduler = Scheduler(network, V, rows=rows, chunk=CHUNK, prefixes=PrefixCache(CHUNK, remembered))
    sequences = [sequence(network, each["prompt"], each["options"]) for each in requests]
    heard = {id(one): "" for one in sequences}
    tick = 0
    while tick <= 12 or not scheduler.is_idle:
        for one, request in zip(sequences, requests, strict=True):
            if request["arrival"] == tick:
                scheduler.submit(one)
            if request["cancelled"] == tick and request["cancelled"] > request["arrival"]:
                scheduler.cancel(one)
        for one, piece in scheduler.step():
            heard[id(one)] += piece
        tick += 1
    for one, request in zip(sequences, requests, strict=True):
        expected, made = alone(network, request["prompt"], request["options"]), one.result(request["options"].seed)
        assert heard[id(one)] == made.text
        if made.finish_reason == "cancelled":
            assert expected.ids[: len(made.ids)] == made.ids
            assert expected.text.startswith(made.text)
        else:
            assert made == expected


def run(network: Model, prompts: Sequence[str], prefixes: PrefixCache | None, chunk: int = CHUNK) -> list[list[int]]:
    scheduler = Scheduler(network, V, chunk=chunk, prefixes=prefixes)
    sequences = [sequence(network, prompt, SamplingOptions(max_tokens=6, seed=number)) for number, prompt in enumerate(prompts)]
    for one in sequences:
        scheduler.submit(one)
    assert list(scheduler.run())
    assert scheduler.is_idle
    return [one.ids for one in sequences]


def test_a_shared_beginning_is_read_once_also_by_those_who_come_later() -> None:
    prefixes = PrefixCache(CHUNK, 1000)
    network = NETWORKS["decoder"]
    prompts = [SHARED + "the cat", SHARED + "a"]
    first = run(network, prompts, prefixes)
    shared = len(TOKENIZER.encode(SHARED)) // CHUNK * CHUNK
    assert shared >= 4
    assert prefixes.hits >= shared
    before = prefixes.hits
    assert run(network, prompts, prefixes) == first == run(network, prompts, None)
    assert prefixes.hits - before >= 2 * shared


def test_a_prompt_that_several_wait_for_is_read_once() -> None:
    prefixes = PrefixCache(CHUNK, 0)
    run(NETWORKS["decoder"], [SHARED] * 5, prefixes)
    assert prefixes.misses == 1 + len(TOKENIZER.encode(SHARED))


@torch.inference_mode()
def test_what_is_remembered_of_a_chunk_is_what_reading_it_gives_to_the_last_bit() -> None:
    """Chunks end at the same places whoever reads them, so the products have the same shapes."""
    network = NETWORKS["decoder"]
    assert isinstance(network, Decoder)
    made = []
    for _ in range(2):
        prefixes = PrefixCache(CHUNK, 1000)
        run(network, [SHARED + "the cat"], prefixes)
        made.append(prefixes.find([TOKENIZER.eot_id, *TOKENIZER.encode(SHARED + "the cat").tolist()])[1])
    assert len(made[0]) >= 2
    assert all(torch.equal(a[half], b[half]) for a, b in zip(*made, strict=True) for half in (0, 1))


def test_running_sequences_go_on_while_a_long_prompt_is_read_in_chunks() -> None:
    network = NETWORKS["decoder"]
    scheduler = Scheduler(network, V, chunk=CHUNK)
    running = sequence(network, "", SamplingOptions(max_tokens=20, seed=3, logit_bias={TOKENIZER.eot_id: float("-inf")}))
    scheduler.submit(running)
    list(scheduler.step())
    long = sequence(network, TOKENIZER.decode(TOKENIZER.encode("z" * 99)[:20]), SamplingOptions(max_tokens=1, seed=3))
    scheduler.submit(long)
    drawn = []
    while not long.ids:
        list(scheduler.step())
        drawn.append(len(running.ids))
    assert len(drawn) == 6
    assert drawn == list(range(drawn[0], drawn[0] + 6))


def test_no_more_rows_run_than_may_and_the_first_to_come_is_the_first_served() -> None:
    network = NETWORKS["n-gram"]
    scheduler = Scheduler(network, V, rows=2)
    options = SamplingOptions(max_tokens=5, seed=1, logit_bias={TOKENIZER.eot_id: float("-inf")})
    sequences = [sequence(network, f"{number}", dataclasses.replace(options, seed=number)) for number in range(5)]
    for one in sequences:
        scheduler.submit(one)
    while not scheduler.is_idle:
        list(scheduler.step())
        going = [one for one in sequences if one.ids and not one.finish_reason]
        assert len(going) <= 2
        begun = [bool(one.ids) for one in sequences]
        assert begun == sorted(begun, reverse=True)


def test_a_cancelled_sequence_stays_cancelled_and_an_ended_one_as_it_is() -> None:
    network = NETWORKS["n-gram"]
    scheduler = Scheduler(network, V)
    waiting, ended = (sequence(network, "the", SamplingOptions(max_tokens=1, seed=0)) for _ in range(2))
    scheduler.submit(ended)
    list(scheduler.run())
    for one in (waiting, ended):
        scheduler.cancel(one)
        scheduler.submit(one)
    assert scheduler.is_idle
    assert (waiting.finish_reason, ended.finish_reason == "cancelled") == ("cancelled", False)


def test_in_bf16_a_text_of_a_batch_is_what_it_is_alone_to_the_last_bit() -> None:
    """There the products of torch on a CPU do not depend on the number of rows, nor does anything else here."""
    network = tiny_decoder(V, 64).bfloat16()
    options = SamplingOptions(max_tokens=20, logprobs=True, logit_bias={TOKENIZER.eot_id: float("-inf")})
    prompts = ["the cat", SHARED, "猫", "", SHARED + "the", "a", "t"]
    scheduler = Scheduler(network, V, rows=5, chunk=CHUNK)
    sequences = [sequence(network, prompt, dataclasses.replace(options, seed=number)) for number, prompt in enumerate(prompts)]
    for one in sequences:
        scheduler.submit(one)
        list(scheduler.step())
    list(scheduler.run())
    for number, one in enumerate(sequences):
        single = Scheduler(network, V, chunk=CHUNK)
        other = sequence(network, prompts[number], dataclasses.replace(options, seed=number))
        single.submit(other)
        list(single.run())
        assert one.result(number) == other.result(number)


def test_a_cancelled_request_frees_its_row_at_the_next_step() -> None:
    network = NETWORKS["decoder"]
    scheduler = Scheduler(network, V, rows=1)
    endless = SamplingOptions(max_tokens=10**6, seed=1, logit_bias={TOKENIZER.eot_id: float("-inf")})
    running, waiting = (sequence(network, prompt, endless) for prompt in ("the", "cat"))
    scheduler.submit(running)
    scheduler.submit(waiting)
    list(scheduler.step())
    assert running.ids and not waiting.ids
    scheduler.cancel(running)
    drawn = len(running.ids)
    list(scheduler.step())
    assert waiting.ids and len(running.ids) == drawn


def test_what_was_read_known_and_drawn_is_counted_once_for_a_prompt_that_several_share() -> None:
    network = NETWORKS["decoder"]
    scheduler = Scheduler(network, V, chunk=CHUNK, prefixes=PrefixCache(CHUNK, 400))
    options = SamplingOptions(max_tokens=3, seed=1, num_return_sequences=3, logit_bias={TOKENIZER.eot_id: float("-inf")})
    several = continuations(network, SHARED, 1, TOKENIZER, limits_of(network, TOKENIZER, options))
    for one in (*several, sequence(network, SHARED + "the", dataclasses.replace(options, num_return_sequences=1))):
        scheduler.submit(one)
    list(scheduler.run())
    lengths = [len(TOKENIZER.encode(text)) + 1 for text in (SHARED, SHARED + "the")]
    totals = scheduler.counts
    assert (totals.prompts, totals.read, totals.drawn) == (2, sum(lengths), 4 * 3)
    assert totals.remembered == (lengths[1] - 1) // CHUNK * CHUNK > 0  # the last token is read anew
    assert several[0].remembered == 0


@given(st.lists(st.booleans(), max_size=12))
def test_who_leaves_is_replaced_by_the_last_and_nobody_else_moves(goes_on: list[bool]) -> None:
    order = _closed_up(goes_on)
    assert sorted(order) == [row for row, does in enumerate(goes_on) if does]
    assert sum(row != place for place, row in enumerate(order)) == sum(not does for does in goes_on[: len(order)])
