from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.cleaning.test_filters import LETTER_EN
from tests.data.test_prepare import make_texts

from hanmo.base.errors import ConfigError
from hanmo.base.storage import sha256
from hanmo.data.cleaning.clean import CleanConfig, clean, sentences_only, without_punctuation, without_stop_words
from hanmo.data.cleaning.filters import FilterConfig
from hanmo.data.cleaning.words import listed, word_list
from hanmo.data.prepare import PrepareConfig, prepare
from hanmo.data.reading.read import SPLITS, read_dataset
from hanmo.data.tables import read_rows

TEXT = "Skip to content\nThe men of the harbour mended their nets; it’s slow work.\n他們說：「軟體壞了。」\n目錄"


@settings(deadline=None)
@given(st.text())
def test_nothing_changes_by_default(text: str) -> None:
    assert clean(text, CleanConfig()) == (text, 0)


@pytest.mark.parametrize(
    ("config", "wanted", "removed"),
    [
        (CleanConfig(chinese="t2s"), TEXT.replace("他們說", "他们说").replace("軟體壞", "软体坏").replace("目錄", "目录"), 0),
        (CleanConfig(boilerplate=True), TEXT.removeprefix("Skip to content\n"), 1),
        (CleanConfig(sentences_only=True), "The men of the harbour mended their nets; it’s slow work.\n他們說：「軟體壞了。」", 2),
        (CleanConfig(lowercase=True), TEXT.lower(), 0),
        (
            CleanConfig(remove_punctuation=True),
            "Skip to content\nThe men of the harbour mended their nets it’s slow work\n他們說 軟體壞了\n目錄",
            0,
        ),
        (
            CleanConfig(chinese="tw2sp", boilerplate=True, lowercase=True, remove_punctuation=True, remove_stop_words=True),
            "men harbour mended nets slow work\n软件坏\n目录",
            1,
        ),
    ],
)
def test_each_option_does_what_it_says(config: CleanConfig, wanted: str, removed: int) -> None:
    assert clean(TEXT, config) == (wanted, removed)


@settings(deadline=None)
@given(st.text(st.sampled_from("我们爱的书 abc,。'-\nThe and")))
def test_words_stay_without_punctuation_and_stop_words_go(text: str) -> None:
    assert word_list(without_punctuation(text)) == word_list(text)
    rest = word_list(without_stop_words(text))
    assert not [word for word in rest if word.lower() in (listed("stop", "en") or ())]


def test_lines_that_are_no_sentences_go() -> None:
    assert sentences_only("目录\n\n他走了。\n他把那封信放在桌子上了。") == ("他把那封信放在桌子上了。", 2)


def test_an_unknown_conversion_names_its_key() -> None:
    with pytest.raises(ConfigError, match=r"clean.chinese \(='s2'\)"):
        CleanConfig(chinese="s2")  # pyright: ignore[reportArgumentType]


def test_cleaned_filtered_and_labelled_data_is_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    texts = make_texts(tmp_path / "texts", count=15)
    (texts / "page.txt").write_text(TEXT + "\n" + LETTER_EN, "utf-8")
    options = {
        "clean": CleanConfig(chinese="t2s", boilerplate=True, lowercase=True),
        "filters": FilterConfig(preset="gopher", min_words=10, min_stop_words=0, languages=("en", "zh")),
        "card_language": "zh",
        "shard_bytes": 3000,
    }
    manifests = [prepare([texts], tmp_path / str(workers), PrepareConfig(workers=workers, **options)) for workers in (1, 2)]
    assert sha256(tmp_path / "1") == sha256(tmp_path / "2") and manifests[0]["languages"] == manifests[1]["languages"]
    rows = {row["source"]: row for row in read_rows(tmp_path / "1" / "receipts.parquet")}
    page = next(d for split in SPLITS for d in read_dataset(tmp_path / "1", split) if d.source == "texts/page.txt")
    assert (rows["texts/page.txt"]["removed_lines"], page.language, page.text[:8]) == (1, "en", "the men ")
