import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.base.records import Document
from hanmo.tokenizer import fertility as module
from hanmo.tokenizer.fertility import Fertility, count_words, fertility, origin, summed, word_spans


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


def test_words_in_several_tokens_are_counted_whatever_stands_around_them(trained):
    tokenizer = trained["deepseek"]
    text = 'the "渔船" the, zebra'
    shown = [tokenizer.visible(int(id)) for id in tokenizer.encode(text)]
    assert "渔船" in shown and "the" in shown and " the" in shown
    measured = fertility([Document(id="1", text=text)], tokenizer)[""]
    assert (measured.words, measured.continued_words) == (6, 1)
    assert measured.rates()["continued_share"] == pytest.approx(1 / 6)


@pytest.mark.parametrize("name", ["gpt2", "deepseek", "character", "unigram", "wordpiece", "word"])
def test_tokens_have_their_places_in_the_text(trained, texts, name, monkeypatch):
    from hanmo.tokenizer import load

    tokenizer = trained[name]
    whole = tokenizer.encode_spans(texts)
    monkeypatch.setattr(load, "LONGEST_PIECE", 10)
    for text, (ids, starts, ends), (cut_ids, cut_starts, cut_ends) in zip(texts, whole, tokenizer.encode_spans(texts), strict=True):
        assert ids.tolist() == cut_ids.tolist() == tokenizer.encode(text).tolist()
        if name != "word":  # its invisible marks stand elsewhere at the beginning of a piece
            assert (starts.tolist(), ends.tolist()) == (cut_starts.tolist(), cut_ends.tolist())
        assert (starts[1:] >= starts[:-1]).all() and (ends >= starts).all() and ends.max() <= len(text)


@settings(deadline=None, max_examples=60)
@given(text=st.text(alphabet=st.sampled_from("ab 渔船出。,(\n'é"), max_size=40))
def test_every_word_counted_has_a_span(text):
    spans = word_spans(text)
    assert len(spans) == count_words(text)
    assert (spans[:, 0] <= spans[:, 1]).all() and (spans[1:, 0] >= spans[:-1, 1]).all()


def test_sources_and_languages_are_counted_in_one_pass(trained):
    items = [
        Document(id="1", text="the cat", language="en", source="a.jsonl#12"),
        Document(id="2", text="渔船", language="zh", source="a.jsonl#13"),
        Document(id="3", text="the", language="en", source="b#c.txt"),
    ]
    found = fertility(items, trained["deepseek"], key=lambda document: (document.language, origin(document)))
    assert {name: counts.documents for name, counts in summed(found, 0).items()} == {"en": 2, "zh": 1}
    assert {name: counts.documents for name, counts in summed(found, 1).items()} == {"a.jsonl": 2, "b#c.txt": 1}
    assert sum(counts.tokens for counts in summed(found, 1).values()) == sum(counts.tokens for counts in found.values())
    assert Fertility().rates()["continued_share"] == 0
