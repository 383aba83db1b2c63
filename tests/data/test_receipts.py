from pathlib import Path

import pytest

import hanmo.data.receipts as receipts_module
from hanmo.data.budget import MemoryShare, budget
from hanmo.data.cleaning.filters import FilterConfig
from hanmo.data.decisions import decide
from hanmo.data.duplicates.exact import DuplicateConfig
from hanmo.data.mixing.split import SplitConfig
from hanmo.data.reading.formats import Format
from hanmo.data.reading.inputs import InputFile, Refused, Unit
from hanmo.data.reading.read import ReadConfig
from hanmo.data.receipts import RECEIPT_COLUMNS, count, write_receipts
from hanmo.data.shards import ShardJob, do_shard
from hanmo.data.tables import read_rows, row_groups

ROOM = budget("1GB", 1)
TEXTS = ["春天来了，燕子也回来了。", "好的", "春天来了，燕子也回来了。 ", "The swallows came back in spring.", "秋天的山路上铺满了黄叶。"]


@pytest.fixture
def receipts(tmp_path: Path) -> list[dict[str, object]]:
    for number, text in enumerate(TEXTS):
        path = tmp_path / f"{number}.txt"
        path.write_text(text)
        unit = Unit(file=InputFile(path=path, label=path.name))
        broken = Unit(file=unit.file, refused=Refused(source="x.png", rule="binary", detail="no text"))
        work = ShardJob(
            number=number,
            units=(unit, broken) if number == 1 else (unit,),
            folder=tmp_path,
            read=ReadConfig(),
            repair=True,
            filters=FilterConfig(),
            num_parts=1,
        )
        do_shard(work)
    decisions = decide(tmp_path, len(TEXTS), DuplicateConfig(), SplitConfig(), budget=ROOM)
    write_receipts(tmp_path / "receipts.parquet", tmp_path, decisions)
    return list(read_rows(tmp_path / "receipts.parquet"))


def test_every_input_has_one_row_with_its_rule_value_and_threshold(receipts: list[dict[str, object]]) -> None:
    assert [(row["source"], row["kept"], row["rule"]) for row in receipts] == [
        ("0.txt", True, None),
        ("1.txt", False, "min_words"),
        ("x.png", False, "binary"),
        ("2.txt", False, "exact_duplicate"),
        ("3.txt", True, None),
        ("4.txt", True, None),
    ]
    assert (receipts[1]["value"], receipts[1]["threshold"]) == (2.0, 3.0)
    assert receipts[2]["detail"] == "no text" and receipts[2]["characters"] is None
    assert receipts[3]["duplicate_of"] == receipts[0]["id"] and receipts[3]["split"] is None
    assert {row["split"] for row in receipts if row["kept"]} == {"train", "validation", "test"}
    assert list(receipts[0]) == list(RECEIPT_COLUMNS) and all(row["tokens"] is None for row in receipts)


def test_the_counts_add_up(receipts: list[dict[str, object]], tmp_path: Path) -> None:
    counts = count(tmp_path / "receipts.parquet")
    assert (counts.total, counts.kept, dict(counts.rules)) == (6, 3, {"min_words": 1, "binary": 1, "exact_duplicate": 1})
    assert sum(sums["documents"] for sums in counts.splits.values()) == 3
    assert sum(sums["bytes"] for sums in counts.splits.values()) == sum(int(str(row["bytes"])) for row in receipts if row["kept"])
    assert sum(counts.lengths.values()) == 3 and counts.examples["binary"][0]["source"] == "x.png"


def test_duplicates_can_be_kept_and_then_share_a_split(receipts: list[dict[str, object]], tmp_path: Path) -> None:
    decisions = decide(tmp_path, len(TEXTS), DuplicateConfig(exact=False), SplitConfig(validation=0, test=0.4), budget=ROOM)
    write_receipts(tmp_path / "all.parquet", tmp_path, decisions)
    rows = {str(row["source"]): row for row in read_rows(tmp_path / "all.parquet")}
    assert rows["2.txt"]["kept"] and rows["0.txt"]["split"] == rows["2.txt"]["split"]


LONG = (
    "春天来了，燕子也从南方回来了，屋檐下又有了做窝的声音，孩子们放学以后总要在门前站上一会儿，"
    "看它们衔着泥飞进飞出，一直看到天黑才肯回家吃饭。"
)


def test_what_repeats_a_near_duplicate_exactly_shares_its_fate(tmp_path: Path) -> None:
    """Equal texts: the first is the original; but a longer version of both is kept."""
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "{text}"}}\n' for text in (LONG, LONG + "明天也是。", LONG)), "utf-8")
    unit = Unit(file=InputFile(path=path, label="a"), format=Format(kind="jsonl"))
    do_shard(ShardJob(number=0, units=(unit,), folder=tmp_path, read=ReadConfig(), repair=True, filters=FilterConfig(), num_parts=1))
    write_receipts(tmp_path / "receipts.parquet", tmp_path, decide(tmp_path, 1, DuplicateConfig(), SplitConfig(), budget=ROOM))
    first, longer, second = read_rows(tmp_path / "receipts.parquet")
    assert longer["kept"] and (longer["rule"], longer["value"]) == (None, None)
    for row in (first, second):
        assert (row["kept"], row["rule"], row["duplicate_of"], row["threshold"]) == (False, "near_duplicate", longer["id"], 0.65)
        assert 0.9 < float(str(row["value"])) < 1


def test_row_groups_of_receipts_have_a_fixed_length_however_the_verdicts_lay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts_module, "GROUP_ROWS", 4)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "{LONG} {i}"}}\n' for i in range(11)), "utf-8")
    unit = Unit(file=InputFile(path=path, label="a"), format=Format(kind="jsonl"))
    made = []
    for share in (MemoryShare(), MemoryShare(bytes=100_000)):
        job = ShardJob(
            number=0, units=(unit,), folder=tmp_path, read=ReadConfig(), repair=True, filters=FilterConfig(), num_parts=1, share=share
        )
        do_shard(job)
        made.append(tmp_path / f"{share.bytes}.parquet")
        write_receipts(made[-1], tmp_path, decide(tmp_path, 1, DuplicateConfig(near=False), SplitConfig(), budget=ROOM))
    assert [rows for rows, _ in row_groups(made[0])] == [4, 4, 3]
    assert made[0].read_bytes() == made[1].read_bytes()
