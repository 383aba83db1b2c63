"""Hidden tokens and cut-out spans, row by row."""

import math

import numpy as np
import pytest

from hanmo.base.errors import DataError
from hanmo.base.records import Batch
from hanmo.evaluate.compare import compare_all
from hanmo.evaluate.objective import evaluate_objective, pseudo_perplexity, uniform_score, unigram_score

VOCAB = 5


def batches(rows=12, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.choice(VOCAB, (rows, 6), p=[0.6, 0.1, 0.1, 0.1, 0.1])
    weights = (rng.random((rows, 6)) < 0.5).astype(np.float32)
    weights[0] = 0
    half = rows // 2
    for part in (slice(0, half), slice(half, rows)):
        yield Batch(ids=targets[part] * 0, targets=targets[part], weights=weights[part])


def test_guesses_cost_what_they_must():
    found = evaluate_objective(uniform_score(VOCAB), batches())
    assert found.measurement.value == pytest.approx(math.log(VOCAB))
    assert found.accuracy.value == pytest.approx(1 / VOCAB)
    assert len(found.targets) == 11  # the row that asks for nothing is left out


def test_a_guess_that_knows_the_frequencies_is_better_and_known_to_be():
    counts = np.array([60, 10, 10, 10, 10])
    found = {
        "uniform": evaluate_objective(uniform_score(VOCAB), batches(60)),
        "unigram": evaluate_objective(unigram_score(counts), batches(60)),
    }
    table = compare_all(found, reference="unigram")
    assert table["metric"] == "loss" and table["differences"]["uniform"]["interval"][1] < 0
    assert found["unigram"].accuracy.value == pytest.approx(0.6, abs=0.1)
    summary = found["unigram"].summary()
    assert summary["intervals"]["loss"][0] < summary["loss"] < summary["intervals"]["loss"][1]


def test_batches_of_any_size_give_the_same():
    one = evaluate_objective(uniform_score(VOCAB), batches())
    (first, second) = batches()
    joined = Batch(**{name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in ("ids", "targets", "weights")})
    whole = evaluate_objective(uniform_score(VOCAB), [joined])
    assert np.array_equal(one.nats, whole.nats) and one.measurement.value == whole.measurement.value


def test_pseudo_perplexity_hides_each_token_alone():
    seen: list[Batch] = []

    def score(batch):
        seen.append(batch)
        return uniform_score(VOCAB)(batch)

    found = pseudo_perplexity(score, [np.array([0, 1, 2, 3])] * 6, mask_id=4, rows=2)
    assert found.value == pytest.approx(VOCAB)
    hidden = np.concatenate([batch.ids for batch in seen[:2]])
    assert hidden.tolist() == [[0, 4, 2, 3], [0, 1, 4, 3], [0, 1, 2, 4]]


def test_rows_that_ask_for_nothing_are_an_error():
    nothing = Batch(ids=np.zeros((2, 3), int), targets=np.zeros((2, 3), int), weights=np.zeros((2, 3), np.float32))
    with pytest.raises(DataError, match="no held-out row asks for a token"):
        evaluate_objective(uniform_score(VOCAB), [nothing])
