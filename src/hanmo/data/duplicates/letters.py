"""Text becomes numbers that two texts can be compared by, whatever their case, spacing and punctuation.

In: any text. Out: its letters as code points, or its words as 64-bit hashes with their places. The idea: a table says of each
character whether it is a letter, what its lower-case, half-width form is, and whether it is dense (Chinese, Japanese, Korean:
a syllable or a word a character). A window over numbers is hashed as a polynomial, many windows at once, in log2(width)
passes; the hashes are our own arithmetic, the same on every machine and with every version of any library.
"""

import functools
import unicodedata
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Codes = NDArray[np.uint32]

LETTER, DENSE, LINE_END = 1, 2, 3
BASE = 0x9E3779B97F4A7C15  # odd, so that multiplying loses nothing
WORD_POWERS = 256  # positions in a word that count one by one; longer words begin again


@dataclass(frozen=True, slots=True)
class WordHashes:
    """Hashes of the words of a text, with the characters [start, stop) of each and the number of its line.

    A word is a run of letters and digits; a dense character is a word of its own.
    """

    hashes: Hashes
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    lines: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.hashes)


def letters(text: str) -> tuple[Codes, NDArray[np.bool_]]:
    """The letters and digits of a text in lower case and half width, and which of them are dense."""
    codes, kinds = _read(text)
    kept = (kinds == LETTER) | (kinds == DENSE)
    return codes[kept], kinds[kept] == DENSE


def spell(codes: Codes) -> str:
    """Code points as a string.

    >>> spell(letters("Ｈｉ, 世界!")[0])
    'hi世界'
    """
    return codes.astype("<u4").tobytes().decode("utf-32-le", "replace")


def words(text: str) -> WordHashes:
    """The words of a text.

    >>> len(words("Can't stop: 你好"))
    5
    """
    codes, kinds = _read(text)
    places = np.flatnonzero((kinds == LETTER) | (kinds == DENSE))
    if not len(places):
        none = np.zeros(0, np.int64)
        return WordHashes(np.zeros(0, np.uint64), none, none, none)
    dense = kinds[places] == DENSE
    begins = np.ones(len(places), np.bool_)
    begins[1:] = (np.diff(places) > 1) | dense[1:] | dense[:-1]
    firsts = np.flatnonzero(begins)
    inside = np.arange(len(places)) - np.repeat(firsts, np.diff(np.append(firsts, len(places))))
    spelled = codes[places].astype(np.uint64) * _powers()[inside % WORD_POWERS]
    hashes = mix(np.add.reduceat(spelled, firsts))
    starts, stops = places[firsts], places[np.append(firsts[1:], len(places)) - 1] + 1
    lines = np.searchsorted(np.flatnonzero(kinds == LINE_END), starts)
    return WordHashes(hashes, starts, stops, lines)


def windows(values: NDArray[np.unsignedinteger], width: int) -> Hashes:
    """The hash of every `width` values in a row: sum of v_j B^(width - 1 - j), modulo 2^64; none when there are fewer values.

    Windows of 2w are made from two of w, so the width costs its logarithm.
    """
    with np.errstate(over="ignore"):
        power = np.array(BASE, np.uint64)
        part, done = values.astype(np.uint64), 1
        whole, length = np.zeros(len(part) + 1, np.uint64), 0
        while width >= done:
            if width & done:
                count = max(0, len(values) - length - done + 1)
                whole = whole[:count] * power + part[length : length + count]
                length += done
            if width >= 2 * done:
                count = max(0, len(part) - done)
                part = part[:count] * power + part[done : done + count]
            done, power = 2 * done, power * power
    return whole


def mix(hashes: Hashes) -> Hashes:
    """Every bit of the input changes half of the output's: the finaliser of SplitMix64 (Steele, Lea & Flood 2014)."""
    hashes = (hashes ^ (hashes >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    hashes = (hashes ^ (hashes >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return hashes ^ (hashes >> np.uint64(31))


def _read(text: str) -> tuple[Codes, NDArray[np.uint8]]:
    """Code points in their plain form, and the kind of each."""
    plain, kinds = _table()
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint32, copy=False)
    if text.isascii():
        return plain[codes], kinds[codes]
    capped = np.minimum(codes, len(kinds) - 1)
    above = codes >= len(kinds)
    if not above.any():
        return plain[codes], kinds[codes]
    beyond = np.where(codes >= 0x20000, DENSE, np.where((codes >= 0x1F000) & (codes < 0x1FB00), 0, LETTER)).astype(np.uint8)
    return np.where(above, codes, plain[capped]), np.where(above, beyond, kinds[capped])


@functools.cache
def _powers() -> Hashes:
    powers = [pow(BASE, exponent, 2**64) for exponent in range(WORD_POWERS)]
    return np.array(powers, np.uint64)


@functools.cache
def _table() -> tuple[Codes, NDArray[np.uint8]]:
    """For each character of the basic plane its plain form and its kind; 0 for what is compared nowhere."""
    plain = np.arange(0x10000, dtype=np.uint32)
    kinds = np.zeros(0x10000, np.uint8)
    for code in range(0x10000):
        character = chr(code)
        if unicodedata.category(character)[0] not in "LNM":
            continue
        folded = unicodedata.normalize("NFKC", character).lower()
        plain[code] = ord(folded) if len(folded) == 1 else code
        kinds[code] = DENSE if _is_dense(int(plain[code])) else LETTER
    kinds[ord("\n")] = LINE_END
    return plain, kinds


def _is_dense(code: int) -> bool:
    return 0x3040 <= code < 0xA000 or 0xAC00 <= code < 0xD7B0 or 0xF900 <= code < 0xFB00
