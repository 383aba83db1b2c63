import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.data.excerpts import SHOWN, Excerpt, differing, masked, sharing


def marked(quote: Excerpt) -> list[str]:
    return [quote.text[begin:end] for begin, end in quote.marks]


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ("The boat came at noon.", "The boat left at noon.", (["came"], ["left"])),
        ("小船中午到了。", "小船傍晚到了。", (["中午"], ["傍晚"])),
        ("the same", "the same", ([], [])),
        ("a letter", "a long letter", ([], ["long"])),
    ],
)
def test_what_differs_is_marked_word_by_word(a: str, b: str, wanted: tuple[list[str], list[str]]) -> None:
    found = differing(Excerpt("a", a), Excerpt("b", b))
    assert tuple(map(marked, found)) == wanted and [quote.name for quote in found] == ["a", "b"]


def test_of_long_texts_the_first_difference_is_shown_and_the_end_of_the_passage_is_none() -> None:
    words = [f"word{number}" for number in range(2000)]
    left, right = differing(Excerpt("", " ".join(words)), Excerpt("", " ".join([*words[:1000], "other", "things", *words[1000:]])))
    assert left.text.startswith("… word") and left.text.endswith(" …") and len(right.text) < SHOWN + 5
    assert marked(left) == [] and marked(right) == ["other things"]


def test_what_is_shared_is_marked_apart_from_case_and_punctuation() -> None:
    item, document = sharing(Excerpt("", "Where does the long river end?"), Excerpt("", "Notes. WHERE DOES THE, LONG river end - or not"))
    assert marked(item) == ["Where does the long river end"] and marked(document) == ["WHERE DOES THE, LONG river end"]
    assert marked(sharing(Excerpt("", "one two three"), Excerpt("", "one two three four"))[0]) == []


def test_personal_data_is_never_quoted() -> None:
    text = "Write to jane@hanmo.cn or call 13800138000."
    assert masked(text) == "Write to [EMAIL] or call [PHONE]."
    for found in (differing(Excerpt("", text), Excerpt("", text + " Soon.")), sharing(Excerpt("", text), Excerpt("", text))):
        assert all("jane@" not in quote.text and "13800138000" not in quote.text for quote in found)


@given(st.text(max_size=80), st.text(max_size=80))
def test_marks_lie_inside_the_passage_and_in_order(a: str, b: str) -> None:
    for quote in (*differing(Excerpt("", a), Excerpt("", b)), *sharing(Excerpt("", a), Excerpt("", b))):
        borders = [border for mark in quote.marks for border in mark]
        assert borders == sorted(borders) and all(0 <= border <= len(quote.text) for border in borders)
