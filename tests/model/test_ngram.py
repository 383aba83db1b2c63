"""Counting models: the vectorised ones against the formulas written out with dictionaries."""

from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.base.errors import DataError, ModelError
from hanmo.model import ngram
from hanmo.model.config import NgramConfig
from hanmo.model.ngram import Ngram, Uniform, flatten

VOCAB = 7
documents = st.lists(st.lists(st.integers(1, VOCAB - 1), max_size=12).map(lambda ids: np.array([0, *ids])), min_size=1, max_size=6)


class SlowKneserNey:
    """Interpolated modified Kneser-Ney from the definitions of Chen and Goodman, one n-gram at a time."""

    def __init__(self, sequences, vocab_size, order):
        self.vocab_size, self.order = vocab_size, order
        self.adjusted = {k: self._adjusted(sequences, k) for k in range(1, order + 1)}
        self.followers = {k: defaultdict(dict) for k in self.adjusted}
        for k, grams in self.adjusted.items():
            for gram, count in grams.items():
                self.followers[k][gram[:-1]][gram[-1]] = count
        self.discounts = {k: self._discounts(grams.values()) for k, grams in self.adjusted.items()}

    def _adjusted(self, sequences, k):
        raw, before, opening = Counter(), defaultdict(set), Counter()
        for ids in sequences:
            for end in range(max(k, 2), len(ids) + 1):
                gram = tuple(int(each) for each in ids[end - k : end])
                raw[gram] += 1
                if end == k:
                    opening[gram] += 1
                else:
                    before[gram].add(int(ids[end - k - 1]))
        if k == self.order:
            return raw
        return {gram: len(before[gram]) + opening[gram] for gram in raw}

    @staticmethod
    def _discounts(counts):
        n = [sum(count == i for count in counts) for i in range(5)]
        fallback = (0, 0.5, 1, 1.5)
        if 0 in n[1:]:
            return fallback
        y = n[1] / (n[1] + 2 * n[2])
        found = (0, 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3])
        return found if all(0 < found[i] <= i for i in (1, 2, 3)) else fallback

    def probability(self, context, word):
        context = tuple(int(each) for each in context[max(len(context) - self.order + 1, 0) :])
        lower = self.probability(context[1:], word) if context else 1 / self.vocab_size
        followers = self.followers[len(context) + 1].get(context)
        if not followers:
            return lower
        discounts = self.discounts[len(context) + 1]
        total = sum(followers.values())
        weight = sum(discounts[min(count, 3)] for count in followers.values()) / total
        count = followers.get(word, 0)
        return max(count - discounts[min(count, 3)], 0) / total + weight * lower


