# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""A web page becomes its text.

In: HTML. Out: the main text without menus and boilerplate, by trafilatura.
"""

import re

from hanmo.data.reading.contents import Content, undecodable
from hanmo.data.reading.decode import decode
from hanmo.data.reading.inputs import Refused, Text

RUBY = re.compile(r"<ruby\b(?:(?!<ruby\b).){0,20000}?</ruby\s*>", re.DOTALL | re.IGNORECASE)
READINGS = re.compile(
    r"<(rt|rp|rtc)(?:\s[^>]*)?>.*?(?:</\1\s*>|(?=<(?:rt|rp|rtc|rb)\b|</ruby))",  # HTML lets their ends be left out
    re.DOTALL | re.IGNORECASE,
)
RUBY_MARKS = re.compile(r"</?(?:ruby|rb|rbc)(?:\s[^>]*)?>", re.IGNORECASE)


def extract_html(html: str) -> str:
    """The main text of a page; empty when there is none.

    Paragraphs are lines, and what is written above characters to say how they are read falls out. Malformed pages never raise: what
    the parser cannot read counts as no text.
    """
    import trafilatura

    try:
        return trafilatura.extract(without_readings(html), include_comments=False) or ""
    except (ValueError, AssertionError, RecursionError, LookupError):
        return ""


def without_readings(html: str) -> str:
    """The page without ruby, the small text beside characters that says how they are read; the characters themselves join.

    >>> without_readings("<ruby>東<rp>(</rp><rt>とう</rt><rp>)</rp>京<rt>きょう</rt></ruby>へ")
    '東京へ'
    """
    while (without := RUBY.sub(lambda found: RUBY_MARKS.sub("", READINGS.sub("", found[0])), html)) != html:
        html = without  # the innermost first
    return html


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
