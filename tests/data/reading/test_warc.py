import gzip
import zlib
from pathlib import Path

import pyarrow as pa
import pytest

from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.read import format_of, read_unit

PARAGRAPH = "早晨的公园里有许多人，有的跑步，有的打拳，也有老人坐在长椅上读报，孩子们绕着池塘追逐一只白色的小狗，笑声传得很远。"
MANY = "".join(f"<p>{PARAGRAPH}{number}</p>" for number in range(6))
PAGE = f"""<html><head><title>t</title><script>var x = 1;</script></head>
<body><nav><a href="/">首页</a><a href="/b">关于</a></nav>
<article><h1>公园里的早晨</h1><p>今天天气很好，我们一起去公园散步，看见许多花。</p>
<p>The second paragraph is long enough to be kept by anyone.</p>{MANY}</article>
<footer>版权所有</footer></body></html>"""


def read(path: Path, content: bytes, **settings) -> list[Text | Refused]:
    path.write_bytes(content)
    file, config = InputFile(path=path, label=path.name), ReadConfig(**settings)
    return list(read_unit(Unit(file=file, format=format_of(file, config)), config))


def warc(records: list[tuple[str, str, bytes]], packed: bool = False) -> bytes:
    """A WARC file of responses, each with its request: (status line, content type, body)."""
    out = b""
    for number, (status, kind, body) in enumerate(records):
        head = f"HTTP/1.1 {status}\r\n" + (f"Content-Type: {kind}\r\n" if kind else "") + "\r\n"
        for sort, payload in (("response", head.encode() + body), ("request", b"GET / HTTP/1.1\r\n\r\n")):
            facts = f"WARC-Type: {sort}\r\nWARC-Target-URI: http://example.org/{number}\r\nContent-Length: {len(payload)}\r\n"
            facts += f"Content-Type: application/http; msgtype={sort}\r\nWARC-Record-ID: <urn:uuid:{number}-{sort}>\r\n"
            record = f"WARC/1.0\r\n{facts}WARC-Date: 2026-01-01T00:00:00Z\r\n\r\n".encode() + payload + b"\r\n\r\n"
            out += gzip.compress(record, mtime=0) if packed else record
    return out


RECORDS = [
    ("200 OK", "text/html; charset=gb2312", PAGE.encode("gb18030")),
    ("200 OK", "text/html", PAGE.encode()),
    ("404 Not Found", "text/html", b"<html>gone</html>"),
    ("200 OK", "image/png", b"\x89PNG"),
    ("200 OK", "text/plain", "早晨的公园里有许多人，有的跑步。".encode()),
    ("200 OK", "text/html", b"<html></html>"),
    ("200 OK", "text/plain", b"\xff\xfe\xfd"),
    ("200 OK", "text/html", b"<p>" + b"x" * 20_000),
    ("200 OK", "", PAGE.encode()),
]


@pytest.mark.parametrize("packed", [False, True])
def test_every_response_of_a_warc_is_a_text_or_a_receipt(tmp_path: Path, packed: bool) -> None:
    entries = read(tmp_path / ("a.warc.gz" if packed else "a.warc"), warc(RECORDS, packed), max_bytes=15_000)
    assert [entry.rule if isinstance(entry, Refused) else "" for entry in entries] == [
        *("", "", "no_page", "unsupported", "", "no_text", "undecodable", "max_bytes", "")
    ]
    texts = [entry for entry in entries if isinstance(entry, Text)]
    assert [PARAGRAPH in texts[place].text for place in (0, 1, 3)] == [True] * 3
    assert [entry.encoding for entry in texts] == ["gb18030", "utf-8", "utf-8", "utf-8"]
    assert texts[0].metadata == {"url": "http://example.org/0"} and texts[0].source.endswith("#1")
    assert len({entry.source for entry in entries}) == len(RECORDS)


def test_a_warc_that_breaks_off_gives_what_it_had(tmp_path: Path) -> None:
    data = warc(RECORDS[:2], packed=True)
    entries = read(tmp_path / "a.warc.gz", data[:-500])
    assert isinstance(entries[0], Text)
    assert [(entry.source, entry.rule) for entry in entries if isinstance(entry, Refused)] == [
        ("a.warc.gz#3", "unreadable"),
        ("a.warc.gz", "unreadable"),
    ]
    (tmp_path / "c.warc").write_bytes(warc(RECORDS[:1]))
    entries = read(tmp_path / "c.warc", warc(RECORDS[:1])[: len(PAGE.encode("gb18030"))])
    assert [entry.rule for entry in entries if isinstance(entry, Refused)] == ["unreadable"]
    entries = read(tmp_path / "b.warc", b"WARC/1.0\r\nbroken header\r\n\r\nnonsense that is no record\r\n\r\nmore")
    assert entries == [] or isinstance(entries[-1], Refused)


