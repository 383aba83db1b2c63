"""How likely a text is as one of a language that is written with letters: by its letters, their case, and where signs stand.

In: text. Out: log p of it, for a language. The idea: bytes beyond ASCII that are read in a wrong encoding still become letters, but
seldom the frequent ones of one language, seldom capitals only where words begin, and often signs inside words. Frequencies follow
the order of the letters by the law of Gusein-Zade (1988): the letter at place r of n has the share (ln(n + 1) - ln r) / n. Whether the
words are those of the language is another question (tongues).
"""

import functools
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

S = TypeVar("S", bound=np.generic)
LETTERS = {
    "en": "éïöèçñüáâêàóíä",
    "fr": "éèàêçôîùâûœëï",
    "de": "üäöß",
    "es": "óíáéñúü",
    "pt": "ãéçáíêóúõàâô",
    "it": "èàùòéì",
    "sv": "äåöé",
    "da": "åøæé",
    "no": "åøæéòô",
    "fi": "äöå",
    "nl": "éëïèóöüçà",
    "is": "ðíáþóæöúéý",
    "ca": "éóàèíò·çúïü",
    "pl": "łężąóśćńź",
    "cs": "íáěžřéčšýůúňďťó",
    "sk": "ážčýíšéúťľôďňóäŕĺ",
    "hu": "éáöóőüíúű",
    "ro": "ăîşţâșț",
    "hr": "ščžćđ",
    "sl": "čšžćđ",
    "tr": "ıüşçğöâîû",
    "lt": "ėųšžąįūčę",
    "lv": "āīēšūņļžķģč",
    "et": "äõüöšž",
    "vi": "\u0301\u0300đ\u0323âơưêôă\u0309à\u0303áéèíóúù",
    "ru": "оеаитнсрвлкмдпуяыьгбзчйжхшюцэщфёъ",
    "uk": "оаніивтерскудлмпзяьбгйчцхжїюшщєфґ",
    "bg": "аоеитнсврдклмпзяъгбчущжйцхшфюь",
    "mk": "аоеинтсдрвкмлпугјзбшчцжќфњѓхџљѕ",
    "sr": "аоиенрствудкмпљјлзгбцчшжћњхђфџ",
    "el": "ατοσιενρπκμηυλςίάόέγδωήχθύφώβξζψϊϋΐ",
    "he": "יוהלאתרבמשענםדכחקפסןגזצטךףץְִֵֶַָֹּ",
    "ar": "اليمنورتعبدةفهكسأقحجىصشطخذإضثزغءئظآؤ،ًَُِّْـ؟؛",
    "fa": "ایيرندهومبتسکكشلزفخگعقجحپآچطص\u200cضغظذثئژ،ء",
    "th": "า่นอก้เรลมัีงยหดบวสทตไปคจิใืขูุแ์ะช็ผถพำณซโฟึธษภศญฤฉฎฐ๊ๆํฮฝฏฑฒฬ๋",
}
"""Letters beyond ASCII of each language, the frequent ones first; Vietnamese as cp1258 cuts it, tones apart."""
MOST_SHARE = {"vi": 0.6}
"""Most of a language's Latin letters that may stand beyond ASCII, where it is not the usual share."""
USUAL_SHARE = 0.34
OTHER_SCRIPTS = ("ru", "uk", "bg", "mk", "sr", "el", "he", "ar", "fa", "th")
QUOTES = "“”‘’„«»–—…\u00a0"
SIGNS = "©®№°€£§½¼¾±×÷ºª¿¡µ•†™²³·\u00ad"
OPENING = "“‘„«¿¡"
CLOSING = "”’»…™°®"
INSIDE = "’\u00ad·–—-‑"
FINALS = "ςםןךףץ"
"""Letters that end a word, and never begin one."""
QUOTE_SHARE, SIGN_SHARE, RARE_SHARE = 0.2, 0.006, 0.004
FEW_ACCENTS = {"en": 0.6, "nl": 0.5, "it": 0.2, "de": 0.2}
"""Share of quotation marks and dashes beyond ASCII in languages that have few letters there."""
UNKNOWN = float(np.log(1e-8))
NEVER = float(np.log(1e-9))
INSIDE_A_WORD = -7.0
MIXED_SCRIPTS = -6.0
MISPLACED = -4.0
ACCENT_FIRST, ACCENT_LAST = np.log(0.08), np.log(0.2)
CAPITAL_FIRST, CAPITAL_NEXT, CAPITAL_LATE = np.log(0.12), np.log(0.5), np.log(0.002)
SMALL_NEXT = np.log(0.4)
LOWER, UPPER, PLAIN, FINAL, OPEN, SIGN = 1, 2, 3, 4, 5, 6


@dataclass(frozen=True, slots=True)
class Weight:
    """log p of a text; of it, the mean of a character beyond ASCII, with what its place costs; and how many of them there are."""

    score: float
    mean: float
    beyond: int


def is_latin(language: str) -> bool:
    """Whether a language is written with ASCII letters and some more."""
    return language not in OTHER_SCRIPTS


