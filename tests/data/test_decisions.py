import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError
from hanmo.data.budget import DOCUMENT_BYTES, Budget, MemoryShare
from hanmo.data.decisions import decide, together
from hanmo.data.duplicates.exact import DuplicateConfig
from hanmo.data.duplicates.signatures import SIGNATURE_VALUES
from hanmo.data.mixing.mix import MixConfig
from hanmo.data.mixing.split import SplitConfig
from hanmo.data.shards import VERDICT_COLUMNS, documents_file, signatures_file, verdicts_file
from hanmo.data.tables import ArrowTable, BlockWriter, ColumnKind, TableWriter


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


def write_verdicts(folder: Path, count: int) -> None:
    """One shard of so many kept documents, each a group of its own or one of many, with signatures of which some are near."""
    dice = np.random.default_rng(5)
    with TableWriter(verdicts_file(folder, 0), VERDICT_COLUMNS) as writer:
        for start in range(0, count, 1000):
            rows = [
                {
                    "id": f"{i:024x}",
                    "digest": i.to_bytes(16, "big"),
                    "unit": (i // 3).to_bytes(16, "big"),
                    "characters": 100 + i % 7,
                    "bytes": 200,
                }
                for i in range(start, start + 1000)
            ]
            writer.write(ArrowTable.of([{**row, "mix_group": f"g{row['bytes']}"} for row in rows], VERDICT_COLUMNS))
    values = dice.integers(1, 2**32, (count, SIGNATURE_VALUES), dtype=np.uint32)
    values[1::100, :70] = values[::100, :70]
    signatures_file(folder, 0).write_bytes(values.tobytes())
    columns: dict[str, ColumnKind] = {"row": "row", "text": "text"}
    with BlockWriter(documents_file(folder, 0), columns) as writer:
        for start in range(0, count, 1000):
            writer.write(
                ArrowTable.of([{"row": i, "text": f"a text of its own {i} {'x' * 60}"} for i in range(start, start + 1000)], columns)
            )


def test_a_document_costs_no_more_than_is_said(tmp_path: Path) -> None:
    count, mixing = 60_000, MixConfig(by="source", total_documents=50_000)
    write_verdicts(tmp_path, count)
    small = tmp_path / "small"  # whoever is first reads modules, for which no document pays
    small.mkdir()
    write_verdicts(small, 1000)
    some = MixConfig(by="source", total_documents=500)
    decide(small, 1, DuplicateConfig(keep="all"), SplitConfig(folds=2), some, budget=Budget(1, MemoryShare(), 10**6, "some"))
    narrow = Budget(workers=1, share=MemoryShare(bytes=4_000_000), table_bytes=count * DOCUMENT_BYTES, memory="some")
    tracemalloc.start()
    made = decide(tmp_path, 1, DuplicateConfig(keep="all"), SplitConfig(folds=2), mixing, budget=narrow)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (made.splits >= 0).sum() == 50_000
    assert peak < count * DOCUMENT_BYTES + 3 * narrow.share.bytes
    with pytest.raises(ConfigError, match=r"memory \(=some\) is too small for 60,000 documents"):
        decide(tmp_path, 1, DuplicateConfig(), SplitConfig(), mixing, budget=Budget(1, MemoryShare(), count * DOCUMENT_BYTES - 1, "some"))
