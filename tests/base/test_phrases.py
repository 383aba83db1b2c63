import pytest

from hanmo.base.phrases import Phrases

TABLE = {"size": ("{n} texts", "{n} 篇")}


@pytest.mark.parametrize(("language", "wanted"), [("en", "3 texts"), ("zh", "3 篇")])
def test_phrase_stands_in_its_language_with_its_values(language, wanted: str) -> None:
    assert Phrases(TABLE, language)("size", n=3) == wanted


def test_word_that_no_table_knows_is_shown_as_it_is() -> None:
    assert Phrases(TABLE, "zh")("some-model") == "some-model"


def test_lists_and_sentences_are_joined_by_the_marks_of_the_language() -> None:
    english, chinese = Phrases(TABLE, "en"), Phrases(TABLE, "zh")
    assert (english.joined(["a", "b"]), chinese.joined(["甲", "乙"]), english.joined([])) == ("a, b", "甲、乙", "–")
    assert (english.named("seed", "1"), chinese.named("种子", "1")) == ("seed: 1", "种子：1")
    assert (english.sentences(["A.", "B."]), chinese.sentences(["甲。", "乙。"])) == ("A. B.", "甲。乙。")
