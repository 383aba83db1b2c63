import pytest

from hanmo.data.card import card, grouped
from hanmo.data.diversity import Diversity
from hanmo.data.phrases import Phrases
from hanmo.data.receipts import Counts
from hanmo.data.statistics import Findings, Group, Statistics


def manifest(**changes) -> dict:
    sizes = {"documents": 2, "characters": 1234567, "words": 30, "bytes": 50}
    return {
        "sources": [{"name": "letters <b>", "license": "CC0-1.0", "citation": "", "language": "zh"}],
        "inputs": {"files": 3, "bytes": 99, "sha256": "ab12"},
        "settings": {"repair": True, "read": {"split_on": "none"}, "filters": {"min_words": 7, "max_words": "none", "languages": ["zh"]}},
        "versions": {"hanmo": "0.1.0"},
        "documents": dict.fromkeys(("train", "validation", "test"), sizes),
        "receipts": {"total": 9, "kept": 6, "refused": {"min_words": 3}},
        "thresholds": {"other": {"min_words": 7, "max_line_break_ratio": 0.3}, "chinese": {"min_words": 7, "max_line_break_ratio": 0.178}},
        "moved_to_fill_a_split": [],
        **changes,
    }


def findings(**changes) -> Findings:
    counts = Counts(total=9, kept=6)
    counts.rules.update({"min_words": 3, "contaminated": 1})
    counts.examples["min_words"] = [{"source": "a#1", "value": 2.0, "threshold": 3.0, "detail": None}]
    counts.examples["contaminated"] = [{"source": "leak#7", "value": 1.0, "threshold": 0.0, "detail": "exam"}]
    counts.lengths.update({3: 4, 5: 2})
    found = Statistics(languages={"zh-Hans": Group(5, 4, 900), "": Group(1, 0, 0)}, origins={"letters": Group(9, 6, 900)}, **changes)
    return Findings(counts, found, Diversity(6, 300, None, 2.5, {1: 0.25, 2: 0.75}))


FULL = {"largest": [("letters/a.txt", 3)], "personal": {"email": (4, 2)}}


def full() -> Findings:
    found = findings(**FULL)
    found.statistics.copies.update({"id-1": 3, "id-2": 1})
    return found


@pytest.mark.parametrize(("language", "wanted"), [("en", "not stated"), ("zh", "未注明")])
def test_the_card_says_whence_how_much_and_what_is_unknown(language, wanted: str) -> None:
    text = card(manifest(), full(), language)
    for part in (wanted, "CC0-1.0", "1,234,567", "| min_words | 3 |", "zh-Hans", "letters/a.txt", "| email | 4 | 2 |", "0.178"):
        assert part in text


def test_settings_left_to_a_preset_are_not_listed_and_others_are() -> None:
    text = card(manifest(), findings(), "en")
    assert "| filters.min_words | 7 |" in text and "| filters.languages | zh |" in text and "| read.split_on | none |" in text
    assert "filters.max_words" not in text


def test_sections_without_facts_are_left_out() -> None:
    text = card(manifest(receipts={"total": 6, "kept": 6, "refused": {}}, moved_to_fill_a_split=["x"]), findings(), "en")
    assert "## Duplicates" not in text and "## Personal data" not in text
    assert "1 documents were moved" in text and "Nothing was refused." in text


def test_many_groups_end_with_the_rest() -> None:
    rows = grouped({f"site-{i:02d}": Group(2, 1, 100 - i) for i in range(25)}, Phrases("en"))
    assert len(rows) == 21 and rows[0] == ["site-00", 2, 1, 100] and rows[-1] == ["5 others", 10, 5, sum(100 - i for i in range(20, 25))]
