import json

import numpy as np
import pytest
import tokenizers

from hanmo.base.errors import UsageError
from hanmo.batches.config import ObjectiveConfig
from hanmo.batches.special_tokens import check_special_tokens, special_tokens_of
from hanmo.generate.engine import generate
from hanmo.generate.fill import Gap, middle_ids, span_ids
from hanmo.generate.options import SamplingOptions
from hanmo.model.config import NgramConfig
from hanmo.model.ngram import Ngram
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.special import MIDDLES
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer

PLAIN = train_tokenizer(["def add(a, b): return a + b"] * 3, TokenizerConfig(kind="bpe", vocab_size=270))


def with_marks(marks: tuple[str, str, str]) -> Tokenizer:
    backend = tokenizers.Tokenizer.from_str(json.dumps(PLAIN.form))
    backend.add_special_tokens(list(marks))
    return Tokenizer(backend, PLAIN.settings)


@pytest.mark.parametrize("marks", MIDDLES)
def test_a_gap_is_prefix_suffix_middle_each_behind_its_mark(marks: tuple[str, str, str]) -> None:
    tokenizer = with_marks(marks)
    names = tokenizer.names()
    prefix, suffix, middle = (names.index(mark) for mark in marks)
    before, after = tokenizer.encode("def add(").tolist(), tokenizer.encode("return a").tolist()
    assert middle_ids(tokenizer, Gap("def add(", "return a")) == [tokenizer.eot_id, prefix, *before, suffix, *after, middle]


@pytest.mark.parametrize("marks", MIDDLES)
def test_every_family_that_can_be_asked_to_fill_can_be_trained_to_with_the_same_marks(marks: tuple[str, str, str]) -> None:
    tokenizer = with_marks(marks)
    known = special_tokens_of(tokenizer)
    check_special_tokens(known, ObjectiveConfig(name="fill_in_the_middle"), 512)
    asked = middle_ids(tokenizer, Gap("", ""))
    assert tuple(asked[1:]) == known.middle == tuple(tokenizer.names().index(mark) for mark in marks)
    assert set(asked) <= set(known.special.tolist())


def test_a_mark_written_in_the_text_is_only_text() -> None:
    tokenizer = with_marks(MIDDLES[0])
    ids = middle_ids(tokenizer, Gap("<|fim_suffix|>", ""))
    assert ids.count(tokenizer.names().index("<|fim_suffix|>")) == 1


def test_a_tokenizer_without_marks_is_one_line() -> None:
    with pytest.raises(UsageError, match="no tokens for filling a gap") as caught:
        middle_ids(PLAIN, Gap("a", "b"))
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="no sentinels"):
        span_ids(PLAIN, Gap("a", "b"))


def test_for_an_encoder_decoder_a_gap_is_a_span_that_was_cut_out() -> None:
    tokenizer = train_tokenizer(["def add(a, b)"] * 3, TokenizerConfig(kind="bpe", vocab_size=400, objectives=("span_corruption",)))
    first, second = (tokenizer.names().index(f"<extra_id_{number}>") for number in (0, 1))
    before, after = tokenizer.encode("def (").tolist(), tokenizer.encode(")").tolist()
    assert span_ids(tokenizer, Gap("def (", ")")) == ([*before, first, *after], first, second)


def test_what_is_generated_stands_between_and_the_prompt_is_what_stands_before() -> None:
    tokenizer = with_marks(MIDDLES[0])
    middle = tokenizer.names().index("<|fim_middle|>")
    (x,) = tokenizer.encode("a").tolist()
    model = Ngram.fit_sequences([np.array([middle, x, x, tokenizer.eot_id])] * 9, NgramConfig(vocab_size=tokenizer.vocab_size, order=3))
    (made,) = generate(model, tokenizer, [Gap("(", ")")], SamplingOptions(greedy=True, max_tokens=9))
    assert (made.prompt, made.text) == ("(", "aa")
