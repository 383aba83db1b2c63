import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError
from hanmo.data.duplicates.contamination import (
    PLACES,
    WINDOW,
    ContaminationConfig,
    build_index,
    find_hits,
    index_files,
    item_texts,
    load_index,
    passage,
    save_index,
    worst_hit,
)
from hanmo.data.reading.items import Item

WORDS = ["river", "stone", "morning", "light", "letter", "winter", "garden", "road", "bread", "window", "music", "field", "paper"]
HAN = "山水风月人家春秋来去大小天地河边早晚书信花草雨雪门前灯火"


def english(dice: random.Random, count: int) -> list[str]:
    return [f"{dice.choice(WORDS)}{dice.randrange(1000)}" for _ in range(count)]


def disguised(dice: random.Random, words: list[str]) -> str:
    """The same words in other case, spacing and punctuation."""
    return "".join(
        dice.choice([str.upper, str.title, str.lower])(word) + dice.choice([" ", "  ", ", ", "\n", " — ", "! "]) for word in words
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.integers(WINDOW, 40), st.booleans())
def test_no_span_of_thirteen_words_is_ever_missed(seed: int, length: int, chinese: bool) -> None:
    dice = random.Random(seed)
    words = dice.choices(HAN, k=60) if chinese else english(dice, 60)
    separator = "" if chinese else " "
    others = [Item(f"other{i}", separator.join(dice.choices(HAN, k=50) if chinese else english(dice, 50))) for i in range(5)]
    index = build_index([*others, Item("leaked", separator.join(words))])
    start = dice.randrange(60 - length + 1)
    if chinese:
        planted = "".join(c + dice.choice(["", " ", "，", "\n", "“"]) for c in words[start : start + length])
        text = "".join(dice.choices("零一二三四五六七八九十", k=300)) + planted + "零一"
    else:
        text = " ".join(english(random.Random(-1 - seed), 100)) + "; " + disguised(dice, words[start : start + length]) + " the end"
    hits = find_hits(text, index)
    assert [index.names[hit.item] for hit in hits] == ["leaked"]
    assert hits[0].covered == length and hits[0].length == 60
    shown = text[slice(*hits[0].span)]
    assert "".join(filter(str.isalnum, shown.lower())) == "".join(words[start : start + length])


def test_twelve_words_of_a_longer_item_are_no_hit() -> None:
    words = english(random.Random(1), 30)
    index = build_index([Item("item", " ".join(words))])
    assert find_hits(" ".join(words[5:17]), index) == []
    assert find_hits("", index) == []


def test_short_items_are_compared_whole_with_the_document_and_its_lines() -> None:
    index = build_index([Item("q", "Where does the long river end?"), Item("tiny", "yes it is"), Item("zh", "长河落日圆")])
    assert [hit.item for hit in find_hits("Notes\nWHERE does the long river end\nmore", index)] == [0]
    assert [(hit.item, hit.share) for hit in find_hits("长河，落日圆。", index)] == [(2, 1.0)]
    assert [hit.item for hit in find_hits("where does\nthe long river end", index)] == [0]
    assert find_hits("They asked where does the long river end at last.", index) == []
    assert find_hits("yes it is", index) == []


def test_lines_of_a_text_file_are_items_and_a_span_may_cross_them() -> None:
    text = "one two three four five six seven\neight nine ten eleven twelve thirteen\n\nalone in the last line"
    index = build_index([Item("eval.txt", text, by_line=True)])
    assert tuple(index.names) == ("eval.txt#1", "eval.txt#2", "eval.txt#4")
    assert [index.names[hit.item] for hit in find_hits("So: " + text.replace("\n", " ")[:80], index)] == ["eval.txt#1", "eval.txt#2"]


def test_a_prompt_around_every_item_is_still_a_hit() -> None:
    prompt = "please read the following question with care and answer it in one single word"
    index = build_index([Item(str(i), f"{prompt} number{i}") for i in range(3 * PLACES)])
    hits = find_hits(prompt, index)
    assert len(hits) == PLACES and hits[0].item == 0
    assert index.names[worst_hit(f"{prompt} number7", index).item] == "7"  # pyright: ignore[reportOptionalMemberAccess]
    assert worst_hit("nothing", index) is None


def test_an_index_is_the_same_after_saving(tmp_path: Path) -> None:
    (tmp_path / "eval.jsonl").write_text(
        '{"text": "' + " ".join(english(random.Random(2), 20)) + '", "short": "five words are just enough"}\n'
    )
    index = index_files([tmp_path / "eval.jsonl"])
    save_index(index, tmp_path / "index")
    loaded = load_index(tmp_path / "index")
    assert tuple(loaded.names) == tuple(index.names) == ("eval.jsonl#1:text", "eval.jsonl#1:short")
    assert (loaded.windows == index.windows).all() and (loaded.whole == index.whole).all()


def test_texts_of_items_are_found_again_by_the_names_of_hits(tmp_path: Path) -> None:
    (tmp_path / "exam.txt").write_text("first line\nsecond line\n")
    (tmp_path / "exam.jsonl").write_text('{"q": "one\\ntwo", "a": "three"}\n')
    paths = [tmp_path / "exam.txt", tmp_path / "exam.jsonl"]
    assert item_texts(paths, ["exam.txt#2", "exam.jsonl#1:q"]) == {"exam.txt#2": "second line", "exam.jsonl#1:q": "one two"}
    assert item_texts(["nowhere"], []) == {}


def test_a_passage_never_shows_half_a_number_or_address() -> None:
    before, after = "Call 13800138000 now or write to ann", "bob@example.org if nobody answers the telephone"
    text = f"{before} THE LEAK {after}"
    for around in range(len(before)):
        found = passage(text[around:], (len(before) + 1 - around, len(before) + 9 - around))
        assert "THE LEAK" in found and "bob@example.org" in found
    cut = f"jane.doe@example.org {'x' * 25} THE LEAK {'y' * 33} 13800138000 and more"
    assert passage(cut, (47, 55)) == f"{'x' * 25} THE LEAK {'y' * 33}"
    assert passage("x" * 700).endswith("x ...")


def test_shares_out_of_range_name_their_key() -> None:
    with pytest.raises(ConfigError, match=r"contamination.max_share \(=1"):
        ContaminationConfig(max_share=1)
    with pytest.raises(ConfigError, match=r"contamination.against \(=s3://bucket/exam\) is a URL"):
        ContaminationConfig(against=("s3://me:hush@bucket/exam",))
