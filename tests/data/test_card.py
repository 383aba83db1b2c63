from collections import Counter

import pytest

from hanmo.base.config import to_table
from hanmo.data.card import card, grouped
from hanmo.data.card import domains as listed
from hanmo.data.cleaning.filters import FilterConfig
from hanmo.data.diversity import Diversity
from hanmo.data.excerpts import Excerpt
from hanmo.data.findings import Example, Findings
from hanmo.data.mixing.mix import MixConfig
from hanmo.data.phrases import data_phrases
from hanmo.data.prepare import PrepareConfig
from hanmo.data.receipts import ReceiptCounts
from hanmo.data.statistics import Cluster, Group, Statistics


def manifest(**changes) -> dict:
    sizes = {"documents": 2, "characters": 1234567, "words": 30, "bytes": 50}
    return {
        "sources": [{"name": "letters <b>", "license": "CC0-1.0", "citation": "", "language": "zh"}],
        "inputs": {"files": 3, "bytes": 99, "sha256": "ab12"},
        "settings": to_table(
            PrepareConfig(filters=FilterConfig(min_words=7, languages=("zh",)), mix=MixConfig(by="source", temperature=2))
        ),
        "against": [],
        "versions": {"hanmo": "0.1.0"},
        "documents": dict.fromkeys(("train", "validation", "test"), sizes),
        "receipts": {"total": 9, "kept": 6, "refused": {"min_words": 3}},
        "thresholds": {"other": {"min_words": 7, "max_line_break_ratio": 0.3}, "chinese": {"min_words": 7, "max_line_break_ratio": 0.178}},
        "moved_to_fill_a_split": [],
        **changes,
    }


def findings(**changes) -> Findings:
    counts = ReceiptCounts(total=9, kept=6)
    counts.rules.update({"min_words": 3, "contaminated": 1})
    counts.examples["min_words"] = [{"source": "a#1", "value": 2.0, "threshold": 3.0, "detail": None}]
    counts.examples["contaminated"] = [{"source": "leak#7", "value": 1.0, "threshold": 0.0, "detail": "exam"}]
    counts.lengths.update({3: 4, 5: 2})
    found = Statistics(languages={"zh-Hans": Group(5, 4, 900), "": Group(1, 0, 0)}, origins={"letters": Group(9, 6, 900)}, **changes)
    return Findings(counts, found, Diversity(6, 300, None, 2.5, {1: 0.25, 2: 0.75}))


def full() -> Findings:
    near = Example(0.7, Excerpt("letters/b.txt", "one boat", ((4, 8),)), Excerpt("letters/a.txt", "one ferry", ((4, 9),)))
    leak = Example(1.0, Excerpt("exam#3", "an item"), Excerpt("leak#7", "held an item"))
    bare = findings(
        largest=[Cluster("letters/a.txt", 1, 2)],
        personal={"email": (4, 2)},
        copies=Counter({"id-1": 3, "id-2": 1}),
        near=Counter({"id-1": 2}),
        leaked=Counter({"exam#3": 2}),
        formats={"text": Group(9, 6, 900)},
        encodings={"gb18030": Group(3, 2, 300), "utf-8": Group(6, 4, 600)},
        mojibake=Group(2, 1, 70),
    )
    counted = {"domains": Counter({"a.example": 4}), "operations": Counter({"swap": 3})}
    return Findings(bare.counts, bare.statistics, bare.diversity, near=(near,), leaks=(leak,), **counted)


def mixture(*taken: int) -> list[dict]:
    return [
        {"group": name, "documents": 10, "bytes": 100, "wanted": 0.5, "taken_documents": number, "taken_bytes": number * 10}
        for name, number in zip(("letters", "papers"), taken, strict=True)
    ]


@pytest.mark.parametrize(("language", "wanted"), [("en", "not stated"), ("zh", "未注明")])
def test_the_card_says_whence_how_much_and_what_is_unknown(language, wanted: str) -> None:
    text = card(manifest(), full(), language)
    for part in (wanted, "CC0-1.0", "1,234,567", "| min_words | 3 |", "zh-Hans", "| email | 4 | 2 |", "0.178"):
        assert part in text
    for part in ("| text | 9 | 6 | 900 |", "| gb18030 | 3 | 2 | 300 |", "| a.example | 4 |", "| swap | 3 |", "| exam#3 | 2 |"):
        assert part in text


@pytest.mark.parametrize(("taken", "missed"), [((10, 4), True), ((7, 7), False), ((7, 8), False)])
def test_the_card_tells_shares_asked_and_reached_and_which_were_missed(taken: tuple[int, int], missed: bool) -> None:
    text = card(manifest(mixture=mixture(*taken)), full(), "en")
    assert f"| letters | 10 | – | 50.0% | {taken[0]} | {taken[0] / sum(taken):.1%} |" in text
    assert ("Not reached as asked: letters, papers" in text) == missed


def test_settings_left_to_a_preset_are_not_listed_and_others_are() -> None:
    text = card(manifest(), findings(), "en")
    assert "| filters.min_words | 7 |" in text and "| filters.languages | zh |" in text and "| read.split_on | auto |" in text
    assert "| mix.weights | – |" in text and "| mix.temperature | 2 |" in text
    assert "filters.max_words" not in text


def test_a_name_over_two_lines_breaks_no_table() -> None:
    text = card(manifest(mixture=[{**each, "group": "a\nb|c"} for each in mixture(1, 1)]), full(), "en")
    assert "| a b\\|c | 10 |" in text


def test_sections_without_facts_are_left_out() -> None:
    text = card(manifest(receipts={"total": 6, "kept": 6, "refused": {}}, moved_to_fill_a_split=["x"]), findings(), "en")
    assert "## Duplicates" not in text and "## Personal data" not in text
    assert "1 documents were moved" in text and "Nothing was refused." in text


def test_only_the_largest_domains_are_listed_and_the_rest_is_summed() -> None:
    found = findings()
    domains = Counter({f"site-{i:02d}": 30 - i for i in range(25)})
    rows = listed(Findings(found.counts, found.statistics, found.diversity, domains=domains), data_phrases("en"))[1]
    assert len(rows) == 21 and rows[0] == ["site-00", 30] and rows[-1] == ["5 others", sum(30 - i for i in range(20, 25))]


def test_many_groups_end_with_the_rest() -> None:
    rows = grouped({f"site-{i:02d}": Group(2, 1, 100 - i) for i in range(25)}, data_phrases("en"))
    assert len(rows) == 21 and rows[0] == ["site-00", 2, 1, 100] and rows[-1] == ["5 others", 10, 5, sum(100 - i for i in range(20, 25))]
