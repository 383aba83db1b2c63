# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""Recorded web responses become the text of their pages.

In: a WARC or an old ARC content. Out: the main text of every response that is a page or plain text, however its body was packed on its
way; other responses get a receipt. The idea: a body that is not packed as its sender says is read as it stands.
"""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO, cast

from hanmo.data.reading.contents import Content, ReadConfig, one_line, too_long, undecodable
from hanmo.data.reading.decode import decode, is_binary
from hanmo.data.reading.extract import page_text
from hanmo.data.reading.inputs import Refused, Text
from hanmo.data.reading.normalize import without_surrogates
from hanmo.data.reading.streams import READ_ERRORS
from hanmo.data.tables import arrow_stream

PAGES = ("text/html", "application/xhtml+xml")
CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
BODIES = {"br": "brotli", "zstd": "zstd"}
"""What a sender calls a packing that warcio leaves packed, and what Arrow calls it."""


def read_warc(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """The text of every response in a WARC file that is a page or plain text; other records get a receipt, requests none."""
    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    with content.open() as stream:
        row, source = 0, _Source(stream)
        try:
            records = ArchiveIterator(source, no_record_parse=True, arc2warc=True)
            for record in records:
                row += 1
                if record.rec_type in ("response", "resource", "conversion"):
                    label = f"{content.label}#{row}"
                    entry = _with_headers(records.loader, record, label) or _response(content, record, label, config)
                    cut = source.error or (getattr(record.raw_stream, "limit", 0) > 0 and not isinstance(entry, Refused))
                    yield Refused(source=label, rule="unreadable", detail="the record breaks off") if cut else entry
        except ArchiveLoadFailed as error:
            yield Refused(source=f"{content.label}#{row + 1}", rule="unreadable", detail=one_line(error))
        if source.error:
            raise source.error


class _Source:
    """A stream for warcio, which takes an error for the end: it ends there, and keeps the error."""

    def __init__(self, stream: BinaryIO) -> None:
        self._read = cast("Callable[[int], bytes]", getattr(stream, "read1", stream.read))
        self.error: Exception | None = None

    def read(self, size: int) -> bytes:
        """The next bytes."""
        try:
            return b"" if self.error else self._read(size)
        except READ_ERRORS as error:
            self.error = error
            return b""


def _with_headers(loader: Any, record: Any, label: str) -> Refused | None:
    """Let a record have what the server said before its body; a refusal where that is broken, which costs the record alone."""
    from warcio.statusandheaders import StatusAndHeadersParserException

    address = str(record.rec_headers.get_header("WARC-Target-URI") or "")
    if record.rec_type != "response" or not address.startswith(loader.HTTP_SCHEMES):
        return None
    try:
        record.http_headers = loader.load_http_headers("response", address, record.raw_stream, record.length)
    except (EOFError, OverflowError, ValueError, StatusAndHeadersParserException) as error:
        return Refused(source=label, rule="unreadable", detail=f"headers of HTTP that are broken: {one_line(error)}")
    return None


def _body(record: Any, limit: int) -> bytes:
    """What a server sent, unpacked, no more than `limit` bytes of it.

    Raises OSError where a packed body is broken.
    """
    headers: Any = record.http_headers
    codec = BODIES.get(str(headers.get_header("Content-Encoding") or "").strip().lower() if headers else "")
    if codec:
        headers.remove_header("Content-Encoding")  # else what warcio does depends on what else is installed
    data = cast("bytes", record.content_stream().read(limit))
    if not codec or not data:
        return data
    try:
        with arrow_stream(io.BytesIO(data), codec) as plain:
            return plain.read(limit)
    except OSError:
        if data.lstrip()[:1] == b"<":
            return data  # an archive may keep what it has unpacked under the words of its sender
        raise


def _response(content: Content, record: Any, label: str, config: ReadConfig) -> Text | Refused:
    headers: Any = record.http_headers
    status = str(headers.get_statuscode() or "") if headers else ""
    if status and not status.startswith("2"):
        return Refused(source=label, rule="no_page", detail=f"the server answered {status}")
    kind = str((headers.get_header("Content-Type") if headers else record.content_type) or "")
    try:
        data = _body(record, config.max_bytes + 1)
    except OSError as error:
        return Refused(source=label, rule="unreadable", detail=one_line(error))
    if len(data) > config.max_bytes:
        return too_long(label, len(data), config.max_bytes)
    declared = (CHARSET.search(kind) or ["", ""])[1]
    address = cast("str | None", record.rec_headers.get_header("WARC-Target-URI")) or ""
    media = kind.split(";")[0].strip().lower()
    if media in PAGES or (not media and b"<html" in data[:1024].lower()):
        entry = page_text(content, data, label, declared)
    elif media == "text/plain" and not is_binary(data):
        try:
            decoded = decode(data, page=bool(declared), declared=declared)
        except UnicodeDecodeError as error:
            return undecodable(label, data, error)
        entry = content.text(decoded.text, label=label, encoding=decoded.encoding)
    else:
        return Refused(source=label, rule="unsupported", detail=one_line(ValueError(f"no page and no text: {media or 'unknown'}")))
    return entry if isinstance(entry, Refused) else replace(entry, metadata={"url": without_surrogates(address)})
