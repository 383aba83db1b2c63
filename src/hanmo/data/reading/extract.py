# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""A web page becomes its text.

In: HTML. Out: the main text without menus and boilerplate, by trafilatura.
"""

from hanmo.data.reading.contents import Content, undecodable
from hanmo.data.reading.decode import decode
from hanmo.data.reading.inputs import Refused, Text


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
