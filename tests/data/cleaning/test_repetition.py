from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.cleaning.repetition import REPEATED, TOP, ngram_shares, repeated_shares

FEW = st.lists(st.sampled_from(["a", "bb", "ccc", "dddd"]), max_size=60)


def plainly(words: list[str]) -> dict[str, float]:
    """The definitions, word by word."""
    total = sum(map(len, words))
    shares: dict[str, float] = {}
    for n in (*TOP, *REPEATED):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        counts = Counter(grams)
        most = max(counts.values(), default=0)
        if n in TOP:
            longest = max((sum(map(len, gram)) for gram, count in counts.items() if count == most), default=0)
            shares[f"top_{n}gram_share"] = min(1.0, most * longest / total) if most > 1 else 0.0
            continue
        inside = {i + step for i, gram in enumerate(grams) if gram in grams[:i] for step in range(n)}
        shares[f"repeated_{n}gram_share"] = sum(len(words[i]) for i in inside) / total if total else 0.0
    return shares


@settings(deadline=None)
@given(FEW)
def test_shares_are_what_the_definitions_say(words: list[str]) -> None:
    assert ngram_shares(words) == pytest.approx(plainly(words))


@settings(deadline=None)
@given(st.lists(st.integers(), unique=True, max_size=50))
def test_words_that_all_differ_repeat_nothing(numbers: list[int]) -> None:
    assert set(ngram_shares(list(map(str, numbers))).values()) == {0.0}


def test_a_line_said_twice_counts_once() -> None:
    assert repeated_shares(["刮风了", "刮风了", "下雪"]) == (1 / 3, 3 / 8)
    assert repeated_shares([]) == (0.0, 0.0)


def test_places_that_overlap_are_no_more_than_the_text() -> None:
    assert ngram_shares(["000"] * 3)["top_2gram_share"] == 1


def test_ten_words_said_twice_are_half_of_the_text_for_every_n() -> None:
    shares = ngram_shares([f"w{i}" for i in range(10)] * 2)
    assert {shares[f"repeated_{n}gram_share"] for n in REPEATED} == {0.5}
    assert shares["top_2gram_share"] == 0.2 and shares["top_4gram_share"] == 0.4