def text_like(seed, num_documents, vocab_size, length):
    """Rows with the uneven counts of language, so that real discounts are estimated."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(num_documents):
        ids = np.minimum(rng.zipf(1.3, rng.integers(1, length)), vocab_size - 1)
        rows.append(np.concatenate([[0], ids]))
    return rows


@settings(max_examples=60, deadline=None)
@given(documents, documents, st.integers(1, 6))
def test_equal_to_the_formulas_written_out(train, test, order):
    if not any(len(ids) > 1 for ids in train):
        return
    model = Ngram.fit_sequences(train, NgramConfig(vocab_size=VOCAB, order=order))
    slow = SlowKneserNey(train, VOCAB, order)
    for ids, logs in zip(test, model.score(test), strict=True):
        expected = [np.log(slow.probability(ids[:t], int(ids[t]))) for t in range(1, len(ids))]
        np.testing.assert_allclose(logs, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_equal_to_the_formulas_where_discounts_are_estimated(order):
    train, test = text_like(1, 60, 90, 80), text_like(2, 4, 90, 60)
    model = Ngram.fit_sequences(train, NgramConfig(vocab_size=90, order=order))
    slow = SlowKneserNey(train, 90, order)
    assert any(tuple(each) != ngram.FALLBACK_DISCOUNTS for each in slow.discounts.values())
    for ids, logs in zip(test, model.score(test), strict=True):
        expected = [np.log(slow.probability(ids[:t], int(ids[t]))) for t in range(1, len(ids))]
        np.testing.assert_allclose(logs, expected, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(documents, st.lists(st.integers(0, VOCAB - 1), max_size=8), st.integers(1, 6))
def test_probabilities_of_all_tokens_sum_to_one(train, context, order):
    if not any(len(ids) > 1 for ids in train):
        return
    model = Ngram.fit_sequences(train, NgramConfig(vocab_size=VOCAB, order=order))
    probabilities = model.next_probabilities(np.array(context, np.int64))
    assert (probabilities > 0).all()
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)
    if context:
        ends = [logs[-1] for logs in model.score([np.array([*context, word]) for word in range(VOCAB)])]
        np.testing.assert_allclose(np.exp(ends), probabilities, rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(documents, documents)
def test_a_document_never_sees_its_neighbour(first, second):
    config = NgramConfig(vocab_size=VOCAB, order=4)
    train = [*first, np.array([0, 1, 2])]
    model = Ngram.fit_sequences(train, config)
    together = model.score([*first, *second])
    alone = [model.score([ids])[0] for ids in [*first, *second]]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a, b)
    # the order of documents changes no count
    turned = Ngram.fit_sequences(train[::-1], config)
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, turned.state()[name])


def test_scoring_in_groups_changes_nothing(monkeypatch):
    train = text_like(3, 20, 30, 40)
    model = Ngram.fit_sequences(train, NgramConfig(vocab_size=30, order=3))
    whole = model.score(train)
    monkeypatch.setattr(ngram, "_TOKENS_AT_ONCE", 50)
    for a, b in zip(whole, model.score(train, stride=3), strict=True):
        np.testing.assert_array_equal(a, b)


def test_saved_arrays_give_the_same_model():
    train = text_like(4, 20, 30, 40)
    config = NgramConfig(vocab_size=30, order=4)
    model = Ngram.fit_sequences(train, config)
    again = Ngram.from_state(config, model.state())
    assert again.num_ngrams == model.num_ngrams
    for a, b in zip(model.score(train), again.score(train), strict=True):
        np.testing.assert_array_equal(a, b)


def test_damaged_arrays_are_refused():
    config = NgramConfig(vocab_size=30, order=2)
    arrays = Ngram.fit_sequences(text_like(5, 5, 30, 20), config).state()
    with pytest.raises(ModelError, match=r"no array orders\.3"):
        Ngram.from_state(NgramConfig(vocab_size=30, order=3), arrays)
    with pytest.raises(ModelError, match="damaged"):
        Ngram.from_state(config, {**arrays, "orders.2.counts": arrays["orders.2.counts"][1:]})
    with pytest.raises(ModelError, match="damaged"):
        Ngram.from_state(config, {**arrays, "orders.2.keys": arrays["orders.2.keys"][::-1]})
    with pytest.raises(ModelError, match=r"4 arrays, order \(=1\) asks for 2"):
        Ngram.from_state(NgramConfig(vocab_size=30, order=1), arrays)
    with pytest.raises(ModelError, match="should be one row of int64"):
        Ngram.from_state(config, {**arrays, "orders.1.keys": arrays["orders.1.keys"].astype(np.int32)})
    with pytest.raises(ModelError, match=r"vocab_size \(=4000\) is not its own"):
        Ngram.from_state(NgramConfig(vocab_size=4000, order=2), arrays)
    with pytest.raises(ModelError, match="counts below zero"):
        Ngram.from_state(config, {**arrays, "orders.2.counts": -arrays["orders.2.counts"]})


def test_flat_arrays_and_rows_count_the_same():
    train = text_like(6, 10, 30, 20)
    ids, offsets = flatten(train)
    config = NgramConfig(vocab_size=30, order=3)
    flat = Ngram.fit(ids.astype(np.uint16), offsets, config)
    for name, array in Ngram.fit_sequences(train, config).state().items():
        np.testing.assert_array_equal(array, flat.state()[name])


def test_higher_orders_learn_a_pattern_that_lower_ones_cannot():
    train = [np.array([0, *([1, 2, 1, 3] * 30)])] * 3
    losses = [-Ngram.fit_sequences(train, NgramConfig(vocab_size=4, order=k)).score(train[:1])[0].mean() for k in (1, 2, 3)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 0.1


def test_wrong_ids_offsets_and_strides_are_told():
    config = NgramConfig(vocab_size=5, order=2)
    model = Ngram.fit_sequences([np.array([0, 1, 2])], config)
    with pytest.raises(ModelError, match="do not fit a vocabulary of 5"):
        Ngram.fit_sequences([np.array([0, 5])], config)
    with pytest.raises(ModelError, match="do not fit"):
        model.score([np.array([0, -1])])
    with pytest.raises(ModelError, match="offsets cover 2"):
        Ngram.fit(np.array([0, 1, 2]), np.array([0, 2]), config)
    with pytest.raises(ModelError, match="stride"):
        model.score([np.array([0, 1])], stride=0)
    with pytest.raises(DataError, match="nothing to count"):
        Ngram.fit_sequences([np.array([0]), np.array([0])], config)


def test_scoring_nothing_gives_nothing():
    model = Ngram.fit_sequences([np.array([0, 1, 2])], NgramConfig(vocab_size=5, order=2))
    assert model.score([]) == []
    assert model.score([np.array([0])])[0].size == 0


def test_uniform_is_the_model_that_has_counted_nothing():
    rows = [np.array([0, 1, 1, 2]), np.array([0, 1])]
    uniform = Uniform(4)
    np.testing.assert_allclose(uniform.score(rows)[0], np.full(3, -np.log(4)))
    np.testing.assert_allclose(uniform.next_probabilities(rows[1]), np.full(4, 1 / 4))
    again = Ngram.from_state(uniform.config, uniform.state())
    np.testing.assert_array_equal(again.score(rows)[0], uniform.score(rows)[0])
    counted_nothing = Ngram.fit_sequences(rows, uniform.config)
    np.testing.assert_array_equal(counted_nothing.score(rows)[0], uniform.score(rows)[0])
