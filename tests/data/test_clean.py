import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError
from hanmo.data.clean import CleanConfig, clean, sentences_only, without_punctuation, without_stop_words
from hanmo.data.words import listed, word_list

TEXT = "Skip to content\nThe men of the harbour mended their nets; it’s slow work.\n他們說：「軟體壞了。」\n目錄"


@settings(deadline=None)
@given(st.text())
def test_nothing_changes_by_default(text: str) -> None:
    assert clean(text, CleanConfig()) == (text, 0)


@pytest.mark.parametrize(
    ("config", "wanted", "removed"),
    [
        (CleanConfig(chinese="t2s"), TEXT.replace("他們說", "他们说").replace("軟體壞", "软体坏").replace("目錄", "目录"), 0),
        (CleanConfig(boilerplate=True), TEXT.removeprefix("Skip to content\n"), 1),
        (CleanConfig(sentences_only=True), "The men of the harbour mended their nets; it’s slow work.\n他們說：「軟體壞了。」", 2),
        (CleanConfig(lowercase=True), TEXT.lower(), 0),
        (
            CleanConfig(remove_punctuation=True),
            "Skip to content\nThe men of the harbour mended their nets it’s slow work\n他們說 軟體壞了\n目錄",
            0,
        ),
        (
            CleanConfig(chinese="tw2sp", boilerplate=True, lowercase=True, remove_punctuation=True, remove_stop_words=True),
            "men harbour mended nets slow work\n软件坏\n目录",
            1,
        ),
    ],
)
def test_each_option_does_what_it_says(config: CleanConfig, wanted: str, removed: int) -> None:
    assert clean(TEXT, config) == (wanted, removed)


@settings(deadline=None)
@given(st.text(st.sampled_from("我们爱的书 abc,。'-\nThe and")))
def test_words_stay_without_punctuation_and_stop_words_go(text: str) -> None:
    assert word_list(without_punctuation(text)) == word_list(text)
    rest = word_list(without_stop_words(text))
    assert not [word for word in rest if word.lower() in (listed("stop", "en") or ())]


def test_lines_that_are_no_sentences_go() -> None:
    assert sentences_only("目录\n\n他走了。\n他把那封信放在桌子上了。") == ("他把那封信放在桌子上了。", 2)


def test_an_unknown_conversion_names_its_key() -> None:
    with pytest.raises(ConfigError, match=r"clean.chinese \(='s2'\)"):
        CleanConfig(chinese="s2")  # pyright: ignore[reportArgumentType]
