import random

import numpy as np
import pytest

from hanmo.data.duplicates.letters import letters, mix
from hanmo.data.duplicates.signatures import (
    BANDS,
    LEAST_EQUAL,
    NEIGHBOURS,
    SIGNATURE_VALUES,
    candidate_pairs,
    estimated_similarity,
    jaccard,
    shingles,
    signature,
)

LATIN = "abcdefghijklmnopqrstuvwxyz"
HAN = [chr(code) for code in range(0x4E00, 0x5200)]


def text(dice: random.Random, alphabet: str | list[str], length: int = 600) -> str:
    return "".join(dice.choices(alphabet, k=length))


def edited(dice: random.Random, found: str, alphabet: str | list[str], share: float) -> str:
    return "".join(dice.choice(alphabet) if dice.random() < share else c for c in found)


@pytest.mark.parametrize("alphabet", [LATIN, HAN], ids=["latin", "chinese"])
@pytest.mark.parametrize("length", [80, 2000])
def test_equal_values_estimate_the_jaccard_index_without_bias(alphabet: str | list[str], length: int) -> None:
    """Long texts fill every bin, short ones borrow; the mean error over 40 pairs has standard error below 0.02."""
    dice = random.Random(1)
    errors = []
    for _ in range(40):
        a = text(dice, alphabet, length)
        b = edited(dice, a, alphabet, 0.04)
        true = jaccard(np.unique(shingles(*letters(a))), np.unique(shingles(*letters(b))))
        errors.append((signature(a, 1) == signature(b, 1)).mean() - true)
    assert abs(np.mean(errors)) < 0.03


def test_case_spacing_and_punctuation_change_nothing_and_short_texts_have_no_signature() -> None:
    assert (signature("The river, in winter: white!", 5) == signature("the RIVER in\n\nwinter white", 5)).all()
    assert not signature("short", 6).any() and signature("short", 5).all()
    assert not signature("", 1).any()


def test_a_shingle_is_five_characters_where_the_first_is_chinese_and_eight_elsewhere() -> None:
    assert len(shingles(*letters("abcdefgh"))) == 1
    assert len(shingles(*letters("一二三四五六七八"))) == 4
    assert len(shingles(*letters("一二三四五abcdefgh"))) == 6 + 0
    assert len(shingles(*letters("abc"))) == 1


@pytest.mark.parametrize(("alphabet", "width"), [(LATIN, 8), (HAN, 5)], ids=["latin", "chinese"])
def test_a_fifth_of_scattered_edits_is_proposed_as_the_curve_says(alphabet: str | list[str], width: int) -> None:
    dice = random.Random(2)
    texts = [text(dice, alphabet) for _ in range(150)]
    copies = [edited(dice, each, alphabet, 0.2) for each in texts]
    pairs, equal = candidate_pairs(np.stack([signature(each, 1) for each in (*texts, *copies)]))
    found = {(int(a), int(b)) for a, b in pairs}
    share = 0.8**width / (2 - 0.8**width)
    assert 1 - (1 - share) ** BANDS > 0.99
    assert sum((i, i + 150) in found for i in range(150)) >= 147
    assert len(found) <= 152 and (equal >= LEAST_EQUAL).all()


def test_pairs_do_not_depend_on_anything_but_the_rows() -> None:
    dice = random.Random(3)
    values = np.array([[dice.randrange(1, 40) for _ in range(SIGNATURE_VALUES)] for _ in range(60)], np.uint32)
    pairs, equal = candidate_pairs(values)
    again, same = candidate_pairs(values.copy())
    assert (pairs == again).all() and (equal == same).all() and (pairs[:, 0] < pairs[:, 1]).all()
    assert [(values[a] == values[b]).sum() for a, b in pairs] == equal.tolist()


def test_a_thousand_copies_cost_no_more_than_their_neighbours() -> None:
    values = np.tile(np.arange(1, SIGNATURE_VALUES + 1, dtype=np.uint32), (1000, 1))
    pairs, _ = candidate_pairs(values)
    assert 999 <= len(pairs) <= 1000 * NEIGHBOURS
    assert set(pairs.ravel().tolist()) == set(range(1000))


def test_rows_without_a_signature_meet_nobody() -> None:
    assert len(candidate_pairs(np.zeros((5, SIGNATURE_VALUES), np.uint32))[0]) == 0
    assert len(candidate_pairs(np.zeros((0, SIGNATURE_VALUES), np.uint32))[0]) == 0
    assert len(candidate_pairs(np.ones((1, SIGNATURE_VALUES), np.uint32))[0]) == 0


def test_the_estimate_inverts_the_survival_of_shingles() -> None:
    kept = 0.9
    index = kept**8 / (2 - kept**8)
    assert abs(estimated_similarity(np.array([round(index * SIGNATURE_VALUES)]))[0] - kept) < 0.005


def test_signatures_are_the_same_everywhere() -> None:
    value = int(mix(signature("A winter morning by the river, 冬天的早晨。", 1).astype(np.uint64)).sum(dtype=np.uint64))
    assert value == KNOWN


KNOWN = 17121924197302753050
