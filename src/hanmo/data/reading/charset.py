"""Bytes that are no UTF-8 get the name of their encoding, or none where the evidence is too thin.

In: bytes. Out: an encoding, by evidence: the bytes have to be valid in it, and the characters that come out have to be those
a language uses often. The idea: each hypothesis (encoding, language) is a model of characters, log p(text) = sum of log p(c);
all of them explain the same bytes, so the likelier one wins (the ratio of likelihoods, Neyman and Pearson 1933). Common are the
characters that the standards themselves call so: level 1 of GB 2312 and of Big5, with the most frequent ones ahead; for scripts of
letters, alphabets and tongues speak. A win alone is not enough: text that no hypothesis explains well is left unnamed, and so is
text that two of them explain about equally well.
"""

import codecs
import functools
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hanmo.data.reading.alphabets import is_latin, weigh_letters
from hanmo.data.reading.tongues import likely_languages

SAMPLE_BYTES = 2048
PRIVATE = (0xE000, 0xF900)
FREQUENT = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多"
    "经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性"
    "知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次"
    "度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建"
    "务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路"
    "记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运吃店送味外卖"
)
"""Frequent characters, the most frequent first; the order matters more than the exact place."""
TRADITIONAL = str.maketrans(
    "这个们来为国说时会对于着过发后里种经么学现当没动还进样实军无与长机关点业将两间问应战头体产话内给门儿东声员论处义几认条系气题"
    "尔别变总电数报结务场计资许统区队决马书则听达强难权设记类据边张该规万觉术领确传师观让识带导争运卖从开并",
    "這個們來為國說時會對於著過發後裡種經麼學現當沒動還進樣實軍無與長機關點業將兩間問應戰頭體產話內給門兒東聲員論處義幾認條係氣題"
    "爾別變總電數報結務場計資許統區隊決馬書則聽達強難權設記類據邊張該規萬覺術領確傳師觀讓識帶導爭運賣從開並",
)
PUNCTUATION = "，。、：；？！“”‘’（）《》—…「」『』　·【】～〈〉"
ACCENTED = "éèàùâêîôûçëïüäößñóíáúãõåøæœýÉÈÀÂÊÎÔÇÄÖÜÑÓÍÁÚÅØÆ"
LATIN_SIGNS = "’“”‘…–—«»°©®€£·¿¡½§ª º"
HANGUL_FREQUENT = "이다는을에의가고하은한지로를도서그나사기자리아시어대인일있해것수보들게"
ASCII_LOG = float(np.log(1 / 100))
LEAST = float(np.log(1e-9))
LEAST_LEAD, LETTERS_LEAD = 1.5, 5.0
"""How much likelier (nats) the best reading has to be than another one; than another believable one where it is made of letters."""
LOOKED_AT = 2**20  # bytes
ASCII_BEFORE = 200  # bytes before the first other one, which tell the language
LEAST_LETTERS = 12  # for which languages are asked
OLD = ("iso8859_15", "mac_roman", "cp850", "cp852", "mac_latin2", "cp857", "mac_cyrillic", "cp737", "cp862", "iso8859_6")
OLD_COST = 4.0  # nats: encodings of DOS and early Macintosh are rare by now
UNMARKED_COST = 8.0  # UTF-16 without a mark is rarer still
WITHIN_WORDS = 4.0  # what an ASCII letter beside a character of several bytes costs
LEAST_LATIN, LEAST_OTHER = -6.5, -4.5
"""Least mean log p of a character beyond ASCII where letters are Latin, and where every letter is such a character."""
LEAST_BELIEVED = float(np.log(0.05))
"""Least log of the probability that the words are of a language that the encoding is used for."""
SURE_MEAN, SURE_LENGTH = -8.3, 200  # of characters of several bytes: letters need not be asked then
MOST_DAMAGED = 0.01  # of the characters beyond ASCII; one damaged place may be in any text
CONTROLS = re.compile("[\x80-\x9f]")


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """An encoding, the language it is believed to hold, and the least mean log p of a character that makes it believable."""

    encoding: str
    language: str
    least: float = -9.7


