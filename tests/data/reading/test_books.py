from pathlib import Path

import pytest
from tests.data.reading.conftest import package

from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.read import format_of, read_unit

CONTAINER = '<container><rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles></container>'
CHAPTER = """<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>t</title><style>p {{}}</style>
</head><body><h2>第{0}回</h2><p>雨下了<ruby>一夜<rt>yiye</rt></ruby>，
没有停。</p><p>It&nbsp;is light<br/>now<img src="x"/></p><script>var x;</script></body></html>"""
TEXT = "第{0}回\n雨下了一夜，没有停。\nIt\xa0is light\nnow"


def book(chapters: dict[str, str | bytes | None], **more: str | bytes) -> bytes:
    """A book whose chapters stand in the order given; None is one that is named and missing."""
    item = '<item id="{0}" href="{1}" media-type="application/xhtml+xml"/>'
    items = "".join(item.format(f"c{number}", name) for number, name in reversed(list(enumerate(chapters))))
    items += item.format("nav", "nav.xhtml").replace("/>", ' properties="nav"/><item id="p" href="p.png" media-type="image/png"/>')
    spine = "".join(f'<itemref idref="c{number}"/>' for number in range(len(chapters)))
    listing = f'<package><manifest>{items}</manifest><spine><itemref idref="nav"/>{spine}<itemref idref="c0"/></spine></package>'
    members: dict[str, str | bytes] = {"mimetype": "application/epub+zip", "META-INF/container.xml": CONTAINER, "OPS/book.opf": listing}
    members |= {f"OPS/{name.replace('%20', ' ')}": text for name, text in chapters.items() if text is not None}
    return package({**members, "OPS/nav.xhtml": "<p>contents</p>", **more})


BOOK = book({"one.xhtml": CHAPTER.format(1), "t/t%20wo.xhtml": CHAPTER.format(2)})


def read(path: Path, data: bytes, **settings) -> list[Text | Refused]:
    path.write_bytes(data)
    file, config = InputFile(path=path, label=path.name), ReadConfig(**settings)
    return list(read_unit(Unit(file=file, format=format_of(file, config)), config))


@pytest.mark.parametrize("name", ["a.epub", "a.zip", "book", "a.txt"])
def test_a_book_is_its_chapters_in_the_order_of_its_spine(tmp_path: Path, name: str) -> None:
    (entry,) = read(tmp_path / name, BOOK)
    assert isinstance(entry, Text) and (entry.text, entry.format) == (f"{TEXT.format(1)}\n\n{TEXT.format(2)}", "epub")


def test_a_chapter_that_is_missing_or_broken_costs_itself(tmp_path: Path) -> None:
    chapters = {"one.xhtml": CHAPTER.format(1), "gone.xhtml": None, "bad.xhtml": b"\x00\xff\xfe\x80" * 9, "bomb.xhtml": b" " * 2**25}
    entries = read(tmp_path / "a.epub", book({**chapters, "two.xhtml": CHAPTER.format(2)}))
    assert [entry.text for entry in entries if isinstance(entry, Text)] == [f"{TEXT.format(1)}\n\n{TEXT.format(2)}"]
    assert [entry.source for entry in entries if isinstance(entry, Refused)] == [
        *("a.epub/OPS/gone.xhtml", "a.epub/OPS/bad.xhtml", "a.epub/OPS/bomb.xhtml")
    ]


def test_a_page_that_is_badly_closed_keeps_its_words(tmp_path: Path) -> None:
    (entry,) = read(
        tmp_path / "a.epub", book({"one.xhtml": "<p>one<p>two<li>three</div></b><table><tr><td>x<td>y</tr></table>&copy;<p/>end"})
    )
    assert isinstance(entry, Text) and entry.text.split() == ["one", "two", "three", "x", "y", "©", "end"]


def test_a_chapter_in_another_encoding_is_read(tmp_path: Path) -> None:
    page = CHAPTER.format(1).replace("utf-8", "gbk").replace("&nbsp;", " ")
    (entry,) = read(tmp_path / "a.epub", book({"one.xhtml": page.encode("gbk")}))
    assert isinstance(entry, Text) and entry.text.startswith("第1回\n雨下了一夜，没有停。")


def test_a_protected_book_is_refused_and_protected_fonts_are_not_asked(tmp_path: Path) -> None:
    listed = '<encryption><EncryptedData><CipherData><CipherReference URI="OPS/{}"/></CipherData></EncryptedData></encryption>'
    for name, rule in (("one.xhtml", "encrypted"), ("fonts/a.otf", "")):
        data = book({"one.xhtml": CHAPTER.format(1)}, **{"META-INF/encryption.xml": listed.format(name)})
        (entry,) = read(tmp_path / "a.epub", data)
        assert (entry.rule if isinstance(entry, Refused) else "") == rule


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (package({"mimetype": "application/epub+zip"}), "unreadable"),
        (package({"mimetype": "application/epub+zip", "META-INF/container.xml": "<broken"}), "unreadable"),
        (package({"mimetype": "application/epub+zip", "a.opf": "<package/>"}), "no_text"),
        (book({"one.xhtml": "<p></p>"}), "no_text"),
        (book({"one.xhtml": f"<p>{'x' * 600}</p>", "two.xhtml": f"<p>{'x' * 600}</p>"}), "max_bytes"),
        (BOOK[:300], "unreadable"),
        (b"words", "wrong_format"),
    ],
    ids=["no list", "a broken list", "an empty list", "no words", "too long", "cut", "words"],
)
def test_what_gives_no_text_has_one_receipt(tmp_path: Path, data: bytes, rule: str) -> None:
    entries = read(tmp_path / "a.epub", data, max_bytes=1000 if rule == "max_bytes" else 2**20)
    assert [entry.rule for entry in entries if isinstance(entry, Refused)] == [rule] and len(entries) == 1


def test_a_path_that_leads_out_of_the_book_is_only_missing(tmp_path: Path) -> None:
    (entry, text) = read(tmp_path / "a.epub", book({"../../etc/x.xhtml": None, "one.xhtml": CHAPTER.format(1)}))
    assert isinstance(entry, Refused) and entry.rule == "unreadable" and isinstance(text, Text)


@pytest.mark.parametrize("unit", ["<!--", "<a ", "</", "<![", "<?", "<td>", "<tr><td>", "<rt>", "<a x='", "&#"])
def test_a_page_of_marks_that_never_close_costs_no_more_than_its_bytes(tmp_path: Path, unit: str) -> None:
    """Some parsers of HTML take minutes for these, or raise."""
    entries = read(tmp_path / "a.epub", book({"one.xhtml": "<p>words</p>" + unit * 10_000, "two.xhtml": CHAPTER.format(2)}))
    (text,) = [entry.text for entry in entries if isinstance(entry, Text)]
    assert text.startswith("words") and text.endswith(TEXT.format(2))
