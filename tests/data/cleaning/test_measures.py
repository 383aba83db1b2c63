import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.cleaning.measures import COUNTS, MEASURES, TEXTS, control_share, ends_as_sentence, letter_share, measure, replacement_share


@settings(deadline=None)
@given(st.text())
def test_every_value_is_there_and_shares_lie_between_zero_and_one(text: str) -> None:
    values = measure(text, text)
    assert set(values) == set(MEASURES)
    for name, value in values.items():
        if name in TEXTS:
            assert value is None or isinstance(value, str)
        elif name.endswith(("_share", "_score")):
            assert isinstance(value, float | int) and 0 <= value <= 1, name
        elif name in COUNTS:
            assert value is None or isinstance(value, int)


@settings(deadline=None)
@given(st.text())
def test_shares_of_characters_alone_lie_between_zero_and_one(text: str) -> None:
    for share in (letter_share, replacement_share, control_share):
        assert 0 <= share(text) <= 1


@pytest.mark.parametrize(
    ("name", "english", "value", "chinese", "chinese_value"),
    [
        ("sentences", 'He left. "Why?" she asked... 3.5 times!', 4, "他走了。“为什么？”她问……真的！", 4),
        ("terminal_line_share", "He left.\nContents\n“Go!”", 2 / 3, "他走了。\n目录\n“走！”", 2 / 3),
        ("bullet_line_share", "- one\n* two\nthree", 2 / 3, "● 一\n★ 二\n三", 2 / 3),
        ("ellipsis_line_share", "and then...\nhe left.", 0.5, "后来……\n他走了。", 0.5),
        (
            "short_line_share",
            "Contents of the second volume\nThe boat came in with the tide.",
            0.5,
            "第二卷的目录\n傍晚时分船随着潮水靠了岸。",
            0.5,
        ),
        ("symbol_ratio", "one # two # three four", 0.5, "一本……两本", 0.5),
        ("alphabetic_word_share", "route 66 and 7", 0.5, "第 7 天", 2 / 3),
        ("stop_words", "The river and the stone", 2, "河水和石头的声音", 2),
        ("line_break_ratio", "one\ntwo", 0.5, "一本\n两本", 0.5),
        ("han_share", "Nothing", 0, "书 ab", 1 / 3),
        ("repeated_paragraph_share", "one\n\none\n\ntwo", 1 / 3, "一\n\n一\n\n二", 1 / 3),
    ],
)
def test_values_are_what_their_names_say_in_both_languages(name: str, english: str, value, chinese: str, chinese_value) -> None:
    assert measure("", english)[name] == pytest.approx(value) and measure("", chinese)[name] == pytest.approx(chinese_value)


def test_lengths_of_words_are_told_for_the_language_of_most_words() -> None:
    english, chinese = measure("", "two words"), measure("", "北京的天安门 ok")
    assert (english["mean_word_length"], english["mean_chinese_word_length"]) == (4, None)
    assert (chinese["mean_word_length"], chinese["mean_chinese_word_length"]) == (None, 2)


def test_stop_words_are_counted_only_where_a_list_is_known() -> None:
    assert measure("", "Personne n'a parlé de la nuit dernière, et la rivière était calme.")["stop_words"] is None


@pytest.mark.parametrize("line", ["他走了。", "他走了…", "「走吧」", "He left.)", 'He said "go"', "真的？！"])
def test_sentences_end_in_the_marks_of_both_languages(line: str) -> None:
    assert ends_as_sentence(line) and not ends_as_sentence(line + "目录")
