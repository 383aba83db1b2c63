# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""A web page or a PDF becomes its text.

In: HTML or a PDF. Out: the main text without menus and boilerplate, by trafilatura; the text of all pages, by pdfium. Scanned
pages have no text and get a receipt.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, cast

from hanmo.data.reading.contents import DOCUMENT_BYTES, Content, ReadConfig, seekable, too_long, undecodable
from hanmo.data.reading.decode import decode
from hanmo.data.reading.inputs import Refused, Text

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