def weigh_letters(text: str, languages: Sequence[str], ascii_log: float) -> dict[str, Weight]:
    """How likely a text is in each of some languages of one script; an ASCII character has the same log p in all of them."""
    codes = _codes(text)
    kinds = _kinds()[codes]
    beyond = codes >= 128
    number = int(beyond.sum())
    if not number:
        return {language: Weight(ascii_log * len(codes), 0.0, 0) for language in languages}
    latin = is_latin(languages[0])
    places = float(_places(codes, kinds, beyond, latin).sum())
    high, high_kinds = codes[beyond], kinds[beyond]
    accents = int(((high_kinds >= LOWER) & (high_kinds <= FINAL)).sum()) if latin else 0
    plain = int(((kinds == LOWER) | (kinds == UPPER))[~beyond].sum())
    found: dict[str, Weight] = {}
    for language in languages:
        score = float(table(language)[high].sum()) + places
        if accents > MOST_SHARE.get(language, USUAL_SHARE) * (accents + plain):
            score += MISPLACED * accents
        found[language] = Weight(score + ascii_log * (len(codes) - number), score / number, number)
    return found


def mean_spelled(text: str, ascii_log: float) -> float:
    """Mean log p of a character, ASCII included, under the language that explains a text best."""
    latin = [language for language in LETTERS if is_latin(language)]
    scripts = [latin, *([language] for language in OTHER_SCRIPTS)]
    best = max(weight.score for script in scripts for weight in weigh_letters(text, script, ascii_log).values())
    return best / max(1, len(text))


def _places(codes: NDArray[np.int64], kinds: NDArray[np.int8], beyond: NDArray[np.bool_], latin: bool) -> NDArray[np.float64]:
    """What the place of each character costs: capitals inside words, signs inside words, two scripts in one word."""
    letter = (kinds >= LOWER) & (kinds <= FINAL)
    before, after = _shifted(letter, 1), _shifted(letter, -1)
    previous = _shifted(kinds, 1)
    either = beyond | _shifted(beyond, 1)
    upper, lower = kinds == UPPER, kinds == LOWER
    costs = np.zeros(len(codes))
    costs += np.where(upper & beyond & ~before, CAPITAL_FIRST, 0.0)
    capital = upper & either & before
    costs += np.where(capital & (previous == UPPER), CAPITAL_NEXT, 0.0)
    costs += np.where(capital & (previous != UPPER), CAPITAL_LATE, 0.0)
    costs += np.where(lower & either & (previous == UPPER), SMALL_NEXT, 0.0)
    costs += np.where((kinds == FINAL) & after, MISPLACED, 0.0)
    sign = (kinds >= OPEN) & beyond
    costs += np.where(sign & before & after & ~np.isin(codes, _points(INSIDE)), INSIDE_A_WORD, 0.0)
    costs += np.where((kinds == OPEN) & before & ~after, MISPLACED, 0.0)
    costs += np.where(np.isin(codes, _points(CLOSING)) & after & ~before, MISPLACED / 2, 0.0)
    blank = (codes <= 32) & ~letter
    costs += np.where((codes == 0xA0) & (_shifted(blank, 1) | _shifted(blank, -1)), MISPLACED, 0.0)
    if not latin:
        return costs + np.where(letter & before & (beyond != _shifted(beyond, 1)), MIXED_SCRIPTS, 0.0)
    small = lower & beyond
    return costs + np.where(small & ~before, ACCENT_FIRST, 0.0) + np.where(small & ~after, ACCENT_LAST, 0.0)


def _shifted(values: NDArray[S], by: int) -> NDArray[S]:
    """Values of the neighbours before (1) or behind (-1); nothing beyond the ends."""
    out = np.zeros_like(values)
    if by > 0:
        out[by:] = values[:-by]
    else:
        out[:by] = values[-by:]
    return out


@functools.cache
def table(language: str) -> NDArray[np.float64]:
    """log p of every character of the basic plane beyond ASCII, capitals as their small letters."""
    logs = np.full(0x10000, NEVER)
    letters = LETTERS[language]
    span = range(0xC0, 0x250) if is_latin(language) else _block(letters[0])
    logs[[code for code in span if chr(code).isalpha()]] = np.log(RARE_SHARE / len(span))
    logs[_points(SIGNS)] = np.log(SIGN_SHARE / len(SIGNS))
    quotes = FEW_ACCENTS.get(language, QUOTE_SHARE)
    logs[_points(QUOTES)] = np.log(quotes / len(QUOTES))
    number = len(letters)
    for place, letter in enumerate(letters, 1):
        share = np.log((1 - quotes) * (np.log(number + 1) - np.log(place)) / number)
        for form in {letter, letter.upper() if len(letter.upper()) == 1 else letter}:
            logs[ord(form)] = share
    if language == "tr":
        logs[ord("İ")] = logs[ord("ı")]
    return logs


def _block(letter: str) -> range:
    """The block of 256 that holds a letter."""
    start = ord(letter) & ~0xFF
    return range(start, start + 0x100)


@functools.cache
def _kinds() -> NDArray[np.int8]:
    """What each character of the basic plane is: small, capital, plain or final letter, opening or other sign; 0 for all others."""
    kinds = np.zeros(0x10000, np.int8)
    for code in range(0x3000):
        character = chr(code)
        category = unicodedata.category(character)
        if category in ("Ll", "Lu"):
            kinds[code] = LOWER if category == "Ll" else UPPER
        elif category in ("Lo", "Lm", "Mn", "Mc"):
            kinds[code] = PLAIN
        elif code >= 128 and category != "Zs":
            kinds[code] = SIGN
    kinds[_points("ºª")] = SIGN
    kinds[_points(OPENING)] = OPEN
    kinds[_points(FINALS)] = FINAL
    return kinds


def _points(text: str) -> NDArray[np.int64]:
    return np.array([ord(character) for character in text], dtype=np.int64)


def _codes(text: str) -> NDArray[np.int64]:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return np.minimum(codes, 0xFFFF).astype(np.int64)
