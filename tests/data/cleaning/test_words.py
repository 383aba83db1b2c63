import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.cleaning.words import cut, listed, runs, word_list, words

MIXED = st.text(st.sampled_from("我们爱北京天安门 abc3，。'-\n"))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The river was quiet that morning, and nobody spoke of the night before.", 13),
        ("那天早晨河面很安静，谁也没有提起昨夜的事情。", 12),
        ("我爱 Python 3", 4),
        ("", 0),
        ("…！？", 0),
        ("it's well-known", 2),
    ],
)
def test_words_are_counted_in_both_languages(text: str, number: int) -> None:
    assert words(text) == number


@settings(deadline=None)
@given(MIXED)
def test_chinese_words_do_not_depend_on_spaces_around_them(text: str) -> None:
    assert words(text) == words(f" {text}\n")


@settings(deadline=None)
@given(MIXED)
def test_words_and_what_stands_between_them_are_the_text(text: str) -> None:
    assert "".join(gap + "".join(run) for gap, run in runs(text)) == text


@settings(deadline=None)
@given(MIXED)
def test_words_come_in_the_order_of_the_text(text: str) -> None:
    found, chinese = cut(text)
    assert chinese == sum("\u4e00" <= word[0] <= "\u9fff" for word in found)
    place = 0
    for word in found:
        place = text.index(word, place) + len(word)
    assert found == word_list(text)


def test_lists_of_words_are_there_for_two_languages() -> None:
    assert {"the", "with"} <= (listed("common", "en") or set()) and "與" in (listed("common", "zh") or set())
    assert "don't" in (listed("stop", "en") or set()) and "我们" in (listed("stop", "zh") or set()) and listed("stop", "de") is None
