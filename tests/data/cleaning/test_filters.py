import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.base.config import build, to_table
from hanmo.base.errors import ConfigError
from hanmo.data.cleaning.filters import CHINESE, MILD, PAPERS, RULES, FilterConfig, Rule, Verdict, judge, limits, thresholds
from hanmo.data.cleaning.measures import measure

ENGLISH = "The river was quiet that morning, and nobody spoke of the night before."
CHINESE_TEXT = "那天早晨河面很安静，谁也没有提起昨夜的事情。"
LETTER_EN = """My dear sister, the boat arrived with the last light of Tuesday and I have slept for two days since then.
Your garden must be green by now, and I hope that the children water the beans as they promised to me.
There is little news to tell of the harbour, where the same men mend the same nets and talk of the weather.
Write to me soon, because the evenings are long here and a letter is the best company that I can think of."""
LETTER_ZH = """亲爱的姐姐，船在星期二傍晚靠了岸，我到家以后足足睡了两天，现在才有力气给你写信。
你院子里的菜应该已经长高了吧，希望孩子们没有忘记答应过我的事，每天给豆子浇水。
码头上没有什么新鲜事，还是那几个人坐在那里补渔网，一边补一边谈论天气和鱼价。
请早一点回信，因为这里的夜晚很长，而一封家信就是我能想到的最好的陪伴。"""


@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        (ENGLISH, "", None),
        (CHINESE_TEXT, "", None),
        ("", "empty", 0),
        ("两字", "min_words", 2),
        ("Buy now\n" * 20, "max_repeated_line_share", 0.95),
        ("立刻购买吧\n" * 20, "max_repeated_line_share", 0.95),
        ("1 2 3 4 5 6 7 8 9 | | | |", "min_letter_share", 0.0),
        (CHINESE_TEXT + "\ufffd" * 5, "max_replacement_share", 5 / 27),
        (ENGLISH + "\x01" * 5, "max_control_share", 5 / 76),
    ],
)
def test_each_mild_rule_refuses_what_it_is_for(text: str, rule: str, value: float | None) -> None:
    verdict = judge(measure(text, text.strip("\n")), FilterConfig())
    assert verdict.rule == rule
    assert verdict.value == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize("text", [LETTER_EN, LETTER_ZH])
def test_a_letter_passes_all_presets(text: str) -> None:
    for preset in ("mild", "gopher", "c4", "fineweb", "web"):
        assert judge(measure(text, text), FilterConfig(preset=preset)).rule == ""


