import pytest
from tests.data.test_card import findings

from hanmo.base.config import to_table
from hanmo.data.cleaning.clean import CleanConfig
from hanmo.data.cleaning.filters import FilterConfig
from hanmo.data.duplicates.exact import DuplicateConfig
from hanmo.data.mixing.augment import AugmentConfig
from hanmo.data.mixing.mix import MixConfig
from hanmo.data.mixing.split import SplitConfig
from hanmo.data.phrases import data_phrases
from hanmo.data.prepare import PrepareConfig
from hanmo.data.privacy.redact import RedactConfig
from hanmo.data.steps import split, steps

EVERYTHING = PrepareConfig(
    repair=False,
    clean=CleanConfig(
        chinese="t2s", boilerplate=True, sentences_only=True, lowercase=True, remove_punctuation=True, remove_stop_words=True
    ),
    redact=RedactConfig(mode="mask", kinds=("email",)),
    filters=FilterConfig(preset="web", languages=("zh",)),
    duplicates=DuplicateConfig(exact=False, near=False, lines=5, unit="paragraph"),
    mix=MixConfig(by="source", temperature=2),
    augment=AugmentConfig(copies=1),
)


def told(config: PrepareConfig, language="en", against=()) -> str:
    manifest = {"settings": to_table(config), "against": [{"name": name} for name in against]}
    return "\n".join(f"{name}: {sentence}" for name, sentence in steps(manifest, findings(), data_phrases(language)))


@pytest.mark.parametrize(
    ("language", "wanted"),
    [
        (
            "en",
            "left as it was found/each paragraph that stands in 5/t2s/web page and not/no sentences/Capital/Punctuation/Stop words/mask",
        ),
        ("zh", "未修复乱码/至少 5 篇文档中出现的段落/t2s/属于网页而非正文/不成句/改为小写/删除标点/删除停用词/标记：email"),
    ],
)
def test_every_change_of_a_text_is_told(language: str, wanted: str) -> None:
    text = told(EVERYTHING, language)
    assert [part for part in wanted.split("/") if part.lower() not in text.lower()] == []


def test_what_was_not_done_is_said_and_nothing_that_was_not_asked() -> None:
    text = told(PrepareConfig())
    assert (
        "Not compared with any evaluation set." in text and "Nothing else was changed." in text and "Counted and left in the text" in text
    )
    assert "Mixture" not in text and "Augmentation" not in text
    assert "by replace." in told(EVERYTHING) and "Every document with any text" in told(PrepareConfig(filters=FilterConfig(none=True)))
    assert "an item of exam.jsonl" in told(PrepareConfig(), against=["exam.jsonl"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_split_is_never_said_to_depend_on_the_text_alone_where_it_does_not(language) -> None:
    say = data_phrases(language)
    by_group = to_table(PrepareConfig(split=SplitConfig(group_by="source")))
    alone = to_table(PrepareConfig(duplicates=DuplicateConfig(near=False)))
    found = [split(settings, say) for settings in (to_table(PrepareConfig()), by_group, alone)]
    assert len(set(found)) == 3 and ("cluster" in found[0] or "簇" in found[0]) and "source" in found[1]
