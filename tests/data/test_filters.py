import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError
from hanmo.data.filters import (
    RULES,
    FilterConfig,
    control_share,
    judge,
    letter_share,
    measure,
    repeated_line_share,
    replacement_share,
    words,
)

ENGLISH = "The river was quiet that morning, and nobody spoke of the night before."
CHINESE = "那天早晨河面很安静，谁也没有提起昨夜的事情。"


@pytest.mark.parametrize(
    ("text", "number"), [(ENGLISH, 13), (CHINESE, 12), ("我爱 Python 3", 4), ("", 0), ("…！？", 0), ("it's well-known", 2)]
)
def test_words_are_counted_in_both_languages(text: str, number: int) -> None:
    assert words(text) == number


@given(st.text(st.sampled_from("我们爱北京天安门 abc，。\n")))
def test_chinese_words_do_not_depend_on_spaces_around_them(text: str) -> None:
    assert words(text) == words(f" {text}\n")


@given(st.text())
def test_shares_lie_between_zero_and_one(text: str) -> None:
    for share in (letter_share, repeated_line_share, replacement_share, control_share):
        assert 0 <= share(text) <= 1


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        (ENGLISH, "", None),
        (CHINESE, "", None),
        ("", "empty", 0),
        ("两字", "min_words", 2),
        ("Buy now\n" * 20, "max_repeated_line_share", 0.95),
        ("立刻购买吧\n" * 20, "max_repeated_line_share", 0.95),
        ("1 2 3 4 5 6 7 8 9 | | | |", "min_letter_share", 0.0),
        (CHINESE + "\ufffd" * 5, "max_replacement_share", 5 / 27),
        (ENGLISH + "\x01" * 5, "max_control_share", 5 / 76),
    ],
)
def test_each_rule_refuses_what_it_is_for(text: str, rule: str, value: float | None) -> None:
    verdict = judge(measure(text, text.strip("\n")), FilterConfig())
    assert verdict.rule == rule
    assert verdict.value == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_threshold_at_the_measured_value_keeps_the_document(rule) -> None:
    text = f"{ENGLISH}\n{ENGLISH}\n\ufffd\x01"
    values = measure(text, text)
    mild = {r.name: (0 if r.name.startswith("min_") else 10_000 if r.name == "max_characters" else 1.0) for r in RULES}
    value = values[rule.measure]
    same = int(value) if rule.measure in ("characters", "words") else value
    assert judge(values, FilterConfig(**{**mild, rule.name: same})).rule == ""
    stricter = same + 1 if rule.name.startswith("min_") else same - 1
    if "share" in rule.name:
        stricter = min(1.0, same + 0.001) if rule.name.startswith("min_") else same / 2
    verdict = judge(values, FilterConfig(**{**mild, rule.name: stricter}))
    assert (verdict.rule, verdict.value, verdict.threshold) == (rule.name, value, stricter)


def test_with_none_only_documents_without_text_are_refused() -> None:
    config = FilterConfig(none=True, min_words=1000)
    assert judge(measure("a", "a"), config).rule == ""
    assert judge(measure(" ", ""), config).rule == "empty"


@pytest.mark.parametrize("wrong", [{"min_words": -1}, {"min_letter_share": 1.5}, {"max_control_share": -0.1}])
def test_thresholds_out_of_range_name_their_key(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=rf"filters\.{next(iter(wrong))} \(="):
        FilterConfig(**wrong)
