import os
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError, DataError
from hanmo.data.mixing.augment import (
    OPERATIONS,
    AugmentConfig,
    SegmentedText,
    augment,
    augmentations,
    check_lists,
    delete,
    insert,
    replace,
    swap,
)
from hanmo.data.mixing.wordlists import synonyms

ENGLISH = "The big dog was happy to see the small road. It often ran fast, and almost every child knew its idea of 42 games!"
CHINESE = "这家店铺的服务非常好，孩子们很高兴。我们经常讨论电影，也许明天开始修理汽车！"
TEXTS = st.lists(
    st.sampled_from([*"。，!? \n.x5", "big", "Happy", " dog ", "孩子", "高兴", "电影", "well-known", "don't", "é"]), max_size=40
).map("".join)


def lengths(text: str) -> list[int]:
    return [len(sentence) for sentence in SegmentedText.of(text).sentences]


def bag(text: str) -> Counter[str]:
    words = SegmentedText.of(text)
    return Counter(words.pieces[place] for sentence in words.sentences for place in sentence)


@settings(deadline=None)
@given(TEXTS)
def test_a_text_is_its_pieces(text: str) -> None:
    assert str(SegmentedText.of(text)) == text


@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
@pytest.mark.parametrize("operation", ["replace", "insert", "swap", "delete"])
def test_every_operation_changes_both_languages_and_a_seed_gives_the_same_again(text: str, operation: str) -> None:
    config = AugmentConfig(rate=0.15)
    made = [augment(text, operation, config, str(name)) for name in range(5)]
    assert made == [augment(text, operation, config, str(name)) for name in range(5)]
    assert len(set(made)) > 1 and any(each != text for each in made)
    assert made != [augment(text, operation, AugmentConfig(rate=0.15, seed=1), str(name)) for name in range(5)]


@settings(deadline=None)
@given(TEXTS, st.floats(0.05, 1), st.integers(0, 9))
def test_swapping_keeps_every_word_of_every_sentence(text: str, rate: float, seed: int) -> None:
    words = SegmentedText.of(text)
    before = [sorted(words.pieces[place] for place in sentence) for sentence in words.sentences]
    swap(words, rate, random.Random(seed))
    assert [sorted(words.pieces[place] for place in sentence) for sentence in words.sentences] == before


@settings(deadline=None)
@given(TEXTS, st.floats(0.05, 1), st.integers(0, 9))
def test_deleting_leaves_a_word_in_each_sentence_and_the_order_of_the_rest(text: str, rate: float, seed: int) -> None:
    words = SegmentedText.of(text)
    delete(words, rate, random.Random(seed))
    assert all(any(words.pieces[place] for place in sentence) for sentence in words.sentences if sentence)
    rest = iter(text)
    assert all(character in rest for character in str(words))  # a subsequence


def test_deleting_leaves_single_blanks() -> None:
    for seed in range(20):
        words = SegmentedText.of("one two three four five.")
        delete(words, 0.5, random.Random(seed))
        assert "  " not in str(words) and re.fullmatch(r"\S.*\S", str(words))


@settings(deadline=None)
@given(TEXTS, st.floats(0.05, 1), st.integers(0, 9))
def test_replacing_keeps_the_number_of_words_and_inserting_only_adds(text: str, rate: float, seed: int) -> None:
    table = synonyms()
    words, more = SegmentedText.of(text), SegmentedText.of(text)
    original = list(words.pieces)
    replace(words, table, rate, random.Random(seed))
    for before, after in zip(original, words.pieces, strict=True):
        assert before == after or after.lower() in table[before.lower()]
    insert(more, table, rate, random.Random(seed))
    assert all(after.startswith(before) for before, after in zip(original, more.pieces, strict=True))


def test_replacing_keeps_capitals_and_numbers_stay() -> None:
    words = SegmentedText.of("Big dogs eat 42 bones.")
    replace(words, {"big": ("large",)}, 1.0, random.Random(0))
    assert str(words) == "Large dogs eat 42 bones."


def test_about_the_asked_share_of_words_changes() -> None:
    sentence = "big " * 50 + "."
    changed = [augment(sentence, "replace", AugmentConfig(rate=0.1), str(name)).count("large") for name in range(50)]
    assert set(changed) <= {5, 6}


def test_copies_take_turns_and_those_that_change_nothing_are_left_out() -> None:
    config = AugmentConfig(copies=5, operations=("counterfactual", "swap"), rate=0.5)
    made = list(augmentations("The river was cold and the stones were grey.", config, "x"))
    assert {operation for _, operation, _ in made} == {"swap"} and {number for number, _, _ in made} <= {2, 4}
    made = list(augmentations("He saw the king.", config, "x"))
    assert made[0] == (1, "counterfactual", "She saw the queen.") and len({text for _, _, text in made}) == len(made)


def test_a_list_of_ones_own_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "names.tsv"
    path.write_text("Anna\tPeter\n")
    config = AugmentConfig(pairs=path)
    assert augment("Anna reads.", "counterfactual", config, "") == "Peter reads."
    path.write_text("Anna\tThomas\n")
    os.utime(path, ns=(1, 1))
    assert augment("Anna reads.", "counterfactual", config, "") == "Thomas reads."


def test_a_missing_list_is_told_before_any_work(tmp_path: Path) -> None:
    check_lists(AugmentConfig())
    for field in ("synonyms", "pairs"):
        with pytest.raises(DataError, match="cannot be read"):
            check_lists(AugmentConfig(**{field: tmp_path / "none.tsv"}))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"copies": -1}, r"augment.copies \(=-1\)"),
        ({"rate": 0.0}, r"augment.rate \(=0\)"),
        ({"operations": ("swop",)}, "augment.operations: unknown key 'swop': did you mean 'swap'"),
        ({"copies": 1, "operations": ()}, "augment.operations is empty"),
    ],
)
def test_wrong_settings_name_their_key(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AugmentConfig(**wrong)  # pyright: ignore[reportArgumentType]


def test_the_operations_are_these() -> None:
    assert list(OPERATIONS) == ["replace", "insert", "swap", "delete", "counterfactual"]
