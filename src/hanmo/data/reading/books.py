# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportAttributeAccessIssue=false
"""A book in EPUB becomes its text, chapter below chapter in the order of its spine.

In: a zip package. Out: one text; a receipt for every chapter that is named and cannot be read. The idea: a book has no boilerplate,
so every word counts, and not only what an extractor takes for the main text. Tables of contents, notes read aloud beside a
character (ruby) and pictures are left out; what is protected against copying is refused as that.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

from hanmo.data.reading.contents import Content, ReadConfig, refusal, undecodable
from hanmo.data.reading.decode import decode
from hanmo.data.reading.inputs import Refused, Text
from hanmo.data.reading.packages import BLOCK_BYTES, MEMBER_ERRORS, Package, opened_package, read_xml
from hanmo.data.reading.prose import Elements, Prose

CONTAINER, PROTECTED = "META-INF/container.xml", "META-INF/encryption.xml"
CHAPTERS = ("application/xhtml+xml", "text/html", "application/xml")
MARKUP = 4  # times read.max_bytes that a chapter with its marks may have
FONTS = re.compile(r"font|\.(otf|ttf|woff2?)$", re.IGNORECASE)
BLOCKS = "p div h1 h2 h3 h4 h5 h6 li ul ol dl dt dd blockquote pre section article header footer aside nav figure figcaption table body"
XHTML = Elements(
    paragraphs=frozenset(BLOCKS.split()),
    rows=frozenset({"tr"}),
    cells=frozenset({"td", "th"}),
    skipped=frozenset({"head", "script", "style", "rt", "rp", "svg", "math"}),
    breaks={"br": "\v", "hr": "\v"},
    verbatim=frozenset({"pre"}),
    has_layout=True,
)


def read_epub(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """The text of a book."""
    try:
        with opened_package(content, config) as package:
            yield from book_text(content, package, config)
    except MEMBER_ERRORS as error:
        yield refusal(content.label, error)


def book_text(content: Content, package: Package, config: ReadConfig) -> Iterator[Text | Refused]:
    """The text of a book whose package is open.

    Raises one of MEMBER_ERRORS.
    """
    chapters = _chapters(package)
    if protected := _protected(package) & set(chapters):
        detail = f"{min(protected)} is protected against copying"
        yield Refused(source=content.label, rule="encrypted", detail=detail)
        return
    parts: list[str] = []
    left = config.max_bytes
    for name in chapters:
        page = _page(package, name, f"{content.label}/{name}", config)
        if isinstance(page, Refused):
            yield page
        else:
            parts.append(_page_text(page, left))
            left -= len(parts[-1].encode("utf-8", "surrogatepass"))
    text = "\n\n".join(part for part in parts if part)
    if text:
        yield content.text(text, encoding="utf-8")
    else:
        yield Refused(source=content.label, rule="no_text", detail="no chapter has words")


def is_book(names: frozenset[str]) -> bool:
    """Whether an archive is a book and not a folder of files."""
    return CONTAINER in names and "mimetype" in names


class _Spine:
    """The chapters of a book, as its package file lists them."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.order: list[str] = []
        self.root = ""
        self.protected: set[str] = set()

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "rootfile":
            self.root = self.root or attributes.get("full-path", "")
        elif tag == "item" and attributes.get("media-type") in CHAPTERS and "nav" not in attributes.get("properties", "").split():
            self.files[attributes.get("id", "")] = unquote(attributes.get("href", ""))
        elif tag == "itemref":
            self.order.append(attributes.get("idref", ""))
        elif tag == "CipherReference":
            self.protected.add(unquote(attributes.get("URI", "")))

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


def _chapters(package: Package) -> list[str]:
    """The names of the members that are chapters, each once."""
    container = _Spine()
    if CONTAINER in package.names:
        read_xml(package.blocks(CONTAINER), container)
    root = container.root or min((name for name in package.names if name.endswith(".opf")), default="")
    if root not in package.names:
        raise ValueError("no EPUB that can be read: the list of its chapters is missing")
    spine = _Spine()
    read_xml(package.blocks(root), spine)
    folder = posixpath.dirname(root)
    found = (spine.files[name] for name in spine.order or spine.files if name in spine.files)
    return list(dict.fromkeys(posixpath.normpath(posixpath.join(folder, href.partition("#")[0])) for href in found))


def _protected(package: Package) -> set[str]:
    if PROTECTED not in package.names:
        return set()
    listed = _Spine()
    read_xml(package.blocks(PROTECTED), listed)
    return {name for name in listed.protected if not FONTS.search(name)}


def _page(package: Package, name: str, label: str, config: ReadConfig) -> str | Refused:
    """The markup of a chapter, or why there is none."""
    if name not in package.names:
        return Refused(source=label, rule="unreadable", detail="the book names a chapter that it does not hold")
    try:
        data = package.whole(name, MARKUP * config.max_bytes)
    except MEMBER_ERRORS as error:
        return refusal(label, error)
    try:
        return decode(data, page=True).text
    except UnicodeDecodeError as error:
        return undecodable(label, data, error)


def _page_text(markup: str, limit: int) -> str:
    """All words of a page, however badly its elements are closed.

    Raises TooLargeError when they are more than `limit` bytes.
    """
    from lxml import etree

    prose = Prose(XHTML, limit)
    parser = etree.HTMLParser(target=_ParserTarget(prose), encoding="utf-8")
    data = markup.encode("utf-8", "replace")
    for place in range(0, len(data), BLOCK_BYTES):
        parser.feed(data[place : place + BLOCK_BYTES])
    if data.strip():
        parser.close()
    return prose.text()


class _ParserTarget:
    """What lxml tells of a page, for whom it is told to."""

    def __init__(self, prose: Prose) -> None:
        self.start, self._prose = prose.start, prose

    def end(self, tag: str) -> None:
        if tag not in XHTML.breaks:
            self._prose.end(tag)

    def data(self, text: str) -> None:
        self._prose.data(text)

    def close(self) -> None:
        pass
