from pathlib import Path

import pytest

from hanmo.data.reading.contents import ReadConfig
from hanmo.data.reading.inputs import InputFile, Refused, Text, Unit
from hanmo.data.reading.read import format_of, read_unit
from hanmo.data.reading.subtitles import spoken

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>The rain began</i>
before dawn

2
00:00:02,600 --> 00:00:04,000
and nobody in the {\\an8}village was awake.

3
00:00:05,000 --> 00:00:06,000
- Who is there?
- It is only me.

4
00:00:07,000 --> 00:00:08,000
1984
"""
VTT = """WEBVTT - a title
Kind: captions

NOTE a remark
over two lines

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start position:10%
<v Anna>Bread &amp; salt,</v>

00:02.000 --> 00:03.000
please.
"""
ASS = """[Script Info]
Title: words

[V4+ Styles]
Format: Name, Fontname
Style: Default,Arial

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,not said
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\i1}雨下了一夜，{\\i0}\\N没有停
Dialogue: 0,0:00:02.00,0:00:03.00,Default,,0,0,0,,{\\p1}m 0 0 l 10 10{\\p0}
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,天亮了\\NIt is light, now
Dialogue: broken
"""


def test_cues_are_joined_as_they_are_spoken() -> None:
    assert spoken(SRT) == ("The rain began before dawn and nobody in the village was awake.\n- Who is there?\n- It is only me.\n1984")
    assert spoken(VTT) == "Bread & salt, please."
    assert spoken(ASS) == "雨下了一夜，没有停\n天亮了\nIt is light, now"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("text", [SRT, VTT, ASS])
def test_the_kind_of_line_end_changes_nothing(text: str, ends: str) -> None:
    assert spoken(text.replace("\n", ends)) == spoken(text)


def test_a_broken_cue_costs_itself() -> None:
    broken = SRT.replace("00:00:05,000 --> 00:00:06,000", "00:00:05,000 -> 00:00")
    assert spoken(broken) == spoken(SRT)
    assert spoken(SRT.replace("00:00:05,000 --> 00:00:06,000", "")) == spoken(SRT)


def test_cues_without_blank_lines_between_lose_their_numbers_too() -> None:
    packed = SRT.replace("\n\n", "\n")
    assert spoken(packed) == spoken(SRT)


def test_a_blank_line_inside_a_cue_ends_nothing() -> None:
    assert spoken(SRT.replace("began</i>\n", "began</i>\n\n")) == spoken(SRT)


def test_captions_that_roll_say_every_line_once() -> None:
    rolling = (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n \nso<00:00:01.500><c> then</c>\n\n"
        "00:00:02.000 --> 00:00:02.010\nso then\n \n\n"
        "00:00:02.010 --> 00:00:04.000\nso then\nwe<00:00:03.000><c> left</c>\n\n"
        "00:00:04.000 --> 00:00:04.010\nwe left\n"
    )
    assert spoken(rolling) == "so then we left"


def test_what_is_said_twice_is_kept_twice() -> None:
    cue = "{}\n00:00:0{}.000 --> 00:00:0{}.500\nNo.\n\n"
    assert spoken(cue.format(1, 1, 1) + cue.format(2, 2, 2)) == "No.\nNo."


def test_chinese_lines_keep_their_pauses_and_languages_stay_apart() -> None:
    cue = "00:00:0{}.000 --> 00:00:0{}.500\n{}\n\n"
    words = ("我们走吧\n时候不早了", "他说，", "明天再来")
    text = "".join(cue.format(second, second, line) for second, line in enumerate(words, 1))
    assert spoken(text) == "我们走吧 时候不早了\n他说，明天再来"


def read(path: Path, content: bytes, **settings) -> list[Text | Refused]:
    path.write_bytes(content)
    file, config = InputFile(path=path, label=path.name), ReadConfig(**settings)
    return list(read_unit(Unit(file=file, format=format_of(file, config)), config))


@pytest.mark.parametrize(("name", "text"), [("a.srt", SRT), ("a.vtt", VTT), ("a.ass", ASS), ("a.txt", SRT), ("captions", VTT)])
def test_a_file_of_subtitles_is_one_text_in_its_encoding(tmp_path: Path, name: str, text: str) -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        (entry,) = read(tmp_path / name, text.encode(encoding))
        assert isinstance(entry, Text) and (entry.text, entry.format) == (spoken(text), "subtitles")


def test_subtitles_without_words_or_with_too_many_have_a_receipt(tmp_path: Path) -> None:
    empty = b"1\n00:00:01,000 --> 00:00:02,000\n\n\n2\n00:00:03,000 --> 00:00:04,000\n<i></i>\n"
    found = [read(tmp_path / "a.srt", empty), read(tmp_path / "a.srt", SRT.encode(), max_bytes=100)]
    assert [[entry.rule for entry in entries if isinstance(entry, Refused)] for entries in found] == [["no_text"], ["max_bytes"]]


def test_many_cues_without_an_end_and_marks_never_closed_cost_no_more_than_their_bytes() -> None:
    cue = "00:00:01.000 --> 00:00:02.000\nand so on\n\n"
    assert spoken(cue * 20_000).count("and so on") == 20_000
    marks = "[Script Info]\n[Events]\nDialogue: 0,0,0,,,0,0,0,," + "{" + "\\p1" * 100_000 + "<a " * 100_000 + "end\n"
    assert spoken(marks).endswith("end")
