"""A web page becomes its text.

In: HTML. Out: the main text without menus and boilerplate, by trafilatura; nothing when the page holds none.
"""


def extract_html(html: str) -> str:
    """The main text of a page; empty when there is none.

    Paragraphs are lines. Malformed pages never raise: what the parser cannot read counts as no text.
    """
    import trafilatura

    try:
        return trafilatura.extract(html, include_comments=False) or ""
    except (ValueError, AssertionError, RecursionError, LookupError):
        return ""
