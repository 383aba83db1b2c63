# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""A web page, a PDF or a recorded web response becomes its text.

In: HTML, a PDF, or a WARC content. Out: the main text without menus and boilerplate, by trafilatura; the text of all pages, by
pdfium; the main text of every response that is a page or plain text. Scanned pages have no text and get a receipt.
"""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, BinaryIO, cast

from hanmo.data.reading.contents import DOCUMENT_BYTES, Content, ReadConfig, one_line, seekable, too_long, undecodable
from hanmo.data.reading.decode import decode, is_binary
from hanmo.data.reading.inputs import Refused, Text
from hanmo.data.reading.normalize import without_surrogates
from hanmo.data.reading.streams import READ_ERRORS

PAGES = ("text/html", "application/xhtml+xml")
CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
PASSWORD_ASKED = 4  # FPDF_ERR_PASSWORD


def extract_html(html: str) -> str:
    """The main text of a page; empty when there is none.

    Paragraphs are lines. Malformed pages never raise: what the parser cannot read counts as no text.
    """
    import trafilatura

    try:
        return trafilatura.extract(html, include_comments=False) or ""
    except (ValueError, AssertionError, RecursionError, LookupError):
        return ""


def page_text(content: Content, data: bytes, label: str = "", declared: str = "") -> Text | Refused:
    """The main text of a page in bytes, in the charset that the evidence, the page itself or its sender names."""
    label = label or content.label
    try:
        decoded = decode(data, page=True, declared=declared)
    except UnicodeDecodeError as error:
        return undecodable(label, data, error)
    text = extract_html(decoded.text)
    if not text:
        return Refused(source=label, rule="no_text", detail="the page has no main text")
    return content.text(text, label=label, encoding=decoded.encoding)


def read_pdf(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """The text of a PDF, pages below each other."""
    import pypdfium2

    limit = DOCUMENT_BYTES * config.max_bytes
    with seekable(content, config) as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        yield too_long(content.label, max(len(data), content.size), limit)
        return
    try:
        with contextlib.closing(pypdfium2.PdfDocument(data)) as document:
            text = _pages(document, config.max_bytes)
    except pypdfium2.PdfiumError as error:  # its words and code may be those of an earlier file
        locked = b"/Encrypt" in data and getattr(error, "err_code", None) == PASSWORD_ASKED
        words = "the document asks for a password" if locked else "no PDF that can be read, or one without pages"
        yield Refused(source=content.label, rule="encrypted" if locked else "unreadable", detail=words)
        return
    if len(text.encode("utf-8", "surrogatepass")) > config.max_bytes:
        yield too_long(content.label, len(text.encode("utf-8", "surrogatepass")), config.max_bytes)
    elif not text.strip():
        yield Refused(source=content.label, rule="no_text", detail="no page has text: scanned pages are not read")
    else:
        yield content.text(text)


def _pages(document: Any, limit: int) -> str:
    """The text of all pages, read until the limit is passed."""
    pages: list[str] = []
    length = 0
    for number in range(len(document)):
        with contextlib.closing(document[number]) as page, contextlib.closing(page.get_textpage()) as found:
            pages.append(cast("str", found.get_text_bounded()).replace("\r\n", "\n").replace("\ufffe", "").strip())
        length += len(pages[-1])
        if length > limit:
            break
    return "\n\n".join(page for page in pages if page)


def read_warc(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """The text of every response in a WARC file that is a page or plain text; other records get a receipt, requests none."""
    from warcio.archiveiterator import ArchiveIterator
    from warcio.exceptions import ArchiveLoadFailed

    with content.open() as stream:
        row, source = 0, _Source(stream)
        try:
            for record in ArchiveIterator(source):
                row += 1
                if record.rec_type in ("response", "resource", "conversion"):
                    label = f"{content.label}#{row}"
                    entry = _response(content, record, label, config)
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


def _response(content: Content, record: Any, label: str, config: ReadConfig) -> Text | Refused:
    headers: Any = record.http_headers
    status = str(headers.get_statuscode() or "") if headers else ""
    if status and not status.startswith("2"):
        return Refused(source=label, rule="no_page", detail=f"the server answered {status}")
    kind = str((headers.get_header("Content-Type") if headers else record.content_type) or "")
    data = cast("bytes", record.content_stream().read(config.max_bytes + 1))
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
