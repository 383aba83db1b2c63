import base64
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.page import (
    Bar,
    Beside,
    Block,
    Cell,
    Code,
    Details,
    Facts,
    Figure,
    Interval,
    Paragraph,
    Passage,
    Section,
    Table,
    Tiles,
    number,
    page,
    show,
)

PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==")
SVG = "<svg xmlns='http://www.w3.org/2000/svg' width='4' height='4'><rect width='4' height='4'/></svg>"


class Reader(HTMLParser):
    """Collects text, elements and addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def everything() -> list[Block]:
    return [
        Paragraph("A sentence."),
        Tiles([("1.23", "bits per byte")]),
        Facts([("seed", "1")]),
        Table(["model", "bits"], [["one", Interval(2.0, 1.9, 2.1)], ["two", Interval(3.0, 2.8, 3.3)], ["none", None]], marked=[0]),
        Figure(PNG, "a dot", dark=SVG),
        Code("hanmo plan recipe.toml"),
        Passage("over the hill.", opening="The sun went ", caption="seed 1"),
        Beside([Passage("the hill", marks=[(4, 8)]), Passage("the wood")]),
        Table(["language", "documents", ""], [["zh", 3, Bar(0.75)]]),
        Details("more", [Paragraph("hidden")]),
    ]


def test_page_needs_nothing_from_outside() -> None:
    reader = Reader(page("A run", [Section("All", everything())]))
    assert not {"script", "link", "iframe", "object"} & set(reader.elements)
    addresses = [value for _, name, value in reader.attributes if name in ("src", "href", "srcset")]
    assert len(addresses) == 2 and all(value.startswith("data:image/") for value in addresses)
    assert any("default-src 'none'" in value for _, _, value in reader.attributes)


@given(st.text(min_size=1))
def test_text_of_any_kind_is_shown_as_text(text: str) -> None:
    hostile = f"<script>alert(1)</script>{text}"
    blocks = [
        Paragraph(hostile),
        Passage(hostile, opening=hostile),
        Code(hostile),
        Facts([(hostile, hostile)]),
        Table([hostile], [[hostile]]),
    ]
    reader = Reader(page(hostile, [Section(hostile, [*blocks, Details(hostile, blocks)])]))
    assert "script" not in reader.elements
    assert "".join(reader.words).count("<script>alert(1)</script>") == 20


def test_language_is_declared_and_both_colour_schemes_are_there() -> None:
    assert '<html lang="zh-Hans">' in page("运行", [], "zh") and '<html lang="en">' in page("run", [])
    assert "prefers-color-scheme: dark" in page("run", [])


def test_columns_of_numbers_stand_to_the_right() -> None:
    table = Table(["name", "count", "share", "rate"], [["a", 10, "12.5 %", "3 tokens/s"], ["b", None, "−1.0 %", "–"]])
    assert table.numeric == [False, True, True, True]


def test_intervals_of_a_column_share_one_line() -> None:
    first, second = Interval(2.0, 1.0, 3.0), Interval(4.0, 3.0, 5.0)
    table = Table(["model", "bits"], [["a", first], ["b", second]])
    assert table.drawing(1, first) == {"start": 0.0, "middle": 25.0, "length": 50.0}
    assert table.drawing(1, second) == {"start": 50.0, "middle": 75.0, "length": 50.0}


@pytest.mark.parametrize(
    "rows", [[[Interval(2, 1, 3)]], [[Interval(2, 2, 2)], [Interval(2, 2, 2)]], [[Interval(2, 1, float("nan"))], [Interval(2, 1, 3)]]]
)
def test_intervals_without_a_scale_are_not_drawn(rows: list[list[Cell]]) -> None:
    assert Table(["bits"], rows).drawing(0, rows[0][0]) is None


def test_marks_underline_their_characters_and_no_others() -> None:
    passage = Passage("over the hill", marks=[(0, 4), (9, 13)])
    assert passage.runs == [("over", True), (" the ", False), ("hill", True)] and Passage("").runs == []
    shown = page("t", [Section("s", [Beside([passage, Passage("a<b", marks=[(1, 2)])])])])
    assert "<mark>over</mark> the <mark>hill</mark>" in shown and "a<mark>&lt;</mark>b" in shown


def test_a_table_without_names_of_columns_has_no_head() -> None:
    assert "<thead>" not in page("t", [Section("s", [Table(["", ""], [["a", 1]])])])
    assert "<thead>" in page("t", [Section("s", [Table(["", "n"], [["a", 1]])])])


def test_a_bar_is_as_wide_as_its_share() -> None:
    assert '<rect width="75.00%"' in page("t", [Section("s", [Table(["n", ""], [[3, Bar(0.75)]])])]) and show(Bar(0.5)) == ""


def test_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="1 cells under 2 columns"):
        Table(["a", "b"], [["only one"]])


def test_cells_are_printed_for_people() -> None:
    assert [show(cell) for cell in (12345.6, float("nan"), -0.5, "as is")] == ["12,346", "–", "-0.5", "as is"]
    assert number(-0.5, 2) == "−0.50" and number(float("inf"), 2) == "–"


def test_figure_keeps_its_bytes() -> None:
    light, dark = Figure(SVG).sources
    assert base64.b64decode(light.split(",")[1]).decode() == SVG and dark is None
