import pytest

from hanmo.data.reading.prose import Elements, Prose
from hanmo.data.reading.streams import TooLargeError

PLAIN = Elements(
    paragraphs=frozenset({"p", "pre"}),
    rows=frozenset({"tr"}),
    cells=frozenset({"td"}),
    skipped=frozenset({"rt"}),
    breaks={"br": "\v"},
    verbatim=frozenset({"pre"}),
    has_layout=True,
)


def told(prose: Prose, *events: str) -> str:
    """Events as words: `<p` begins, `/p` ends, anything else is characters."""
    for event in events:
        if event.startswith("<"):
            prose.start(event[1:], {})
        elif event.startswith("/"):
            prose.end(event[1:])
        else:
            prose.data(event)
    return prose.text()


def test_a_paragraph_is_a_line_and_its_layout_means_nothing() -> None:
    assert told(Prose(PLAIN, 99), "<p", " one\n  two", "/p", "\n", "<p", "three", "<br", " four", "/p") == "one two\nthree\nfour"


def test_a_line_end_inside_chinese_is_no_blank() -> None:
    assert told(Prose(PLAIN, 99), "<p", "雨下了\n  一夜，\n没有停 a\n夜", "/p") == "雨下了一夜，没有停 a 夜"


def test_verbatim_text_keeps_its_layout() -> None:
    assert told(Prose(PLAIN, 99), "<pre", "a\n  b", "/pre", "<p", "c\n d", "/p") == "a\n  b\nc d"


def test_cells_of_a_row_stand_side_by_side_also_inside_a_cell() -> None:
    inner = ("<tr", "<td", "x", "/td", "<td", "y", "/td", "/tr")
    assert told(Prose(PLAIN, 99), "<tr", "<td", "<p", "a", "/p", "<p", "b", "/p", "/td", "<td", *inner, "/td", "/tr") == "a b\tx\ty"


def test_what_is_skipped_may_hold_anything_closed_or_not() -> None:
    assert told(Prose(PLAIN, 99), "<p", "字", "<rt", "zi", "<p", "<rt", "x", "/rt", "y", "/rt", "典", "/p") == "字典"


def test_ends_without_a_beginning_are_passed_over() -> None:
    assert told(Prose(PLAIN, 99), "/p", "/td", "/tr", "/rt", "a", "/p", "b") == "ab"


def test_words_may_stand_in_named_elements_only() -> None:
    named = Elements(
        paragraphs=frozenset({"p"}), rows=frozenset(), cells=frozenset(), skipped=frozenset(), breaks={}, words=frozenset({"t"})
    )
    assert told(Prose(named, 99), "<p", "no", "<t", "yes ", "/t", "no", "<t", " too", "/t", "/p") == "yes  too"


def test_a_document_beyond_the_limit_is_stopped_by_its_bytes() -> None:
    with pytest.raises(TooLargeError):
        told(Prose(PLAIN, 5), "<p", "两个", "/p")
