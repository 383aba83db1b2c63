"""Laws of batches: conservation, division, epochs, seeds, determinism."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.batches.conftest import EOT

from hanmo.base.errors import ConfigError
from hanmo.batches.store import TokenStore
from hanmo.batches.stream import BatchConfig, BatchStream, permutation

LENGTHS = [30, 2, 0, 17, 5, 41, 8, 1, 9]
TOKENS = sum(LENGTHS) + len(LENGTHS)
CONFIG = BatchConfig(batch_size=4, context_length=7)
ISOLATED = dataclasses.replace(CONFIG, packing="isolate")
FIXED = dataclasses.replace(CONFIG, packing="fixed")
BOTH = pytest.mark.parametrize("config", [CONFIG, ISOLATED, FIXED], ids=["concatenate", "isolate", "fixed"])
FIELDS = ("ids", "targets", "weights", "segments")


def equal(one, other) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in FIELDS)


@pytest.fixture
def store(make_store) -> TokenStore:
    return make_store(LENGTHS)


@BOTH
def test_batches_have_the_shapes_and_types_of_the_record(store, config):
    batch = BatchStream(store, config).batch(3)
    assert batch.ids.shape == batch.targets.shape == batch.weights.shape == (4, 7)
    assert (batch.ids.dtype, batch.targets.dtype, batch.weights.dtype) == (np.int64, np.int64, np.float32)
    assert (batch.segments is None) == (config.packing != "isolate")
    if batch.segments is not None:
        assert (batch.segments.shape, batch.segments.dtype) == ((4, 7), np.int32)


@BOTH
def test_every_token_is_a_target_once_an_epoch_and_so_is_the_end_of_each_document(store, config):
    stream = BatchStream(store, dataclasses.replace(config, batch_size=1))
    for epoch in range(3):
        rows = [stream.batch(epoch * stream.rows_per_epoch + i) for i in range(stream.rows_per_epoch)]
        targets = np.concatenate([row.targets[row.weights == 1] for row in rows])
        inputs = np.concatenate([row.ids[row.weights == 1] for row in rows])
        assert sorted(targets) == sorted(inputs) == sorted([EOT] * len(LENGTHS) + list(range(1, sum(LENGTHS) + 1)))
        assert all(((row.weights == 0) | (row.weights == 1)).all() and row.weights.sum() > 0 for row in rows)


@BOTH
def test_a_target_is_the_token_that_follows_in_its_document(store, config):
    ends = set(np.cumsum(LENGTHS).tolist())
    stream = BatchStream(store, config)
    for step in range(stream.steps_per_epoch):
        batch = stream.batch(step)
        for id, target in zip(batch.ids[batch.weights == 1], batch.targets[batch.weights == 1], strict=True):
            if id != EOT:
                assert target == (EOT if int(id) in ends else id + 1)


def test_isolated_documents_share_no_segment(store):
    document_of = np.repeat(np.arange(len(LENGTHS)), np.array(LENGTHS))
    batch = BatchStream(store, dataclasses.replace(ISOLATED, batch_size=20)).batch(0)
    assert batch.segments is not None
    for ids, weights, segments in zip(batch.ids, batch.weights, batch.segments, strict=True):
        for segment in np.unique(segments[weights == 1]):
            inside = ids[(segments == segment) & (ids != EOT)]
            assert len(set(document_of[inside - 1])) <= 1
            assert (ids[segments == segment][1:] != EOT).all()


@BOTH
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(step=st.integers(0, 40), division=st.sampled_from([(12, 1), (1, 1), (3, 2), (2, 3), (6, 2), (0, 4), (1, 12)]))
def test_any_division_over_processes_and_micro_batches_gives_the_same_rows(store, config, step, division):
    micro_size, world = division
    whole = BatchStream(store, dataclasses.replace(config, batch_size=12)).batch(step)
    stream = BatchStream(store, dataclasses.replace(config, batch_size=12, micro_batch_size=micro_size))
    parts = [stream.batch(step, micro, rank, world) for rank in range(world) for micro in range(stream.micro_batches(world))]
    for name in FIELDS:
        joined = [getattr(part, name) for part in parts]
        if joined[0] is not None:
            assert np.array_equal(np.concatenate(joined), getattr(whole, name))


@BOTH
def test_a_batch_depends_on_nothing_but_its_number(store, config):
    ahead = BatchStream(store, config)
    batches = [ahead.batch(step) for step in range(40)]
    for step in (39, 0, 17, 5):
        assert equal(ahead.batch(step), batches[step])
        assert equal(BatchStream(TokenStore.open(store.folder), config).batch(step), batches[step])


def test_another_process_gives_the_same_batch(store):
    program = (
        "import sys\nfrom pathlib import Path\nfrom hanmo.batches.store import TokenStore\n"
        "from hanmo.batches.stream import BatchConfig, BatchStream\n"
        "stream = BatchStream(TokenStore.open(Path(sys.argv[1])), BatchConfig(batch_size=4, context_length=7))\n"
        "print(stream.batch(11).ids.tolist(), 'torch' in sys.modules)"
    )
    made = subprocess.run([sys.executable, "-c", program, str(store.folder)], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == f"{BatchStream(store, CONFIG).batch(11).ids.tolist()} False"


@BOTH
def test_seeds_and_epochs_have_orders_of_their_own(store, config):
    def first_epochs(seed: int) -> list[list[int]]:
        stream = BatchStream(store, dataclasses.replace(config, batch_size=1, seed=seed))
        rows = stream.rows_per_epoch
        return [[int(stream.batch(epoch * rows + i).targets[0, 0]) for i in range(rows)] for epoch in range(2)]

    orders = [order for seed in (1, 2) for order in first_epochs(seed)]
    assert all(one != other for i, one in enumerate(orders) for other in orders[:i])


def test_row_borders_move_from_epoch_to_epoch(store):
    stream = BatchStream(store, dataclasses.replace(CONFIG, batch_size=1))
    starts = [{int(stream.batch(e * stream.rows_per_epoch + i).ids[0, 0]) for i in range(stream.rows_per_epoch)} for e in range(4)]
    assert len({frozenset(each) for each in starts}) > 1


def test_unshuffled_and_unrepeated_reads_the_store_once_from_the_beginning(store):
    stream = BatchStream(store, dataclasses.replace(CONFIG, shuffle=False, repeat=False))
    batches = [stream.batch(step) for step in range(stream.steps_per_epoch)]
    read = np.concatenate([batch.ids[batch.weights == 1] for batch in batches])
    assert read.tolist() == store.ids.tolist()
    beyond = stream.batch(stream.steps_per_epoch)
    assert beyond.weights.sum() == 0
    assert (beyond.ids == EOT).all()


@BOTH
def test_a_store_smaller_than_a_batch_is_repeated_within_it(make_store, config):
    stream = BatchStream(make_store([2]), dataclasses.replace(config, batch_size=5))
    batch = stream.batch(0)
    assert batch.ids.shape == (5, 7)
    assert (batch.weights.sum(1) == 3).all()
    assert (batch.targets[batch.weights == 0] == EOT).all()


@BOTH
@pytest.mark.parametrize("steps", [0, 1, 7, 30])
def test_the_receipt_accounts_for_every_token(store, config, steps):
    stream = BatchStream(store, config)
    receipt = stream.receipt(steps)
    assert receipt["tokens"] == receipt["targets_per_epoch"] == TOKENS
    assert receipt["tokens_lost"] == 0
    assert receipt["documents"] == len(LENGTHS)
    assert receipt["documents_cut"] == sum(length + 1 > 7 for length in LENGTHS)
    assert receipt["padding_per_epoch"] == stream.rows_per_epoch * 7 - TOKENS
    assert receipt["rows_used"] == steps * 4
    assert receipt["targets_used"] == sum(int(stream.batch(step).weights.sum()) for step in range(steps))
    assert receipt["epochs"] == pytest.approx(steps * 4 / stream.rows_per_epoch)
    assert "steps" not in stream.receipt()


def test_the_receipt_of_one_reading_stops_at_its_end(store):
    stream = BatchStream(store, dataclasses.replace(CONFIG, repeat=False))
    assert stream.receipt(1000)["targets_used"] == TOKENS
    assert stream.receipt(1000)["epochs"] == 1


@pytest.mark.parametrize("size", [1, 2, 1000])
def test_a_permutation_holds_every_number_once_and_depends_on_the_seed(size):
    orders = [permutation(size, seed).tolist() for seed in (1, 2, 2**63 - 1)]
    assert all(sorted(order) == list(range(size)) for order in orders)
    if size > 2:
        assert len({tuple(order) for order in orders}) == 3


def splitmix64(state: int) -> int:
    """The reference in plain whole numbers (Steele, Lea and Flood 2014)."""
    mask = 2**64 - 1
    z = state * 0x9E3779B97F4A7C15 & mask
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
    return z ^ z >> 31


@pytest.mark.parametrize("seed", [0, 42, 2**63 - 1])
def test_a_permutation_is_the_same_in_every_version_of_numpy(seed):
    assert permutation(50, seed).tolist() == sorted(range(50), key=lambda i: splitmix64(seed + i + 1))


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("batch_size", {"batch_size": 0}),
        ("context_length", {"context_length": 0}),
        ("micro_batch_size", {"batch_size": 4, "micro_batch_size": 3}),
        ("micro_batch_size", {"micro_batch_size": -1}),
    ],
)
def test_impossible_sizes_are_named(key, values):
    with pytest.raises(ConfigError, match=rf"train\.{key}"):
        BatchConfig(**{"batch_size": 4, "context_length": 7, **values})


def test_rows_that_processes_cannot_share_are_named(store):
    with pytest.raises(ConfigError, match=r"number of processes \(=3\)"):
        BatchStream(store, CONFIG).batch(0, 0, 0, 3)


@pytest.mark.parametrize(
    ("too_long", "lost", "cut", "dropped"), [("split", 0, 5, 0), ("truncate", TOKENS - 47, 5, 0), ("drop", TOKENS - 12, 0, 5)]
)
def test_the_receipt_of_fixed_rows_says_what_was_lost(store, too_long, lost, cut, dropped):
    stream = BatchStream(store, dataclasses.replace(FIXED, too_long=too_long))
    receipt = stream.receipt(steps=1)
    assert (receipt["tokens_lost"], receipt["documents_cut"], receipt["documents_dropped"]) == (lost, cut, dropped)
    assert receipt["targets_per_epoch"] == TOKENS - lost
