from pathlib import Path

import pytest
from tests.data.reading.conftest import package

from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.read import format_of, read_unit

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
BODY = """
<w:p><w:pPr><w:tabs><w:tab w:pos="1"/></w:tabs></w:pPr><w:r><w:t>清晨的集市</w:t></w:r>
<w:r><w:t xml:space="preserve"> opens</w:t></w:r></w:p>
<w:p><w:del><w:r><w:delText>gone</w:delText><w:t>gone too</w:t></w:r></w:del>
<w:ins><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r></w:ins></w:p>
<w:p><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>
<w:tbl><w:tr><w:tc><w:p><w:r><w:t>name</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>age</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
<w:p><w:r><w:ruby><w:rt><w:r><w:t>zi</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>字</w:t></w:r></w:rubyBase></w:ruby></w:r><w:r><w:t>典</w:t></w:r></w:p>
"""
LINES = "清晨的集市 opens\na\tb\nc\nname\tage\n字典"
ODF = """<office:document-content xmlns:office="urn:o" xmlns:text="urn:t" xmlns:table="urn:b"><office:automatic-styles/><office:body>
<text:h>A title</text:h><text:p>雨下了<text:span>一夜</text:span><text:note><text:p>
a note</text:p></text:note>。<text:line-break/>second</text:p>
<table:table-row><table:table-cell><text:p>x</text:p></table:table-cell><table:table-cell><text:p>y</text:p></table:table-cell></table:table-row>
</office:body></office:document-content>"""


def docx(body: str, **more: str) -> bytes:
    document = f'<?xml version="1.0"?><w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return package({"[Content_Types].xml": "<x/>", "word/document.xml": document, **more})


def odf(kind: str) -> bytes:
    return package({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": ODF})


def read(path: Path, data: bytes, **settings) -> list[Text | Refused]:
    path.write_bytes(data)
    file, config = InputFile(path=path, label=path.name), ReadConfig(**settings)
    return list(read_unit(Unit(file=file, format=format_of(file, config)), config))


@pytest.mark.parametrize("name", ["a.docx", "a.doc", "a.bin", "a.zip"])
def test_a_document_of_word_is_its_paragraphs_and_rows(tmp_path: Path, name: str) -> None:
    (entry,) = read(tmp_path / name, docx(BODY))
    assert isinstance(entry, Text) and (entry.text, entry.format, entry.encoding) == (LINES, "office", "utf-8")
    assert bool(entry.note) == (name != "a.docx")


def test_a_document_is_found_whatever_member_stands_first(tmp_path: Path) -> None:
    members = {"customXml/item1.xml": "<x/>", "word/document.xml": f'<w:document xmlns:w="{WORD}"><w:p><w:t>words</w:t></w:p></w:document>'}
    (entry,) = read(tmp_path / "a.zip", package({**members, "[Content_Types].xml": "<x/>"}))
    assert isinstance(entry, Text) and (entry.text, entry.format) == ("words", "office")


@pytest.mark.parametrize("name", ["a.docx", "a.zip"])
def test_a_document_whose_part_is_numbered_is_read_as_word_on_the_web_writes_it(tmp_path: Path, name: str) -> None:
    document = f'<w:document xmlns:w="{WORD}"><w:p><w:t>words</w:t></w:p></w:document>'
    members = {"[Content_Types].xml": "<x/>", "word/document2.xml": document, "word/document2.xml.rels": "<x/>"}
    (entry,) = read(tmp_path / name, package(members))
    assert isinstance(entry, Text) and (entry.text, entry.format) == ("words", "office")


def test_a_document_inside_an_archive_is_read(tmp_path: Path) -> None:
    entries = read(tmp_path / "a.zip", package({"b/c.docx": docx(BODY), "d.txt": "words"}))
    assert [(entry.source, entry.text) for entry in entries if isinstance(entry, Text)] == [
        ("a.zip/b/c.docx", LINES),
        ("a.zip/d.txt", "words"),
    ]


def test_a_text_of_libreoffice_is_read_too(tmp_path: Path) -> None:
    (entry,) = read(tmp_path / "a.odt", odf("text"))
    assert isinstance(entry, Text) and entry.text == "A title\n雨下了一夜。\nsecond\nx\ty"


@pytest.mark.parametrize(
    ("name", "data", "rule", "words"),
    [
        ("a.docx", docx(BODY)[:200], "unreadable", "zip"),
        ("a.docx", docx("<w:p>"), "unreadable", "XML that is broken"),
        ("a.docx", package({"[Content_Types].xml": "<x/>"}), "unsupported", "word/document.xml is missing"),
        ("a.docx", docx("<w:p/>"), "no_text", "no words"),
        ("a.docx", docx(f"<w:p><w:t>{'x' * 2000}</w:t></w:p>"), "max_bytes", "read.max_bytes"),
        ("a.docx", docx(f"<w:p><w:t/>{' ' * 2**25}</w:p>"), "bomb", "read.max_ratio"),
        ("a.docx", package({"word/document.xml": "<!DOCTYPE a [<!ENTITY b 'x'>]><a/>"}), "unreadable", "entities"),
        ("a.docx", b"words", "wrong_format", "begins like text"),
        ("a.doc", b"{\\rtf1 words}", "unsupported", "an RTF document is not read"),
        ("a.doc", b"\xd0\xcf\x11\xe0" + bytes(600), "binary", "an old Office document"),
        ("a.xlsx", package({"[Content_Types].xml": "<x/>", "xl/workbook.xml": "<x/>"}), "unsupported", "an Excel workbook"),
        ("a.pptx", package({"[Content_Types].xml": "<x/>", "ppt/presentation.xml": "<x/>"}), "unsupported", "a PowerPoint file"),
        ("a.ods", odf("spreadsheet"), "unsupported", "an OpenDocument file that is no text"),
    ],
)
def test_what_gives_no_text_has_a_receipt_that_names_it(tmp_path: Path, name: str, data: bytes, rule: str, words: str) -> None:
    (entry,) = read(tmp_path / name, data, max_bytes=1000 if rule == "max_bytes" else 2**20)
    assert isinstance(entry, Refused) and entry.rule == rule and words in entry.detail


def test_a_document_behind_a_password_is_refused_as_that(tmp_path: Path) -> None:
    data = bytearray(docx(BODY))
    begin = data.rindex(b"PK\x01\x02")
    data[begin + 8] |= 1
    (entry,) = read(tmp_path / "a.docx", bytes(data))
    assert isinstance(entry, Refused) and entry.rule == "encrypted"
