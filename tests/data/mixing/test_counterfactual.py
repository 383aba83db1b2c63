from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.data.mixing.counterfactual import Counterparts, counterfactual
from hanmo.data.mixing.wordlists import pairs

WORDS = Counterparts.of(pairs())


@pytest.mark.parametrize(
    "text, other",
    [
        ("He said that he was the king.", "She said that she was the queen."),
        ("MY FATHER and Her Brother", "MY MOTHER and His Sister"),
        ("I saw her. I saw her dog, and it was hers.", "I saw him. I saw his dog, and it was his."),
        ("He gave her the letter with his name.", "She gave him the letter with her name."),
        ("That coat is his, not him.", "That coat is hers, not her."),
        ("Mrs. Lee and Mr. Lee", "Mr. Lee and Ms. Lee"),
        ("a brother-in-law", "a sister-in-law"),
        ("the theme of other menus", "the theme of other menus"),
        ("他说她是个好女孩。", "她说他是个好男孩。"),
        ("其他人会弹吉他，他们不会。", "其他人会弹吉他，她们不会。"),
        ("他爸爸和老婆在家", "她妈妈和老公在家"),
        ("那个男演员的女儿", "那个女演员的儿子"),
        ("Tom对他妈妈说: she is here", "Tom对她爸爸说: he is here"),
        ("", ""),
    ],
)
def test_both_words_of_a_pair_change_places(text: str, other: str) -> None:
    assert counterfactual(text, WORDS) == other


def test_names_of_ones_own_change_places_and_verbs_that_look_like_names_stay(tmp_path: Path) -> None:
    path = tmp_path / "names.tsv"
    path.write_text("Will\tEmma\n王建国\t李秀英\n", "utf-8")
    words = Counterparts.of(pairs(path))
    assert counterfactual("Will will meet EMMA.", words) == "Emma will meet WILL."
    assert counterfactual("王建国和李秀英是同事，王建国年长。", words) == "李秀英和王建国是同事，李秀英年长。"


BLANKS = st.sampled_from([" ", ", ", ". ", "\n"])
CLEAR = st.sampled_from(["he", "She", "KING", "mother", "Uncle", "stone", "theme", "x1", "boys-only", "他", "女孩", "国王", "石头", "其他"])


@settings(deadline=None)
@given(st.lists(st.tuples(CLEAR, BLANKS), max_size=20))
def test_swapping_twice_gives_the_text_back(parts: list[tuple[str, str]]) -> None:
    text = "".join(word + blank for word, blank in parts)
    assert counterfactual(counterfactual(text, WORDS), WORDS) == text
