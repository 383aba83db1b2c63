import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.duplicates.test_contamination import HAN, disguised, english

from hanmo.data.duplicates.comparison import MOST_TEXTS, compare_files
from hanmo.data.duplicates.contamination import WINDOW

STOCK = {"en": "what can be learned from this talk between the man and the woman at the station?", "zh": "根据这段对话，可以知道什么？"}


def rows(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts), "utf-8")
    return path


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_phrase_of_many_texts_is_told_apart_from_a_leak(tmp_path: Path, language: str) -> None:
    leak = " ".join(english(random.Random(1), 20)) if language == "en" else "那年冬天港口的灯一直亮到天明，谁也没有睡着。"
    train = rows(
        tmp_path / "train.jsonl", [f"第{i}篇 {STOCK[language]}" if i % 2 else STOCK[language] for i in range(60)] + [f"又及：{leak}"]
    )
    dev = rows(
        tmp_path / "dev.jsonl",
        [STOCK[language], leak, "Nothing of this kind stands anywhere else in the world of letters, my dear friend."],
    )
    found = compare_files(train, dev)
    assert (found["items"], found["hit_items"], found["own_items"], found["leaked_items"]) == (3, 2, 1, 1)
    assert found["hits"][0]["item"] == "dev.jsonl#2:text" and found["hits"][0]["own"] == found["hits"][0]["length"]
    assert {hit["own"] for hit in found["hits"][1:]} == {0} and len(found["hits"]) > MOST_TEXTS
    assert compare_files(train, dev, most_texts=0)["own_items"] == 2


def test_two_files_are_compared_with_both_texts_beside_each_other(tmp_path: Path) -> None:
    words = english(random.Random(3), 20)
    (tmp_path / "train.txt").write_text(f"first line\nBefore {' '.join(words).upper()} after\n")
    (tmp_path / "dev.csv").write_text(f"{' '.join(words)},label\nnothing of that kind stands in here,label\n")
    found = compare_files(tmp_path / "train.txt", tmp_path / "dev.csv")
    (hit,) = found["hits"]
    assert (hit["item"], hit["document"], hit["share"], hit["own"]) == ("dev.csv#1:1", "train.txt#2", 1.0, 20)
    assert hit["item_text"] == " ".join(words) and " ".join(words).upper() in hit["document_text"]
    assert (found["items"], found["short_items"], found["hit_items"]) == (4, 2, 1)


def test_an_item_that_shares_a_turn_of_words_is_no_leak(tmp_path: Path) -> None:
    words = english(random.Random(4), 40)
    train = rows(tmp_path / "train.jsonl", ["Before. " + " ".join(words[:14]), "what is the longest river"])
    found = compare_files(train, rows(tmp_path / "dev.jsonl", [" ".join(words), "What is the longest river?"]))
    assert (found["hit_items"], found["own_items"], found["leaked_items"]) == (2, 2, 0)


def test_a_leak_beside_a_phrase_has_words_of_its_own(tmp_path: Path) -> None:
    own = english(random.Random(2), 15)
    item = f"{STOCK['en']} {' '.join(own)}"
    train = rows(tmp_path / "train.jsonl", [STOCK["en"]] * (MOST_TEXTS + 1) + [item])
    hits = compare_files(train, rows(tmp_path / "dev.jsonl", [item]))["hits"]
    assert hits[0]["covered"] == hits[0]["length"] and hits[0]["own"] == len(own) + WINDOW - 1 and hits[1]["own"] == 0


def test_lines_of_a_text_file_count_as_texts(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(f"{STOCK['zh']}\n" * 20 + "另一行\n", "utf-8")
    found = compare_files(tmp_path / "train.txt", rows(tmp_path / "dev.jsonl", [STOCK["zh"]]))
    assert (found["hit_items"], found["own_items"]) == (1, 0)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_planted_leaks_are_found_without_exception(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Places, lengths, row and disguise are chosen; stock phrases lie around."""
    dice = random.Random(data.draw(st.integers(0, 2**32)))
    chinese = data.draw(st.booleans())
    separator = "" if chinese else " "
    items = [dice.choices(HAN, k=40) if chinese else english(dice, 40) for _ in range(6)]
    documents = [dice.choices("零一二三四五六七八九十百千", k=120) if chinese else english(dice, 120) for _ in range(15)]
    leak = st.tuples(st.integers(0, 5), st.integers(0, 14), st.integers(0, 27), st.integers(13, 40))
    planted = data.draw(st.lists(leak, min_size=1, max_size=5, unique_by=lambda each: each[1]))
    texts = [separator.join(words) for words in documents]
    for item, document, start, length in planted:
        piece = items[item][start : start + length]
        place = data.draw(st.integers(0, len(texts[document])))
        shown = "".join(word + dice.choice(["", " ", "，", "\n"]) for word in piece) if chinese else disguised(dice, piece)
        texts[document] = f"{texts[document][:place]} | {shown} | {texts[document][place:]}"
    folder = tmp_path_factory.mktemp("planted")
    train = rows(folder / "train.jsonl", [f"{text} {STOCK['en']}" for text in texts])
    found = compare_files(train, rows(folder / "dev.jsonl", [separator.join(words) for words in items]))
    hits = {(hit["item"], hit["document"]): hit for hit in found["hits"]}
    for item, document, start, length in planted:
        hit = hits[f"dev.jsonl#{item + 1}:text", f"train.jsonl#{document + 1}:text"]
        assert hit["covered"] >= min(length, 40 - start) and hit["own"] == hit["covered"]
