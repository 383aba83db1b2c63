import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein
from tests.data.duplicates.conftest import letters_of, prose, scattered

from hanmo.data.duplicates.compare import (
    BLOCK,
    BLOCKS,
    LONGEST_ALIGNED,
    SHORT_ROOM,
    UNLIKE,
    Side,
    Sides,
    brief,
    compare,
    hopeful,
    is_worth_comparing,
    short_sketch,
    similarity,
)
from hanmo.data.duplicates.letters import letters, mix, windows
from hanmo.data.duplicates.signatures import WIDTH, shingles


def test_similarity_counts_what_an_alignment_leaves_or_what_shingles_share() -> None:
    text = letters_of(1, 1000)
    assert similarity(text, text) == 1 and similarity(text, letters_of(2, 1000)) < 0.35
    assert abs(similarity(text, scattered(text, 0.2)) - 0.8) < 0.04
    assert similarity(text, text[:800]) == 0.8
    assert similarity(text, text[500:] + text[:500]) > 0.95  # the same passages in another order
    assert similarity(text, text[:500] + letters_of(2, 500)) < 0.65


def test_long_texts_are_measured_alike_without_an_alignment() -> None:
    text = letters_of(1, 2 * LONGEST_ALIGNED)
    assert abs(similarity(text, scattered(text, 0.2)) - 0.8) < 0.04
    assert abs(similarity(text, text[: int(1.6 * LONGEST_ALIGNED)] + letters_of(2, int(0.4 * LONGEST_ALIGNED))) - 0.8) < 0.04
    assert similarity(text, letters_of(2, 2 * LONGEST_ALIGNED)) < 0.4


def test_long_texts_of_one_vocabulary_are_not_alike() -> None:
    one, other = prose(1, 20_000), prose(2, 20_000)
    assert min(len(one), len(other)) > 2 * LONGEST_ALIGNED
    assert similarity(one, other) < 0.45
    assert abs(similarity(one, scattered(one, 0.15)) - 0.85) < 0.06
    assert similarity(one, one[len(one) // 2 :]) < 0.65 < similarity(one, one[: int(0.8 * len(one))])


def plainly(a: str, b: str) -> float:
    """The same measure of two long Latin texts, written down as it is said, nothing kept and nothing left out."""
    short, long = sorted((a, b), key=len)
    one, other = ({int(h) for h in shingles(*letters(text))} for text in (a, b))
    where: dict[int, list[int]] = {}
    for place, value in enumerate(mix(windows(letters(long)[0], WIDTH)).tolist()):
        if value <= (65_536 << 64) // (len(long) - WIDTH + 1):
            where.setdefault(value, []).append(place)
    starts = np.linspace(0, len(short) - BLOCK, BLOCKS).astype(int).tolist()
    values = []
    for start in starts[::8] + [start for i, start in enumerate(starts) if i % 8]:
        block = short[start : start + BLOCK]
        shifts = [
            place - offset
            for offset, value in enumerate(mix(windows(letters(block)[0], WIDTH)).tolist())
            if len(where.get(value, [])) <= 16
            for place in where.get(value, [])
        ]
        values.append(0.0)
        if shifts:
            bins = [shift // 128 for shift in shifts]
            best = max(sorted(set(bins)), key=bins.count)
            at = max(0, int(np.median([shift for shift, each in zip(shifts, bins, strict=True) if each == best])))
            values[-1] = Levenshtein.normalized_similarity(block, long[at : at + BLOCK])
        if len(values) == 4 and np.mean(values) < UNLIKE:
            break
    return max(len(one & other) / len(one | other), float(np.mean(values)) * len(short) / len(long))


def test_long_texts_are_judged_as_the_plain_measure_judges_them() -> None:
    """From one vocabulary; equal where alike, and on the same side of the threshold everywhere."""
    base = prose(1, 6000)
    texts = [base, prose(2, 6500), scattered(base, 0.1, 3), scattered(base, 0.3, 4), base[4000:] + base[:4000], base + base]
    assert min(map(len, texts)) > LONGEST_ALIGNED
    sides = [Side(text) for text in texts]
    judged = set()
    for i, one in enumerate(sides):
        for j, other in enumerate(sides[:i]):
            wanted, found = plainly(texts[i], texts[j]), compare(one, other, 0.65)
            judged.add(wanted >= 0.65)
            assert (found >= 0.65) == (wanted >= 0.65)
            assert found == wanted or max(found, wanted) < 0.65
            if wanted >= 0.65 and min(len(one), len(other)) > 0.65 * max(len(one), len(other)):
                assert is_worth_comparing(one, other, 0.65)
    assert judged == {True, False}


def test_only_so_much_of_the_texts_is_kept_and_none_is_read_twice_while_it_is() -> None:
    read: list[int] = []

    def ask(sides: Sides, key: int) -> str:
        return sides.get(key, lambda: read.append(key) or f"text {key}").text

    roomy, narrow = Sides(10**6), Sides(1)
    assert [ask(roomy, key) for key in (1, 2, 3, 1, 2, 3)] == [f"text {key}" for key in (1, 2, 3)] * 2
    assert read == [1, 2, 3]
    read.clear()
    assert [ask(narrow, key) for key in (1, 2, 1, 3, 1, 2)] == [f"text {key}" for key in (1, 2, 1, 3, 1, 2)]
    assert read == [1, 2, 3, 2]


def looks(*texts: str) -> NDArray[np.void]:
    return np.array([short_sketch(Side(text).sketch) for text in texts])


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), length=st.integers(60, 12_000), share=st.floats(0, 0.2))
@example(seed=187, length=60, share=0.25)
def test_a_look_rules_no_edited_copy_out(seed: int, length: int, share: float) -> None:
    text = prose(seed, length)[:length]
    edited = scattered(text, share, seed + 1)
    one, others = looks(text)[0], looks(edited, text)
    assert similarity(text, edited) < 0.65 or (hopeful(one, others, 0.65) | brief(one, others, 0.65)).all()
    assert similarity(text, edited) < 0.65 or is_worth_comparing(Side(text), Side(edited), 0.65)


def test_a_look_rules_out_who_shares_passages_only() -> None:
    shared = [letters_of(n, 60) for n in range(40)]
    one = "".join(shared[:4]) + letters_of(100, 5000)
    others = ["".join(shared[:4]) + letters_of(200 + n, 5000) for n in range(20)]
    assert not hopeful(looks(one)[0], looks(*others), 0.65).any()
    assert hopeful(looks(one)[0], looks(one + one, scattered(one, 0.1)), 0.65).all()


def test_a_look_at_many_shared_hashes_keeps_to_its_size() -> None:
    (look,) = looks(letters_of(1, 100_000))
    kept = int((look["short"] < 2**64 - 1).sum())
    assert 150 < kept <= SHORT_ROOM and bool((np.diff(look["short"][:kept].astype(object)) > 0).all())
