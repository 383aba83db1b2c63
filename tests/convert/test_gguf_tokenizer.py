"""A tokenizer goes into metadata and comes back with the same ids."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import ModelError
from hanmo.convert.gguf_patterns import PATTERNS, SAME
from hanmo.convert.gguf_reader import Value
from hanmo.convert.gguf_tokenizer import merges_of, read_tokenizer, tokenizer_metadata
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.load import EOT, Tokenizer
from hanmo.tokenizer.train import train_tokenizer

TEXTS = ["the rain in the plain, it's 1234 drops", "雨下在山上，山上有雨。", "x = [1, 22]  # why?\n\n\tso"] * 3
SPACE = "\u2581"
PIECES = [
    "<unk>",
    "<s>",
    "</s>",
    *(f"<0x{byte:02X}>" for byte in range(256)),
    SPACE,
    *"theraindfo.",
    "th",
    "the",
    SPACE + "the",
    "ra",
    "in",
    "rain",
]
SENTENCEPIECE: dict[str, Value] = {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": list(dict.fromkeys(PIECES)),
    "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * (len(dict.fromkeys(PIECES)) - 259)],
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.unknown_token_id": 0,
}


def trained(**settings: Any) -> Tokenizer:
    return train_tokenizer(TEXTS, TokenizerConfig(vocab_size=320, **settings))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"pre_tokenizer": "gpt2", "digits_per_token": 1}, "smollm"),
        ({"pre_tokenizer": "gpt4", "digits_per_token": 3}, "llama-bpe"),
        ({"pre_tokenizer": "gpt4", "digits_per_token": 1}, "qwen2"),
        ({"pre_tokenizer": "deepseek", "digits_per_token": 3}, "deepseek-v3"),
    ],
)
def test_our_tokenizers_have_a_name_that_engines_know(settings: dict[str, Any], name: str) -> None:
    tokenizer = trained(**settings)
    metadata = tokenizer_metadata(tokenizer, tokenizer.vocab_size + 2)
    assert metadata["tokenizer.ggml.pre"] == name and len(metadata["tokenizer.ggml.tokens"]) == tokenizer.vocab_size + 2  # pyright: ignore[reportArgumentType]
    back = read_tokenizer(metadata)
    for text in (*TEXTS, f"{EOT} written out", "  three  blanks  ", "12345 it'S", "ＡＢ，１２"):
        assert back.encode(text).tolist() == tokenizer.encode(text).tolist()
        assert back.decode(back.encode(text)) == text
    assert back.eot_id == tokenizer.eot_id


def test_a_pattern_that_no_engine_knows_is_refused() -> None:
    tokenizer = trained(pre_tokenizer="gpt2", digits_per_token=2)
    with pytest.raises(ModelError, match=r"llama\.cpp has no name for"):
        tokenizer_metadata(tokenizer, tokenizer.vocab_size)


@pytest.mark.parametrize("kind", ["wordpiece", "word"])
def test_other_kinds_are_refused(kind: str) -> None:
    tokenizer = train_tokenizer(TEXTS * 4, TokenizerConfig(vocab_size=320, kind=kind))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ModelError, match="has no form in GGUF"):
        tokenizer_metadata(tokenizer, tokenizer.vocab_size)


@pytest.mark.parametrize("name", [*PATTERNS, *SAME])
def test_every_pattern_cuts_and_gives_the_text_back(name: str) -> None:
    metadata = tokenizer_metadata(trained(), 400) | {"tokenizer.ggml.pre": name}
    tokenizer = read_tokenizer(metadata)
    assert all(tokenizer.decode(tokenizer.encode(text)) == text for text in TEXTS)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_pieces_give_any_text_back(text: str) -> None:
    """But for U+2581, which SentencePiece itself takes for a blank."""
    text = text.replace(SPACE, "")
    tokenizer = read_tokenizer({**SENTENCEPIECE, "tokenizer.ggml.add_space_prefix": False})
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_the_earliest_piece_merges_first_and_a_blank_comes_before_a_text() -> None:
    tokenizer = read_tokenizer(SENTENCEPIECE)
    assert [tokenizer.names()[id] for id in tokenizer.encode("the rain")] == [SPACE + "the", SPACE, "rain"]
    assert [tokenizer.names()[id] for id in tokenizer.encode("thé")] == [SPACE, "th", "<0xC3>", "<0xA9>"]
    assert tokenizer.decode(tokenizer.encode("the rain")) == "the rain"
    assert tokenizer.eot_id == 1 and tokenizer.settings["add_bos_token"]


def test_a_text_is_opened_as_the_file_says_and_ours_always() -> None:
    assert read_tokenizer(SENTENCEPIECE).opening == [1]
    assert read_tokenizer({**SENTENCEPIECE, "tokenizer.ggml.add_bos_token": False}).opening == []
    ours = trained()
    assert ours.opening == [ours.eot_id]
    written = tokenizer_metadata(ours, ours.vocab_size)
    assert written["tokenizer.ggml.add_bos_token"] and read_tokenizer(written).opening == ours.opening


@pytest.mark.parametrize("prefix", [True, False])
def test_pieces_come_back_with_the_same_ids(prefix: bool) -> None:
    tokenizer = read_tokenizer({**SENTENCEPIECE, "tokenizer.ggml.add_space_prefix": prefix})
    metadata = tokenizer_metadata(tokenizer, tokenizer.vocab_size)
    for key, value in {**SENTENCEPIECE, "tokenizer.ggml.add_space_prefix": prefix}.items():
        assert metadata[key] == value, key
    back = read_tokenizer(metadata)
    assert all(back.encode(text).tolist() == tokenizer.encode(text).tolist() for text in ("the rain", "  the  ", "雨 <s>"))


def test_merges_follow_from_the_order_of_pieces() -> None:
    assert merges_of(["a", "b", "ab", "aba", "ba"]) == [("a", "b"), ("ab", "a"), ("a", "ba"), ("b", "a")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer.ggml.tokens": ["a", "a"]}, "has 'a' twice"),
        ({"tokenizer.ggml.tokens": []}, "no list of strings"),
        ({"tokenizer.ggml.tokens": [1, 2]}, "no list of strings"),
        ({"tokenizer.ggml.token_type": [1, 2]}, "one number for each token"),
        ({"tokenizer.ggml.unknown_token_id": -1}, "is none of the"),
        ({"tokenizer.ggml.model": "t5"}, "is not read here"),
    ],
)
def test_tables_that_contradict_each_other_are_refused(change: dict[str, Value], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        read_tokenizer({**SENTENCEPIECE, **change})


def test_merges_of_what_is_no_token_are_refused_before_the_library_panics() -> None:
    with pytest.raises(ModelError, match=r"joins 'the rain', which tokenizer\.ggml\.tokens does not have"):
        read_tokenizer({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": ["the", "rain"], "tokenizer.ggml.merges": ["the rain"]})
