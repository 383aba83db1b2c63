import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.tokenizer.patterns import LONGEST_CHINESE_RUN, cut, pre_tokenizer

SPACES = [" ", "  ", "\n", "\r\n", "\t", "\u3000", "\x1c", "\u00a0", "\u2028"]
SIGNS = ["a", "the", "12", "4567", "'s", "，", "。", "：", "“", "我们", "去", "!", "-", "é", "\u0301"]
PIECES = st.sampled_from([*SPACES, *SIGNS])
MIXED = st.lists(PIECES, max_size=30).map("".join)


def pre_tokens(text: str, name, digits: int) -> list[str]:
    return [token for token, _ in pre_tokenizer(name, digits).pre_tokenize_str(text)]


@pytest.mark.parametrize(("name", "digits"), [("gpt2", 3), ("gpt2", 1), ("gpt4", 3), ("gpt4", 1), ("deepseek", 3)])
@settings(max_examples=300, deadline=None)
@given(text=st.one_of(MIXED, st.text()))
def test_cutting_a_text_changes_no_pre_token(name, digits, text):
    pieces = cut(text, 1)
    assert "".join(pieces) == text
    assert [token for piece in pieces for token in pre_tokens(piece, name, digits)] == pre_tokens(text, name, digits)


def test_a_text_is_cut_only_where_it_must_be():
    assert cut("one two three", 100) == ["one two three"]
    assert cut("nocutpossible", 3) == ["nocutpossible"]
    assert cut("渔船出海，老人等着。孩子", 3) == ["渔船出海", "，老人等着", "。孩子"]


@given(text=st.one_of(MIXED, st.text(max_size=60)), longest=st.integers(1, 9))
def test_a_text_for_training_is_cut_everywhere_if_need_be(text, longest):
    pieces = cut(text, longest, anywhere=True)
    assert "".join(pieces) == text
    assert all(longest <= len(piece) <= 2 * longest for piece in pieces[:-1])
    assert len(pieces[-1]) <= 2 * longest


def test_chinese_punctuation_clings_to_no_word_in_the_default_pattern():
    shown = [span for _, span in pre_tokenizer("deepseek", 3).pre_tokenize_str("他说：“渔船，2024年abc”")]
    text = "他说：“渔船，2024年abc”"
    assert [text[a:b] for a, b in shown] == ["他说", "：“", "渔船", "，", "202", "4", "年", "abc", "”"]


@pytest.mark.parametrize(("name", "digits", "longest"), [("gpt2", 1, 1), ("gpt4", 1, 1), ("gpt4", 3, 3), ("deepseek", 2, 2)])
def test_digits_are_grouped_as_asked(name, digits, longest):
    groups = [token for token in pre_tokens("x1234567", name, digits) if token.isdigit()]
    assert "".join(groups) == "1234567"
    assert max(map(len, groups)) == longest


def test_training_never_sees_a_long_chinese_run():
    spans = [span for _, span in pre_tokenizer("gpt4", 3, training=True).pre_tokenize_str("渔" * 100 + "a" * 200)]
    assert max(end - start for start, end in spans if start < 100) == LONGEST_CHINESE_RUN
    assert max(end - start for start, end in spans) <= 64
