import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.decisions import together


def digests(numbers: list[int]) -> np.ndarray:
    return np.array([[number, number * 7 % 5] for number in numbers], np.uint64)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 11), st.booleans()), min_size=12, max_size=12))
def test_neither_a_group_nor_a_cluster_is_torn_apart_and_nothing_else_is_joined(rows: list[tuple[int, int, bool]]) -> None:
    units, firsts = digests([group for group, _, _ in rows]), np.array([first for _, first, _ in rows])
    kept = np.flatnonzero([stays for _, _, stays in rows])
    found = [tuple(unit) for unit in together(units, firsts, kept).tolist()]
    sets = [{("group", rows[i][0]), ("group", rows[rows[i][1]][0])} for i in kept]
    for _ in sets:
        sets = [set().union(*(other for other in sets if other & each)) for each in sets]
    for i, one in enumerate(sets):
        for j, other in enumerate(sets):
            assert (found[i] == found[j]) == bool(one & other)


def test_without_a_group_the_first_of_a_cluster_decides() -> None:
    units, firsts = digests([9, 3, 5, 4]), np.array([0, 0, 2, 3])
    assert together(units, firsts, np.arange(4)).tolist() == units[[0, 0, 2, 3]].tolist()
    assert together(units, firsts, np.array([1, 3])).tolist() == units[[0, 3]].tolist()
