"""The unigram trainer: probabilities by every segmentation, nothing lost, as good as the library's."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, trainers

from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.patterns import pre_tokenizer
from hanmo.tokenizer.train import train_tokenizer
from hanmo.tokenizer.unigram import ALWAYS, collect, fit, train_unigram

WORDS = Counter({"banana": 5, "bandana": 3, "ban": 4, "nab": 2})
LETTERS = "abdn"


def segmentations(word: str):
    for cuts in itertools.product([False, True], repeat=len(word) - 1):
        ends = [i + 1 for i, cut in enumerate(cuts) if cut] + [len(word)]
        yield [word[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def test_substrings_are_those_that_repeat_with_their_counts():
    grams, _ = collect(WORDS, LETTERS, 10_000, 2)
    counted = Counter[str]()
    for word, count in WORDS.items():
        for start in range(len(word)):
            for end in range(start + 1, len(word) + 1):
                counted[word[start:end]] += count
    found = {grams.text(i): int(count) for i, count in enumerate(grams.counts)}
    assert found == {gram: count for gram, count in counted.items() if count >= 2}


@given(most=st.integers(0, 30))
def test_of_too_many_substrings_the_rarest_go_and_the_rest_holds_together(most):
    grams, _ = collect(WORDS, LETTERS, most, 2)
    names = {grams.text(i) for i in range(len(grams.counts))}
    assert set(LETTERS) <= names
    assert len(names) - len(LETTERS) <= most
    assert all({name[1:], name[:-1]} <= names for name in names if len(name) > 1)


def test_expected_counts_are_those_of_all_segmentations_weighed():
    grams, lattice = collect(WORDS, LETTERS, 10_000, 2)
    names = [grams.text(i) for i in range(len(grams.counts))]
    p = np.random.default_rng(3).uniform(0.01, 1, len(names))
    p /= p.sum()
    of = dict(zip(names, p, strict=True))
    expected = Counter[str]()
    for word, count in WORDS.items():
        ways = [(way, math.prod(of[piece] for piece in way)) for way in segmentations(word) if all(piece in of for piece in way)]
        total = sum(weight for _, weight in ways)
        for way, weight in ways:
            for piece in way:
                expected[piece] += count * weight / total
    assert lattice.expected(p) == pytest.approx([expected[name] for name in names])


def test_pieces_that_explain_the_words_stay():
    assert set(fit(WORDS, LETTERS, 8, 2)) == {*LETTERS, "ban", "nab", "banana", "bandana"}
    assert set(fit(WORDS, LETTERS, 7, 2)) == {*LETTERS, "ban", "banana", "bandana"}
    assert set(fit(WORDS, LETTERS, 100, 2)) == {*LETTERS, "ban", "nab", "banana", "bandana"}
    assert sum(fit(WORDS, LETTERS, 7, 2).values()) <= 1


@settings(deadline=None, max_examples=20)
@given(order=st.permutations(["the river rose", "渔船出海", "the lamp", "灯塔灯塔"]))
def test_the_same_words_in_any_order_give_the_same_pieces(order):
    def train(pieces):
        return train_unigram(pieces, special=["<unk>"], vocab_size=420, min_frequency=1, pattern=("deepseek", 3)).to_str()

    assert train(order) == train(sorted(order))


def test_every_character_that_a_byte_token_is_written_with_has_a_piece(trained):
    assert set(ALWAYS) <= set(trained["unigram"].names())
    assert len(trained["unigram"].encode("<0xE6>")) == 6
    assert trained["unigram"].unk_id is None


def test_no_characters_at_all_still_make_a_tokenizer():
    tokenizer = train_tokenizer(["é"], TokenizerConfig(kind="unigram"))
    assert tokenizer.decode(tokenizer.encode("any 渔 text").tolist()) == "any 渔 text"


def test_text_costs_no_more_tokens_than_with_the_librarys_own_trainer():
    """Theirs goes through words in random order, so its figure moves a little from run to run."""
    rng = np.random.default_rng(5)
    stems, endings = ["light", "river", "walk", "stone", "cloud", "渔船", "灯塔", "海岸"], ["", "s", "ing", "ed", "er", "的"]
    words = [stems[i] + endings[j] for i, j in zip(rng.integers(0, 8, 4000), rng.integers(0, 6, 4000), strict=True)]
    text = " ".join(words)
    ours = train_tokenizer([text], TokenizerConfig(kind="unigram", vocab_size=420))
    theirs = tokenizers.Tokenizer(models.Unigram())
    theirs.pre_tokenizer = pre_tokenizer("deepseek", 3, as_bytes=False)
    size = 420 - 256 - len(set(ALWAYS) - set(text))
    theirs.train_from_iterator(
        [text], trainers.UnigramTrainer(vocab_size=size, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    )
    assert len(ours.encode(text)) <= 1.05 * len(theirs.encode(text).ids)
