import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.cleaning.language import SAMPLE, han_share, identify, is_wanted, sampled, sure_code


@pytest.mark.parametrize(
    ("text", "code", "script"),
    [
        ("Nobody spoke of the night before, and the river was quiet.", "en", ""),
        ("谁也没有提起昨夜的事情，河面很安静。", "zh", "Hans"),
        ("誰也沒有提起昨夜的事情，河面很安靜。", "zh", "Hant"),
        ("你好", "zh", ""),
        ("Personne n'a parlé de la nuit dernière, et la rivière était calme.", "fr", ""),
        ("昨日の夜のことは誰も話さなかった。", "ja", ""),
        ("어젯밤 일에 대해 아무도 말하지 않았다.", "ko", ""),
        ("却说众人议定，次日五更造饭，平明起兵。", "zh", "Hans"),
    ],
)
def test_languages_are_recognised(text: str, code: str, script: str) -> None:
    found = identify(text)
    assert (found.code, found.script) == (code, script) and found.score > 0.5


@pytest.mark.parametrize("text", ["", "12345", "…！？", "---\n\n***"])
def test_what_has_no_letters_has_no_language(text: str) -> None:
    assert identify(text).code == "" and identify(text).score == 0


@settings(deadline=None)
@given(st.text())
def test_any_text_has_an_answer_between_zero_and_one_twice_the_same(text: str) -> None:
    found = identify(text)
    assert 0 <= found.score <= 1 and found == identify(text) and len(sampled(text)) <= 2 * SAMPLE + 1


def test_the_middle_of_a_page_decides_not_its_frame() -> None:
    frame = "登录 注册 首页 新闻 体育 财经 " * 5
    page = frame + "The men mended their nets and talked of the weather all day long. " * 30 + frame
    assert identify(page).code == "en"


def test_lists_of_languages_know_scripts() -> None:
    assert is_wanted("zh", "Hans", ("zh",)) and is_wanted("zh", "Hans", ("zh-Hans",))
    assert not is_wanted("zh", "", ("zh-Hans",)) and not is_wanted("en", "", ("zh",)) and is_wanted("en", "", ("zh", "en"))


def test_a_document_is_labelled_only_when_sure() -> None:
    assert sure_code({"language": "sk", "language_score": 0.49}) == "" and sure_code({"language": None, "language_score": 0.0}) == ""
    assert han_share("汉 abc") == 0.25


def test_no_connection_is_made() -> None:
    code = (
        "import sys; from hanmo.data.cleaning.language import identify\n"
        "def refuse(event, arguments):\n    assert not event.startswith('socket.'), event\n"
        "sys.addaudithook(refuse); print(identify('Nobody spoke of it.').code)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "en"