LISTED_EN = "\n".join(f"- {line}" for line in LETTER_EN.split("\n"))
LISTED_ZH = "\n".join(f"● {line}" for line in LETTER_ZH.split("\n"))
NUMBERS = " ".join(str(number) for number in range(100, 140))
TWICE_EN, TWICE_ZH = f"{LETTER_EN}\n\n{LETTER_EN}", f"{LETTER_ZH}\n\n{LETTER_ZH}"
GOLDEN = [
    ("mild", "max_replacement_share", ENGLISH + "\ufffd" * 5, 5 / 76, CHINESE_TEXT + "\ufffd" * 5, 5 / 27),
    ("mild", "max_control_share", ENGLISH + "\x01" * 5, 5 / 76, CHINESE_TEXT + "\x01" * 5, 5 / 27),
    ("mild", "min_letter_share", "12345678, 90; -- ab", 2 / 16, "12345678，90；——……。！山水", 2 / 20),
    ("gopher", "max_words", "one " * 100_001, 100_001, "山水。" * 100_001, 100_001),
    ("gopher", "max_repeated_paragraph_share", TWICE_EN, 0.5, TWICE_ZH, 0.5),
    ("gopher", "max_repeated_paragraph_count_share", LETTER_EN + "\n\nNews" * 5, 4 / 6, LETTER_ZH + "\n\n新闻" * 5, 4 / 6),
    ("gopher", "min_words", "She kept the letter.", 4, "她一直留着那封信。", 6),
    ("gopher", "min_mean_word_length", "a b c d e f g h i j " * 6, 1, None, None),
    ("gopher", "max_mean_word_length", f"{LETTER_EN} {'x' * 2000}", 2330 / 87, None, None),
    ("gopher", "min_mean_chinese_word_length", None, None, "矗。" * 60, 1),
    ("gopher", "max_mean_chinese_word_length", None, None, "中华人民共和国。" * 60, 7),
    ("gopher", "max_symbol_ratio", LETTER_EN + " #" * 20, 20 / 86, LETTER_ZH + "……，" * 20, 20 / 92),
    ("gopher", "min_alphabetic_word_share", f"{LETTER_EN} {NUMBERS}", 86 / 126, f"{LETTER_ZH} {NUMBERS}", 92 / 132),
    ("gopher", "min_stop_words", "river stone morning light letter winter " * 9, 0, "山水风月人家春秋大小天地河边早晚书信花草" * 9, 0),
    ("gopher", "max_bullet_line_share", LISTED_EN, 1, LISTED_ZH, 1),
    ("gopher", "max_ellipsis_line_share", LETTER_EN.replace(".\n", "...\n"), 0.75, LETTER_ZH.replace("。\n", "……\n"), 0.75),
    ("gopher", "max_repeated_line_share", f"{LETTER_EN}\n{LETTER_EN}", 0.5, f"{LETTER_ZH}\n{LETTER_ZH}", 0.5),
    ("gopher", "max_repeated_line_count_share", LETTER_EN + "\nNews" * 5, 4 / 9, LETTER_ZH + "\n新闻" * 5, 4 / 9),
    ("c4", "min_sentences", LETTER_EN.replace(".", ","), 0, LETTER_ZH.replace("。", "，"), 0),
    ("c4", "max_curly_line_share", LETTER_EN + "\nbody { margin: 0 }", 0.2, LETTER_ZH + "\nif (x) {", 0.2),
    ("c4", "max_placeholder_line_share", LETTER_EN + "\nLorem ipsum dolor.", 0.2, LETTER_ZH + "\n此处占位。", 0.2),
    ("fineweb", "min_terminal_line_share", LETTER_EN.replace(".", ","), 0, LETTER_ZH.replace("。", "，"), 0),
    ("fineweb", "max_short_line_share", LETTER_EN + "\nOne." * 12, 0.75, LETTER_ZH + "\n第一。" * 12, 0.75),
    (
        "fineweb",
        "max_line_break_ratio",
        "\n\n\n".join("one two three. " * 9 for _ in "ab") + "\n" * 40,
        43 / 54,
        LETTER_ZH + "\n" * 40,
        43 / 92,
    ),
    (
        "fineweb",
        "max_repeated_line_share",
        LETTER_EN + "\n" + LETTER_EN.split("\n")[0],
        105 / 525,
        LETTER_ZH + "\n" + LETTER_ZH.split("\n")[0],
        40 / 192,
    ),
]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: f"{row[0]}-{row[1]}")
def test_each_rule_of_a_paper_refuses_what_it_is_for(row: tuple, language: str) -> None:
    preset, rule = row[:2]
    text, value = row[2:4] if language == "en" else row[4:]
    values, passing = measure(text or "", text or ""), measure("", LETTER_EN if language == "en" else LETTER_ZH)
    only = {r.name: r.idle for r in RULES if r.name != rule}
    config = FilterConfig(preset=preset, **only)
    assert judge(passing, config).rule == ""
    if text is None:
        assert passing[rule[4:]] is None  # the rule is for the other language
        return
    verdict = judge(values, config)
    assert verdict.rule == rule and verdict.threshold == thresholds(FilterConfig(preset=preset), language == "zh")[rule]
    if value is not None:
        assert verdict.value == pytest.approx(value)


BY_HAND = [  # rules that no paper has a threshold for: refused and kept, a pair a language
    ("min_characters", 100, "She kept the letter.", LETTER_EN, "她一直留着那封信。", LETTER_ZH),
    ("max_characters", 425, LETTER_EN * 2, LETTER_EN, LETTER_ZH * 3, LETTER_ZH),
    ("min_han_share", 0.5, LETTER_EN, "OK " + LETTER_ZH, LETTER_ZH[:20] + LETTER_EN, LETTER_ZH),
    ("min_language_score", 0.7, "Ok hm 3 x", LETTER_EN, "嗯 ok 好 des 3", LETTER_ZH),
]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("row", BY_HAND, ids=lambda row: row[0])
def test_each_rule_without_a_paper_refuses_what_it_is_for(row: tuple, language: str) -> None:
    rule, threshold = row[:2]
    refused, kept = row[2:4] if language == "en" else row[4:]
    config = FilterConfig(**{each.name: each.idle for each in RULES} | {rule: threshold})
    verdict, value = judge(measure("", refused), config), measure("", refused)[rule[4:]]
    assert verdict == Verdict(rule, value, threshold) and judge(measure("", kept), config).rule == ""


def test_every_rule_has_a_golden_case_in_both_languages() -> None:
    """In GOLDEN a rule for one language has none in the other, where its value is None; test_words_that_come_again covers n-grams."""
    golden = {row[1] for row in GOLDEN} | {row[0] for row in BY_HAND} | {rule.name for rule in RULES if "gram" in rule.name}
    assert golden == {rule.name for rule in RULES}
    one_sided = {row[1] for row in GOLDEN if row[2] is None or row[4] is None}
    assert all("mean" in name for name in one_sided)


