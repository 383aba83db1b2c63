"""Laws of packing: nothing lost, nothing twice, no strangers in a segment."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import DataError
from hanmo.batches.pack import Concatenated, Fixed, Isolated, best_fit, cut_documents

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=30)
CONTEXT = st.integers(1, 17)


def offsets_of(sizes) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(sizes)))


@given(sizes=SIZES, context=CONTEXT, start=st.integers(0, 2000), kind=st.sampled_from([Concatenated, Isolated, Fixed]))
def test_every_position_stands_in_exactly_one_row(sizes, context, start, kind):
    offsets = offsets_of(sizes)
    packing = kind(offsets, context)
    rows = np.arange(packing.num_rows)
    filled = packing.fill(rows, start)
    assert filled.positions.shape == filled.valid.shape == (packing.num_rows, context)
    assert sorted(filled.positions[filled.valid].tolist()) == list(range(offsets[-1]))
    assert (filled.valid.sum(1) == packing.lengths(rows)).all()
    assert (filled.valid.sum(1) > 0).all()
    assert packing.documents_cut == sum(size > context for size in sizes)


@given(sizes=SIZES, context=CONTEXT)
def test_concatenated_rows_read_on_without_a_gap(sizes, context):
    offsets = offsets_of(sizes)
    filled = Concatenated(offsets, context).fill(np.arange(-(-int(offsets[-1]) // context)), 3)
    inner = filled.valid[:, 1:]
    steps = (filled.positions[:, 1:] - filled.positions[:, :-1]) % offsets[-1]
    assert (steps[inner] == 1 % offsets[-1]).all()
    assert filled.segments is None


@given(sizes=SIZES, context=CONTEXT)
def test_an_isolated_segment_holds_one_unbroken_piece_of_one_document(sizes, context):
    offsets = offsets_of(sizes)
    packing = Isolated(offsets, context)
    filled = packing.fill(np.arange(packing.num_rows), 0)
    assert filled.segments is not None
    for positions, valid, segments in zip(filled.positions, filled.valid, filled.segments, strict=True):
        assert (segments[~valid] == segments[valid].max() + 1).all()
        for segment in np.unique(segments[valid]):
            piece = positions[segments == segment]
            assert (np.diff(piece) == 1).all()
            assert len({int(np.searchsorted(offsets, position, "right")) for position in piece}) == 1
        assert (np.diff(segments) >= 0).all()


@given(sizes=SIZES, context=CONTEXT)
def test_a_document_is_cut_only_when_no_row_holds_it(sizes, context):
    starts, lengths = cut_documents(offsets_of(sizes), context)
    assert len(starts) == sum(-(-size // context) for size in sizes)
    assert lengths.max() <= context
    assert lengths.sum() == sum(sizes)


@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=60))
def test_best_fit_overfills_no_row_and_wastes_no_row(lengths):
    lengths = np.array(lengths)
    row_of = best_fit(lengths, 20)
    loads = np.bincount(row_of, weights=lengths)
    assert loads.max() <= 20
    assert loads.min() > 0
    assert len(loads) <= max(1, np.ceil(11 / 9 * lengths.sum() / 20 + 6 / 9) * 2)
    half_empty = np.sort(loads)[: (loads <= 10).sum()]
    assert len(half_empty) <= 1


def test_best_fit_takes_the_fullest_row_that_has_room():
    assert best_fit(np.array([6, 7, 4, 3]), 10).tolist() == [1, 0, 1, 0]


def test_rows_in_any_order_hold_the_same(rng_seed=5):
    offsets = offsets_of([5, 30, 2, 9, 14])
    for packing in (Concatenated(offsets, 8), Isolated(offsets, 8), Fixed(offsets, 8)):
        order = np.random.default_rng(rng_seed).permutation(packing.num_rows)
        straight, mixed = packing.fill(np.arange(packing.num_rows), 4), packing.fill(order, 4)
        assert (straight.positions[order] == mixed.positions).all()
        assert (straight.valid[order] == mixed.valid).all()


@pytest.mark.parametrize("kind", [Concatenated, Isolated, Fixed])
def test_no_rows_asked_none_given(kind):
    filled = kind(offsets_of([5, 3]), 4).fill(np.arange(0), 0)
    assert filled.positions.shape == (0, 4)


@given(sizes=SIZES, context=CONTEXT, too_long=st.sampled_from(["split", "truncate", "drop"]))
def test_a_fixed_row_is_one_document_or_a_piece_and_what_is_lost_is_counted(sizes, context, too_long):
    offsets = offsets_of(sizes)
    if too_long == "drop" and min(sizes) > context:
        with pytest.raises(DataError, match="every document has more than"):
            Fixed(offsets, context, too_long)
        return
    packing = Fixed(offsets, context, too_long)
    filled = packing.fill(np.arange(packing.num_rows), 5)
    assert filled.segments is None
    expected = {
        "split": list(range(offsets[-1])),
        "truncate": [start + i for start, size in zip(offsets, sizes, strict=False) for i in range(min(size, context))],
        "drop": [start + i for start, size in zip(offsets, sizes, strict=False) if size <= context for i in range(size)],
    }
    assert filled.positions[filled.valid].tolist() == expected[too_long]
    for positions, valid in zip(filled.positions, filled.valid, strict=True):
        assert len({int(np.searchsorted(offsets, position, "right")) for position in positions[valid]}) == 1
        assert not np.diff(valid.astype(int)).max(initial=0)
    longer = sum(size > context for size in sizes)
    assert (packing.documents_cut, packing.documents_dropped) == ((0, longer) if too_long == "drop" else (longer, 0))


def test_too_long_documents_are_an_error_where_that_is_asked_for():
    with pytest.raises(DataError, match=r"2 of 3 documents have more than train.context_length \(=4\) tokens, the longest 9"):
        Fixed(offsets_of([3, 9, 5]), 4, "error")
    assert Fixed(offsets_of([3, 4]), 4, "error").num_rows == 2
