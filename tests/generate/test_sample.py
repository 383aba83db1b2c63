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


@pytest.mark.parametrize(
    ("temperature", "shares"), [(1e40, [0.5, 0.5, 0]), (1e308, [0.5, 0.5, 0]), (1e-40, [0, 1, 0]), (1e-320, [0, 1, 0])]
)
def test_any_temperature_keeps_to_what_may_come(temperature: float, shares: list[float]) -> None:
    logits_BV = torch.tensor([[-30.0, 30.0, float("-inf")]])
    assert sample.temper(logits_BV, temperature).softmax(-1).tolist() == [shares]


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
@pytest.mark.parametrize("mass", [0.1, 0.5, 0.95])
def test_typical_is_that_of_transformers(seed: int, mass: float) -> None:
    assert torch.equal(sample.keep_typical(logits(seed), mass), transformers.TypicalLogitsWarper(mass)(history(seed), logits(seed)))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("epsilon", [0.001, 0.05, 0.9])
def test_epsilon_and_eta_are_those_of_transformers(seed: int, epsilon: float) -> None:
    theirs = transformers.EpsilonLogitsWarper(epsilon)(history(seed), logits(seed))
    assert torch.equal(sample.keep_epsilon(logits(seed), epsilon), theirs)
    assert torch.equal(sample.keep_eta(logits(seed), epsilon), transformers.EtaLogitsWarper(epsilon)(history(seed), logits(seed)))


any_chain = st.builds(
    SamplingOptions,
    temperature=st.floats(0.2, 2),
    top_k=st.integers(0, V),
    top_p=st.floats(0.05, 1),
    min_p=st.floats(0, 0.5),
    typical_p=st.sampled_from([1.0, 0.2, 0.9]),
    epsilon_cutoff=st.sampled_from([0.0, 0.01]),
    eta_cutoff=st.sampled_from([0.0, 0.02]),
    repetition_penalty=st.floats(0.5, 2),
    no_repeat_ngram_size=st.integers(0, 3),
    logit_bias=st.dictionaries(st.integers(0, V - 1), st.sampled_from([-1.5, 2.0]), max_size=3),
    min_tokens=st.sampled_from([0, 3, 4]),
    min_length=st.sampled_from([0, 25, 26]),
)
WORDS = sample.SamplingTokens(end_ids=(1, 7), bad=((3,), (2, 4), (0, 1, 5)))


def their_chain(options: SamplingOptions) -> transformers.LogitsProcessorList:
    chain = transformers.LogitsProcessorList()
    if options.logit_bias:
        chain.append(transformers.SequenceBiasLogitsProcessor({(token,): bias for token, bias in options.logit_bias.items()}))
    chain.append(transformers.RepetitionPenaltyLogitsProcessor(options.repetition_penalty))
    if options.no_repeat_ngram_size:
        chain.append(transformers.NoRepeatNGramLogitsProcessor(options.no_repeat_ngram_size))
    chain.append(transformers.NoBadWordsLogitsProcessor([list(word) for word in WORDS.bad], eos_token_id=list(WORDS.end_ids)))
    chain.append(transformers.MinLengthLogitsProcessor(options.min_length, list(WORDS.end_ids)))
    chain.append(transformers.MinNewTokensLengthLogitsProcessor(22, options.min_tokens, list(WORDS.end_ids)))
    chain.append(transformers.TemperatureLogitsWarper(options.temperature))
    chain += [transformers.TopKLogitsWarper(options.top_k)] if options.top_k else []
    chain += [transformers.TopPLogitsWarper(options.top_p), transformers.MinPLogitsWarper(options.min_p)]
    chain += [transformers.TypicalLogitsWarper(options.typical_p)] if options.typical_p < 1 else []
    chain += [transformers.EpsilonLogitsWarper(options.epsilon_cutoff)] if options.epsilon_cutoff else []
    chain += [transformers.EtaLogitsWarper(options.eta_cutoff)] if options.eta_cutoff else []
    return chain


@given(st.integers(0, 999), any_chain)
def test_the_chain_is_transformers_chain(seed: int, options: SamplingOptions) -> None:
    """25 tokens of history, of which three were drawn."""
    rows = history(seed)
    ours = sample.process(logits(seed), options, rows.tolist(), rows[:, 22:].tolist(), WORDS)
    assert torch.equal(ours, their_chain(options)(rows, logits(seed)))


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
