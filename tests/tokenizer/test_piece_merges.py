"""Merges join as SentencePiece joins: the pair of neighbours whose join has the best score, wherever it stands."""

from itertools import pairwise

import pytest
import tokenizers
from hypothesis import assume, given
from hypothesis import strategies as st
from tokenizers import models

from hanmo.base.errors import ModelError
from hanmo.tokenizer.piece_merges import BYTE, CONTROL, NORMAL, USER_DEFINED, Merge, merges_of, scores_of


def joined(text: str, scores: dict[str, float]) -> list[str]:
    """SentencePiece's rule, written out (Kudo and Richardson 2018, section 3.1): of equal scores the first place."""
    parts = list(text)
    while True:
        found = [(-scores[left + right], at) for at, (left, right) in enumerate(pairwise(parts)) if left + right in scores]
        if not found:
            return parts
        _, at = min(found)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def by_merges(text: str, pieces: list[str], merges: list[Merge]) -> list[str]:
    backend = tokenizers.Tokenizer(models.BPE({piece: id for id, piece in enumerate(pieces)}, merges))
    return backend.encode(text).tokens


def test_the_best_score_joins_first_and_not_the_first_id() -> None:
    pieces, scores = ["a", "b", "c", "ab", "bc"], [-2.0, -3.0, -4.0, -5.0, 0.0]
    assert by_merges("abc", pieces, merges_of(pieces, scores)) == ["a", "bc"]
    assert by_merges("abc", pieces, merges_of(pieces)) == ["ab", "c"]


LONG = st.text("abc", min_size=2, max_size=4)


@given(long=st.lists(LONG, unique=True, max_size=8), data=st.data(), text=st.text("abc", max_size=12))
def test_ids_are_those_of_sentencepiece(long: list[str], data: st.DataObject, text: str) -> None:
    pieces = [*"abc", *long]
    scores = data.draw(st.permutations([-float(number) for number in range(len(pieces))]))
    merges = merges_of(pieces, scores)
    made = ["".join(merge) for merge in merges]
    assume(len(made) == len(set(made)))  # of two ways to one piece, merges order what scores do not
    of_piece = dict(zip(pieces, scores, strict=True))
    assert by_merges(text, pieces, merges) == joined(text, of_piece)
    written = scores_of(pieces, [NORMAL] * len(pieces), merges)
    assert written is not None and merges_of(pieces, written) == merges
    assert joined(text, dict(zip(pieces, written, strict=True))) == joined(text, of_piece)


def test_no_merge_makes_a_control_or_a_byte_and_what_a_user_defined_comes_first() -> None:
    pieces = ["<", "s", ">", "s>", "<s>", "<s", "ss"]
    types = [NORMAL, NORMAL, NORMAL, NORMAL, CONTROL, BYTE, USER_DEFINED]
    assert merges_of(pieces, [-1.0] * 6 + [-1000.0], types) == [("s", "s"), ("s", ">")]


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ModelError, match="'ab' has a score that is no number"):
        merges_of(["a", "b", "ab"], [0.0, 0.0, float("nan")])


@pytest.mark.parametrize(
    "merges",
    [
        [("a", "b"), ("ab", "c")],  # ("a", "bc") would be joined too
        [("ab", "c"), ("a", "b"), ("b", "c"), ("a", "bc")],  # between two ways to "abc" stand others
    ],
)
def test_merges_that_no_scores_say_have_none(merges: list[Merge]) -> None:
    assert scores_of(["a", "b", "c", "ab", "bc", "abc"], [NORMAL] * 6, merges) is None


def test_merges_in_another_order_than_their_pieces_have_scores() -> None:
    pieces, merges = ["a", "b", "c", "ab", "bc", "abc"], [("b", "c"), ("a", "bc"), ("ab", "c"), ("a", "b")]
    scores = scores_of(pieces, [NORMAL] * 6, merges)
    assert scores is not None and scores[4] > scores[5] > scores[3] > max(scores[:3])


def test_scores_are_asked_for_nothing_that_cannot_be_joined() -> None:
    assert scores_of(["a", "b", "xyz"], [NORMAL, NORMAL, CONTROL], []) is not None
