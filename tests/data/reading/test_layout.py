from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.reading.layout import DOWN, HYPHEN, Piece, in_reading_order, joined, on_one_line

SENTENCES = [
    "the river runs past",
    "old houses and takes",
    "leaves and paper with",
    "it to the harbour at",
    "the sea where many boats",
    "wait for the evening",
]


def line(text: str, left: float, base: float, turn: int = 0, size: float = 10) -> Piece:
    return Piece(text, left, left + 5 * len(text), base, size, turn)


def column(texts: list[str], left: float, top: float = 700) -> list[Piece]:
    return [line(text, left, top - 12 * place) for place, text in enumerate(texts)]


def found(pieces: list[Piece]) -> list[list[str]]:
    return [[piece.text for piece in block] for block in in_reading_order(pieces).blocks]


def by_row(*columns: list[Piece]) -> list[Piece]:
    return list(chain.from_iterable(zip(*columns, strict=True)))


def padded(texts: list[str], letters: str) -> list[str]:
    """The same lines, all of one length."""
    return [text.ljust(24, letters) for text in texts]


ONE, TWO, THREE = padded(SENTENCES, "a"), padded(SENTENCES[::-1], "b"), padded(SENTENCES, "c")


def test_words_on_one_line_are_one_line_and_a_raised_number_too() -> None:
    words = [
        Piece("one", 0, 15, 700, 10),
        Piece("two", 18, 33, 700, 10, apart=True),
        Piece("2", 33, 36, 704, 6),
        Piece("next", 0, 20, 688, 10),
    ]
    assert found(words) == [["one two2", "next"]]
    assert on_one_line(words[1], words[2]) and not on_one_line(words[0], words[3])


def test_a_gap_is_a_blank_but_not_between_chinese_characters() -> None:
    assert joined(Piece("a", 0, 5, 0, 10), Piece("b", 8, 13, 0, 10)).text == "a b"
    assert joined(Piece("中", 0, 10, 0, 10), Piece("文", 13, 23, 0, 10)).text == "中文"
    assert joined(Piece("中", 0, 10, 0, 10), Piece("文", 18, 28, 0, 10)).text == "中 文"
    assert joined(Piece("well" + HYPHEN, 0, 25, 0, 10), Piece("known", 25, 50, 0, 10)).text == "well-known"


def test_columns_stored_one_after_the_other_stay_as_they_are() -> None:
    assert found(column(ONE, 0) + column(TWO, 130)) == [ONE, TWO]


@pytest.mark.parametrize("gutter", [8, 12, 30])
def test_columns_of_prose_stored_row_by_row_are_taken_apart(gutter: int) -> None:
    title, foot = (
        line("A title over both of the columns, a long one", 20, 730),
        line("a note below both columns, which is long too", 0, 600),
    )
    pieces = [title, *by_row(column(ONE, 0), column(TWO, 120 + gutter)), foot]
    assert found(pieces) == [[title.text], ONE, TWO, [foot.text]]
    assert in_reading_order(pieces).told


def test_three_columns_stored_row_by_row_are_taken_apart() -> None:
    assert found(by_row(column(ONE, 0), column(TWO, 135), column(THREE, 270))) == [ONE, TWO, THREE]


NUMBERS = [f"{number}.50 {number}7.25 12.5" for number in range(1, 7)]
TABLES = {
    "numbers": by_row(column(["income of all houses here"] * 6, 0), column(NUMBERS, 150)),
    "narrow cells": by_row(column(["spring"] * 6, 0), column(["rain and wind from the sea"] * 6, 60)),
    "cells of any length": by_row(column(["a", "a longer cell", "b", "c", "another longer cell here", "d"], 0), column(ONE, 150)),
    "pairs of sentences": by_row(column([f"Sentence number {number} ends." for number in range(6)], 0), column(ONE, 150)),
}


@pytest.mark.parametrize("name", TABLES)
def test_rows_of_a_table_stay_rows(name: str) -> None:
    pieces = TABLES[name]
    ordered = in_reading_order(pieces)
    assert [piece.text for block in ordered.blocks for piece in block] == [
        f"{one.text} {two.text}" for one, two in zip(pieces[::2], pieces[1::2], strict=True)
    ]
    assert ordered.told


def test_what_may_be_prose_or_a_table_stays_in_rows_and_is_not_told() -> None:
    short = [text[:17] if place else text for place, text in enumerate(ONE)]
    ordered = in_reading_order(by_row(column(short, 0), column(TWO, 135)))
    assert not ordered.told and len(ordered.blocks[0]) == 6


def test_lines_stored_upwards_are_read_from_above() -> None:
    assert found(column(ONE, 0)[::-1]) == [ONE]
    assert found(column(ONE, 0)[::-1] + column(TWO, 135)[::-1]) == [ONE, TWO]


def test_vertical_columns_go_by_their_places_and_tiers_one_after_the_other() -> None:
    """A column of vertical writing is a line of text turned down: the rightmost stands highest."""
    upper = [Piece("上" * 20, 0, 200, 500 - 15 * place, 10, DOWN) for place in range(6)]
    lower = [Piece("下" * 20, 230, 430, 500 - 15 * place, 10, DOWN) for place in range(6)]
    assert found(by_row(upper, lower)[::-1]) == [["上" * 20] * 6, ["下" * 20] * 6]


def test_text_in_another_direction_comes_after_the_page() -> None:
    stamp = line("a stamp at the edge", 10, 20, turn=270)
    assert found([stamp, *column(ONE, 50)]) == [ONE, [stamp.text]]


def test_an_empty_page_has_no_lines() -> None:
    assert in_reading_order([]).blocks == () and in_reading_order([]).told


PLACES = st.floats(-1000, 1000, width=16)
PIECES = st.builds(
    Piece, st.text("ab中", min_size=1), PLACES, PLACES, PLACES, st.sampled_from([0.0, 8.0, 10.0]), st.sampled_from([0, 90, 45])
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=30))
def test_no_letter_is_lost_or_made_up(pieces: list[Piece]) -> None:
    read = "".join(piece.text for block in in_reading_order(pieces).blocks for piece in block)
    assert sorted(read.replace(" ", "")) == sorted("".join(piece.text for piece in pieces))