HYPOTHESES = (
    Hypothesis("gb18030", "hans"),
    Hypothesis("gb18030", "hant"),
    Hypothesis("big5hkscs", "hant"),
    Hypothesis("utf-16-le", "hans"),
    Hypothesis("utf-16-be", "hans"),
    Hypothesis("utf-16-le", "hant"),
    Hypothesis("utf-16-be", "hant"),
    Hypothesis("euc_jp", "japanese"),
    Hypothesis("cp932", "japanese"),
    Hypothesis("cp949", "korean"),
)
"""Encodings of several bytes a character, by models of characters."""
WESTERN = ("en", "fr", "de", "es", "pt", "it", "sv", "da", "no", "fi", "nl", "is", "ca")
CENTRAL = ("pl", "cs", "sk", "hu", "ro", "hr", "sl")
CYRILLIC = ("ru", "uk", "bg", "mk", "sr")
ALPHABETIC = {
    "cp1252": WESTERN,
    "iso8859_15": WESTERN,
    "mac_roman": tuple(language for language in WESTERN if language != "is"),
    "cp850": WESTERN,
    "cp1250": CENTRAL,
    "iso8859_2": CENTRAL,
    "cp852": CENTRAL,
    "mac_latin2": CENTRAL,
    "cp1254": ("tr",),
    "cp857": ("tr",),
    "cp1257": ("lt", "lv", "et"),
    "cp1258": ("vi",),
    "cp1251": CYRILLIC,
    "koi8_r": ("ru",),
    "koi8_u": ("uk",),
    "cp866": ("ru",),
    "iso8859_5": CYRILLIC,
    "mac_cyrillic": CYRILLIC,
    "cp1253": ("el",),
    "iso8859_7": ("el",),
    "cp737": ("el",),
    "cp1255": ("he",),
    "cp862": ("he",),
    "cp1256": ("ar", "fa"),
    "iso8859_6": ("ar",),
    "cp874": ("th",),
}
"""Encodings of one byte a character, with the languages they are used for, the most usual encoding of each first."""
LIKE = {"hr": ("sh", "bs", "sr"), "no": ("nn", "da"), "da": ("no",), "mk": ("sr",), "sr": ("mk",)}
"""Languages that are easily taken for each other, and are written with the same letters."""


@dataclass(frozen=True, slots=True)
class EncodingGuess:
    """A reading of the sample with its evidence: its log p, and the mean of it over characters beyond ASCII."""

    encoding: str
    score: float
    mean: float
    believable: bool
    text: str
    language: str


def detect(data: bytes, whole: bool = True) -> str:
    """The encoding of bytes that are not UTF-8; empty when nothing explains them well. Unless `whole`, the last character may be cut.

    >>> detect("今天天气很好。".encode("gb18030")), detect("今天天氣很好。".encode("big5")), detect(bytes(range(200, 256)))
    ('gb18030', 'big5hkscs', '')
    """
    best, others = readings(data, whole)
    return best.encoding if best and not others else ""


def readings(data: bytes, whole: bool = True) -> tuple[EncodingGuess | None, list[EncodingGuess]]:
    """The best reading, if it is believable, and the others that come so near to it that nobody can tell."""
    findings = weigh(data, whole)
    if not findings or not findings[0].believable:
        return None, []
    best = findings[0]
    lead = LETTERS_LEAD if best.encoding in ALPHABETIC else LEAST_LEAD
    differing = (other for other in findings if other.text != best.text)
    return best, [other for other in differing if best.score - other.score < (lead if other.believable else LEAST_LEAD)]


