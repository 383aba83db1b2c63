import pytest

from hanmo.data.phrases import WORDS, data_phrases


def test_every_phrase_stands_in_both_languages_with_the_same_blanks() -> None:
    for english, chinese in WORDS.values():
        assert (
            english
            and chinese
            and sorted(part.split("}")[0] for part in english.split("{")[1:])
            == sorted(part.split("}")[0] for part in chinese.split("{")[1:])
        )


@pytest.mark.parametrize(("language", "wanted"), [("en", "new 3-grams of words"), ("zh", "新出现的词 3 元组占比")])
def test_phrases_are_filled_in(language, wanted: str) -> None:
    assert data_phrases(language)("novelty", n=3) == wanted