@pytest.mark.parametrize("name", [rule.name for rule in RULES if "gram" in rule.name])
@pytest.mark.parametrize("text", [LETTER_EN, LETTER_ZH])
def test_words_that_come_again_in_a_row_are_refused(text: str, name: str) -> None:
    first = text.split("\n")[0]
    only = {r.name: r.idle for r in RULES if r.name != name}
    n = int(name.split("_")[2].removesuffix("gram"))
    again = first * 12 if name.startswith("max_repeated") else (text[:12] if text is LETTER_EN else text[:n]) * 40
    verdict = judge(measure("", text + again), FilterConfig(preset="gopher", **only))
    assert judge(measure("", text), FilterConfig(preset="gopher", **only)).rule == ""
    assert verdict.rule == name and verdict.value is not None and verdict.value > (0.7 if "repeated" in name else 0.2)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_threshold_at_the_measured_value_keeps_the_document(rule: Rule) -> None:
    text = f"{ENGLISH}\n{ENGLISH}\n...\n- {{#}} lorem ipsum 10\n\n{ENGLISH}\ufffd\x01"
    if "chinese" in rule.name or "han" in rule.name:
        text = CHINESE_TEXT
    values = measure(text, text)
    idle = {each.name: each.idle for each in RULES}
    value = values[rule.measure]
    assert isinstance(value, int | float)
    if value == rule.idle:
        return
    assert judge(values, FilterConfig(**{**idle, rule.name: value})).rule == ""
    stricter = value + 1 if rule.is_least else value / 2
    if rule.is_share and rule.is_least:
        stricter = min(1.0, value + 0.0005)
    if stricter != value and value:
        assert judge(values, FilterConfig(**{**idle, rule.name: stricter})) == Verdict(rule.name, value, stricter)


def test_with_none_only_documents_without_text_are_refused() -> None:
    config = FilterConfig(none=True, min_words=1000, languages=("fr",), preset="web")
    assert judge(measure("a", "a"), config).rule == ""
    assert judge(measure(" ", ""), config).rule == "empty"


@pytest.mark.parametrize(
    ("languages", "kept"),
    [((), "en Hans Hant"), (("en",), "en"), (("zh",), "Hans Hant"), (("zh-Hant", "en"), "en Hant"), (("fr",), "")],
)
def test_languages_choose_by_code_and_script(languages: tuple[str, ...], kept: str) -> None:
    texts = {"en": LETTER_EN, "Hans": LETTER_ZH, "Hant": "親愛的姐姐，船在星期二傍晚靠了岸，我到家以後足足睡了兩天。"}
    config = FilterConfig(languages=languages)
    verdicts = {name: judge(measure("", text), config) for name, text in texts.items()}
    assert [name for name, verdict in verdicts.items() if not verdict.rule] == kept.split()
    assert all(verdict.rule == "languages" and " not " in verdict.detail for verdict in verdicts.values() if verdict.rule)


def test_an_unsure_language_is_refused_where_that_is_asked_for() -> None:
    verdict = judge(measure("", "Ok hm 3 x"), FilterConfig(min_language_score=0.9))
    assert verdict.rule == "min_language_score" and verdict.threshold == 0.9


def test_a_threshold_by_hand_goes_before_the_preset() -> None:
    assert judge(measure("", "She kept the letter."), FilterConfig(preset="gopher", min_words=2)).rule != "min_words"
    assert thresholds(FilterConfig(preset="web", min_words=2))["min_words"] == 2


def test_web_is_the_strictest_of_all_papers_and_mild_the_weakest() -> None:
    for chinese in (False, True):
        web = thresholds(FilterConfig(preset="web"), chinese)
        for rule in RULES:
            for preset in ("mild", *PAPERS):
                one = thresholds(FilterConfig(preset=preset), chinese)[rule.name]
                assert rule.strictest([one, web[rule.name]]) == web[rule.name]
    assert {name: value for name, value in thresholds(FilterConfig()).items() if name in MILD} == MILD


def test_every_threshold_of_a_paper_belongs_to_a_rule_and_its_value_is_told_in_the_help() -> None:
    names = {rule.name for rule in RULES}
    assert all(set(paper) <= names for paper in (MILD, *PAPERS.values(), *CHINESE.values()))
    assert set(names) == {field.name for field in dataclasses.fields(FilterConfig)} - {"none", "preset", "languages"}
    assert limits(FilterConfig(none=True), False) == () and len(limits(FilterConfig(), False)) == len(MILD)


@settings(deadline=None)
@given(st.sampled_from(["mild", "gopher", "c4", "fineweb", "web"]), st.one_of(st.none(), st.integers(0, 99)))
def test_settings_come_back_from_a_recipe(preset: str, min_words: int | None) -> None:
    config = FilterConfig(preset=preset, min_words=min_words, languages=("zh-Hans", "en"))
    assert build(FilterConfig, to_table(config)) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_words": -1},
        {"min_letter_share": 1.5},
        {"max_control_share": -0.1},
        {"min_letter_share": float("nan")},
        {"max_symbol_ratio": float("nan")},
        {"preset": "wbe"},
        {"languages": ("English",)},
    ],
)
def test_settings_out_of_range_name_their_key(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=rf"filters\.{next(iter(wrong))} \(="):
        FilterConfig(**wrong)
