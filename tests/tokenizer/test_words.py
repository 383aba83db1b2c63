import rjieba
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.tokenizer.words import train_words, word_backend


def shown(tokenizer, text: str) -> list[str]:
    return [tokenizer.visible(int(id)) for id in tokenizer.encode(text)]


def test_words_keep_their_space_and_their_apostrophe(trained):
    assert shown(trained["word"], "The cat didn't move.\n") == ["The", " cat", " didn't", " move", ".", "\\n"]


def test_spacing_is_never_lost(trained):
    tokenizer = trained["word"]
    text = "The cat  The\n\n the\tThe , the rope "
    assert tokenizer.decode(tokenizer.encode(text).tolist()) == text


def test_an_unknown_word_is_one_unknown_token_whatever_it_holds(trained):
    tokenizer = trained["word"]
    for unknown in ("thecat", "catThe", "xTheBringx", "x3500", "In1987"):
        ids = tokenizer.encode(f"The {unknown} cat").tolist()
        assert ids.count(tokenizer.unk_id) == 1
    assert tokenizer.decode(tokenizer.encode("The zebra, the lamp").tolist()) == "The <unk>, the lamp"


def test_chinese_is_cut_as_rjieba_cuts_it(trained, texts):
    clause = "渔船已经出海了"
    assert shown(trained["word"], clause) == rjieba.cut(clause)
    assert trained["word"].decode(trained["word"].encode(texts[1]).tolist()) == texts[1]


def test_only_characters_never_seen_are_lost_in_chinese(trained):
    assert shown(trained["word"], "老人骑鯨出海") == ["老人", "<unk>", "出海"]


def test_a_rare_chinese_word_is_written_with_its_characters():
    backend = train_words(["灯塔灯塔灯塔 灯光塔楼光楼光楼"], special=["<unk>"], vocab_size=50, min_frequency=3)
    assert "灯塔" in backend.get_vocab()
    assert {"光", "楼"} <= set(backend.get_vocab())


def test_the_marks_are_the_only_characters_that_change(trained):
    tokenizer = trained["word"]
    assert tokenizer.decode(tokenizer.encode("The\x02 cat").tolist()) == "The<unk> cat"


@settings(deadline=None)
@given(text=st.text())
def test_pre_tokens_without_marks_are_the_text(text):
    backend = word_backend()
    assert backend.normalizer is not None
    assert backend.pre_tokenizer is not None
    normal = backend.normalizer.normalize_str(text)
    pieces = backend.pre_tokenizer.pre_tokenize_str(normal)
    joined = "".join(piece for piece, _ in pieces).replace("\x02", "").replace("\x03", "")
    assert joined == text.replace("\x02", "\ufffd").replace("\x03", "\ufffd")
