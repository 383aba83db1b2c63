import pytest

from hanmo.data.card import WORDS, card, report
from hanmo.data.receipts import Counts


def manifest(**changes) -> dict:
    sizes = {"documents": 2, "characters": 1234567, "words": 30, "bytes": 50}
    return {
        "sources": [{"name": "letters <b>", "license": "CC0-1.0", "citation": "", "language": "zh"}],
        "inputs": {"files": 3, "bytes": 99, "sha256": "ab12"},
        "settings": {"repair": True, "filters": {"min_words": 3}},
        "versions": {"hanmo": "0.1.0"},
        "documents": dict.fromkeys(("train", "validation", "test"), sizes),
        "receipts": {"total": 9, "kept": 6, "refused": {"min_words": 3}},
        "moved_to_fill_a_split": [],
        **changes,
    }


def counts() -> Counts:
    made = Counts(total=9, kept=6)
    made.rules["min_words"] = 3
    made.examples["min_words"] = [{"source": "a#1", "value": 2.0, "threshold": 3.0, "detail": None}]
    made.lengths.update({3: 4, 5: 2})
    return made


@pytest.mark.parametrize(("language", "wanted"), [("en", "not stated"), ("zh", "未注明")])
def test_the_card_says_whence_how_much_and_what_is_unknown(language: str, wanted: str) -> None:
    text = card(manifest(), language)
    assert wanted in text and "CC0-1.0" in text and "1,234,567" in text and "| min_words | 3 |" in text and "filters.min_words" in text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_report_is_one_page_with_escaped_text_and_examples(language: str) -> None:
    page = report(manifest(), counts(), language)
    assert page.lstrip().lower().startswith("<!doctype html") and "letters &lt;b&gt;" in page and "a#1" in page
    assert "http://" not in page and "https://" not in page


def test_moved_documents_are_told_and_nothing_refused_too() -> None:
    data = manifest(moved_to_fill_a_split=["x"], receipts={"total": 6, "kept": 6, "refused": {}})
    assert "1 documents were moved" in card(data, "en") and "Nothing was refused." in card(data, "en")
    assert "没有文档被拒绝" in report(data, Counts(), "zh")


def test_every_phrase_stands_in_both_languages() -> None:
    assert all(len(pair) == 2 and all(pair) for pair in WORDS.values())
