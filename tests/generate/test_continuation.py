import dataclasses

import pytest
import torch
from tests.generate.test_engine import TOKENIZER, V

from hanmo.base.errors import ModelError, UsageError
from hanmo.generate.continuation import Chosen, Continuation, RequestLimits, choose, likeliest, possible
from hanmo.generate.options import SamplingOptions
from hanmo.generate.prompt import Opening
from hanmo.generate.sample import SamplingTokens

EOT = TOKENIZER.eot_id


def one_of(prompt: str = "the", context: int | None = None, seed: int = 0, **options: object) -> Continuation:
    limits = RequestLimits(SamplingOptions(**options), context, SamplingTokens((EOT,)))  # pyright: ignore[reportArgumentType]
    return Continuation(Opening(prompt, [EOT, *TOKENIZER.encode(prompt).tolist()]), seed, 0, TOKENIZER, limits)


def taken(one: Continuation, text: str) -> str:
    return "".join(one.take(Chosen(int(token))) for token in TOKENIZER.encode(text))


def test_it_ends_with_the_reason_that_comes_first() -> None:
    stopped, ended, full, short = one_of(stop=("sat",)), one_of(), one_of(max_tokens=1), one_of(context=5, overflow="stop")
    assert taken(stopped, " cat sat") == " cat "
    ended.take(Chosen(EOT))
    full.take(Chosen(70))
    while short.finish_reason is None:
        short.take(Chosen(70))
    assert [each.finish_reason for each in (stopped, ended, full, short)] == ["stop", "eot", "length", "length"]
    assert len(short.row) == 5


def test_half_a_character_is_held_until_it_is_whole_or_the_text_ends() -> None:
    one = one_of(prompt="")
    first = next(token for token in range(V) if TOKENIZER.bytes_of(token) == "猫".encode()[:1])
    assert one.take(Chosen(first)) == ""
    one.take(Chosen(EOT))
    assert one.result(0).text == "�"


def test_looking_ahead_changes_nothing() -> None:
    one = one_of(seed=3)
    ahead = one.ahead()
    ahead.imagine(70)
    assert (one.ids, ahead.ids) == ([], [70])
    assert ahead.uniform() != one.uniform()
    one.take(Chosen(70))
    assert ahead.uniform() == one.uniform()


def test_cancelling_keeps_what_is_certain() -> None:
    one = one_of(stop=("xyz",))
    taken(one, "catx")
    one.cancel()
    assert (one.result(0).text, one.result(0).finish_reason) == ("cat", "cancelled")


def test_sequences_with_other_options_do_not_meet_in_a_batch() -> None:
    logits = torch.randn(3, V, generator=torch.Generator().manual_seed(1))
    members = [one_of(greedy=True), one_of(seed=5, top_k=3), one_of(seed=5, logprobs=True, top_logprobs=2)]
    together = choose(logits, members, V)
    assert together == [choose(logits[row : row + 1], [one], V)[0] for row, one in enumerate(members)]
    assert together[0].logprob is None and len(together[2].top or {}) == 2


def test_a_prompt_that_fits_has_room_and_one_that_does_not_is_one_line() -> None:
    limits = RequestLimits(SamplingOptions(max_tokens=9, overflow="stop"), 10, SamplingTokens())
    assert [limits.room(length) for length in (1, 4, 9)] == [9, 6, 1]
    limits.check("short", range(9))
    with pytest.raises(UsageError, match=r"the prompt 'z{30}...' has 10 tokens .* at most 9: shorten it"):
        limits.check("z" * 40, range(10))
    assert RequestLimits(dataclasses.replace(limits.options, overflow="slide"), 10, SamplingTokens()).room(10) == 9


def test_likeliest_come_with_log_probabilities_of_the_whole_vocabulary() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0]])
    (top,) = likeliest(logits, 2)
    assert list(top) == [1, 2]
    assert list(top.values()) == pytest.approx(logits.log_softmax(-1)[0, [1, 2]].tolist())
    assert likeliest(logits, 0) == [{}]


def test_weights_that_are_not_numbers_are_one_line() -> None:
    with pytest.raises(ModelError, match="not numbers"):
        possible(torch.tensor([[0.0, float("nan")]]), 2)
    assert possible(torch.zeros(1, 3), 2).tolist() == [[0, 0, float("-inf")]]
