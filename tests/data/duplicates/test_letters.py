import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.duplicates.letters import BASE, letters, mix, spell, windows, words


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**32 - 1), max_size=40), st.integers(1, 30))
def test_a_window_is_the_polynomial_of_its_values(values: list[int], width: int) -> None:
    wanted = [
        sum(value * pow(BASE, width - 1 - place, 2**64) for place, value in enumerate(values[start : start + width])) % 2**64
        for start in range(len(values) - width + 1)
    ]
    assert windows(np.array(values, np.uint32), width).tolist() == wanted


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Stay—or GO?", "stayorgo"),
        ("　２０２４年，ＡＢ“好”！", "2024年ab好"),
        ("école ÉCOLE", "écoleécole"),
        ("😀𠀀x", "𠀀x"),
        ("हिन्दी", "हिन्दी"),
        ("", ""),
    ],
)
def test_only_letters_in_their_plain_form_are_left(text: str, plain: str) -> None:
    assert spell(letters(text)[0]) == plain


def test_dense_is_what_writes_a_syllable_or_a_word_with_one_character() -> None:
    assert letters("a山あ가é")[1].tolist() == [False, True, True, True, False]


def test_words_know_where_they_stand() -> None:
    text = "It's 2024年\n好 well-known"
    found = words(text)
    assert [text[a:b] for a, b in zip(found.starts, found.stops, strict=True)] == ["It", "s", "2024", "年", "好", "well", "known"]
    assert found.lines.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert len(words(" ,。\n")) == 0


@settings(deadline=None)
@given(st.text(max_size=60))
def test_words_are_the_same_whatever_the_case_spacing_and_punctuation(text: str) -> None:
    loud = "".join(f" {c}。" if "\u4e00" <= c <= "\u9fff" else c for c in text.replace(" ", " ，\t"))
    assert words(loud).hashes.tolist() == words(text).hashes.tolist()


def test_words_of_the_same_letters_in_another_order_differ_and_long_words_too() -> None:
    assert len(set(words("tale late teal tael").hashes.tolist())) == 4
    long = words("ab" * 400 + " " + "ba" * 400)
    assert len(set(long.hashes.tolist())) == 2


def test_the_hashes_are_the_same_everywhere() -> None:
    """Known values: signatures and indexes may be kept and compared across machines and versions."""
    assert words("Hello 世界").hashes.tolist() == WORDS
    assert mix(np.array([0, 1, 2**64 - 1], np.uint64)).tolist() == [0, 6238072747940578789, 13029008266876403067]


WORDS = [2163324483675975834, 5407690205379324516, 1528863426051505457]
