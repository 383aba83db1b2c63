"""The S3 server here is a small one of our own that speaks what reading needs: list, size, and parts of an object."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hanmo.base.errors import DataError, MissingExtraError
from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.inputs import InputFile, Refused, Source, Text, Unit, list_files, name_sources
from hanmo.data.reading.read import format_of, read_texts, read_unit
from hanmo.data.reading.remote import is_url, list_url, open_url, url_size, without_secrets

CHINESE = "山下有一条小河，河边住着一位老人。"


class Bucket(BaseHTTPRequestHandler):
    """GET and HEAD of objects with ranges, ListObjectsV2, HeadBucket; keys under `objects`."""

    objects: dict[str, bytes]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.answer(send_body=False)

    def do_GET(self) -> None:
        self.answer(send_body=True)

    def answer(self, send_body: bool) -> None:
        assert "AWS4-HMAC-SHA256" in self.headers["Authorization"]
        url = urlsplit(self.path)
        _, bucket, *key = unquote(url.path).split("/", 2)
        query = parse_qs(url.query, keep_blank_values=True)
        if bucket != "corpus":
            self.reply(404, b"<Error><Code>NoSuchBucket</Code></Error>", send_body)
        elif "list-type" in query:
            self.reply(200, self.listing(query), send_body)
        elif not key or not key[0]:
            self.reply(200, b"", send_body)
        elif key[0] not in self.objects:
            self.reply(404, b"<Error><Code>NoSuchKey</Code></Error>", send_body)
        else:
            self.send_object(self.objects[key[0]], send_body)

    def listing(self, query: dict[str, list[str]]) -> bytes:
        prefix = query.get("prefix", [""])[0]
        found = [(key, data) for key, data in sorted(self.objects.items()) if key.startswith(prefix)]
        items = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(data)}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for key, data in found[: int(query.get("max-keys", ["1000"])[0])]
        )
        head = f"<Name>corpus</Name><KeyCount>{len(found)}</KeyCount><IsTruncated>false</IsTruncated>"
        return f"<ListBucketResult>{head}{items}</ListBucketResult>".encode()

    def send_object(self, data: bytes, send_body: bool) -> None:
        asked = self.headers.get("Range")
        if not asked:
            self.reply(200, data, send_body)
            return
        first, last = asked.removeprefix("bytes=").split("-")
        part = data[int(first) : int(last) + 1 if last else None]
        self.reply(206, part, send_body, f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")

    def reply(self, status: int, body: bytes, send_body: bool, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/xml")
        self.send_header("ETag", '"0"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        if send_body:
            self.wfile.write(body)


def objects() -> dict[str, bytes]:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": [CHINESE + "四"]}), sink)
    return {
        "texts/a.txt": CHINESE.encode("gb18030"),
        "texts/sub/b.jsonl.gz": gzip.compress('{"text": "第二篇文章"}\n'.encode(), mtime=0),
        "texts/c.parquet": sink.getvalue().to_pybytes(),
        "texts/.hidden": b"x",
        "other/d.txt": b"not asked for",
    }


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    handler = type("Handler", (Bucket,), {"objects": objects()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    yield "s3://corpus/texts"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def memory() -> Iterator[str]:
    system = fsspec.filesystem("memory")
    for key, data in objects().items():
        system.pipe_file(f"/corpus/{key}", data)
    yield "memory://corpus/texts"
    system.rm("/corpus", recursive=True)


@pytest.fixture(params=["s3", "memory"])
def url(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(request.param)


def read(url: str) -> dict[str, str]:
    files, refused = list_files(name_sources([Source(url=url)]))
    units = [Unit(file=file, format=format_of(file, ReadConfig())) for file in files]
    entries = [*refused, *(entry for unit in units for entry in read_unit(unit, ReadConfig()))]
    return {entry.source: entry.text if isinstance(entry, Text) else f"!{entry.rule}" for entry in entries}


def test_a_folder_behind_a_url_is_read_like_one_on_disk(url: str, tmp_path: Path) -> None:
    wanted = {
        "texts/.hidden": "!hidden",
        "texts/a.txt": CHINESE,
        "texts/c.parquet#1": CHINESE + "四",
        "texts/sub/b.jsonl.gz#1": "第二篇文章",
    }
    assert read(url) == wanted
    for key, data in objects().items():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    files, _ = list_files(name_sources([Source(path=tmp_path / "texts")]))
    assert [file.label for file in files] == sorted({name.split("#")[0] for name in wanted if "hidden" not in name})


def test_one_file_behind_a_url_is_a_source_too(url: str) -> None:
    assert read(f"{url}/a.txt") == {"a.txt": CHINESE}
    assert url_size(f"{url}/a.txt") == len(CHINESE.encode("gb18030"))
    assert [document.text for document in read_texts(f"{url}/a.txt")] == [CHINESE]


def test_streams_can_go_to_any_place(url: str) -> None:
    with open_url(f"{url}/a.txt") as stream:
        stream.seek(4)
        assert stream.read(4) == CHINESE[2:4].encode("gb18030")


def test_what_is_not_there_says_so_without_secrets(url: str) -> None:
    with pytest.raises(DataError, match="nothing-here") as caught:
        list_url(url.replace("://", "://me:hush@").replace("texts", "nothing-here") if url.startswith("s3") else f"{url}/nothing-here")
    assert "hush" not in str(caught.value)


def test_an_object_that_vanishes_has_its_receipt(s3: str) -> None:
    file = InputFile(url=f"{s3}/gone.txt", label="gone.txt")
    (entry,) = read_unit(Unit(file=file), ReadConfig())
    assert isinstance(entry, Refused) and entry.rule == "unreadable"


def test_a_scheme_nobody_knows_and_a_missing_library_say_what_to_do() -> None:
    with pytest.raises(DataError, match="give a path, or a URL"):
        list_url("klingon://bucket/texts")
    with pytest.raises(MissingExtraError, match=r"pip install 'hanmo\[remote\]'"):
        list_url("gs://bucket/texts")


def test_secrets_of_a_url_are_not_shown() -> None:
    assert without_secrets("https://me:pass@host/a?token=1") == "https://host/a"
    assert is_url("file:///tmp/x") and not is_url("/tmp/x:y")
