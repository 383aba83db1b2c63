import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError, DataError
from hanmo.data.mixing.mix import MixConfig, amounts_of, mix, shares_of, whole_amounts


def coded(groups: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names in ascending order, and the number of each document's."""
    names, codes = np.unique(groups, return_inverse=True)
    return names.tolist(), codes.astype(np.int32)


def mixed(sizes: dict[str, int], config: MixConfig, seed: int = 0) -> dict[str, np.ndarray]:
    """Times of every document, group by group; documents have 10 to 99 bytes."""
    dice = np.random.default_rng(seed)
    groups = np.repeat(np.array(list(sizes)), list(sizes.values()))
    mixture = mix(*coded(groups), dice.integers(10, 100, len(groups)), dice.random(len(groups)), config)
    return {name: mixture.times[groups == name] for name in sizes}


def test_temperature_one_keeps_the_sizes_and_a_larger_one_lifts_small_groups() -> None:
    sizes = {"en": 900.0, "zh": 90.0, "is": 10.0}
    assert shares_of(sizes, MixConfig(by="language")) == pytest.approx({"en": 0.9, "zh": 0.09, "is": 0.01})
    # mT5's alpha = 0.3: p proportional to n^0.3
    lifted = shares_of(sizes, MixConfig(by="language", temperature=1 / 0.3))
    powers = {name: size**0.3 for name, size in sizes.items()}
    assert lifted == pytest.approx({name: power / sum(powers.values()) for name, power in powers.items()})
    assert shares_of(sizes, MixConfig(by="language", temperature=1e9)) == pytest.approx(dict.fromkeys(sizes, 1 / 3))


def test_shares_of_any_temperature_and_any_weights_are_shares() -> None:
    for temperature in (1e-9, 1e-320, 1.0, 1e300, float("inf")):
        for weights in ({"a": 1e-300, "b": 1e300}, {"a": 1.0, "b": 1.0}, {"a": 0.0, "b": 2.0}):
            shares = shares_of({"a": 900.0, "b": 100.0}, MixConfig(by="source", weights=weights, temperature=temperature))
            assert sum(shares.values()) == pytest.approx(1) and (shares["a"] == 0) >= (weights["a"] == 0)
    assert shares_of({"a": 900.0, "b": 100.0}, MixConfig(by="source", temperature=1e-9)) == {"a": 1.0, "b": 0.0}


def test_weights_stand_in_the_place_of_sizes() -> None:
    config = MixConfig(by="source", weights={"a": 3, "b": 1, "c": 0})
    assert shares_of({"a": 5.0, "b": 500.0, "c": 50.0}, config) == {"a": 0.75, "b": 0.25, "c": 0.0}


def test_without_a_total_the_largest_one_is_taken_that_keeps_the_shares() -> None:
    times = mixed({"a": 100, "b": 1000, "c": 50}, MixConfig(by="source", weights={"a": 1, "b": 1, "c": 0}))
    assert {name: int(t.sum()) for name, t in times.items()} == {"a": 100, "b": 100, "c": 0}
    times = mixed({"a": 100, "b": 1000}, MixConfig(by="source", weights={"a": 1, "b": 1}, max_repeats=4))
    assert {name: int(t.sum()) for name, t in times.items()} == {"a": 400, "b": 400}
    assert set(times["a"].tolist()) == {4} and set(times["b"].tolist()) == {0, 1}


def test_what_a_small_group_lacks_the_others_give() -> None:
    config = MixConfig(by="source", weights={"a": 2, "b": 1, "c": 1}, total_documents=400, max_repeats=2)
    times = mixed({"a": 50, "b": 1000, "c": 1000}, config)
    assert {name: int(t.sum()) for name, t in times.items()} == {"a": 100, "b": 150, "c": 150}


def test_a_broken_number_of_epochs_repeats_some_once_more() -> None:
    times = mixed({"a": 40, "b": 1000}, MixConfig(by="source", weights={"a": 1, "b": 1}, total_documents=200, max_repeats=3))
    assert sorted(times["a"].tolist()) == [2] * 20 + [3] * 20


def test_bytes_are_met_within_a_document() -> None:
    dice = np.random.default_rng(3)
    groups = np.repeat(np.array(["a", "b"]), [300, 700])
    sizes = dice.integers(10, 1000, 1000)
    mixture = mix(*coded(groups), sizes, dice.random(1000), MixConfig(by="source", weights={"a": 1, "b": 3}, total_bytes=200_000))
    for share, wanted in zip(mixture.shares, (50_000, 150_000), strict=True):
        assert share.taken_bytes == pytest.approx(wanted, abs=1000)
    assert mixture.shares[0].bytes == sizes[:300].sum() and mixture.shares[0].documents == 300


@settings(deadline=None)
@given(st.permutations(range(60)), st.integers(1, 3), st.integers(1, 100))
def test_the_order_of_documents_does_not_matter(order: list[int], repeats: int, total: int) -> None:
    dice = np.random.default_rng(1)
    groups, sizes, places = np.array(["a", "b", "b"] * 20), dice.integers(10, 99, 60), dice.random(60)
    config = MixConfig(by="source", temperature=2, total_documents=total, max_repeats=repeats)
    plain, shuffled = mix(*coded(groups), sizes, places, config), mix(*coded(groups[order]), sizes[order], places[order], config)
    assert (plain.times[order] == shuffled.times).all() and (plain.cuts[order] == shuffled.cuts).all()


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 60), min_size=1),
    st.integers(1, 4),
    st.floats(0.5, 10),
    st.integers(1, 500),
    st.integers(0, 5),
)
def test_the_total_is_met_where_there_is_enough_and_no_document_repeats_too_often(
    sizes: dict[str, int], repeats: int, temperature: float, total: int, seed: int
) -> None:
    times = mixed(sizes, MixConfig(by="source", temperature=temperature, total_documents=total, max_repeats=repeats), seed)
    assert sum(int(t.sum()) for t in times.values()) == min(total, repeats * sum(sizes.values()))
    for t in times.values():
        assert t.max() <= repeats and t.max() - t.min() <= 1  # a whole epoch first, then some once more


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(0, 50))
def test_a_larger_total_keeps_what_a_smaller_one_took(total: int, more: int) -> None:
    less, all_of_it = (mixed({"a": 60}, MixConfig(by="source", total_documents=number))["a"] for number in (total, total + more))
    assert (less <= all_of_it).all()


