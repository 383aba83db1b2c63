import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.reading.decode import (
    ENCODINGS,
    binary_kind,
    declared_encoding,
    decode,
    decode_row,
    encoding_of,
    escaped_encoding,
    is_binary,
    is_damaged,
    known,
    wide_encoding,
)

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
    ("data", "names"),
    [
        (b"\xe9t\xe9", "comes nearest"),
        (b"\xf0\x9f", "comes nearest"),
        (b"fine until \xff\xfe", "comes nearest"),
        (CHINESE.encode()[:40] + TRADITIONAL.encode("big5"), "comes nearest"),
        ("Škotų Gėlė. Pavasarį žydi.".encode("cp1257") + b"\xfe\x01\xa1\xdd\xdd", "nearest"),
    ],
)
def test_what_no_encoding_explains_is_refused_with_the_nearest_one(data: bytes, names: str) -> None:
    with pytest.raises(UnicodeDecodeError, match=names) as caught:
        decode(data)
    assert caught.value.encoding in caught.value.reason and 0 <= caught.value.start < len(data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (CHINESE.encode()[:-1], CHINESE[:-1] + "\ufffd"),
        (CHINESE.encode()[:31] + CHINESE.encode(), CHINESE[:10] + "\ufffd" + CHINESE),
        (b"\xff" + CHINESE.encode(), "\ufffd" + CHINESE),
        (b"One damaged \xff byte in ASCII.", "One damaged \ufffd byte in ASCII."),
        (b"One \0 in a line\nof three\nlines of text", "One \ufffd in a line\nof three\nlines of text"),
        (codecs.BOM_UTF16_LE + CHINESE.encode("utf-16-le") + b"\n", CHINESE + "\ufffd"),
        (CHINESE.encode("utf-16-be") + b"\0", CHINESE + "\ufffd"),
        (CHINESE.encode("gb18030")[:-1], CHINESE[:-1] + "\ufffd"),
        (CHINESE.encode("gb18030") + "价格".encode("gb18030") + b"\x8050", CHINESE + "价格€50"),
        (TRADITIONAL.encode("big5")[:-1], TRADITIONAL[:-1] + "\ufffd"),
    ],
)
def test_a_damaged_byte_costs_itself_and_never_makes_utf8_gbk(data: bytes, text: str) -> None:
    assert decode(data).text == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("朝の市場はもうにぎやかで、野菜を売るおじいさんがいた。", "iso2022_jp"),
        ("아침 시장은 벌써 사람들로 가득했다.", "iso2022_kr"),
        (CHINESE, "hz"),
    ],
)
def test_escape_encodings_are_ascii_and_no_utf8(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert data.isascii() and decode(data).text == text and escaped_encoding(data) in ENCODINGS
    assert decode_row(data, "utf-8").text == text
    assert decode(b"<html><p>" + data + b"</p>", page=True, declared="utf-8").text == f"<html><p>{text}</p>"


@pytest.mark.parametrize("text", ["if (a) ~{ b(); ~}", "\x1b[31mred\x1b[0m", "~{ab~}", "regex ~{!!~} here", "plain"])
def test_what_only_looks_like_an_escape_stays_ascii(text: str) -> None:
    assert decode(text.encode()).text == text and not escaped_encoding(text.encode())


POLISH = "Zażółć gęślą jaźń, rzekł cicho."


@pytest.mark.parametrize(
    ("text", "written", "expected", "found"),
    [
        (CHINESE, "gb18030", "utf-8", "gb18030"),
        (CHINESE, "utf-8", "gb18030", "utf-8"),
        ("Привет, как дела сегодня?", "utf-8", "gb18030", "utf-8"),
        ("漏", "gb18030", "gb18030", "gb18030"),
        ("да", "cp1251", "cp1251", "cp1251"),
        (TRADITIONAL, "big5", "gb18030", "big5hkscs"),
        (CHINESE, "gb18030", "cp1251", "gb18030"),
        (POLISH, "cp1250", "cp1250", "cp1250"),
        ("№ 5", "cp1251", "cp1251", "cp1251"),
        ("plain", "ascii", "gb18030", "utf-8"),
    ],
)
def test_a_row_is_read_by_itself_and_by_its_file_where_it_is_too_short(text: str, written: str, expected: str, found: str) -> None:
    decoded = decode_row(text.encode(written), expected)
    assert (decoded.text, decoded.encoding) == (text, found)


def test_the_encodings_that_are_read_are_codecs_each_named_once() -> None:
    assert len(set(ENCODINGS)) == len(ENCODINGS) and all(codecs.lookup(name) for name in ENCODINGS)
    assert {"utf-8", "gb18030", "big5hkscs", "cp1250", "cp1251", "cp1253", "cp1255", "cp1256", "cp874", "hz"} <= set(ENCODINGS)


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


def test_a_page_and_a_text_may_have_a_broken_byte_but_not_many() -> None:
    data = page(CHINESE * 40, "gb2312").encode("gb18030") + b"\xff"
    assert decode(data, page=True).text.count("\ufffd") == decode(data).text.count("\ufffd") == 1
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
    assert not is_damaged(b'{"text": "a"}\n{"text": "b\0"}\n{"text": "c"}\n') and is_damaged(bytes(range(256)) * 8)
    assert binary_kind(b"SQLite format 3\0") == "a SQLite database" and not wide_encoding(b"")
