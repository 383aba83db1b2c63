import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tests.generate.test_sample import V, history, logits

from hanmo.generate import penalties


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("penalty", [0.8, 1.3])
def test_repetition_penalty_is_that_of_transformers(seed: int, penalty: float) -> None:
    rows = history(seed)
    theirs = transformers.RepetitionPenaltyLogitsProcessor(penalty)(rows, logits(seed))
    assert torch.equal(penalties.penalize_repetition(logits(seed), rows.tolist(), penalty), theirs)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_no_repeat_ngrams_is_that_of_transformers(seed: int, size: int) -> None:
    rows = history(seed)
    theirs = transformers.NoRepeatNGramLogitsProcessor(size)(rows, logits(seed))
    assert torch.equal(penalties.ban_repeated_ngrams(logits(seed), rows.tolist(), size), theirs)


def test_a_row_where_every_token_would_repeat_is_left_free() -> None:
    row = logits(0, rows=1)
    assert torch.equal(penalties.ban_repeated_ngrams(row, [list(range(V))], 1), row)


def test_short_rows_have_nothing_to_repeat() -> None:
    assert torch.equal(penalties.ban_repeated_ngrams(logits(0), [[1], [2, 3], []], 3), logits(0))


def test_frequency_penalty_counts_what_was_drawn() -> None:
    changed = penalties.penalize_frequency(torch.zeros(2, 5), [[1, 1, 3], []], 0.5)
    assert changed.tolist() == [[0, -1.0, 0, -0.5, 0], [0, 0, 0, 0, 0]]


def test_presence_penalty_asks_only_whether_it_was_drawn() -> None:
    changed = penalties.penalize_frequency(torch.zeros(2, 5), [[1, 1, 3], []], 0.5, 2.0)
    assert changed.tolist() == [[0, -3.0, 0, -2.5, 0], [0, 0, 0, 0, 0]]


@given(st.lists(st.integers(0, 2), max_size=12), st.integers(1, 3), st.sets(st.integers(0, 2), max_size=1))
def test_dry_is_the_formula_over_all_ends_and_places(ids: list[int], allowed: int, breakers: set[int]) -> None:
    """The longest end of the row, free of breakers, that stands earlier in it with the token behind."""
    changed = penalties.penalize_continued_repetition(torch.zeros(1, 3), [ids], 0.5, 2.0, allowed, breakers)[0].tolist()
    for token in range(3):
        lengths = [
            size
            for size in range(1, len(ids))
            for start in range(len(ids) - size)
            if ids[start : start + size] == ids[len(ids) - size :] and ids[start + size] == token
            if not breakers & {*ids[len(ids) - size :], token}
        ]
        longest = max(lengths, default=0)
        assert changed[token] == (-0.5 * 2.0 ** (longest - allowed) if longest >= allowed else 0)


def test_dry_counts_no_more_than_its_longest_match() -> None:
    changed = penalties.penalize_continued_repetition(torch.zeros(1, 2), [[1] * 200], 1.0, 2.0, 2)
    assert changed[0].tolist() == [0, -(2.0 ** (penalties.LONGEST_MATCH - 2))]


@pytest.mark.parametrize("seed", range(3))
def test_banned_words_are_those_of_transformers(seed: int) -> None:
    words, rows = [[3], [2, 4], [0, 1, 5], [*history(seed)[0, -2:].tolist(), 9]], history(seed)
    theirs = transformers.NoBadWordsLogitsProcessor(words)(rows, logits(seed))
    assert torch.equal(penalties.ban_words(logits(seed), rows.tolist(), words), theirs)


def test_a_row_is_never_left_without_a_token() -> None:
    row = logits(0, rows=1)[:, :2]
    assert torch.equal(penalties.ban_words(row, [[5]], [(0,), (1,)]), row)
    assert torch.equal(penalties.ban_ends(row, [True], [0, 1]), row)


def test_ends_are_banned_where_a_row_is_too_short() -> None:
    changed = penalties.ban_ends(torch.zeros(2, 3), [True, False], [2])
    assert changed.tolist() == [[0, 0, float("-inf")], [0, 0, 0]]


def test_bias_is_added_and_ids_outside_the_vocabulary_are_nothing() -> None:
    assert penalties.add_bias(torch.zeros(1, 3), {1: 2.5, 2: float("-inf"), 99: 1.0}).tolist() == [[0, 2.5, float("-inf")]]
