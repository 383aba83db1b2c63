import pytest
from tests.data.test_card import findings, full, manifest, mixture

from hanmo.data.findings import Findings
from hanmo.data.receipts import ReceiptCounts
from hanmo.data.report import report


@pytest.mark.parametrize(
    ("language", "headings"), [("en", ["Duplicates", "Contamination", "Personal data"]), ("zh", ["重复", "污染", "个人信息"])]
)
def test_the_report_is_one_page_with_escaped_text_and_examples(language, headings: list[str]) -> None:
    page = report(manifest(), full(), language)
    assert page.lstrip().lower().startswith("<!doctype html") and "letters &lt;b&gt;" in page and "a#1" in page and "leak#7" in page
    assert "http://" not in page and "https://" not in page and '<rect width="100.00%"' in page
    assert all(f">{heading}<" in page for heading in headings)


def test_what_was_left_out_stands_beside_what_was_kept_and_items_beside_documents() -> None:
    page = report(manifest(mixture=mixture(9, 3)), full(), "en")
    assert (
        "one <mark>boat</mark>" in page
        and "one <mark>ferry</mark>" in page
        and "held an item" in page
        and "100% of the words of exam#3" in page
    )
    assert all(f"<h2>{heading}</h2>" in page for heading in ("Mixture", "Augmentation", "Web domains", "Formats and encodings"))


def test_sections_appear_only_where_there_is_something_to_say() -> None:
    bare = findings()
    page = report(manifest(), Findings(ReceiptCounts(), bare.statistics, bare.diversity), "zh")
    assert "没有文档被拒绝" in page and not any(f"<h2>{heading}</h2>" in page for heading in ("重复", "污染", "个人信息"))