def weigh(data: bytes, whole: bool = True) -> list[EncodingGuess]:
    """Every reading of the lines that tell most, the likeliest first."""
    sample, ends = telling(data)
    findings: list[EncodingGuess] = []
    for hypothesis in HYPOTHESES:
        if not hypothesis.encoding.startswith("utf-16"):
            text = read_damaged(sample, hypothesis.encoding, whole and ends)
        else:
            part = data[:SAMPLE_BYTES]
            text = read_part(part, hypothesis.encoding, whole and len(part) == len(data)) if len(data) % 2 == 0 else None
        if text is not None:
            findings.append(_finding(text, hypothesis))
    if not any(finding.mean >= SURE_MEAN and len(finding.text) >= SURE_LENGTH for finding in findings):
        findings += _spelled(sample)
    return sorted(findings, key=lambda finding: (-finding.score, finding.encoding))


def telling(data: bytes) -> tuple[bytes, bool]:
    """The lines that are not ASCII alone, as many as are needed, and whether the last one is whole."""
    sample = b"\n".join(line for line in data[:LOOKED_AT].split(b"\n") if not line.isascii())
    start = first_beyond_ascii(sample)
    start = sample.find(b" ", start - ASCII_BEFORE) + 1 if start > ASCII_BEFORE else 0
    part = sample[start : start + SAMPLE_BYTES]
    return part, start + len(part) == len(sample) and len(data) <= LOOKED_AT


def first_beyond_ascii(data: bytes) -> int:
    """Where the ASCII text at the beginning ends, back at the last line end or blank before it."""
    head = data[: len(data) - len(data.lstrip(ASCII_BYTES))]
    return max(head.rfind(b"\n"), head.rfind(b" ")) + 1


ASCII_BYTES = bytes(range(128))


def read_part(data: bytes, encoding: str, whole: bool) -> str | None:
    """The text of the beginning of a file, its last character possibly cut; None where the encoding cannot be."""
    try:
        return codecs.getincrementaldecoder(encoding)("strict").decode(data, final=whole)
    except UnicodeDecodeError:
        return None


def read_damaged(data: bytes, encoding: str, whole: bool = True) -> str | None:
    """The same with a few damaged places as U+FFFD; None where there are too many for the encoding to be right."""
    errors = errors_of(encoding)  # an incremental decoder drops what stands behind a damaged place near the end
    text = data.decode(encoding, errors) if whole else codecs.getincrementaldecoder(encoding)(errors).decode(data)
    if not (lost := text.count("\ufffd")):
        return text
    return text if lost <= max(1, MOST_DAMAGED * sum(character >= "\x80" for character in text)) else None


@functools.cache
def errors_of(encoding: str, otherwise: str = "replace") -> str:
    """The name of the error handler for an encoding: 0x80 is the euro sign in the GBK of Windows, anything else is lost."""
    if encoding != "gb18030":
        return otherwise
    rest = codecs.lookup_error(otherwise)

    def handle(error: UnicodeError) -> tuple[str | bytes, int]:
        if isinstance(error, UnicodeDecodeError) and error.object[error.start] == EURO_IN_GBK:
            return "€", error.start + 1
        return rest(error)

    name = f"hanmo.{encoding}.{otherwise}"
    codecs.register_error(name, handle)
    return name


EURO_IN_GBK = 0x80


def reads_well(data: bytes, encoding: str) -> str:
    """The text, where an encoding that is expected reads it all as one of its languages; else empty."""
    text = read_part(data, encoding, whole=True)
    if text is None or CONTROLS.search(text):
        return ""
    languages = ALPHABETIC.get(encoding)
    if languages:
        weights = weigh_letters(text, languages, ASCII_LOG)
        return text if max(weight.mean for weight in weights.values()) >= WELL_SPELLED else ""
    expected = [hypothesis for hypothesis in HYPOTHESES if hypothesis.encoding == encoding]
    return text if any(mean_log_probability(text, [each.language]) >= each.least for each in expected) else ""


WELL_SPELLED = -4.2


