"""The bytes of a text are those of its tokens."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tokenizer.conftest import SPACE, pairs, pieces
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.spelling import byte_of, visible


def sentencepiece(decoder: Any) -> Tokenizer:
    backend = Backend(models.BPE(pieces(), pairs(), unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)  # pyright: ignore[reportAttributeAccessIssue]
    backend.add_special_tokens(["<s>", "</s>"])
    backend.decoder = decoder
    return Tokenizer(backend, {})


def llama() -> Tokenizer:
    """As Llama's tokenizer.json has it."""
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    return sentencepiece(decoders.Sequence(steps))


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_pieces_bytes_are_the_text_with_a_blank_before_it(text: str) -> None:
    tokenizer = llama()
    table = tokenizer.piece_bytes()
    text = text.replace(SPACE, "")
    assert table is not None and b"".join(table[id] for id in tokenizer.encode(text)).removeprefix(b" ") == text.encode().removeprefix(b" ")


def test_silent_pieces_have_no_bytes_and_bytes_are_themselves() -> None:
    table = llama().piece_bytes()
    assert table is not None
    assert table[:3] == [b"", b"", b""] and table[3 + 0x0A] == b"\n" and table[pieces()[SPACE + "the"]] == b" the"


@pytest.mark.parametrize(
    "decoder", [decoders.WordPiece(), decoders.CTC(), decoders.Sequence([decoders.Replace("_", " "), decoders.Fuse()])]
)
def test_other_decoders_have_no_bytes_of_their_own(decoder: Any) -> None:
    assert sentencepiece(decoder).piece_bytes() is None


def test_a_metaspace_decoder_has_bytes_without_byte_pieces() -> None:
    table = sentencepiece(decoders.Metaspace()).piece_bytes()
    assert table is not None and table[3 + 0x0A] == b"<0x0A>" and table[pieces()[SPACE + "the"]] == b" the"


def test_a_piece_that_only_looks_like_a_byte_is_none() -> None:
    assert [byte_of(each) for each in ("<0xFF>", "<0xG0>", "<0x1>", "0xFF")] == [255, None, None, None]


def test_what_cannot_be_seen_is_written_out() -> None:
    assert visible("a\n\t\\\udcff\u200b雨") == "a\\n\\t\\\\\\xff\\u200b雨"
