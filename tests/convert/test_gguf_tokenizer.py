"""A tokenizer goes into metadata and comes back with the same ids."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend

from hanmo.base.errors import ModelError
from hanmo.convert.gguf_patterns import PATTERNS, SAME
from hanmo.convert.gguf_reader import Value
from hanmo.convert.gguf_tokenizer import adds_bos, as_engines_read, read_tokenizer, tokenizer_metadata
from hanmo.tokenizer.chat import Chat
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


EXTENDED: dict[str, Value] = {
    **SENTENCEPIECE,
    "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *"abc", "ab", "bc"],
    "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * 5],
    "tokenizer.ggml.scores": [0.0] * 259 + [-2.0, -3.0, -4.0, -5.0, 0.0],
    "tokenizer.ggml.add_space_prefix": False,
}
"""A vocabulary in which a piece added later has the best score."""


def test_pieces_merge_by_their_scores_and_go_out_with_scores_that_say_the_same() -> None:
    tokenizer = read_tokenizer(EXTENDED)
    assert [tokenizer.names()[id] for id in tokenizer.encode("abc")] == ["a", "bc"]
    back = read_tokenizer(tokenizer_metadata(tokenizer, tokenizer.vocab_size))
    assert [back.names()[id] for id in back.encode("abcab")] == ["a", "bc", "ab"]


def test_merges_in_an_order_that_no_scores_say_are_refused() -> None:
    form = read_tokenizer(EXTENDED).form
    form["model"]["vocab"]["abc"] = len(form["model"]["vocab"])
    for merges, fits in (
        ([["b", "c"], ["ab", "c"], ["a", "bc"], ["a", "b"]], True),
        ([["ab", "c"], ["b", "c"], ["a", "b"], ["a", "bc"]], False),  # one way to "abc" before others, one behind
        ([["b", "c"], ["ab", "c"], ["a", "b"]], False),  # engines would join "a" and "bc" too
    ):
        form["model"]["merges"] = merges
        tokenizer = Tokenizer(Backend.from_str(json.dumps(form)), {})
        if fits:
            assert read_tokenizer(tokenizer_metadata(tokenizer, tokenizer.vocab_size)).form["model"]["merges"] == merges
        else:
            with pytest.raises(ModelError, match="do not follow from a score for each piece"):
                tokenizer_metadata(tokenizer, tokenizer.vocab_size)


@pytest.mark.parametrize("scheme", ["first", "always", "never"])
def test_a_blank_before_a_text_is_written_wherever_it_comes_from(scheme: str) -> None:
    form = read_tokenizer(SENTENCEPIECE).form
    form["normalizer"] = None
    form["pre_tokenizer"] = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": False}
    tokenizer = Tokenizer(Backend.from_str(json.dumps(form)), {})
    metadata = tokenizer_metadata(tokenizer, tokenizer.vocab_size)
    assert metadata["tokenizer.ggml.add_space_prefix"] == (scheme != "never")
    back = read_tokenizer(metadata)
    assert all(back.encode(text).tolist() == tokenizer.encode(text).tolist() for text in ("the rain", "rain", "the", "雨 the"))


@pytest.mark.parametrize("scheme", ["first", "always"])
def test_engines_put_a_blank_behind_every_special_token(scheme: str) -> None:
    form = read_tokenizer(SENTENCEPIECE).form
    form["normalizer"] = None
    form["pre_tokenizer"] = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": False}
    tokenizer = Tokenizer(Backend.from_str(json.dumps(form)), {"bos_token": "<s>"})
    read, back = as_engines_read(tokenizer), read_tokenizer(tokenizer_metadata(tokenizer, tokenizer.vocab_size))
    template = "{{ bos_token + messages[0].content + bos_token + ' ' + messages[0].content }}"
    talk = [{"role": "user", "content": "the rain"}]
    ids = [Chat(each, template).encode(talk).ids.tolist() for each in (tokenizer, read, back)]
    assert ids[1] == ids[2] != ids[0] and as_engines_read(back) is back


BPE_KINDS = (
    "default deepseek-llm deepseek-coder deepseek-v3 youtu falcon mpt starcoder gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es "
    "jina-v2-de a.x-4.0 mellum modern-bert jina-v1-en jina-v2-code roberta-bpe refact command-r qwen2 deepseek-r1-qwen kormo qwen35 "
    "stablelm2 olmo dbrx smaug-bpe poro-chat glm4 chatglm-bpe viking jais smollm codeshell bloom gpt3-finnish exaone exaone4 "
    "minerva-7b megrez gpt-4o llama4 superbpe trillion granite-docling bailingmoe bailingmoe2 llada-moe seed-coder hunyuan "
    "hunyuan-dense kimi-k2 grok-2 afmoe minimax-m2 minicpm5"
)
OPENED_KINDS = "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano tekken chameleon"
TABLE = [
    *(("gpt2", name, False) for name in ["", *BPE_KINDS.split()]),
    *(("gpt2", name, True) for name in OPENED_KINDS.split()),
    *(("llama", name, True) for name in ("", "default", "llama-bpe")),
    *(("bert", name, True) for name in ("", "default", "jina-v2-en")),
    *(("t5", "default", False), ("rwkv", "", False)),
]
"""What llama.cpp does where `add_bos_token` is missing (llama_vocab::impl::load in its src/llama-vocab.cpp)."""


@pytest.mark.parametrize(("model", "pre", "opened"), TABLE)
def test_a_missing_add_bos_token_means_what_llama_cpp_takes_it_for(model: str, pre: str, opened: bool) -> None:
    assert adds_bos(model, pre) == opened


@pytest.mark.parametrize(("pre", "opened"), [("llama-bpe", True), ("tekken", True), ("falcon3", True), ("qwen2", False), ("gpt-2", False)])
def test_a_file_that_does_not_say_is_opened_by_its_kind(pre: str, opened: bool) -> None:
    tokenizer = trained()
    metadata = tokenizer_metadata(tokenizer, tokenizer.vocab_size) | {"tokenizer.ggml.pre": pre}
    del metadata["tokenizer.ggml.add_bos_token"]
    assert read_tokenizer(metadata).opening == ([tokenizer.eot_id] if opened else [])
    for said in (True, False):
        assert bool(read_tokenizer(metadata | {"tokenizer.ggml.add_bos_token": said}).opening) == said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokenizer.ggml.tokens": ["a", "a"], "tokenizer.ggml.token_type": [1, 1]}, "has 'a' twice"),
        ({"tokenizer.ggml.tokens": []}, "no list of strings"),
        ({"tokenizer.ggml.tokens": [1, 2]}, "no list of strings"),
        ({"tokenizer.ggml.token_type": [1, 2]}, "one number for each token"),
        ({"tokenizer.ggml.scores": [1.0, 2.0]}, "scores does not have one number for each token"),
        ({"tokenizer.ggml.scores": "best"}, "scores does not have one number for each token"),
        ({"tokenizer.ggml.scores": [float("nan")] * len(dict.fromkeys(PIECES))}, "a score that is no number"),
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
