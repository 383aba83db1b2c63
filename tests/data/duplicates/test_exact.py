import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError
from hanmo.data.duplicates.exact import DuplicateConfig, first_occurrences, text_digest


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3))))
def test_every_row_points_at_its_first_equal(rows: list[tuple[int, int]]) -> None:
    seen: dict[tuple[int, int], int] = {}
    wanted = [seen.setdefault(row, index) for index, row in enumerate(rows)]
    assert first_occurrences(np.array(rows, dtype=np.uint64).reshape(-1, 2)).tolist() == wanted


def test_digests_tell_texts_apart_and_know_equal_ones() -> None:
    assert text_digest("文") == text_digest("文") != text_digest("文 ")
    assert len(text_digest("")) == 16


@pytest.mark.parametrize("wrong", [{"threshold": 0.5}, {"threshold": 1.1}, {"min_letters": 0}, {"lines": 1}, {"lines": -2}])
def test_settings_out_of_range_name_their_key(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=rf"duplicates.{next(iter(wrong))} \(="):
        DuplicateConfig(**wrong)  # pyright: ignore[reportArgumentType]
