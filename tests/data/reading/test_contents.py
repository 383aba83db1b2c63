import contextlib
import io
from pathlib import Path

import pytest

from hanmo.base.errors import ConfigError
from hanmo.data.reading.contents import Content, ReadConfig, one_line, refusal, seekable, too_long, undecodable
from hanmo.data.reading.formats import Format
from hanmo.data.reading.inputs import Refused
from hanmo.data.reading.streams import BombError, Counted, Guard, TooLargeError


def content(data: bytes, encoding: str = "utf-8") -> Content:
    return Content(label="a", format=Format("text", encoding, "note"), open=lambda: contextlib.nullcontext(io.BytesIO(data)))


@pytest.mark.parametrize("name", ["max_bytes", "max_ratio", "max_unpacked"])
def test_limits_have_to_be_positive(name: str) -> None:
    for value in (0, float("nan")):
        with pytest.raises(ConfigError, match=rf"read\.{name} \(={value}\)"):
            ReadConfig(**{name: value})


def test_a_text_carries_what_it_was_read_as() -> None:
    text = content(b"").text("words", label="a#1", metadata={"k": "v"})
    assert (text.source, text.format, text.encoding, text.note, text.metadata) == ("a#1", "text", "utf-8", "note", {"k": "v"})
    assert content(b"", "ascii").text("words").encoding == "utf-8"
    assert content(b"").text("words", encoding="gb18030").encoding == "gb18030"


def test_a_piece_in_another_encoding_than_the_file_began_with_is_read() -> None:
    text = "一行字，读得懂的中文。"
    for expected in ("ascii", "utf-8", "cp1251"):
        assert content(b"", expected).decode_row(text.encode("gb18030")) == (text, "gb18030")
    assert content(b"", "gb18030").decode_row(text.encode()) == (text, "utf-8")
    assert content(b"", "gb18030").decode(text.encode()) == (text, "gb18030")
    assert content(b"", "utf-16-le").decode_row(text.encode()) == (text, "utf-16-le")


def test_refusals_say_the_rule_and_the_limit() -> None:
    assert too_long("a", 20, 10) == Refused(
        source="a", rule="max_bytes", detail="raise read.max_bytes or set read.split_on", value=20.0, threshold=10.0
    )
    assert refusal("a", BombError("words", 300, 200)) == Refused(source="a", rule="bomb", detail="words", value=300.0, threshold=200.0)
    assert refusal("a", OSError("gone")).rule == "unreadable"
    assert refusal("a", RuntimeError("File is encrypted, password required")).rule == "encrypted"
    try:
        b"ab\xff".decode()
    except UnicodeDecodeError as error:
        assert undecodable("a", b"ab\xff", error).detail == "byte 0xff at 2: it is not utf-8"
    assert one_line(ValueError("two\nlines \ud800")) == "two lines \ufffd"


def test_what_cannot_seek_is_held_up_to_a_limit(tmp_path: Path) -> None:
    def endless() -> contextlib.AbstractContextManager[io.BufferedReader]:
        return contextlib.nullcontext(io.BufferedReader(Counted(io.BytesIO(b"x" * 100), Guard(1, 1e9, 10**9))))

    packed = Content(label="a", format=Format(), open=endless)
    with seekable(packed, ReadConfig(max_bytes=10)) as stream:
        assert (stream.seek(99), stream.read()) == (99, b"x")
    with pytest.raises(TooLargeError) as caught, seekable(packed, ReadConfig(max_bytes=6)):
        pass
    assert refusal("a", caught.value) == Refused(source="a", rule="max_bytes", detail=str(caught.value), value=97.0, threshold=96.0)
    with seekable(content(b"plain"), ReadConfig()) as stream:
        assert stream.read() == b"plain"
