import random
import unicodedata
from itertools import pairwise

import pytest

from hanmo.data.reading.charset import (
    ALPHABETIC,
    detect,
    errors_of,
    first_beyond_ascii,
    mean_log_probability,
    read_damaged,
    read_part,
    readings,
    reads_well,
    telling,
    weigh,
)

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
WRITTEN = {
    "fr": FRENCH,
    "de": "Der alte Händler legte schon früh die grünen Bohnen in Reihen, während die Kinder über den schönen Marktplatz liefen.",
    "es": "El anciano del mercado colocó las judías en fila, y los niños corrían detrás de un pequeño perro que nadie quería atrapar.",
    "is": "Gamli maðurinn á markaðnum raðaði baununum snemma, og börnin hlupu í kringum hann þar til það fór að rigna.",
    "pl": "Stary człowiek na targu układał fasolę w rzędach, a dzieci biegały między straganami, śmiejąc się głośno aż do południa.",
    "cs": "Starý muž na tržišti skládal fazole do řad, děti běhaly mezi stánky a hlasitě se smály, dokud nezačalo pršet.",
    "hu": "Az öreg ember a piacon sorba rakta a babot, a gyerekek pedig nevetve szaladgáltak, amíg eső nem kezdődött délután.",
    "tr": "Pazardaki yaşlı adam fasulyeleri sıraya dizdi, çocuklar da yağmur başlayana kadar gülüşerek tezgâhların arasında koştular.",
    "lt": "Senas žmogus turguje dėliojo pupeles į eiles, o vaikai bėgiojo tarp prekystalių ir garsiai juokėsi iki pat vidurdienio.",
    "vi": "Ông già ở chợ xếp đậu thành hàng từ sáng sớm, còn lũ trẻ chạy quanh các sạp hàng và cười vang cho đến trưa.",
    "ru": RUSSIAN,
    "uk": "Старий чоловік на ринку викладав квасолю рядами, а діти бігали між ятками й голосно сміялися, доки не почався дощ.",
    "bg": "Старият човек на пазара редеше боба в редици, а децата тичаха между сергиите и се смееха силно до обяд.",
    "el": "Ο γέρος στην αγορά έβαζε τα φασόλια στη σειρά και τα παιδιά έτρεχαν ανάμεσα στους πάγκους γελώντας δυνατά.",
    "he": "האיש הזקן בשוק סידר את השעועית בשורות, והילדים רצו בין הדוכנים וצחקו בקול רם עד הצהריים.",
    "ar": "رتب الرجل العجوز الفول في صفوف منذ الصباح الباكر، وركض الأطفال بين الأكشاك وهم يضحكون بصوت عال حتى الظهر.",
    "th": "ชายชราในตลาดวางถั่วเรียงเป็นแถวตั้งแต่เช้า ส่วนเด็กๆ วิ่งเล่นรอบแผงขายของและหัวเราะเสียงดังจนถึงเที่ยง",
}
TONES = "\u0300\u0301\u0303\u0309\u0323"


def written(text: str, encoding: str) -> bytes:
    """Bytes of a text; Vietnamese as cp1258 has it, the tones behind their letters."""
    if encoding != "cp1258":
        return text.encode(encoding)
    out = b""
    for character in text:
        parts = unicodedata.normalize("NFD", character)
        letter = unicodedata.normalize("NFC", "".join(part for part in parts if part not in TONES))
        out += (letter + "".join(part for part in parts if part in TONES)).encode(encoding)
    return out


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
        (RUSSIAN, "cp1251", "cp1251"),
        (RUSSIAN, "koi8_r", "koi8_r"),
        ("A long page in English. " * 50 + SIMPLIFIED, "gb18030", "gb18030"),
        (SIMPLIFIED, "utf-16-le", "utf-16-le"),
        (SIMPLIFIED, "utf-16-be", "utf-16-be"),
        ("Ä", "latin-1", ""),
    ],
)
def test_what_is_not_chinese_is_not_taken_for_it(text: str, written: str, found: str) -> None:
    assert detect(text.encode(written)) == found


@pytest.mark.parametrize(
    ("language", "encoding"),
    [(language, encoding) for encoding, languages in ALPHABETIC.items() for language in languages if language in WRITTEN],
)
def test_a_sentence_is_read_in_every_encoding_of_its_language(language: str, encoding: str) -> None:
    text = " ".join([WRITTEN[language]] * 3)
    data = written(text, encoding)
    found = detect(data)
    assert found and unicodedata.normalize("NFC", data.decode(found)) == text


@pytest.mark.parametrize("language", WRITTEN)
def test_pieces_of_a_sentence_are_read_or_refused_and_hardly_ever_kept_wrong(language: str) -> None:
    encoding = next(name for name, languages in ALPHABETIC.items() if language in languages)
    text, wrong, right = WRITTEN[language], [], 0
    for length in (16, 32):
        for start in range(0, len(text) - length, 9):
            data = written(text[start : start + length], encoding)
            found = "" if data.isascii() else detect(data)
            right += bool(found) and data.decode(found) == data.decode(encoding)
            wrong += [(found, data.decode(found))] if found and data.decode(found) != data.decode(encoding) else []
    assert len(wrong) <= 1 and right >= 3


def test_two_readings_that_are_near_are_both_named() -> None:
    best, near = readings("Škotų Gėlė".encode("cp1257"))
    names = {best.encoding if best else "", *(finding.encoding for finding in near)}
    assert not detect("Škotų Gėlė".encode("cp1257")) and (best is None or len(names) > 1)
    assert readings(bytes(range(200, 256))) == (None, [])


def test_a_damaged_place_does_not_hide_the_encoding() -> None:
    data = SIMPLIFIED.encode("gb18030")
    for damaged in (data[:-1], data[:40] + b"\xff" + data[40:], data + "价格：".encode("gb18030") + b"\x80100"):
        assert detect(damaged) == "gb18030"
    assert read_damaged("价格：".encode("gb18030") + b"\x80100", "gb18030") == "价格：€100"
    assert read_damaged(data[:-1], "gb18030") == SIMPLIFIED[:-1] + "\ufffd"
    assert read_damaged(b"\xff" * 10 + data, "gb18030") is None
    assert errors_of("cp1251") == "replace" and errors_of("gb18030", "surrogateescape") != "surrogateescape"
    assert b"\x80\xff".decode("gb18030", errors_of("gb18030", "surrogateescape")) == "€\udcff"


def test_an_expected_encoding_has_to_read_all_of_it_as_its_language() -> None:
    assert reads_well(RUSSIAN.encode("cp1251"), "cp1251") == RUSSIAN
    assert reads_well(SIMPLIFIED.encode("gb18030"), "gb18030") == SIMPLIFIED
    assert reads_well(RUSSIAN.encode("koi8_r"), "cp1251") == reads_well(SIMPLIFIED.encode("big5", "ignore"), "gb18030") == ""


def test_lines_of_ascii_alone_tell_nothing_and_are_left_out() -> None:
    assert telling(b"plain\none caf\xe9\nplain\n") == (b"one caf\xe9", True)
    assert telling(b"\xe9" * 10_000)[1] is False


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
