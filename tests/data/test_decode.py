import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.data.decode import decode, is_binary


@given(
    st.text(),
    st.sampled_from([(b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF16_LE, "utf-16-le")]),
)
def test_marked_text_and_utf8_come_back_whole(text: str, form: tuple[bytes, str]) -> None:
    mark, encoding = form
    if text.startswith(("\ufeff", "\0")):  # a second mark, or UTF-16 that looks like UTF-32
        return
    assert decode(mark + text.encode(encoding)) == text


@pytest.mark.parametrize("data", ["今天".encode("gb18030"), "今天".encode("big5"), b"\xe9t\xe9", b"\xf0\x9f"])
def test_other_encodings_are_refused_not_guessed(data: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        decode(data)


def test_signatures_and_nul_bytes_are_binary_and_utf16_is_not() -> None:
    assert is_binary(b"\x89PNG\r\n") and is_binary(b"abc\0def") and is_binary(b"PK\x03\x04")
    assert not is_binary(codecs.BOM_UTF16_LE + "中文".encode("utf-16-le"))
    assert not is_binary("中文".encode())
