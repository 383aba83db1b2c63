import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import ConfigError
from hanmo.batches.config import ObjectiveConfig, ObjectiveName
from hanmo.batches.special_tokens import SpecialTokens, check_special_tokens, special_tokens_of, word_groups
from hanmo.tokenizer.config import TokenizerConfig, TokenizerKind
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import train_tokenizer

TEXTS = ["The lanterns weren't lit before seven o'clock.", "北京的天安门广场在清晨很安静，游客慢慢地走过。", "Python三年了: 42 pages"] * 3
ALL: tuple[ObjectiveName, ...] = ("masked", "span_corruption", "fill_in_the_middle")


def trained(kind: TokenizerKind, *, vocab_size: int = 700, objectives: tuple[str, ...] = ALL) -> Tokenizer:
    return train_tokenizer(TEXTS, TokenizerConfig(kind=kind, vocab_size=vocab_size, objectives=objectives))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram", "character", "word"])
def test_a_tokenizer_trained_for_every_objective_has_what_they_need(kind: TokenizerKind) -> None:
    tokenizer = trained(kind)
    marks = special_tokens_of(tokenizer)
    assert marks.mask is not None
    assert marks.middle is not None
    assert len(marks.sentinels) == 100
    assert tokenizer.vocab_size <= 700
    assert {marks.mask, *marks.sentinels, *marks.middle, marks.eot} <= set(marks.special.tolist())
    assert not set(marks.plain.tolist()) & set(marks.special.tolist())
    assert tokenizer.decode([marks.mask, *marks.sentinels[:2], *marks.middle]) == ""
    for name in ALL:
        check_special_tokens(marks, ObjectiveConfig(name=name), 512)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("masked", "needs a mask token in the tokenizer"),
        ("span_corruption", r"needs 28 sentinels \(it has 0\)"),
        ("fill_in_the_middle", "marks of beginning, end and middle"),
    ],
)
def test_what_a_tokenizer_lacks_is_one_line_that_says_what_to_do(name: ObjectiveName, message: str) -> None:
    marks = special_tokens_of(trained("bpe", vocab_size=400, objectives=()))
    with pytest.raises(ConfigError, match=message) as caught:
        check_special_tokens(marks, ObjectiveConfig(name=name), 512)
    assert "tokenizer.objectives" in str(caught.value)
    check_special_tokens(marks, ObjectiveConfig(), 512)
    check_special_tokens(marks, ObjectiveConfig(name="prefix"), 512)


def test_names_of_other_models_are_known() -> None:
    plain = trained("bpe", vocab_size=400, objectives=())
    form = dataclasses.astuple(special_tokens_of(plain))
    assert form[3:] == (None, (), None)
    wordpiece = special_tokens_of(trained("wordpiece", vocab_size=300, objectives=()))
    assert wordpiece.mask == 4


def written(tokenizer: Tokenizer, text: str) -> list[str]:
    """The text of each word of a text."""
    ids = tokenizer.encode(text).astype(np.int64)
    groups = word_groups(tokenizer)(ids)
    return [tokenizer.decode(ids[groups == group].tolist()) for group in range(int(groups[-1]) + 1)]


def test_words_are_whole_and_chinese_words_are_rjiebas() -> None:
    """A vocabulary of single characters shows every border."""
    tokenizer = trained("character")
    assert written(tokenizer, "The lanterns") == ["The", " ", "lanterns"]
    assert written(tokenizer, "北京的天安门广场，安静") == ["北京", "的", "天安门广场", "，", "安静"]
    assert written(tokenizer, "weren't 42") == ["weren't", " ", "42"]
    assert written(tokenizer, "爱Python三年了") == ["爱", "Python", "三年", "了"]


def test_word_pieces_are_joined_and_chinese_characters_too() -> None:
    tokenizer = trained("wordpiece", vocab_size=220)
    ids = tokenizer.encode("lanterns before 北京的天安门").astype(np.int64)
    groups = word_groups(tokenizer)(ids)
    names = tokenizer.names()
    words = ["".join(names[id].removeprefix("##") for id in ids[groups == group]) for group in range(int(groups[-1]) + 1)]
    assert words == ["lanterns", "before", "北京", "的", "天安门"]


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "character"])
@given(st.text(max_size=40))
def test_every_token_has_a_word_and_numbers_rise_by_one(kind: TokenizerKind, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = tokenizer.encode(text).astype(np.int64)
    groups = word_groups(tokenizer)(ids)
    assert len(groups) == len(ids)
    assert len(ids) == 0 or (groups[0] == 0 and set(np.diff(groups).tolist()) <= {0, 1})


TOKENIZERS = {kind: trained(kind, vocab_size=400) for kind in ("bpe", "wordpiece", "character")}


def test_marks_are_plain_numbers() -> None:
    marks = SpecialTokens(10, 0, np.array([0, 3]), mask=3)
    assert marks.plain.tolist() == [1, 2, 4, 5, 6, 7, 8, 9]
