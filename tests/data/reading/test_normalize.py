import unicodedata

import ftfy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hanmo.data.reading.normalize import SUSPECT, _repair, _settings, _tidy, mend, normalize, normalized, without_surrogates

ANY = st.text(st.characters(exclude_categories=()))
MOJIBAKE = st.text(st.sampled_from("浣犲ソ锛屼笘鐣ÄãºÊÀ½ç£¬ÃÂ¤Ã©â€™œåäæ\x80\x85\x93 \u00a0a中“"))


@settings(deadline=None)
@given(ANY | MOJIBAKE, st.booleans())
@example("a\r\n\r\n\r\n\r\n\r\nb\x1b[\x1b[0m31m", True)
def test_normalising_twice_is_normalising_once(text: str, repair: bool) -> None:
    once = normalize(text, repair)
    assert normalize(once, repair) == once


@pytest.mark.parametrize(
    ("text", "undone"),
    [
        ("浣犲ソ锛屼笘鐣岋紒浠婂ぉ", True),
        ("ÄãºÃ£¬ÊÀ½ç", True),
        ("The cafÃ© is closed â€” come back.", True),
        ("你好，世界 “quoted” — déjà vu", False),
        ("ﬁne \r\nflowers\x00", False),
    ],
)
def test_a_text_says_whether_mojibake_was_undone_in_it(text: str, undone: bool) -> None:
    assert normalized(text) == (normalize(text), undone)
    assert normalized(text, repair=False)[1] is False


@settings(deadline=None)
@given(ANY)
def test_the_result_is_nfc_utf8_and_without_controls(text: str) -> None:
    result = normalize(text)
    result.encode("utf-8")
    assert unicodedata.is_normalized("NFC", result)
    assert not any(unicodedata.category(c) == "Cc" and c not in "\t\n\f" for c in result)
    assert not any(line != line.rstrip() for line in result.split("\n"))


@settings(deadline=None)
@given(st.text(st.sampled_from("ab \n.，。“”‘’（）！：《》——…　中文字龘ー한글🙂́")))
def test_where_nothing_is_suspect_ftfy_would_change_nothing(text: str) -> None:
    tidy = _tidy(text)
    if not SUSPECT.search(tidy):
        assert _tidy(ftfy.fix_text(tidy, _settings())) == tidy


@given(ANY | MOJIBAKE | st.text(st.sampled_from("ﬁﬆǆ aéÃ©")))
def test_where_ftfy_is_not_asked_it_would_change_nothing(text: str) -> None:
    tidy = _tidy(text)
    assert _tidy(_repair(tidy)[0]) == _tidy(ftfy.fix_text(tidy, _settings()))


@pytest.mark.parametrize(
    "text",
    [
        "“你好”，世界！（全角）：《书》？；",
        "他说：‘好’……——　缩进",
        "ＡＢＣ１２３",
        "don’t “quote” me",
        "x &lt; y &amp;&amp; z",
        "👨‍👩‍👧 family",
    ],
)
def test_chinese_punctuation_width_and_quotes_stay(text: str) -> None:
    assert normalize(text) == text


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("cafÃ© dâ€™Alger", "café d’Alger"),
        ("浣犲ソ锛屼笘鐣�", "你好，世�"),
        ("ÄãºÃ£¬ÊÀ½ç\r\n", "你好，世界"),
        ("ä½\xa0å¥½ï¼Œä¸–ç•Œ", "你好，世界"),
        ("ä»\x8aå¤©\r\nå¤©æ°\x94", "今天\n天气"),
        ("e\u0301", "é"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("word  \t\nnext", "word\nnext"),
        ("a\n\n\n\n\n\nb", "a\n\n\nb"),
        ("\n\n    indented\n", "    indented"),
        ("\x1b[31mred\x1b[0m \x00nul\u200b", "red nul"),
        ("lone \ud800 and pair \ud83d\ude00", "lone \ufffd and pair 😀"),
        ("⽤⼿写⼀⻚，⻓⻛，⺠", "用手写一页，长风，民"),
        ("⺀⿰", "⺀⿰"),
        ("a\n\ufeffb", "a\nb"),
        ("", ""),
        (" \n\t ", ""),
    ],
)
def test_what_is_broken_is_repaired(found: str, wanted: str) -> None:
    assert normalize(found) == wanted


def test_mending_changes_the_encoding_and_nothing_else() -> None:
    assert mend("ä»\x8aå¤©\r\n\x00") == "今天\r\n\x00"
    assert mend("a\x85b  \r\n") == "a\x85b  \r\n" and mend("fine ") == "fine "


def test_repair_can_be_switched_off_for_code_that_shows_broken_text() -> None:
    assert normalize('BROKEN = "cafÃ©"\r\n', repair=False) == 'BROKEN = "cafÃ©"'


@settings(deadline=None)
@given(st.text())
def test_text_without_surrogates_is_left_alone(text: str) -> None:
    assert without_surrogates(text) == text
