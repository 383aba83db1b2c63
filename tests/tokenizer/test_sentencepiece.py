"""A SentencePiece file says what its pieces are, and a damaged one is one line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tokenizer.conftest import field, sentencepiece_file, varint

from hanmo.base.errors import ModelError
from hanmo.tokenizer.sentencepiece import read_sentencepiece

PIECES = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("\u2581the", -1.5, 1), ("雨", -2.25, 1), ("<0x0A>", 0.0, 6)]
SHARED = Path("/work/shared/data/sentencepiece_data/test_model.model")


def read(path: Path, data: bytes) -> object:
    path.write_bytes(data)
    return read_sentencepiece(path)


def test_pieces_scores_types_and_rules_are_read(tmp_path: Path) -> None:
    trainer, rules = field(35, 1) + field(40, 0), field(2, b"\x01\x02") + field(3, 0) + field(4, 0)
    (tmp_path / "m").write_bytes(sentencepiece_file(PIECES, 2, trainer=trainer, rules=rules) + field(99, b"later versions"))
    found = read_sentencepiece(tmp_path / "m")
    assert list(zip(found.pieces, found.scores, found.types, strict=True)) == PIECES
    assert (found.kind, found.byte_fallback, found.unk_id, found.charsmap) == (2, True, 0, b"\x01\x02")
    assert not found.add_dummy_prefix and not found.remove_extra_whitespaces and not found.crosses_blanks


def test_what_a_file_does_not_say_is_what_the_format_says(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(field(1, field(1, b"a")))
    found = read_sentencepiece(tmp_path / "m")
    assert (found.pieces, found.scores, found.types, found.kind) == (["a"], [0.0], [1], 1)
    assert found.add_dummy_prefix and found.remove_extra_whitespaces and not found.byte_fallback


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it has no pieces"),
        (b"AAAA 0\nAAAB 1\n", "is no SentencePiece model"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7fabc", "goes beyond the end"),
        (b"\x0a\xff\xff\xff", "has no end"),
        (b"\xff" * 12, "has no end"),
        (varint(1 << 3 | 3), "a form that does not exist"),
        (field(1, 7), "a number stands where there should be a text"),
        (field(1, field(3, b"x")), "a text stands where there should be a number"),
        (field(1, field(1, b"\xff")), "is no SentencePiece model"),
        (sentencepiece_file([*PIECES, PIECES[2]], 1), "the piece '\u2581the' twice"),
        (sentencepiece_file(PIECES, 3), "cuts by words or characters"),
    ],
)
def test_what_is_none_is_refused_in_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read(tmp_path / "m", data)
    assert "\n" not in str(caught.value) and str(tmp_path / "m") in str(caught.value)


@given(data=st.binary(max_size=40), cut=st.integers(0, 200))
def test_any_bytes_are_a_model_or_one_line(tmp_path_factory: pytest.TempPathFactory, data: bytes, cut: int) -> None:
    path = tmp_path_factory.getbasetemp() / "any.model"
    whole = sentencepiece_file(PIECES, 1)
    for tried in (data, whole[:cut], whole[:cut] + data):
        try:
            read(path, tried)
        except ModelError as error:
            assert str(path) in str(error)


@pytest.mark.skipif(not SHARED.is_file(), reason=f"{SHARED} is not on this machine")
def test_a_file_of_the_library_itself_is_read() -> None:
    found = read_sentencepiece(SHARED)
    assert len(found.pieces) == 1000 and found.pieces[:5] == ["<unk>", "<s>", "</s>", "\r", "\u2581"] and found.types[:4] == [2, 3, 3, 1]
    assert found.kind == 1 and len(found.charsmap) == 237_484 and found.scores[3] == -2.9318392276763916
