"""The pages about formats and encodings say what the code says, in both languages."""

import re
from pathlib import Path

import pytest

from hanmo.data.reading.beginnings import OTHERS, UNREAD
from hanmo.data.reading.decode import ENCODINGS
from hanmo.data.reading.formats import ENDINGS, PACKED, UNSUPPORTED
from hanmo.data.reading.read import READERS
from hanmo.data.reading.signatures import MAGIC

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("formats.md", "formats.zh-CN.md")
QUOTED = re.compile(r"`([^`]+)`")


def tables(page: str) -> list[list[list[str]]]:
    """The rows of every table of a page, without its head."""
    found: list[list[list[str]]] = []
    for block in re.findall(r"(?:^\|.*\n)+", (DOCS / page).read_text("utf-8"), re.MULTILINE):
        rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in block.splitlines()]
        found.append(rows[2:])
    return found


def quoted(cell: str) -> str:
    return " ".join(QUOTED.findall(cell))


@pytest.mark.parametrize("page", PAGES)
def test_every_format_that_is_read_stands_in_the_first_table_with_its_endings(page: str) -> None:
    said = {quoted(row[0]): quoted(row[1]) for row in tables(page)[0]}
    assert said == {"text": "", **ENDINGS} and set(said) == {*READERS, "zip", "tar"} - {"parts"}
    assert all(f"`{kind}`" in (DOCS / page).read_text("utf-8") for kind in PACKED.values())


@pytest.mark.parametrize("page", PAGES)
def test_every_format_that_is_known_and_refused_stands_in_one_of_the_next_three(page: str) -> None:
    begin, endings, magic = tables(page)[1:4]
    assert [quoted(row[0]) for row in begin] == [*UNREAD, *OTHERS]
    assert {quoted(row[0]): quoted(row[1]) for row in endings} == UNSUPPORTED
    assert [quoted(row[0]) for row in magic] == list(MAGIC)


@pytest.mark.parametrize("page", PAGES)
def test_every_encoding_that_is_read_stands_in_the_last_table(page: str) -> None:
    said = [name for row in tables(page)[-1] for name in QUOTED.findall(row[1])]
    assert sorted(said) == sorted(ENCODINGS)
