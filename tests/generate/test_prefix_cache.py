import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hanmo.generate.prefix_cache import Part, PrefixCache


def part(number: int) -> Part:
    return torch.tensor([number]), torch.tensor([-number])


def numbers(parts: list[Part]) -> list[int]:
    return [int(keys[0]) for keys, _ in parts]


def test_the_longest_known_beginning_is_found_and_the_last_token_never() -> None:
    prefixes = PrefixCache(2, 100)
    for end in (2, 4, 6):
        prefixes.keep([1, 2, 3, 4, 5, 6][:end], part(end))
    for ids, expected in (([1, 2, 3, 4, 9], [2, 4]), ([1, 2, 3, 4], [2]), ([1, 2, 3, 4, 5, 6, 7], [2, 4, 6]), ([1], []), ([2, 1, 3], [])):
        known, parts = prefixes.find(ids)
        assert (numbers(parts), known) == (expected, 2 * len(expected))
    assert (prefixes.hits, prefixes.misses) == (4 + 2 + 6, 1 + 2 + 1 + 1 + 3)


def test_a_chunk_is_found_behind_its_own_beginning_only() -> None:
    prefixes = PrefixCache(2, 100)
    prefixes.keep([1, 2], part(1))
    prefixes.keep([5, 6, 3, 4], part(2))
    assert prefixes.find([1, 2, 3, 4, 5])[0] == 2


@pytest.mark.parametrize("most", [0, 3, 4, 7])
def test_no_more_is_kept_than_may_be_and_the_least_used_goes_first(most: int) -> None:
    prefixes = PrefixCache(2, most)
    prefixes.keep([1, 2], part(1))
    prefixes.keep([3, 4], part(2))
    prefixes.find([1, 2, 0])
    prefixes.keep([5, 6], part(3))
    prefixes.keep([7, 8], part(4))
    assert len(prefixes) <= most
    kept = [first for first in (1, 3, 5, 7) if prefixes.find([first, first + 1, 0])[0]]
    assert kept == {0: [], 3: [7], 4: [5, 7], 7: [1, 5, 7]}[most]


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), max_size=8), st.integers(1, 3))
def test_what_is_found_is_what_was_kept_for_these_ids(rows: list[list[int]], chunk: int) -> None:
    prefixes, kept = PrefixCache(chunk, 1000), {}
    for number, row in enumerate(rows):
        known, parts = prefixes.find(row)
        assert numbers(parts) == [kept[tuple(row[:end])] for end in range(chunk, known + 1, chunk)]
        for end in range(chunk, len(row) + 1, chunk):
            if tuple(row[:end]) not in kept:
                kept[tuple(row[:end])] = number
                prefixes.keep(row[:end], part(number))
