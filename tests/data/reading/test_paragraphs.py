import pytest

from hanmo.data.reading.layout import HYPHEN, Piece
from hanmo.data.reading.paragraphs import glued, goes_on_elsewhere, paragraphs, with_whole_words


def lines(*rows: str, size: float = 10, step: float = 12, wide: float = 5) -> list[Piece]:
    """Lines below each other; a blank at the beginning is an indent, and an empty row leaves room."""
    return [
        Piece(row.strip(), wide * (len(row) - len(row.lstrip())), wide * len(row), 700 - step * place, size)
        for place, row in enumerate(rows)
        if row
    ]


def test_lines_of_a_paragraph_are_one_and_a_short_line_ends_it() -> None:
    found = paragraphs(
        lines(
            "The river runs past the old houses and takes",
            "the leaves with it. Nobody has seen the other",
            "bank since spring.",
            "The boats wait for the evening, as they always",
            "do.",
        )
    )
    assert found == [
        "The river runs past the old houses and takes the leaves with it. Nobody has seen the other bank since spring.",
        "The boats wait for the evening, as they always do.",
    ]


def test_an_indent_begins_a_paragraph_even_after_a_full_line() -> None:
    found = paragraphs(
        lines(
            "The river runs past the old houses and takes.",
            "   The leaves go with it, and nobody has seen",
            "the other bank since the fog came, they said",
            "then.",
        )
    )
    assert [text[:9] for text in found] == ["The river", "The leave"]


def test_a_wider_distance_begins_a_paragraph() -> None:
    rows = [
        "The river runs past the old houses and takes",
        "the leaves and the paper with it to the sea,",
        "where boats wait for the evening, they said.",
    ]
    assert len(paragraphs(lines(*rows, "", *rows))) == 2


def test_items_stay_lines_and_their_own_lines_are_joined() -> None:
    found = paragraphs(
        lines(
            "• the first item is so long that it does not",
            "  fit on one line",
            "• the second item",
            "1. a numbered one, which is as long as is the",
            "   line it stands on",
            "二、又一项",
        )
    )
    assert found == [
        "• the first item is so long that it does not fit on one line",
        "• the second item",
        "1. a numbered one, which is as long as is the line it stands on",
        "二、又一项",
    ]


@pytest.mark.parametrize(
    "rows",
    [
        ("def f(x):", "    return x", "", "# a comment that reaches farther than the code", "", "print(f(1), f(2), f(3))", "y = 1"),
        ("Row the boat", "Down the stream", "Merrily we", "Life is a dream"),
        ("A Title", "by A. Nobody", "Old Town", "2026"),
        ("床前明月光，", "疑是地上霜。", "举头望明月，", "低头思故乡。"),
    ],
    ids=["code", "verse", "names", "chinese verse"],
)
def test_lines_that_are_no_paragraph_keep_their_ends(rows: tuple[str, ...]) -> None:
    wide = 10.0 if "明" in rows[0] else 5.0
    assert paragraphs(lines(*rows, wide=wide)) == [row.strip() for row in rows if row]


def test_rows_of_cells_are_not_joined() -> None:
    rows = lines(
        "income of the old houses and rents     12.5",
        "income of the new houses and rents     13.5",
        "income of all of the houses and rents  26.0",
    )
    assert len(paragraphs([row._replace(gap=25) for row in rows])) == 3


def test_a_heading_in_larger_letters_stands_alone() -> None:
    head = Piece("The River and the People of the Old Town", 0, 220, 720, 14)
    assert paragraphs([head, *lines("The river runs past the old houses and takes", "the leaves.")])[0] == head.text


@pytest.mark.parametrize(
    ("one", "two", "whole"),
    [
        ("the old", "man", "the old man"),
        ("清晨的集", "市上", "清晨的集市上"),
        ("用", "Python", "用Python"),
        ("inter-", "national", f"inter{HYPHEN}national"),
        ("inter" + HYPHEN, "national", f"inter{HYPHEN}national"),
        ("inter\u00ad", "national", "international"),
        ("1990-", "1995", "1990-1995"),
        ("a dash -", "like this", "a dash - like this"),
    ],
)
def test_two_lines_meet_as_their_author_wrote_them(one: str, two: str, whole: str) -> None:
    assert glued(one, two) == whole


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        (f"inter{HYPHEN}national", "international"),
        (f"INTER{HYPHEN}NATIONAL", "INTERNATIONAL"),
        (f"well{HYPHEN}known", "well-known"),
        (f"self{HYPHEN}less", "selfless"),
        (f"Anglo{HYPHEN}Saxon and COVID{HYPHEN}19", "Anglo-Saxon and COVID-19"),
        (f"state-of-the{HYPHEN}art", "state-of-the-art"),
        (f"co{HYPHEN}operate, as they co-operate", "co-operate, as they co-operate"),
        (f"co{HYPHEN}operate, as they cooperate", "cooperate, as they cooperate"),
        (f"long{HYPHEN}range and long-term", "long-range and long-term"),
        (f"Zusammen{HYPHEN}arbeit und Donau{HYPHEN}dampf{HYPHEN}schiff", "Zusammenarbeit und Donaudampfschiff"),
        (f"an end{HYPHEN}", "an end-"),
        ("nothing here", "nothing here"),
    ],
)
def test_a_cut_word_is_whole_and_a_compound_keeps_its_hyphen(text: str, whole: str) -> None:
    assert with_whole_words(text) == whole


@pytest.mark.parametrize(
    ("end", "begin", "goes_on"),
    [
        ("and takes the", "leaves with it", True),
        ("and takes, they said,", "the leaves", True),
        ("inter-", "national", True),
        ("and takes the leaves.", "then", False),
        ("and takes the", "Leaves", False),
        ("Heading", "text", False),
        ("清晨的集市上已经热闹起来，卖菜的老人把新摘的豆", "角摆成一排，孩子们在人群里跑来跑去，笑声传得很远。", True),
        ("清晨的集市上已经热闹起来，卖菜的老人来了很远。", "角摆成一排，孩子们在人群里跑来跑去，笑声传得很远。", False),
        ("第三章", "角摆成一排，孩子们在人群里跑来跑去，笑声传得很远。", False),
        ("", "text", False),
    ],
)
def test_a_sentence_is_followed_to_the_next_column(end: str, begin: str, goes_on: bool) -> None:
    assert goes_on_elsewhere(end, begin) is goes_on


def test_an_empty_column_has_no_paragraph() -> None:
    assert paragraphs([]) == []
