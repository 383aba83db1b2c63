import random

from hypothesis import given
from hypothesis import strategies as st

from hanmo.tokenizer import sample as module
from hanmo.tokenizer.sample import sample

LINES = [f"line {i} speaks of the {word}.\n" for i, word in enumerate(["river", "lamp", "hill", "clock"] * 20)]


def test_a_small_corpus_is_taken_whole():
    seen = sample(LINES, 10**9)
    assert sorted(seen.pieces) == sorted(LINES)
    assert seen.bytes == seen.of_bytes == sum(map(len, LINES))


@given(order=st.randoms(use_true_random=False), budget=st.integers(0, 20_000))
def test_the_sample_keeps_its_budget_and_does_not_depend_on_the_order(order: random.Random, budget):
    shuffled = LINES.copy()
    order.shuffle(shuffled)
    seen = sample(shuffled, budget)
    assert seen == sample(LINES, budget)
    assert seen.bytes * module.COST_OF_ASCII_BYTE <= budget
    assert seen.of_bytes == sum(map(len, LINES))


def test_chinese_counts_as_what_it_costs():
    chinese, english = ["渔船出海了。" + str(i) for i in range(200)], ["The boats put out to sea. " + str(i) for i in range(200)]
    budget = 60_000
    share = {name: s.bytes / s.of_bytes for name, s in (("zh", sample(chinese, budget)), ("en", sample(english, budget)))}
    assert share["zh"] < share["en"] == 1


def test_no_sample_is_larger_than_the_library_can_count(monkeypatch):
    monkeypatch.setattr(module, "LARGEST_SAMPLE", 500)
    assert 0 < sample(LINES, 10**9).bytes <= 500


@given(order=st.randoms(use_true_random=False), most=st.integers(1, 3000))
def test_a_cap_in_bytes_is_kept_and_recorded_the_same_in_any_order(order: random.Random, most):
    shuffled = LINES.copy()
    order.shuffle(shuffled)
    seen = sample(shuffled, 10**9, most)
    assert seen.facts() == sample(LINES, 10**9, most).facts()
    assert seen.bytes <= most
    assert seen.limits == (("max_sample_bytes",) if seen.of_bytes > most else ())
    assert (seen.share < 1) == (seen.bytes < seen.of_bytes)


def test_what_limited_the_sample_is_named(monkeypatch):
    monkeypatch.setattr(module, "LARGEST_SAMPLE", 500)
    assert sample(LINES, 400 * module.COST_OF_ASCII_BYTE).limits == ("max_training_memory_bytes", "32-bit counts")
    assert sample(LINES[:3], 10**9).limits == ()


def test_one_endless_line_is_still_sampled():
    line = "".join(chr(0x4E00 + i * i % 7919) for i in range(160_000))
    seen = sample([line], 10**9, 200_000)
    assert 0 < seen.bytes <= 200_000
    assert max(map(len, seen.pieces)) <= 2 * module.LONGEST_PIECE
