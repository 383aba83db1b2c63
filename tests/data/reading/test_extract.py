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


READ_ALOUD = {
    "<ruby>東京<rp>(</rp><rt>とうきょう</rt><rp>)</rp></ruby>": "東京",
    "<ruby><rb>東</rb><rt>とう</rt><rb>京</rb><rt lang='ja'>きょう</rt></ruby>": "東京",
    "<RUBY class=a>漢<rt>かん<rp>）</rp>字<RT>じ</RUBY>": "漢字",
    "<ruby>東<rp>（<rt>とう<rp>）<rb>京<rp>（<rt>きょう<rp>）</ruby>": "東京",
    "<ruby><ruby>東<rt>とう</rt></ruby>京<rt>きょう</rt></ruby>": "東京",
    "<ruby>北<rtc><rt>běi</rt></rtc>京</ruby>": "北京",
    "<ruby>旧": "旧",
}


@pytest.mark.parametrize("ruby", READ_ALOUD)
def test_how_characters_are_read_falls_out_and_they_join(ruby: str) -> None:
    page = "".join(f"<p>{number}行きます、{ruby}へ。{PARAGRAPH}</p>" for number in range(3))
    text = extract_html(f"<html><body><article>{page}</article></body></html>")
    assert f"0行きます、{READ_ALOUD[ruby]}へ。" in text


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


def test_a_big5_page_is_read_as_its_reader_does(tmp_path: Path) -> None:
    paragraph = "早晨的公園裡有許多人，有的跑步，有的打拳，也有老人坐在長椅上讀報，孩子們繞著池塘追逐一隻白色的小狗，笑聲傳得很遠。"
    page = '<html><head><meta charset="big5"></head><body><nav>首頁</nav><article>' + f"<p>{paragraph}</p>" * 5 + "</article></body></html>"
    (entry,) = read(tmp_path / "a.html", page.encode("big5"))
    assert isinstance(entry, Text) and paragraph in entry.text and entry.encoding == "big5hkscs"