def mean_log_probability(text: str, languages: Iterable[str] = ("hans", "hant")) -> float:
    """Mean log p of the characters beyond ASCII, under the language that explains them best; 0 where there are none.

    >>> mean_log_probability("你好，我们来了") > -8 > -9.5 > mean_log_probability("浣犲ソ鎴戜滑")
    True
    """
    codes = _codes(text)
    beyond = codes[codes >= 128]
    return max(float(table(language)[beyond].mean()) for language in languages) if len(beyond) else 0.0


def log_probability(text: str, language: str) -> float:
    """Sum of log p over the characters of a text, ASCII included."""
    return float(table(language)[_codes(text)].sum())


def _finding(text: str, hypothesis: Hypothesis) -> EncodingGuess:
    codes = _codes(text)
    logs = table(hypothesis.language)[codes]
    beyond = (codes >= 128) & (codes != LOST)
    mean = float(logs[beyond].mean()) if beyond.any() else 0.0
    score = float(logs.sum()) - WITHIN_WORDS * _within_words(codes)
    believable = mean >= hypothesis.least
    if hypothesis.encoding.startswith("utf-16"):
        score -= UNMARKED_COST
        believable = believable and bool(((codes >= 32) | np.isin(codes, (9, 10, 12, 13))).all())
    return EncodingGuess(hypothesis.encoding, score, mean, believable, text, hypothesis.language)


def _spelled(sample: bytes) -> list[EncodingGuess]:
    """Readings of one byte a character; encodings that give the same text are one reading."""
    texts: dict[str, dict[str, str]] = {}
    for encoding, languages in ALPHABETIC.items():
        text = read_damaged(sample, encoding)
        if text is not None and not CONTROLS.search(text):
            found = texts.setdefault(text, {})
            found |= {language: encoding for language in languages if language not in found}
    return [_reading(text, users) for text, users in texts.items()]


def _reading(text: str, users: dict[str, str]) -> EncodingGuess:
    """What speaks for a text, whose languages are each written in an encoding that gives it."""
    weights = weigh_letters(text, list(users), ASCII_LOG)
    least = LEAST_LATIN if is_latin(next(iter(users))) else LEAST_OTHER
    promising = max(weight.mean for weight in weights.values()) >= least
    asked = promising and sum(map(str.isalpha, text)) >= LEAST_LETTERS
    odds = _odds(text, list(users)) if asked else dict.fromkeys(users, 0.0)
    scores = {name: weights[name].score + odds[name] - (OLD_COST if users[name] in OLD else 0.0) for name in users}
    best = max(scores, key=lambda name: scores[name])
    enough = weights[best].beyond > 1 or (asked and is_latin(best))
    believable = promising and enough and weights[best].mean >= least and odds[best] >= LEAST_BELIEVED
    return EncodingGuess(users[best], scores[best], weights[best].mean, believable, text, best)


def _odds(text: str, languages: Iterable[str]) -> dict[str, float]:
    """The log of the probability that the words are of each language, as far as so many letters can tell."""
    letters = sum(map(str.isalpha, text))
    known = dict(likely_languages(unicodedata.normalize("NFC", text[:WORDS_ASKED]), 5))
    least = float(np.exp(-min(12.0, 0.4 * letters)))
    odds = {name: max(known.get(code, 0.0) for code in (name, *LIKE.get(name, ()))) for name in languages}
    return {name: float(np.log(max(least, chance))) for name, chance in odds.items()}


WORDS_ASKED = 600  # characters
LOST = 0xFFFD


def _within_words(codes: NDArray[np.int64]) -> int:
    """How many times a character of several bytes touches an ASCII letter, which it does in a word that was read wrongly."""
    small = ((codes | 32) >= 97) & ((codes | 32) <= 122)
    wide = codes >= 128
    return int((small[:-1] & wide[1:]).sum() + (wide[:-1] & small[1:]).sum())


