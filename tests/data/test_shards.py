from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from tests.data.conftest import rows_file, shard_job

from hanmo.data.reading.inputs import Refused, Text
from hanmo.data.shards import judged, part_of


@given(st.text("0123456789abcdef", min_size=24, max_size=24), st.integers(1, 300))
def test_parts_cut_the_ids_in_order(identifier: str, num_parts: int) -> None:
    part = part_of(identifier, num_parts)
    assert 0 <= part < num_parts
    assert part <= part_of("f" * 24, num_parts) == num_parts - 1


def test_a_verdict_carries_every_measured_value_and_the_document_its_origin(tmp_path: Path) -> None:
    work = shard_job(tmp_path, rows_file(tmp_path / "a.jsonl", 1))
    row, document = judged(Text(source="a#1", text="河水　清清，鱼儿游来游去。\r\n", metadata={"year": "2020"}), work.units[0].file, work)
    assert document is not None
    assert (document["text"], document["license"], document["language"], document["metadata"]) == (
        "河水　清清，鱼儿游来游去。",
        "MIT",
        "zh",
        {"year": "2020"},
    )
    assert row["rule"] is None and row["characters"] == 13 and row["bytes"] == 39 and row["id"] == document["id"]
    row, document = judged(Refused(source="b", rule="binary", detail="why"), work.units[0].file, work)
    assert document is None and row["rule"] == "binary" and row["id"]
