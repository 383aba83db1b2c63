import json
import re
from pathlib import Path

import pytest

from hanmo.data.duplicates.contamination import ContaminationConfig
from hanmo.data.mixing.augment import AugmentConfig
from hanmo.data.prepare import PrepareConfig, prepare
from hanmo.data.reading.read import ReadConfig

LETTER = (
    "The boat came in with the last light, and the men carried the barrels up to the house. Nobody spoke of the storm that had kept them "
    "at sea for nine days, but my aunt had set the table for all of them, and there was bread, and a lamp in every window."
)
LEAK = "The lighthouse keeper wrote one long letter to the harbour master every winter until the ice closed the bay."
OTHER = "My uncle kept bees behind the mill, and in the autumn the whole lane smelled of smoke and honey and wet leaves for weeks."


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("findings")
    rows = [
        {"text": LETTER, "url": "https://www.harbour.example/a"},
        {
            "text": LETTER.replace("boat", "ferry").replace("nine days", "ten days") + " Mail jo@hanmo.cn.",
            "url": "https://harbour.example/b",
        },
        {"text": OTHER, "url": "https://mill.example/c"},
        {"text": f"Found in a drawer: {LEAK.upper()} Nothing else was in it but dust.", "url": "https://harbour.example/d"},
        {"text": "ÕâÊÇÒ»·âÀ´×Ôº£±ßµÄÐÅ£¬½ñÌìÌìÆøºÜºÃ¡£", "url": "no address"},
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    (folder / "exam.jsonl").write_text(json.dumps({"q": LEAK}) + "\n", "utf-8")
    config = PrepareConfig(
        read=ReadConfig(keep_columns=("url",)),
        contamination=ContaminationConfig(against=(str(folder / "exam.jsonl"),)),
        augment=AugmentConfig(copies=2, operations=("swap", "delete")),
        workers=1,
    )
    prepare([folder / "rows.jsonl"], folder / "en", config)
    return folder


def words_of(page: str) -> str:
    return re.sub(r"<[^>]*>", "", page)


def test_the_report_shows_near_duplicates_and_leaks_with_both_texts(made: Path) -> None:
    page = (made / "en" / "report.html").read_text("utf-8")
    shown = words_of(page)
    assert "rows.jsonl#1" in shown and "rows.jsonl#2" in shown
    assert "<mark>boat</mark>" in page and "<mark>ferry</mark>" in page and "jo@hanmo" not in page and "[EMAIL]" in page
    assert "exam.jsonl#1:q" in shown and LEAK in shown and LEAK.upper() in shown
    assert f"<mark>{LEAK[:-1]}</mark>" in page


def test_the_report_counts_domains_operations_and_mojibake(made: Path) -> None:
    card = (made / "en" / "card.md").read_text("utf-8")
    assert "| harbour.example | 1 |" in card and "| mill.example | 1 |" in card and "| unknown | 1 |" in card
    assert "| swap |" in card and "| delete |" in card and "| jsonl | 5 | 3 |" in card and "| utf-8 | 5 | 3 |" in card
    assert "Mojibake was undone in 1 texts, of which 1 were kept." in card and "by swap, delete." in card


def test_what_is_quoted_depends_on_neither_workers_nor_shards(made: Path) -> None:
    config = PrepareConfig(contamination=ContaminationConfig(against=(str(made / "exam.jsonl"),)))
    for name, workers, size in (("one", 1, 2**23), ("two", 2, 300)):
        prepare([made / "rows.jsonl"], made / name, PrepareConfig(contamination=config.contamination, workers=workers, shard_bytes=size))
    one, two = ((made / name / "report.html").read_text("utf-8") for name in ("one", "two"))
    assert one.replace("8388608", "300") == two
