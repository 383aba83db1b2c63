import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.reading.decode import binary_kind, declared_encoding, decode, encoding_of, is_binary, known, wide_encoding

CHINESE = "河边的老人讲了一个很长的故事，孩子们都听得入了神。"
TRADITIONAL = "河邊的老人講了一個很長的故事，孩子們都聽得入了神。"


@settings(deadline=None)
@given(
    st.text(),
    st.sampled_from([(b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF16_LE, "utf-16-le")]),
)
def test_marked_text_and_utf8_come_back_whole(text: str, form: tuple[bytes, str]) -> None:
    mark, encoding = form
    if "\0" in text or text.startswith("\ufeff"):  # a second mark, or what is no text
        return
    assert decode(mark + text.encode(encoding)).text == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", [CHINESE, "plain English, nothing else", "第一行\nsecond line\n", "一二三四五六七八九十"])
def test_wide_encodings_without_a_mark_are_told_by_their_characters(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert not is_binary(data)
    assert decode(data).text == text and decode(data).encoding == encoding == encoding_of(data)


@pytest.mark.parametrize(("text", "written", "found"), [(CHINESE, "gbk", "gb18030"), (TRADITIONAL, "big5", "big5hkscs")])
def test_chinese_encodings_are_known_by_evidence(text: str, written: str, found: str) -> None:
    decoded = decode(text.encode(written))
    assert (decoded.text, decoded.encoding) == (text, found)


@pytest.mark.parametrize(
    "data",
    [
        b"\xe9t\xe9",
        b"\xf0\x9f",
        CHINESE.encode()[:-1],
        CHINESE.encode()[:31] + CHINESE.encode(),
        b"\xff" + CHINESE.encode(),
        b"fine until \xff\xfe",
    ],
)
def test_broken_utf8_is_refused_and_never_taken_for_gbk(data: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        decode(data)


def page(text: str, charset: str, form: str = '<meta charset="{}">') -> str:
    return f"<html><head>{form.format(charset)}<title>t</title></head><body><p>{text}</p></body></html>"


@pytest.mark.parametrize("form", ['<meta charset="{}">', "<meta http-equiv='Content-Type' content='text/html; charset={}'>"])
def test_a_page_of_few_words_is_read_as_it_says(form: str) -> None:
    """Two characters are too thin as evidence; the page's own word decides."""
    data = page("咖啡", "big5", form).encode("big5")
    assert decode(data, page=True).text == page("咖啡", "big5", form)
    assert decode('<?xml version="1.0" encoding="GB2312"?><p>爨</p>'.encode("gb18030"), page=True).encoding == "gb18030"


@pytest.mark.parametrize(("said", "written"), [("iso-8859-1", "gb18030"), ("big5", "gb18030"), ("gb2312", "utf-8"), ("utf-8", "gb18030")])
def test_a_page_that_lies_is_read_by_its_characters(said: str, written: str) -> None:
    text = page(CHINESE, said)
    assert decode(text.encode(written), page=True).text == text


def test_a_page_may_have_a_broken_byte_but_a_text_may_not() -> None:
    data = page(CHINESE * 40, "gb2312").encode("gb18030") + b"\xff"
    assert decode(data, page=True).text.count("\ufffd") == 1
    with pytest.raises(UnicodeDecodeError):
        decode(data)
    assert decode(page(CHINESE * 40, "utf-8").encode() + b"\xff", page=True).encoding == "utf-8"
    with pytest.raises(UnicodeDecodeError):
        decode(page(CHINESE, "utf-8").encode() + b"\xff\xff" * 50, page=True)


def test_the_senders_word_counts_where_the_page_is_silent() -> None:
    data = "<p>Русский текст о погоде</p>".encode("cp1251")
    assert decode(data, page=True, declared="windows-1251").text == "<p>Русский текст о погоде</p>"


def test_declarations_are_found_and_translated() -> None:
    assert declared_encoding(b'<?xml version="1.0" encoding="Big5"?>') == "big5hkscs"
    assert declared_encoding(b"<META CHARSET=gbk>") == "gb18030"
    assert declared_encoding(b"<p>charset=gbk in the text</p>") == ""
    assert [known(name) for name in ("latin1", "Shift_JIS", "rot13", "", "\0")] == ["cp1252", "cp932", "", "", ""]


def test_the_beginning_of_a_file_read_in_pieces_tells_its_encoding() -> None:
    assert encoding_of(b"only ASCII") == "ascii"
    assert encoding_of(CHINESE.encode()[:-1]) == "utf-8"
    assert encoding_of(CHINESE.encode("gb18030")[:-1]) == "gb18030"
    assert encoding_of(b"\xe9 t \xff\xfe") == "utf-8"


def test_signatures_and_nul_bytes_are_binary_and_utf16_is_not() -> None:
    assert [is_binary(data) for data in (b"\x89PNG\r\n", b"abc\0def", b"abcd\0efg", b"\0\1\0\1", b"\0" * 100)] == [True] * 5
    assert not is_binary(codecs.BOM_UTF16_LE + "中文".encode("utf-16-le"))
    assert not is_binary("中文".encode())
    assert binary_kind(b"SQLite format 3\0") == "a SQLite database" and not wide_encoding(b"")
