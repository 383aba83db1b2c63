import random
from itertools import pairwise

import pytest

from hanmo.data.reading.charset import detect, first_beyond_ascii, mean_log_probability, read_part, weigh

SIMPLIFIED = (
    "清晨的集市上已经热闹起来，卖菜的老人把新摘的豆角摆成一排，孩子们在人群里跑来跑去。这条街不长，从东头走到西头只要十分钟，"
    "可是每个摊位后面都有一个说不完的故事。他们说，只要有人还愿意早起，这里就不会冷清。"
)
TRADITIONAL = (
    "清晨的集市上已經熱鬧起來，賣菜的老人把新摘的豆角擺成一排，孩子們在人群裡跑來跑去。這條街不長，從東頭走到西頭只要十分鐘，"
    "可是每個攤位後面都有一個說不完的故事。他們說，只要有人還願意早起，這裡就不會冷清。"
)
FRENCH = (
    "Le marché était déjà animé à l'aube : le vieux marchand disposait ses légumes, et les élèves couraient après leur chien, très fâchés."
)
JAPANESE = "朝の市場はもうにぎやかで、野菜を売るおじいさんが豆をならべ、子どもたちが走りまわっていた。"
KOREAN = "아침 시장은 벌써 사람들로 가득했고 할아버지는 채소를 한 줄로 늘어놓았다."
RUSSIAN = "Утром на рынке уже шумно: старик раскладывает овощи, а дети бегают между рядами."
PIECES = {"gb18030": (SIMPLIFIED, TRADITIONAL), "big5hkscs": (TRADITIONAL,)}


@pytest.mark.parametrize("encoding", PIECES)
@pytest.mark.parametrize("length", [10, 20, 60])
def test_every_piece_of_chinese_of_some_length_is_known(encoding: str, length: int) -> None:
    for text in PIECES[encoding]:
        pieces = [text[start : start + length] for start in range(len(text) - length)]
        assert [piece for piece in pieces if detect(piece.encode(encoding)) != encoding] == []


@pytest.mark.parametrize("encoding", PIECES)
def test_a_few_characters_are_rarely_misread(encoding: str) -> None:
    text = PIECES[encoding][0]
    found = [(piece, detect(piece.encode(encoding))) for piece in (text[start : start + 4] for start in range(len(text) - 4))]
    assert sum(name == encoding for _, name in found) >= 0.85 * len(found)
    assert sum(name not in (encoding, "") for _, name in found) <= 0.05 * len(found)


@pytest.mark.parametrize(
    ("text", "written", "found"),
    [
        (FRENCH, "latin-1", "cp1252"),
        ("“Curly quotes” and dashes — of Windows, a café.", "cp1252", "cp1252"),
        (JAPANESE, "shift_jis", "cp932"),
        (JAPANESE, "euc_jp", "euc_jp"),
        (KOREAN, "euc_kr", "cp949"),
        (RUSSIAN, "cp1251", ""),
        (RUSSIAN, "koi8_r", ""),
        ("A long page in English. " * 50 + SIMPLIFIED, "gb18030", "gb18030"),
        (SIMPLIFIED, "utf-16-le", "utf-16-le"),
        (SIMPLIFIED, "utf-16-be", "utf-16-be"),
        ("Ä", "latin-1", ""),
    ],
)
def test_what_is_not_chinese_is_not_taken_for_it(text: str, written: str, found: str) -> None:
    assert detect(text.encode(written)) == found


def test_random_bytes_have_no_encoding() -> None:
    dice = random.Random(5)
    assert [detect(dice.randbytes(100)) for _ in range(50)] == [""] * 50


def test_the_evidence_is_counted_for_each_encoding() -> None:
    findings = weigh(SIMPLIFIED.encode("gb18030"))
    assert findings[0].encoding == "gb18030" and findings[0].believable
    assert all(first.score >= second.score for first, second in pairwise(findings))


def test_frequent_characters_are_likelier_than_rare_ones() -> None:
    assert mean_log_probability("我们的") > mean_log_probability("羸瘦") > mean_log_probability("䶮䶮")
    assert mean_log_probability("ascii") == 0.0


def test_a_sample_begins_at_a_word_and_may_end_inside_a_character() -> None:
    assert first_beyond_ascii("one two\nthree 好".encode()) == 14
    assert read_part("好好".encode("gb18030")[:-1], "gb18030", whole=False) == "好"
    assert read_part("好好".encode("gb18030")[:-1], "gb18030", whole=True) is None
