"""Each name cuts as its rules say: where a word, a number, a line's end and Chinese end."""

import unicodedata

import pytest
from tokenizers import decoders

from hanmo.convert.gguf_patterns import CASED_LETTERS, COMPOSED, PATTERNS, SAME, WHOLE_FIRST

TEXT = "It's aBc DEf12345  x\n\n雨下，ok(1)"


def pieces(name: str, text: str) -> list[str]:
    """What a name cuts a text into, as characters again."""
    back = decoders.ByteLevel()
    return [back.decode([piece]) for piece, _ in PATTERNS[SAME.get(name, name)]().pre_tokenize_str(text)]


@pytest.mark.parametrize("name", [*PATTERNS, *SAME])
def test_pieces_joined_are_the_text(name: str) -> None:
    for text in (TEXT, "  three   blanks \t\n", "नमस्ते 한국어 àéî", "1234567, 12.50", ""):
        assert "".join(pieces(name, text)) == text


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("gpt-2", ["12345"]),
        ("starcoder", ["1", "2", "3", "4", "5"]),
        ("falcon3", ["123", "45"]),
        ("stablelm2", ["1", "2", "3", "4", "5"]),
        ("tekken", ["1", "2", "3", "4", "5"]),
        ("llama4", ["123", "45"]),
        ("cohere2moe", ["12", "345"]),
        ("superbpe", ["12", "345"]),
        ("deepseek-llm", ["12345"]),
        ("deepseek-coder", ["1", "2", "3", "4", "5"]),
        ("viking", ["1", "2", "3", "4", "5"]),
    ],
)
def test_numbers_are_cut_by_digits_by_threes_from_either_end_or_not(name: str, numbers: list[str]) -> None:
    assert [each.strip() for each in pieces(name, "a 12345 b") if each.strip().isdecimal()] == numbers


def test_a_word_begins_anew_at_a_capital_under_tekken_and_gpt_4o_only() -> None:
    begins = {name for name in PATTERNS if "Bc" in pieces(name, TEXT)}
    assert begins == {"tekken", "gpt-4o", "tiny_aya"}
    assert pieces("gpt-4o", "it's it'S") == ["it's", " it'S"] and pieces("tekken", "it's") == ["it", "'s"]


def test_chinese_stands_apart_from_letters_and_marks_where_the_rules_say_so() -> None:
    assert "雨下" in pieces("deepseek-llm", "ok雨下，ok") and "，" in pieces("deepseek-llm", "ok雨下，ok")
    assert pieces("llama-bpe", "ok雨下，ok") == ["ok雨下", "，ok"]
    assert pieces("exaone-moe", "ab cd 雨 x1") == ["ab cd 雨 x", "1"]


def test_marks_above_letters_belong_to_words_under_qwen35_and_not_under_qwen2() -> None:
    word = unicodedata.normalize("NFD", "né")
    assert pieces("qwen35", word) == [word] and len(pieces("qwen2", word)) > 1


def test_the_letters_of_deepseek_are_cased_ones() -> None:
    for each in CASED_LETTERS.split():
        first, _, last = each.partition("-")
        for code in (int(first, 16), int(last or first, 16)):
            assert unicodedata.category(chr(code)) in ("Lu", "Ll", "Lt"), each
    assert pieces("deepseek-llm", "Жук ابج") == ["Жук", " ابج"]
    assert pieces("deepseek-llm", "né") == ["n", "é"]  # its marks reach from ":" to "~", with all of ASCII's letters between


def test_every_name_is_said_once_and_every_set_holds_known_names() -> None:
    assert not SAME.keys() & PATTERNS.keys() and set(SAME.values()) <= PATTERNS.keys()
    assert {*WHOLE_FIRST, *COMPOSED} <= SAME.keys() | PATTERNS.keys()
