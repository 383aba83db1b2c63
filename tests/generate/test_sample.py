import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from hanmo.generate import sample
from hanmo.generate.options import SamplingOptions

V = 40


def logits(seed: int, rows: int = 3) -> torch.Tensor:
    return torch.randn(rows, V, generator=torch.Generator().manual_seed(seed)) * 3


def history(seed: int, rows: int = 3, length: int = 25) -> torch.Tensor:
    return torch.randint(0, 6, (rows, length), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("value", [0.3, 0.7, 1.5])
def test_temperature_is_that_of_transformers(seed: int, value: float) -> None:
    theirs = transformers.TemperatureLogitsWarper(value)(history(seed), logits(seed))
    assert torch.equal(sample.temper(logits(seed), value), theirs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 5, 40, 99])
def test_top_k_is_that_of_transformers(seed: int, k: int) -> None:
    assert torch.equal(sample.keep_top_k(logits(seed), k), transformers.TopKLogitsWarper(k)(history(seed), logits(seed)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("p", [0.01, 0.5, 0.9, 0.999])
def test_nucleus_is_that_of_transformers(seed: int, p: float) -> None:
    assert torch.equal(sample.keep_nucleus(logits(seed), p), transformers.TopPLogitsWarper(p)(history(seed), logits(seed)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("p", [0.01, 0.2, 1.0])
def test_min_p_is_that_of_transformers(seed: int, p: float) -> None:
    assert torch.equal(sample.keep_min_p(logits(seed), p), transformers.MinPLogitsWarper(p)(history(seed), logits(seed)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("penalty", [0.8, 1.3])
def test_repetition_penalty_is_that_of_transformers(seed: int, penalty: float) -> None:
    rows = history(seed)
    theirs = transformers.RepetitionPenaltyLogitsProcessor(penalty)(rows, logits(seed))
    assert torch.equal(sample.penalize_repetition(logits(seed), rows.tolist(), penalty), theirs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_no_repeat_ngrams_is_that_of_transformers(seed: int, size: int) -> None:
    rows = history(seed)
    theirs = transformers.NoRepeatNGramLogitsProcessor(size)(rows, logits(seed))
    assert torch.equal(sample.ban_repeated_ngrams(logits(seed), rows.tolist(), size), theirs)


def test_a_row_where_every_token_would_repeat_is_left_free() -> None:
    row = logits(0, rows=1)
    assert torch.equal(sample.ban_repeated_ngrams(row, [list(range(V))], 1), row)


def test_short_rows_have_nothing_to_repeat() -> None:
    assert torch.equal(sample.ban_repeated_ngrams(logits(0), [[1], [2, 3], []], 3), logits(0))


def test_frequency_penalty_counts_what_was_drawn() -> None:
    changed = sample.penalize_frequency(torch.zeros(2, 5), [[1, 1, 3], []], 0.5)
    assert changed.tolist() == [[0, -1.0, 0, -0.5, 0], [0, 0, 0, 0, 0]]


@given(st.integers(0, 999), st.floats(0.2, 2), st.integers(0, V), st.floats(0.05, 1), st.floats(0, 1), st.floats(0.5, 2), st.integers(0, 3))
def test_the_chain_is_transformers_chain(seed: int, heat: float, k: int, p: float, floor: float, penalty: float, size: int) -> None:
    rows = history(seed)
    chain = transformers.LogitsProcessorList([transformers.RepetitionPenaltyLogitsProcessor(penalty)])
    chain += [transformers.NoRepeatNGramLogitsProcessor(size)] if size else []
    chain += [transformers.TemperatureLogitsWarper(heat)]
    chain += [transformers.TopKLogitsWarper(k)] if k else []
    chain += [transformers.TopPLogitsWarper(p), transformers.MinPLogitsWarper(floor)]
    options = SamplingOptions(temperature=heat, top_k=k, top_p=p, min_p=floor, repetition_penalty=penalty, no_repeat_ngram_size=size)
    ours = sample.process(logits(seed), options, rows.tolist(), [[]] * 3)
    assert torch.equal(ours, chain(rows, logits(seed)))


def test_greedy_leaves_out_what_cannot_change_the_largest() -> None:
    options = SamplingOptions(greedy=True, temperature=0.5, top_k=1, frequency_penalty=1.0)
    assert torch.equal(sample.process(logits(1), options, [[]] * 3, [[]] * 3), logits(1))


def test_of_equal_logits_greedy_takes_the_smallest_id() -> None:
    assert sample.largest(torch.tensor([[0.0, 2.0, 2.0], [1.0, 1.0, 1.0]])).tolist() == [1, 0]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**40))
def test_a_number_depends_on_seed_and_position_only(seed: int, position: int) -> None:
    number = sample.uniform(seed, position)
    assert 0 <= number < 1
    assert number == sample.uniform(seed, position)
    assert number not in (sample.uniform(seed, position + 1), sample.uniform(seed ^ 1, position))


def test_numbers_are_spread_evenly() -> None:
    numbers = np.array([sample.uniform(seed, position) for seed in range(40) for position in range(100)])
    counts = np.histogram(numbers, bins=10, range=(0, 1))[0]
    assert abs(counts - 400).max() < 4.5 * 20


def test_drawn_shares_are_the_probabilities() -> None:
    row = torch.tensor([[0.0, 1.0, -1.0, float("-inf"), 2.0]])
    numbers = [(each + 0.5) / 4000 for each in range(4000)]
    drawn = sample.draw(row.expand(4000, 5), numbers)
    assert torch.allclose(torch.bincount(drawn, minlength=5) / 4000, row.softmax(-1)[0], atol=1e-3)


@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 1 - 2.0**-53]))
def test_what_is_impossible_is_never_drawn(seed: int, number: float) -> None:
    row = sample.keep_top_k(logits(seed), 4)
    drawn = sample.draw(row, [number] * 3)
    assert all(row[index, token] > float("-inf") for index, token in enumerate(drawn))


def test_in_the_chain_repetition_sees_the_prompt_and_frequency_does_not() -> None:
    options = SamplingOptions(frequency_penalty=0.5, repetition_penalty=2.0, greedy=True)
    processed = sample.process(torch.full((1, 4), 4.0), options, [[0, 1, 1]], [[1]])
    assert processed.tolist() == [[2.0, 1.5, 4.0, 4.0]]
