from pathlib import Path

import pytest

from hanmo.base.errors import DataError
from hanmo.data.mixing.wordlists import pairs, read_rows_of_words, synonyms


def test_built_in_pairs_go_both_ways() -> None:
    table = pairs()
    assert len(table) > 150 and all(table[other] == word and word != other for word, other in table.items())
    assert table["he"] == "she" and table["她"] == "他"


def test_built_in_synonyms_never_offer_the_word_itself_and_go_both_ways() -> None:
    table = synonyms()
    assert len(table) > 250
    assert all(word not in others and all(word in table[other.lower()] for other in others) for word, others in table.items())
    assert table["高兴"] == ("开心", "快乐")


def test_a_list_of_ones_own_comes_first_and_overrules(tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    path.write_text("# names\nAnna\tPeter\n\n先生\t女士\n", "utf-8")
    table = pairs(path)
    assert (table["anna"], table["peter"], table["先生"], table["女士"]) == ("Peter", "Anna", "女士", "先生")
    assert "小姐" not in table and "男士" not in table  # their built-in counterparts are taken
    path.write_text("big\tmassive\tvery large\n", "utf-8")
    assert synonyms(path)["big"] == ("massive", "very large", "large")


@pytest.mark.parametrize(
    "content, message",
    [
        ("one\n", "line 1 has 1 words"),
        ("a\tb\nb\tc\n", "'b' has two counterparts, 'a' and 'c'"),
        ("Mary Ann\tPeter\n", "line 1 has a blank inside"),
    ],
)
def test_a_wrong_pair_is_told_with_its_place(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "own.tsv").write_text(content)
    with pytest.raises(DataError, match=message):
        pairs(tmp_path / "own.tsv")


def test_a_byte_order_mark_in_a_joined_list_is_no_letter(tmp_path: Path) -> None:
    (tmp_path / "own.tsv").write_text("\ufeff# words\n\ufeffanna\tpeter\n", "utf-8")
    assert read_rows_of_words(tmp_path / "own.tsv") == [["anna", "peter"]]


def test_a_list_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the word list .*none.tsv cannot be read"):
        read_rows_of_words(tmp_path / "none.tsv")
