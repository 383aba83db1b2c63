"""Word pieces: BERT's ids, which texts come back, the same vocabulary every time."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanmo.base.errors import ModelError
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.train import train_tokenizer
from hanmo.tokenizer.wordpiece import SPECIAL, read_vocab, train_wordpiece, vocab_text

LAW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = st.sampled_from(["the", "cat", "lamps", "rope", "渔船", "灯塔", "老人", "12", "didn't"])
SENTENCE = st.lists(st.tuples(WORDS, st.sampled_from(["", ",", ".", ";"])), max_size=8)


def joined(pairs) -> str:
    """Words with the spacing of good prose."""
    text = " ".join(word + sign for word, sign in pairs)
    return re.sub(r"(?<=[一-鿿]) | (?=[一-鿿])", "", text)


@LAW
@given(pairs=SENTENCE)
def test_prose_with_single_spaces_comes_back(trained, pairs):
    tokenizer, text = trained["wordpiece"], joined(pairs)
    ids = tokenizer.encode(text)
    assert tokenizer.unk_id not in ids
    assert tokenizer.decode(ids.tolist()) == text


@LAW
@given(
    text=st.lists(
        st.one_of(st.sampled_from(["the", " ", "渔", "，", ".", "(", "'t", "##s", "\u0301", "＝", "\t"]), st.text(max_size=3))
    ).map("".join)
)
def test_what_is_read_back_has_the_ids_of_the_text(trained, text):
    tokenizer = trained["wordpiece"]
    ids = tokenizer.encode(text).tolist()
    if tokenizer.unk_id not in ids:
        assert tokenizer.encode(tokenizer.decode(ids)).tolist() == ids


def test_special_tokens_come_first_and_cls_opens_documents(trained):
    tokenizer = trained["wordpiece"]
    assert tuple(tokenizer.names()[:5]) == SPECIAL
    assert tokenizer.names()[tokenizer.eot_id] == "[CLS]"
    assert tokenizer.names()[tokenizer.unk_id] == "[UNK]"
    assert tokenizer.decode(tokenizer.encode("the 😀 cat").tolist()) == "the [UNK] cat"
    assert tokenizer.decode([2, *tokenizer.encode("the cat"), 3]) == "the cat"


def test_frequent_words_are_whole_and_others_go_on_with_marks(trained):
    tokenizer = trained["wordpiece"]
    assert [tokenizer.visible(int(id)) for id in tokenizer.encode("the these")][0:2] == ["the", "the"]
    assert any(name.startswith("##") for name in tokenizer.names())
    assert [tokenizer.visible(int(id)) for id in tokenizer.encode("渔船")] == ["渔", "船"]


def test_capitals_and_accents_are_dropped_only_when_asked(texts):
    cased = train_tokenizer(texts, TokenizerConfig(kind="wordpiece", vocab_size=300))
    uncased = train_tokenizer(texts, TokenizerConfig(kind="wordpiece", vocab_size=300, lowercase=True))
    assert cased.encode("The").tolist() != cased.encode("the").tolist()
    assert uncased.encode("Thé").tolist() == uncased.encode("the").tolist()
    assert uncased.decode(uncased.encode("The Cat").tolist()) == "the cat"


def test_rare_characters_make_room_for_frequent_ones(texts):
    vocabulary = train_wordpiece(texts, vocab_size=60, min_frequency=2, lowercase=True).get_vocab()
    assert len(vocabulary) <= 60
    assert {"e", "##e", "t"} <= set(vocabulary)
    assert "鯨" not in vocabulary


def test_the_library_gives_word_pieces_in_the_order_of_ids(trained, tmp_path):
    trained["wordpiece"].save(tmp_path)
    vocabulary = read_vocab(tmp_path / "vocab.txt")
    assert list(vocabulary) == trained["wordpiece"].names()
    assert vocab_text(list(vocabulary)) == (tmp_path / "vocab.txt").read_text("utf-8")


@pytest.mark.parametrize(("content", "said"), [(b"a\nb\n", "lacks"), (b"[UNK]\na\na\n", "twice"), (b"\xff\xfe", "cannot be read")])
def test_a_file_that_is_no_vocabulary_is_refused(tmp_path, content, said):
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(ModelError, match=said):
        read_vocab(tmp_path / "vocab.txt")


def test_tokens_that_a_line_cannot_hold_are_refused():
    with pytest.raises(ModelError, match="token 1 is"):
        vocab_text(["a", "b\nc"])
