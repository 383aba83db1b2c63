import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.cleaning.chinese import convert, script_of


@pytest.mark.parametrize(
    ("text", "conversion", "wanted"),
    [
        ("這個軟體的說明在裡面。", "t2s", "这个软体的说明在里面。"),
        ("這個軟體的說明在裡面。", "tw2sp", "这个软件的说明在里面。"),
        ("头发发芽", "s2t", "頭髮發芽"),
        ("鼠标和打印机", "s2twp", "滑鼠和印表機"),
        ("“你好”，Python 3！", "t2s", "“你好”，Python 3！"),
    ],
)
def test_chinese_is_turned_into_another_script_and_the_rest_stays(text: str, conversion, wanted: str) -> None:
    assert convert(text, conversion) == wanted


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=0x2FF)))
def test_text_without_chinese_is_not_touched(text: str) -> None:
    assert convert(text, "t2s") == text and script_of(text) == ""


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("谁也没有提起昨夜的事情。", "Hans"),
        ("誰也沒有提起昨夜的事情。", "Hant"),
        ("山中有花。", ""),
        ("里面放着一本書，说的是后来的事。", "Hans"),
    ],
)
def test_the_script_is_that_of_most_characters_that_tell(text: str, script: str) -> None:
    assert script_of(text) == script
