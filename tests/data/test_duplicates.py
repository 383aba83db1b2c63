import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hanmo.data.duplicates import first_occurrences, text_digest


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))))
def test_every_row_points_at_its_first_equal(rows: list[tuple[int, int]]) -> None:
    seen: dict[tuple[int, int], int] = {}
    wanted = [seen.setdefault(row, index) for index, row in enumerate(rows)]
    assert first_occurrences(np.array(rows, dtype=np.uint64).reshape(-1, 2)).tolist() == wanted


def test_digests_tell_texts_apart_and_know_equal_ones() -> None:
    assert text_digest("文") == text_digest("文") != text_digest("文 ")
    assert len(text_digest("")) == 16