def _codes(text: str) -> NDArray[np.int64]:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return np.minimum(codes, 0xFFFF).astype(np.int64)


def _code_points(text: str) -> NDArray[np.int64]:
    return np.array([ord(character) for character in text], dtype=np.int64)


@functools.cache
def table(language: str) -> NDArray[np.float64]:
    """log p of every character of the basic plane, characters beyond it as U+FFFF."""
    logs = np.full(0x10000, LEAST)
    for share, group in reversed(_groups(language)):
        logs[group] = np.log(share)
    logs[:128] = ASCII_LOG
    logs[[*range(9), 11, *range(14, 32), 127]] = LEAST
    return logs


def _groups(language: str) -> list[tuple[float | NDArray[np.float64], NDArray[np.int64]]]:
    """Probabilities with their characters; the first group that names a character counts."""
    frequent = list(dict.fromkeys(FREQUENT.translate(TRADITIONAL) if language == "hant" else FREQUENT))
    zipf = 1 / (np.arange(len(frequent)) + 20.0)
    rare = _even(0.004, range(0x3400, 0xA000))
    symbols = [_even(0.004, [*range(0xFF01, 0xFF5F), *range(0x2010, 0x2650)]), _even(0.002, range(0xA1, 0x500)), _even(0.002, KANA)]
    first, second = _levels("gb2312" if language == "hans" else "big5")
    if language in ("hans", "hant"):
        chinese = (0.56 * zipf / zipf.sum(), _code_points("".join(frequent)))
        marks = _even(0.14, map(ord, PUNCTUATION))
        return [chinese, marks, _even(0.27, first), _even(0.015, second), rare, *symbols, *_outside()]
    if language == "japanese":
        return [_even(0.55, KANA), _even(0.1, map(ord, PUNCTUATION)), _even(0.3, _levels("gb2312")[0] + first), rare, *symbols, *_outside()]
    if language == "korean":
        hangul = _decodable("euc_kr", range(0xB0, 0xC9), range(0xA1, 0xFF))
        return [_even(0.35, map(ord, HANGUL_FREQUENT)), _even(0.55, hangul), _even(0.02, map(ord, PUNCTUATION)), *symbols, *_outside()]
    return [_even(0.7, map(ord, ACCENTED)), _even(0.25, map(ord, LATIN_SIGNS)), _even(0.05, range(0xA1, 0x180)), *_outside()]


def _outside() -> list[tuple[float, NDArray[np.int64]]]:
    """Private use (HKSCS of old, user-defined characters) and the planes beyond the first: possible, hardly ever meant."""
    return [(1e-7, np.arange(*PRIVATE)), (1e-7, np.array([0xFFFF]))]


def _even(share: float, codes: Iterable[int]) -> tuple[float, NDArray[np.int64]]:
    group = np.unique(np.fromiter(codes, dtype=np.int64))
    return share / len(group), group


KANA = range(0x3041, 0x30FF)
ALL_TRAILS = (*range(0x40, 0x7F), *range(0xA1, 0xFF))


@functools.cache
def _levels(encoding: str) -> tuple[list[int], list[int]]:
    """The frequent and the less frequent characters, as GB 2312 (by sound, by radical) and Big5 order them."""
    if encoding == "gb2312":
        return _decodable(encoding, range(0xB0, 0xD8), range(0xA1, 0xFF)), _decodable(encoding, range(0xD8, 0xF8), range(0xA1, 0xFF))
    return _decodable(encoding, range(0xA4, 0xC7), ALL_TRAILS), _decodable(encoding, range(0xC9, 0xFA), ALL_TRAILS)


def _decodable(encoding: str, leads: Iterable[int], trails: Iterable[int]) -> list[int]:
    """Code points of all two-byte sequences that the encoding knows."""
    trails = tuple(trails)
    texts = (bytes((lead, trail)).decode(encoding, "ignore") for lead in leads for trail in trails)
    return [ord(text) for text in texts if len(text) == 1]
