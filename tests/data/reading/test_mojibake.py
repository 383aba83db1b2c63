import gzip
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.reading.mojibake import broken, repair

TEXT = "你好，我们来了。今天天气很好，大家一起去河边散步吧！\n第二天下雨，只好留在家里看书。标题：春天"
TRADITIONAL = "你好，我們來了。今天天氣很好，大家一起去河邊散步吧！"
DATA = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.parametrize("text", [TEXT, TRADITIONAL])
def test_utf8_read_as_gbk_comes_back(text: str) -> None:
    """Browsers and Windows keep every pair of bytes, as Python's gb18030 does; only an odd last byte is lost."""
    garbled = text.encode().decode("gb18030", "replace")
    assert "浣犲ソ" in garbled
    assert all(mine == "\ufffd" or mine == meant for mine, meant in zip(repair(garbled), text, strict=True))
    assert repair(garbled).count("\ufffd") <= 3


def test_what_a_stricter_decoder_lost_comes_out_as_lost_and_never_as_another_character() -> None:
    garbled = TEXT.encode().decode("gbk", "replace")
    first, meant = repair(garbled).split("\n")[0], TEXT.split("\n")[0]
    assert all(mine in ("\ufffd", character) for mine, character in zip(first, meant, strict=True))
    assert first.count("\ufffd") < 0.2 * len(first)


@pytest.mark.parametrize("wrong", ["latin-1", "cp1252"])
def test_gbk_read_as_latin_comes_back(wrong: str) -> None:
    assert repair(TEXT.encode("gbk").decode(wrong, "replace")) == TEXT


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        ("浣犲ソ", "你好"),
        ("ÄãºÃ", "你好"),
        ("标题：浣犲ソ锛屼笘鐣�", "标题：你好，世\ufffd"),
        ("title: ÄãºÃ£¬ÊÀ½ç (2020)", "title: 你好，世界 (2020)"),
        ("作者：张三\nÄÚÈÝ£ºÕâÊÇÒ»ÆªÎÄÕÂ", "作者：张三\n内容：这是一篇文章"),
    ],
)
def test_parts_of_a_line_are_repaired_beside_good_ones(found: str, meant: str) -> None:
    assert repair(found) == meant


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TRADITIONAL,
        "羸弱的老者踟蹰于岿巍的山隈，嗟叹不已，涕泗滂沱。",
        "浣熊在溪边浣洗，一犬吠形，百犬吠声。涓涓细流，鍚字难写。",
        "AVALIAÇÃO DA EDUCAÇÃO, NAÇÕES, ÀÉÈÙ, «ÉTÉ», GRÖSSE, ÄÖÜ, ¿QUÉ?",
        "Ça va? naïve façade, über, Ærø, Ångström, señor, coração, größer, Ýmir",
        "cafÃ© dÃ©jÃ vu",  # UTF-8 read as Latin-1 is another repair's work
        "£5 ½ ¼ ¾ ©2020 ®™ §§ 12°±3 µ·m",
        "联通、联想、联合",
        "한국어와 日本語のテキスト、カタカナ",
        "“……”——《》「」　全角",
        "锟斤拷锟斤拷",
        "",
    ],
)
def test_good_text_and_what_is_lost_for_good_stay(text: str) -> None:
    assert repair(text) == text


@settings(deadline=None)
@given(st.text(st.sampled_from("的一是不了在人有我他这中大来上国和地到说时要就出会可也你对生能子那得着下自之年过发后作里，。！？“”")))
def test_any_row_of_frequent_characters_stays(text: str) -> None:
    assert repair(text) == text


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x17F)))
def test_any_row_of_latin_letters_stays_or_becomes_frequent_chinese(text: str) -> None:
    repaired = repair(text)
    assert repaired == text or any("\u4e00" <= character <= "\u9fff" for character in repaired)


def test_lost_characters_are_counted() -> None:
    assert broken("锟斤拷锟斤拷 好 \ufffd") == 7
    assert broken("斤斤计较，拷贝") == broken("") == 0


REAL = ["zh_novels", "zh_poetry", "waimai_10k", "thucnews_10", "multi30k"]


@pytest.mark.parametrize("name", REAL)
def test_real_text_comes_out_unchanged(name: str) -> None:
    paths = [path for path in sorted((DATA / name).rglob("*")) if path.suffix in (".txt", ".json", ".csv", ".gz")][:4]
    if not paths:
        pytest.skip(f"no data at {DATA / name}")
    for path in paths:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")[:1_000_000]
        assert repair(text) == text
