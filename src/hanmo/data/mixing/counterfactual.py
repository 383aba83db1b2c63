"""The same text about the other gender, or with other names: the counterpart of every word of a list is put in its place.

In: a text and pairs of words. Out: the text with both words of each pair exchanged everywhere, case kept (Zhao et al. 2018,
section 3.1; Zmigrod et al. 2019). The idea: swapping twice gives the text back where every word has one counterpart. English
`her` is two words (his, him) and `his` two others (her, hers): what follows decides. A Chinese word counts only where rjieba
cuts it so, thus 其他 and 吉他 stay; what rjieba does not know as a word, such as a name, is found before that, the longest first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hanmo.data.cleaning.words import HAN

LATIN = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
NOUN_FOLLOWS = re.compile(r"[ \n]+(?:[\"“‘(]?)([^\W\d_]+)")
ONE_WAY = {"him": "her", "hers": "his", "mrs": "mr"}
NEVER_OWNED = re.compile(
    r"a|about|after|again|all|also|although|an|and|any|are|as|at|away|back|be|because|been|before|but|by|can"
    r"|could|did|do|does|down|during|every|for|from|had|has|have|he|her|here|hers|him|his|how|i|if|in|instead"
    r"|into|is|it|its|just|later|may|me|might|must|my|never|not|now|of|off|on|once|or|our|out|over|shall|she"
    r"|should|so|some|than|that|the|their|them|then|there|these|they|this|those|though|through|to|today|tomorrow"
    r"|tonight|too|under|until|up|us|very|was|we|were|what|when|where|which|while|who|whom|why|will|with"
    r"|without|would|yesterday|yet|you|your",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Counterparts:
    """Words in lower case with their counterparts, and a pattern for the Chinese ones that rjieba would cut apart."""

    table: Mapping[str, str]
    uncut: re.Pattern[str] | None

    @classmethod
    def of(cls, pairs: Mapping[str, str]) -> "Counterparts":
        """From pairs of words."""
        import rjieba

        apart = [word for word in pairs if HAN.search(word) and rjieba.cut(word, hmm=False) != [word]]
        longest_first = sorted(apart, key=lambda word: (-len(word), word))
        return cls(pairs, re.compile("|".join(map(re.escape, longest_first))) if apart else None)


def counterfactual(text: str, words: Counterparts) -> str:
    """The text with every word exchanged for its counterpart.

    >>> from hanmo.data.mixing.wordlists import pairs
    >>> words = Counterparts.of(pairs())
    >>> counterfactual("He gave her his book; the Queen saw him.", words)
    'She gave him her book; the King saw her.'
    >>> counterfactual("其他人都说，他的妈妈会弹吉他。", words)
    '其他人都说，她的爸爸会弹吉他。'
    """
    parts: list[str] = []
    done = 0
    for run in HAN.finditer(text):
        parts += (_latin(text[done : run.start()], words.table), _chinese(run.group(), words))
        done = run.end()
    return "".join((*parts, _latin(text[done:], words.table)))


def _latin(text: str, table: Mapping[str, str]) -> str:
    return LATIN.sub(lambda match: _counterpart(match, table), text)


def _counterpart(match: re.Match[str], table: Mapping[str, str]) -> str:
    word = match.group()
    lower = word.lower()
    if lower in table:
        other = table[lower]
        return word if other[0].isupper() and not word[0].isupper() else _cased(word, other)  # the verb `will` is not Will
    if lower in ("her", "his"):
        return _cased(word, _of_two(lower, match))
    if lower in ONE_WAY:
        return _cased(word, ONE_WAY[lower])
    if "-" in word:
        return "-".join(_cased(part, table.get(part.lower(), part)) for part in word.split("-"))
    return word


def _of_two(word: str, match: re.Match[str]) -> str:
    """`her` and `his` before a noun are her and his; elsewhere they are him and hers."""
    following = NOUN_FOLLOWS.match(match.string, match.end())
    owned = following is not None and not NEVER_OWNED.fullmatch(following.group(1))
    if word == "her":
        return "his" if owned else "him"
    return "her" if owned else "hers"


def _cased(word: str, other: str) -> str:
    """`other` in the case of `word`; a counterpart with capitals of its own (a name) keeps them."""
    if len(word) > 1 and word.isupper():
        return other.upper()
    return other[0].upper() + other[1:] if word[0].isupper() else other


def _chinese(run: str, words: Counterparts) -> str:
    parts: list[str] = []
    done = 0
    for found in words.uncut.finditer(run) if words.uncut else ():
        parts += (_cut(run[done : found.start()], words.table), words.table[found.group()])
        done = found.end()
    return "".join((*parts, _cut(run[done:], words.table)))


def _cut(run: str, table: Mapping[str, str]) -> str:
    import rjieba

    return "".join(table.get(word, word) for word in rjieba.cut(run, hmm=False)) if run else ""
