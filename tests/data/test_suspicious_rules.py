from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from hanmo.data.prepare import PrepareConfig, prepare
from hanmo.data.reading.contents import Content, ReadConfig
from hanmo.data.reading.inputs import Text
from hanmo.data.reading.read import READERS
from hanmo.data.receipts import ReceiptCounts
from hanmo.data.suspicious_rules import SuspiciousRule, loud, reasons, suspicious_rules


def counted(kept: int, **rules: int) -> ReceiptCounts:
    return ReceiptCounts(total=kept + sum(rules.values()), kept=kept, rules=Counter(rules))


def test_a_rule_that_takes_most_of_what_it_sees_is_told() -> None:
    assert suspicious_rules(counted(4, near_duplicate=34)) == [SuspiciousRule("near_duplicate", 34, 38)]
    assert suspicious_rules(counted(4, near_duplicate=34, min_words=100)) == [
        SuspiciousRule("min_words", 100, 138),
        SuspiciousRule("near_duplicate", 34, 38),
    ]
    assert loud(SuspiciousRule("near_duplicate", 34, 38)).startswith("WARNING: near_duplicate left out 34 of 38 documents (89%)")


def test_half_or_a_few_or_what_was_asked_for_alarm_nobody() -> None:
    assert (
        suspicious_rules(counted(34, near_duplicate=34))
        == suspicious_rules(counted(1, min_words=3))
        == suspicious_rules(counted(1, mixed_out=100))
        == []
    )
    assert suspicious_rules(counted(0)) == []


@pytest.mark.parametrize(
    ("language", "says"), [("en", "near_duplicate left out 7 of 8 documents"), ("zh", "规则 near_duplicate 略去了 8 篇文档中的 7 篇")]
)
def test_it_stands_on_standard_error_in_the_manifest_and_in_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], language: Literal["en", "zh"], says: str
) -> None:
    (tmp_path / "in").mkdir()
    for i in range(8):
        text = f"The ferry leaves at {i} when the fog has lifted, and whoever comes late waits at the inn until the evening bell."
        (tmp_path / "in" / f"{i}.txt").write_text(text, "utf-8")
    manifest = prepare([tmp_path / "in"], tmp_path / "data", PrepareConfig(workers=1, card_language=language))
    assert manifest["warnings"] == [{"rule": "near_duplicate", "left_out": 7, "seen": 8}]
    assert "WARNING: near_duplicate left out 7 of 8 documents (88%)" in capsys.readouterr().err
    assert says in (tmp_path / "data" / "report.html").read_text("utf-8")


def test_one_fault_of_ours_is_always_told() -> None:
    (alarm,) = suspicious_rules(counted(500, reader_fault=1))
    assert loud(alarm).startswith("WARNING: reader_fault: a fault in hanmo's own code cost 1 of 501 inputs")


def test_the_first_reasons_are_told_where_more_is_refused_than_kept() -> None:
    counts = counted(2, min_words=3, no_column=1, mixed_out=9)
    counts.examples = {
        "min_words": [{"source": f"a.txt#{row}", "rule": "min_words", "value": 1.0, "threshold": 3.0} for row in (1, 2, 3)],
        "no_column": [{"source": "b.csv", "rule": "no_column", "detail": "columns found: x"}],
    }
    assert reasons(counts) == [
        "  a.txt#1: min_words (1 against 3)",
        "  b.csv: no_column (columns found: x)",
        "  a.txt#2: min_words (1 against 3)",
        "  a.txt#3: min_words (1 against 3)",
    ]
    counts.kept, counts.total = 4, 17
    assert reasons(counts) == []


def test_a_fault_of_a_reader_is_counted_loudly_and_costs_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def odd(content: Content, config: ReadConfig) -> Iterator[Text]:
        yield content.text("The harbour lay quiet under the first snow of the year.", label=f"{content.label}#1")
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setitem(READERS, "csv", odd)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("text\nx\n")
    (tmp_path / "in" / "b.txt").write_text("Children sang below the willows while the old men mended their nets.")
    manifest = prepare([tmp_path / "in"], tmp_path / "out", PrepareConfig(workers=1))
    assert manifest["receipts"] == {"total": 3, "kept": 2, "refused": {"reader_fault": 1}}
    assert manifest["warnings"] == [{"rule": "reader_fault", "left_out": 1, "seen": 3}]
    assert "WARNING: reader_fault: a fault in hanmo's own code cost 1 of 3 inputs" in capsys.readouterr().err
    assert "a fault in hanmo" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_a_text_that_surprises_what_measures_it_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(text: str, config: object) -> tuple[str, int]:
        if "odd" in text:
            raise ZeroDivisionError("nobody thought of this")
        return text, 0

    monkeypatch.setattr("hanmo.data.shards.clean", odd)
    rows = ["The harbour lay quiet under the first snow.", "Something odd happened here.", "Children sang below the willows all day."]
    (tmp_path / "a.txt").write_text("\n".join(rows))
    manifest = prepare([tmp_path / "a.txt"], tmp_path / "out", PrepareConfig(workers=1, read=ReadConfig(split_on="line")))
    assert manifest["receipts"] == {"total": 3, "kept": 2, "refused": {"reader_fault": 1}}
