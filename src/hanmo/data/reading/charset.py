"""Bytes that are no UTF-8 get the name of their encoding, or none where the evidence is too thin.

In: bytes. Out: an encoding, by evidence: the bytes have to be valid in it, and the characters that come out have to be those
a language uses often. The idea: each hypothesis (encoding, language) is a model of characters, log p(text) = sum of log p(c);
all of them explain the same bytes, so the likelier one wins (the ratio of likelihoods, Neyman and Pearson 1933). Common are the
characters that the standards themselves call so: level 1 of GB 2312 and of Big5, with the most frequent ones ahead. A win
alone is not enough: text that no hypothesis explains well is left unnamed.
"""

import codecs
import functools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLE_BYTES = 16384
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
RUN_OF_ACCENTS = -3.0  # how much rarer one accented letter is after another than alone
MOST_ACCENTED = 0.3
LEAST_LEAD = 1.5
"""How much likelier (nats) the best encoding has to be than the next believable one."""


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
    Hypothesis("cp1252", "latin", -7.0),
)
"""What is considered; Japanese and Korean are here above all so that they are not taken for Chinese."""


@dataclass(frozen=True, slots=True)
class Finding:
    """An encoding with its evidence: log p of the sample, and the mean of it over characters beyond ASCII."""

    encoding: str
    score: float
    mean: float
    believable: bool


def detect(data: bytes, whole: bool = True) -> str:
    """The encoding of bytes that are not UTF-8; empty when nothing explains them well. Unless `whole`, the last character may be cut.

    >>> detect("今天天气很好。".encode("gb18030")), detect("今天天氣很好。".encode("big5")), detect(bytes(range(200, 256)))
    ('gb18030', 'big5hkscs', '')
    """
    findings = weigh(data, whole)
    if not findings or not findings[0].believable:
        return ""
    best = findings[0]
    second = next((finding.score for finding in findings if finding.believable and finding.encoding != best.encoding), -np.inf)
    return best.encoding if best.score - second >= LEAST_LEAD else ""


def weigh(data: bytes, whole: bool = True) -> list[Finding]:
    """Every encoding that can read the sample around the first byte beyond ASCII, the likeliest first."""
    even = len(data) % 2 == 0
    start = first_beyond_ascii(data)
    findings: list[Finding] = []
    for hypothesis in HYPOTHESES:
        wide = hypothesis.encoding.startswith("utf-16")
        if wide and not even:
            continue
        part = data[:SAMPLE_BYTES] if wide else data[start : start + SAMPLE_BYTES]
        text = read_part(part, hypothesis.encoding, whole=whole and len(part) == len(data) - (0 if wide else start))
        if text is not None:
            findings.append(_finding(text, hypothesis))
    return sorted(findings, key=lambda finding: (-finding.score, finding.encoding))


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


def _finding(text: str, hypothesis: Hypothesis) -> Finding:
    codes = _codes(text)
    logs = table(hypothesis.language)[codes]
    beyond = codes >= 128
    count = int(beyond.sum())
    score, mean = float(logs.sum()), float(logs[beyond].mean()) if count else 0.0
    believable = mean >= hypothesis.least
    if hypothesis.language == "latin":
        letters = beyond & (codes != 0xA0) & np.isin(codes, _code_points(ACCENTED))
        score += RUN_OF_ACCENTS * int((letters[1:] & letters[:-1]).sum())
        ascii_letters = int((((codes | 32) >= 97) & ((codes | 32) <= 122)).sum())
        believable = believable and letters.sum() <= MOST_ACCENTED * (ascii_letters + letters.sum())
    if hypothesis.encoding.startswith("utf-16"):
        believable = believable and bool(((codes >= 32) | np.isin(codes, (9, 10, 12, 13))).all())
    return Finding(hypothesis.encoding, score, mean, bool(believable))


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
