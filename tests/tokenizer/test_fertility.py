import pytest

from hanmo.base.records import Document
from hanmo.tokenizer import fertility as module
from hanmo.tokenizer.fertility import count_words, fertility


def documents(texts):
    yield Document(id="1", text=texts[0], language="en", source="x")
    yield Document(id="2", text=texts[1], language="zh", source="x")
    yield Document(id="3", text="\nThe zebra", language="", source="y")


def test_each_language_has_its_own_account(trained, texts, monkeypatch):
    monkeypatch.setattr(module, "GROUP", 2)
    tokenizer = trained["deepseek"]
    measured = fertility(documents(texts), tokenizer)
    assert list(measured) == ["", "en", "zh"]
    assert measured["zh"].tokens == len(tokenizer.encode(texts[1]))
    assert measured["zh"].bytes == len(texts[1].encode())
    rates = measured["en"].rates()
    assert rates["tokens_per_byte"] == pytest.approx(len(tokenizer.encode(texts[0])) / len(texts[0].encode()))
    assert rates["tokens_per_word"] * rates["words"] == pytest.approx(rates["tokens_per_character"] * rates["characters"])
    assert all(counts.not_recovered == 0 == counts.unknown for counts in measured.values())


def test_what_a_word_tokenizer_loses_is_counted(trained, texts):
    measured = fertility(documents(texts), trained["word"], key=lambda document: document.source)
    assert list(measured) == ["x", "y"]
    assert measured["y"].unknown == measured["y"].not_recovered == 1
    assert measured["x"].documents == 2


def test_no_documents_give_no_languages(trained):
    assert fertility([], trained["word"]) == {}


@pytest.mark.parametrize(("text", "words"), [("", 0), ("渔船出海", 2), ("a渔船b", 3), ("one, two\nthree", 3)])
def test_words_are_counted_in_both_languages(text, words):
    assert count_words(text) == words