def packed(body: bytes, codec: str) -> bytes:
    if codec == "gzip":
        return gzip.compress(body, mtime=0)
    return zlib.compress(body) if codec == "deflate" else pa.Codec({"br": "brotli"}.get(codec, codec)).compress(body, asbytes=True)


def response(body: bytes, encoding: str, chunked: bool = False) -> bytes:
    """A WARC file of one page whose body is packed as its header says, or not."""
    if chunked:
        halves = (body[: len(body) // 2], body[len(body) // 2 :])
        body = b"".join(b"%x\r\n%s\r\n" % (len(half), half) for half in halves) + b"0\r\n\r\n"
    kind = f"text/html; charset=utf-8\r\nContent-Encoding: {encoding}" + ("\r\nTransfer-Encoding: chunked" if chunked else "")
    return warc([("200 OK", kind, body)])


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "BR", "zstd"])
def test_a_body_is_unpacked_as_its_sender_packed_it(tmp_path: Path, encoding: str, chunked: bool) -> None:
    (entry,) = read(tmp_path / "a.warc", response(packed(PAGE.encode(), encoding.lower()), encoding, chunked))
    assert isinstance(entry, Text) and PARAGRAPH in entry.text


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "identity", "none"])
def test_a_body_that_is_not_packed_as_its_sender_says_is_read_as_it_stands(tmp_path: Path, encoding: str) -> None:
    (entry,) = read(tmp_path / "a.warc", response(PAGE.encode(), encoding))
    assert isinstance(entry, Text) and PARAGRAPH in entry.text


@pytest.mark.parametrize("encoding", ["br", "zstd"])
def test_a_packed_body_that_is_broken_or_grows_without_end_costs_itself(tmp_path: Path, encoding: str) -> None:
    bodies = [packed(PAGE.encode(), encoding)[:-20], packed(b"<p>" + b"x" * 2**22, encoding), packed(PAGE.encode(), encoding)]
    data = b"".join(response(body, encoding) for body in bodies)
    entries = read(tmp_path / "a.warc", data, max_bytes=2**20)
    assert [entry.rule if isinstance(entry, Refused) else "" for entry in entries] == ["unreadable", "max_bytes", ""]


def arc(pages: list[bytes]) -> bytes:
    """An archive in the format before WARC."""
    about = b"1 0 archive\nURL IP-address Archive-date Content-type Archive-length\n"
    out = b"filedesc://a.arc 0.0.0.0 20260101000000 text/plain %d\n%s\n" % (len(about), about)
    for number, page in enumerate(pages):
        body = b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + page
        out += b"http://example.org/%d 127.0.0.1 20260101000000 text/html %d\n%s\n" % (number, len(body), body)
    return out


@pytest.mark.parametrize("name", ["a.arc", "a.arc.gz", "old"])
def test_an_old_arc_is_read_like_a_warc(tmp_path: Path, name: str) -> None:
    data = arc([PAGE.encode(), b"<html></html>", PAGE.encode("gb18030")])
    entries = read(tmp_path / name, gzip.compress(data, mtime=0) if name.endswith("gz") else data)
    assert [entry.rule if isinstance(entry, Refused) else "" for entry in entries] == ["", "no_text", ""]
    texts = [entry for entry in entries if isinstance(entry, Text)]
    assert [text.metadata["url"] for text in texts] == ["http://example.org/0", "http://example.org/2"]
    assert all(PARAGRAPH in text.text for text in texts)


def test_a_record_without_an_address_or_with_broken_headers_costs_itself(tmp_path: Path) -> None:
    sound = warc([("200 OK", "text/html", PAGE.encode())])
    no_address = sound.replace(b"WARC-Target-URI", b"WARC-Target-XXX", 1)
    no_header = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://x.org/\r\nContent-Length: 9\r\n\r\n"
    entries = read(tmp_path / "a.warc", no_address + sound + no_header)
    assert [entry.rule if isinstance(entry, Refused) else "" for entry in entries] == ["unsupported", "", "unreadable"]
    endless = no_header.replace(b": 9", b": " + b"9" * 30) + b"HTTP/1.1 200 OK\r\n\r\nwords"
    assert [entry.rule for entry in read(tmp_path / "b.warc", endless) if isinstance(entry, Refused)] == ["unreadable"]
