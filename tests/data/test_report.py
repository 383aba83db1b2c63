import pytest
from tests.data.test_card import findings, full, manifest

from hanmo.data.receipts import Counts
from hanmo.data.report import report
from hanmo.data.statistics import Findings


@pytest.mark.parametrize(
    ("language", "headings"), [("en", ["Duplicates", "Contamination", "Personal data"]), ("zh", ["重复", "污染", "个人信息"])]
)
def test_the_report_is_one_page_with_escaped_text_and_examples(language, headings: list[str]) -> None:
    page = report(manifest(), full(), language)
    assert page.lstrip().lower().startswith("<!doctype html") and "letters &lt;b&gt;" in page and "a#1" in page and "leak#7" in page
    assert "http://" not in page and "https://" not in page and "█" * 40 in page
    assert all(f">{heading}<" in page for heading in headings)


def test_sections_appear_only_where_there_is_something_to_say() -> None:
    bare = findings()
    page = report(manifest(), Findings(Counts(), bare.statistics, bare.diversity), "zh")
    assert "没有文档被拒绝" in page and not any(f">{heading}<" in page for heading in ("重复", "污染", "个人信息"))
