from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.spill import Spill


@settings(deadline=None, max_examples=30)
@given(st.lists(st.lists(st.integers(0, 99), max_size=9), max_size=6), st.integers(1, 12), st.sampled_from([1, 100, 10**6]))
def test_every_record_comes_back_once_in_its_range(
    tmp_path_factory: pytest.TempPathFactory, added: list[list[int]], parts: int, held: int
) -> None:
    spill = Spill(tmp_path_factory.mktemp("spill") / "here", np.dtype("<i8"), 100, parts, held)
    for keys in added:
        spill.add(np.array(keys, np.int64), 7 * np.array(keys, np.int64))
    for _ in range(2):  # reading takes nothing away
        found = [part.tolist() for part in spill.parts()]
        assert sorted(value for part in found for value in part) == sorted(7 * key for keys in added for key in keys)
        borders = [(min(part), max(part)) for part in found if part]
        assert all(before[1] < after[0] for before, after in pairwise(borders))


def test_what_fits_makes_no_file_and_what_an_earlier_run_left_is_forgotten(tmp_path: Path) -> None:
    keys = np.arange(10)
    for held, files in ((10**6, 0), (1, 5)):
        spill = Spill(tmp_path / "here", np.dtype("<i8"), 10, 5, held)
        spill.add(keys, keys)
        assert len(list(tmp_path.rglob("*.bin"))) == files
    again = Spill(tmp_path / "here", np.dtype("<i8"), 10, 5, 1)
    assert [len(part) for part in again.parts()] == [0] * 5
    again.add(keys, keys)
    again.drop()
    assert not (tmp_path / "here").exists()
