"""One long text is cut at its own borders, and nothing of it is lost."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.reading.inputs import Refused, Text
from hanmo.data.reading.passages import FEWEST, SHORTEST, cut, in_passages

LONG = 60_000


def words(count: int, seed: int = 0) -> str:
    """So many made-up words."""
    draw = random.Random(seed)
    return " ".join("".join(draw.choices("bcdfgklmnprst", k=draw.randint(2, 8))) for _ in range(count))


def chapters(head: str, body: str, count: int = 40) -> str:
    return "".join(f"{head.format(n)}\n\n{body}\n\n" for n in range(1, count + 1))


@pytest.mark.parametrize(
    ("text", "border", "begins"),
    [
        (chapters("CHAPTER {}", words(300)), "chapters", "CHAPTER "),
        (chapters("第{}章 归来", "雨下了一夜，他没有等到人。" * 120), "chapters", "第"),
        (chapters("## How to fold part {}", words(300)), "headings", "## "),
        ("".join(f"{words(90, n)}.\n\n" for n in range(120)), "blank lines", ""),
        ("".join(f"他走了{n}里路，天才亮。\n" for n in range(6000)), "lines", "他"),
        ("他走了很远的路，天才亮。" * 6000, "sentences", "他"),
        ("He went on. " * 6000, "sentences", "He"),
        ("".join(f"def f{n}(x):\n    return x + {n}\n\n\n" for n in range(2500)), "blank lines", "def "),
        ("啊" * LONG, "lengths", "啊"),
    ],
)
def test_a_long_text_is_cut_at_the_borders_that_its_author_made(text: str, border: str, begins: str) -> None:
    found = cut(text)
    assert found.borders == (border,)
    assert "".join(found.texts) == text
    assert all(piece.startswith(begins) for piece in found.texts)
    assert len(found.texts) >= FEWEST and all(len(piece) >= SHORTEST for piece in found.texts)


def test_a_chapter_that_is_too_long_is_cut_again_inside() -> None:
    text = chapters("CHAPTER {}", words(60), count=30) + "CHAPTER 31\n\n" + "\n\n".join(words(80, n) for n in range(100))
    found = cut(text)
    assert found.borders == ("chapters", "blank lines") and found.words == "cut at chapters and blank lines"
    assert max(map(len, found.texts)) <= len(text) / 10 and "".join(found.texts) == text


def test_prose_that_begins_like_a_chapter_is_no_border() -> None:
    text = "".join(f"第二集团军在江边集结，第{n}天才过江。\n" for n in range(3000))
    assert cut(text).borders == ("lines",)


@pytest.mark.parametrize("text", ["", "short", "A line of it.\n" * 500])
def test_a_text_too_short_for_twenty_passages_stays_whole(text: str) -> None:
    assert cut(text).texts == (text,) and not cut(text).borders and not cut(text).words


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.sampled_from(["第一章 雨\n", "CHAPTER 2\n", "## x\n", "\n\n", " \n \n", "好。", "No. ", "\r\n", "a" * 700, "\u2028", " "]),
        min_size=1,
        max_size=80,
    ),
    st.integers(1, 40),
)
def test_whatever_the_text_its_passages_joined_are_the_text(parts: list[str], times: int) -> None:
    text = "".join(parts) * times
    found = cut(text)
    assert "".join(found.texts) == text
    assert len(found.texts) == 1 or min(map(len, found.texts)) >= SHORTEST
    assert len(text) < FEWEST * SHORTEST or len(found.texts) > 3


def test_passages_are_numbered_and_say_what_they_were_cut_at() -> None:
    refused = Refused(source="b", rule="binary")
    entries = [Text(source="a", text="He went on. " * 2000, note="named .html, holds text"), refused, Text(source="c", text="short")]
    found = list(in_passages(entries))
    assert [entry.source for entry in found[:2]] == ["a#1", "a#2"] and [entry.source for entry in found[-2:]] == ["b", "c"]
    assert isinstance(found[0], Text) and found[0].note == "named .html, holds text; cut at sentences"


def test_two_blocks_of_one_text_are_numbered_through() -> None:
    blocks = [Text(source="a", text="He went on. " * 2000), Text(source="a", text="The end.")]
    names = [entry.source for entry in in_passages(blocks)]
    assert names == [f"a#{n}" for n in range(1, len(names) + 1)] and len(names) > FEWEST


def test_code_is_cut_before_what_is_not_indented() -> None:
    code = "".join(f"class C{n}:\n    x = {n}\n\n    def f(self):\n        return {n}\n\n\n" for n in range(900))
    found = cut(code)
    assert found.borders == ("blank lines",) and all(piece.startswith("class ") for piece in found.texts)