def test_what_is_mixed_out_lies_behind_the_cut_of_its_group() -> None:
    places = np.linspace(0, 0.99, 100)
    mixture = mix(*coded(np.array(["a"] * 100)), np.ones(100, dtype=np.int64), places, MixConfig(by="source", total_documents=30))
    assert mixture.times.tolist() == [1] * 30 + [0] * 70
    assert (mixture.cuts == places[29]).all()


def test_whole_amounts_have_the_same_sum() -> None:
    assert whole_amounts({"a": 0.5, "b": 0.5, "c": 2.0}) == {"a": 1, "b": 0, "c": 2}
    assert amounts_of({"a": 10.0, "b": 30.0}, {"a": 0.25, "b": 0.75}, MixConfig(by="source")) == {"a": 10.0, "b": 30.0}


@pytest.mark.parametrize(
    "weights, message",
    [({"en": 1, "zh": 1, "fr": 1}, "mix.weights names 'fr', and mix.by = 'language' finds en, zh"), ({"en": 1}, "says nothing of 'zh'")],
)
def test_weights_that_do_not_fit_the_groups_are_told(weights: dict[str, float], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        shares_of({"en": 1.0, "zh": 1.0}, MixConfig(by="language", weights=weights))


@pytest.mark.parametrize(
    "wrong, key",
    [
        ({"temperature": 0.0}, "mix.temperature"),
        ({"temperature": float("nan")}, "mix.temperature"),
        ({"max_repeats": 0}, "mix.max_repeats"),
        ({"total_documents": 5, "total_bytes": 5}, "mix.total_documents"),
        ({"total_bytes": -1}, "mix.total_documents"),
        ({"weights": {"a": -1.0}}, "mix.weights.a"),
        ({"weights": {"a": 0.0}}, "mix.weights are all 0"),
    ],
)
def test_settings_out_of_range_name_their_key(wrong: dict[str, float], key: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(key)):
        MixConfig(by="source", **wrong)  # pyright: ignore[reportArgumentType]


def test_a_mixture_of_nothing_is_wrong_use() -> None:
    with pytest.raises(ConfigError, match=r"mix\.by is missing"):
        MixConfig(total_documents=5)
