"""Simplified and traditional Chinese, told apart and turned into each other by OpenCC.

In: a text. Out: the same text in the other script, or the name of its script. The idea: which characters belong to one
script only is asked of OpenCC once, character by character; a text then has the script of most such characters.
"""

import functools
import re
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from opencc import OpenCC

Conversion = Literal["t2s", "s2t", "tw2s", "tw2sp", "hk2s", "s2tw", "s2twp", "s2hk"]
"""OpenCC's names: t traditional, s simplified, tw Taiwan, hk Hong Kong; a p at the end exchanges words as well."""
COMMON = range(0x4E00, 0x9FFF + 1)


def convert(text: str, conversion: Conversion) -> str:
    """The text in another script; only Chinese characters (and with tw2sp, s2twp Chinese words) change.

    >>> convert("漢語軟體", "t2s"), convert("漢語軟體", "tw2sp")
    ('汉语软体', '汉语软件')
    """
    return text if text.isascii() else cast("str", _converter(conversion).convert(text))


def script_of(text: str) -> Literal["", "Hans", "Hant"]:
    """The script of a Chinese text: that of most characters that belong to one script only; empty where there is none.

    >>> script_of("汉语"), script_of("漢語"), script_of("山水")
    ('Hans', 'Hant', '')
    """
    simplified, traditional = (len(pattern.findall(text)) for pattern in _own_characters())
    return "" if simplified == traditional else "Hans" if simplified > traditional else "Hant"


@functools.cache
def _converter(conversion: Conversion) -> "OpenCC":
    from opencc import OpenCC

    return cast("OpenCC", OpenCC(conversion))


@functools.cache
def _own_characters() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Patterns of the characters that only simplified, and only traditional text has."""
    everything = "\n".join(map(chr, COMMON))
    to_simplified, to_traditional = (convert(everything, kind).split("\n") for kind in ("t2s", "s2t"))
    changed = [
        "".join(chr(code) for code, other in zip(COMMON, converted, strict=True) if chr(code) != other)
        for converted in (to_traditional, to_simplified)
    ]
    both = set(changed[0]) & set(changed[1])
    simplified, traditional = (re.compile("[" + "".join(c for c in each if c not in both) + "]") for each in changed)
    return simplified, traditional
