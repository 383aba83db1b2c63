import gzip
from pathlib import Path

import pytest
import trafilatura

from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.extract import extract_html
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.read import format_of, read_unit

PARAGRAPH = "早晨的公园里有许多人，有的跑步，有的打拳，也有老人坐在长椅上读报，孩子们绕着池塘追逐一只白色的小狗，笑声传得很远。"
MANY = "".join(f"<p>{PARAGRAPH}{number}</p>" for number in range(6))
PAGE = f"""<html><head><title>t</title><script>var x = 1;</script></head>
<body><nav><a href="/">首页</a><a href="/b">关于</a></nav>
<article><h1>公园里的早晨</h1><p>今天天气很好，我们一起去公园散步，看见许多花。</p>
<p>The second paragraph is long enough to be kept by anyone.</p>{MANY}</article>
<footer>版权所有</footer></body></html>"""


def test_the_article_is_kept_and_the_menu_is_not() -> None:
    text = extract_html(PAGE)
    assert "今天天气很好，我们一起去公园散步" in text
    assert "The second paragraph" in text
    assert "var x" not in text and "关于" not in text


@pytest.mark.parametrize("page", ["", "<", "<html></html>", "<div>" * 5000, "\0", "<?xml version='1.0' encoding='utf-8'?>"])
def test_a_page_without_text_gives_nothing_and_never_raises(page: str) -> None:
    assert extract_html(page) == ""


def test_a_page_the_parser_gives_up_on_counts_as_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(page: str, **settings: object) -> str:
        raise RecursionError("no known page does this; the promise holds all the same")

    monkeypatch.setattr(trafilatura, "extract", give_up)
    assert extract_html(PAGE) == ""


def read(path: Path, content: bytes, **settings) -> list[Text | Refused]:
    path.write_bytes(content)
    file, config = InputFile(path=path, label=path.name), ReadConfig(**settings)
    return list(read_unit(Unit(file=file, format=format_of(file, config)), config))


def pdf(pages: list[str], more: str = "") -> bytes:
    """A small PDF whose Chinese font is not embedded, as many Chinese PDFs are made; `more` goes into the trailer."""
    texts = [f"BT /F1 12 Tf 40 700 Td <{page.encode('utf-16-be').hex()}> Tj ET" for page in pages]
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type0/BaseFont/STSong-Light/Encoding/UniGB-UTF16-H/DescendantFonts[4 0 R]>>",
        "<</Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)/Supplement 5>>>>",
    ]
    for number, text in enumerate(texts):
        objects.append(f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>/Contents {6 + 2 * number} 0 R>>")
        objects.append(f"<</Length {len(text)}>>stream\n{text}\nendstream")
    out, places = "%PDF-1.7\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj{content}endobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    trailer = f"trailer<</Size {len(objects) + 1}/Root 1 0 R{more}>>"
    return f"{out}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}\nstartxref\n{len(out)}\n%%EOF".encode()


LOCK = "/ID[<00><00>]/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<" + "00" * 32 + ">/U<" + "11" * 32 + ">>>"


@pytest.mark.parametrize("name", ["a.pdf", "page.html", "a.pdf.gz"])
def test_the_text_of_a_pdf_is_read_page_by_page(tmp_path: Path, name: str) -> None:
    data = pdf(["第一页：河水流过村庄。", "Second page, in English."])
    (entry,) = read(tmp_path / name, gzip.compress(data) if name.endswith("gz") else data)
    assert isinstance(entry, Text) and entry.text == "第一页：河水流过村庄。\n\nSecond page, in English."
    assert (entry.format, entry.note) == ("pdf", "named .html, holds pdf" if name == "page.html" else "")


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (pdf([]), "unreadable"),
        (pdf([""]), "no_text"),
        (pdf(["x"], LOCK), "encrypted"),
        (b"%PDF-1.7 broken", "unreadable"),
        (pdf(["字"] * 90), "max_bytes"),
    ],
    ids=["no page", "a scan", "a password", "broken", "too long"],
)
def test_a_pdf_without_text_has_one_receipt(tmp_path: Path, data: bytes, rule: str) -> None:
    assert [
        entry.rule
        for entry in read(tmp_path / "a.pdf", data, max_bytes=200 if rule == "max_bytes" else 10**6)
        if isinstance(entry, Refused)
    ] == [rule]


def test_a_big5_page_is_read_as_its_reader_does(tmp_path: Path) -> None:
    paragraph = "早晨的公園裡有許多人，有的跑步，有的打拳，也有老人坐在長椅上讀報，孩子們繞著池塘追逐一隻白色的小狗，笑聲傳得很遠。"
    page = '<html><head><meta charset="big5"></head><body><nav>首頁</nav><article>' + f"<p>{paragraph}</p>" * 5 + "</article></body></html>"
    (entry,) = read(tmp_path / "a.html", page.encode("big5"))
    assert isinstance(entry, Text) and paragraph in entry.text and entry.encoding == "big5hkscs"
