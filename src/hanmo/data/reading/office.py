"""Documents of Word and of LibreOffice become their text; workbooks and slides are named as what they are.

In: a zip package. Out: the words of its paragraphs as lines, in the order of the document, the cells of a row side by side. What
was deleted while changes were tracked, comments, notes, headers and footers are left out.
"""

import re
from collections.abc import Iterator

from hanmo.data.reading.contents import Content, ReadConfig, refusal
from hanmo.data.reading.inputs import Refused, Text
from hanmo.data.reading.packages import MEMBER_ERRORS, Package, opened_package, read_xml
from hanmo.data.reading.prose import Elements, Prose

WORD = Elements(
    paragraphs=frozenset({"p"}),
    rows=frozenset({"tr"}),
    cells=frozenset({"tc"}),
    skipped=frozenset({"pPr", "rPr", "del", "moveFrom", "Fallback", "rt", "tblPr", "sectPr", "instrText"}),
    breaks={"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"},
    words=frozenset({"t"}),
)
WRITER = Elements(
    paragraphs=frozenset({"p", "h"}),
    rows=frozenset({"table-row"}),
    cells=frozenset({"table-cell"}),
    skipped=frozenset({"tracked-changes", "annotation", "note", "ruby-text", "automatic-styles", "font-face-decls", "scripts", "forms"}),
    breaks={"tab": " ", "line-break": "\v", "s": " "},
    has_layout=True,
)
PARTS = {
    "word/document.xml": WORD,
    "xl/workbook.xml": "an Excel workbook is not read: save it as CSV",
    "xl/workbook.bin": "an Excel workbook is not read: save it as CSV",
    "ppt/presentation.xml": "a PowerPoint file is not read: save it as PDF",
}
"""Where the words of a package stand, or why they are not read."""
OTHER_DOCUMENT = re.compile(r"(word/document)\d+(\.xml)")
"""Word on the web writes document2.xml where it has changed a document."""
OPEN_TEXT = b"application/vnd.oasis.opendocument.text"


def read_office(content: Content, config: ReadConfig) -> Iterator[Text | Refused]:
    """The text of a document."""
    try:
        with opened_package(content, config) as package:
            yield from package_text(content, package, config)
    except MEMBER_ERRORS as error:
        yield refusal(content.label, error)


def package_text(content: Content, package: Package, config: ReadConfig) -> Iterator[Text | Refused]:
    """The text of a document whose package is open.

    Raises one of MEMBER_ERRORS.
    """
    part = _main_part(package.names)
    elements = PARTS.get(OTHER_DOCUMENT.sub(r"\1\2", part), "no document of Word or LibreOffice: word/document.xml is missing")
    if not part and "mimetype" in package.names and "content.xml" in package.names:
        kind = package.whole("mimetype", config.max_bytes)
        part, elements = (
            "content.xml",
            WRITER if kind.startswith(OPEN_TEXT) else "an OpenDocument file that is no text: save it as CSV or PDF",
        )
    if isinstance(elements, str):
        yield Refused(source=content.label, rule="unsupported", detail=elements)
        return
    prose = Prose(elements, config.max_bytes)
    read_xml(package.blocks(part), prose)
    if text := prose.text():
        yield content.text(text, encoding="utf-8")
    else:
        yield Refused(source=content.label, rule="no_text", detail="the document holds no words")


def is_office(names: frozenset[str]) -> bool:
    """Whether an archive is a document and not a folder of files."""
    return bool(_main_part(names)) and "[Content_Types].xml" in names


def _main_part(names: frozenset[str]) -> str:
    """The member that holds the words, or tells why there are none; empty without one."""
    known = next((name for name in PARTS if name in names), "")
    return known or min((name for name in names if OTHER_DOCUMENT.fullmatch(name)), default="")
