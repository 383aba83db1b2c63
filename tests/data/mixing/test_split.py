import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError
from hanmo.data.mixing.split import TEST, TRAIN, VALIDATION, SplitConfig, assign, deal, fold_of, position, unit_digest


def places(count: int, seed: int = 0) -> np.ndarray:
    return np.array([position(hashlib.sha256(str(i).encode()).digest()[:16], seed) for i in range(count)])


def test_shares_are_met_and_documents_stay_when_the_data_grows() -> None:
    config = SplitConfig(validation=0.1, test=0.2)
    all_splits, moved = assign(places(4000), config)
    assert np.bincount(all_splits, minlength=3) / 4000 == pytest.approx([0.7, 0.1, 0.2], abs=0.03)
    assert not len(moved)
    assert (assign(places(1000), config)[0] == all_splits[:1000]).all()


def test_another_seed_deals_anew() -> None:
    assert not np.allclose(places(50, seed=0), places(50, seed=1))


@settings(deadline=None)
@given(st.integers(3, 12), st.integers(0, 50), st.sampled_from([0.01, 0.05, 0.3, 0.49]))
def test_three_documents_or_more_fill_every_wanted_split(count: int, seed: int, share: float) -> None:
    splits, moved = assign(places(count, seed), SplitConfig(validation=share, test=share))
    assert set(splits.tolist()) == {TRAIN, VALIDATION, TEST}
    plain, _ = assign(np.array([*places(count, seed), 0.0, share * 1.5, 0.999]), SplitConfig(validation=share, test=share))
    changed = np.flatnonzero(splits != plain[:count])
    assert set(changed.tolist()) <= set(moved.tolist())


def test_the_document_nearest_to_the_border_is_moved() -> None:
    splits, moved = assign(np.array([0.9, 0.3, 0.2, 0.7]), SplitConfig(validation=0.05, test=0.05))
    assert splits.tolist() == [TRAIN, VALIDATION, TEST, TRAIN]
    assert moved.tolist() == [2, 1]


def test_a_split_nobody_wants_stays_empty_and_one_document_trains() -> None:
    assert assign(places(5), SplitConfig(validation=0, test=0))[0].tolist() == [TRAIN] * 5
    assert assign(np.array([0.5]), SplitConfig())[0].tolist() == [TRAIN]
    assert assign(np.array([0.01]), SplitConfig())[0].tolist() == [TRAIN]
    assert assign(np.array([0.01, 0.02]), SplitConfig())[0].tolist() == [TEST, TRAIN]
    assert assign(np.array([]), SplitConfig())[0].tolist() == []


@pytest.mark.parametrize("wrong", [{"validation": -0.1}, {"test": 1.0}, {"validation": 0.5, "test": 0.5}])
def test_impossible_shares_name_their_key(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"split\."):
        SplitConfig(**wrong)


def test_equal_positions_go_together_when_a_split_is_filled() -> None:
    positions = np.array([0.5, 0.9, 0.5, 0.5, 0.7, 0.8])
    splits, moved = assign(positions, SplitConfig(validation=0, test=0.1))
    assert splits.tolist() == [2, 0, 2, 2, 0, 0] and moved.tolist() == [0, 2, 3]
    splits, moved = assign(np.array([0.5, 0.5, 0.5]), SplitConfig())
    assert splits.tolist() == [0, 0, 0] and len(moved) == 0


def digests(names: list[str]) -> np.ndarray:
    parts = [unit_digest(hashlib.sha256(name.encode()).digest()[:16], None) for name in names]
    return np.frombuffer(b"".join(parts), dtype=np.uint64).reshape(-1, 2)


TEXTS = st.lists(st.text("abc", max_size=4), min_size=1, max_size=60)


@settings(deadline=None)
@given(TEXTS, TEXTS, st.integers(0, 3))
def test_splits_and_folds_stay_when_the_data_grows(old: list[str], new: list[str], seed: int) -> None:
    config = SplitConfig(validation=0.2, test=0.2, seed=seed, folds=4)
    before, moved = deal(digests(old), config)
    after, moved_after = deal(digests([*old, *new]), config)
    settled = [row for row in range(len(old)) if row not in moved.tolist() and row not in moved_after.tolist()]
    assert (before[settled] == after[: len(old)][settled]).all()
    for name in old:
        digest = hashlib.sha256(name.encode()).digest()[:16]
        assert fold_of(digest, config) == int(position(digest, seed, "fold") * 4)


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=80), st.integers(0, 5), st.sampled_from([0.01, 0.1, 0.3]))
def test_groups_never_straddle_even_when_moved(groups: list[str], seed: int, share: float) -> None:
    units = [unit_digest(str(row).encode().ljust(16), group) for row, group in enumerate(groups)]
    splits, moved = deal(
        np.frombuffer(b"".join(units), dtype=np.uint64).reshape(-1, 2), SplitConfig(validation=share, test=share, seed=seed)
    )
    for group in set(groups):
        members = [row for row, name in enumerate(groups) if name == group]
        assert len(set(splits[members].tolist())) == 1
        assert {row in moved.tolist() for row in members} in ({True}, {False})
    assert len(set(groups)) < 3 or set(splits.tolist()) == {TRAIN, VALIDATION, TEST}


def test_folds_are_of_about_equal_size_and_independent_of_splits() -> None:
    config = SplitConfig(folds=5, test=0.2)
    units = [hashlib.sha256(str(row).encode()).digest()[:16] for row in range(5000)]
    folds = np.array([fold_of(unit, config) for unit in units])
    assert np.bincount(folds, minlength=5) / 5000 == pytest.approx([0.2] * 5, abs=0.03)
    splits, _ = deal(np.frombuffer(b"".join(units), dtype=np.uint64).reshape(-1, 2), config)
    assert np.bincount(folds[splits == TEST], minlength=5) / (splits == TEST).sum() == pytest.approx([0.2] * 5, abs=0.05)


@pytest.mark.parametrize("folds", [-1, 1])
def test_one_fold_is_none(folds: int) -> None:
    with pytest.raises(ConfigError, match=r"split.folds \(="):
        SplitConfig(folds=folds)
