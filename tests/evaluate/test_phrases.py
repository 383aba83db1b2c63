import string

from hanmo.evaluate.phrases import WORDS, report_phrases


def test_every_phrase_has_both_languages_with_the_same_places_to_fill() -> None:
    def places(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    for key, (english, chinese) in WORDS.items():
        assert english.strip() and chinese.strip(), key
        assert places(chinese) <= places(english), key


def test_word_nobody_translated_is_shown_as_it_is() -> None:
    assert report_phrases("zh")("some-model") == "some-model" and report_phrases("zh")("transformer") == "Transformer"
