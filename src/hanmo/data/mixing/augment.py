"""A text becomes a slightly different one that still means the same, or the same about others.

In: a text, an operation and a seed. Out: a changed text, or the text itself where nothing could change. The idea: the four
operations of EDA (Wei and Zou 2019, section 2: n = alpha l changes in a sentence of l words), each inside one sentence, and
counterfactual swaps; Chinese is cut by rjieba. Blanks, punctuation, numbers and all other sentences stay where they are.
Copies belong to training alone: `copies` makes them after the split, and no receipt is written for them, since a receipt is for
an input; a copy's metadata names the document and the operation it comes from.
"""

import functools
import hashlib
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hanmo.base.config import unknown_key
from hanmo.base.errors import ConfigError
from hanmo.data.cleaning.words import HAN
from hanmo.data.mixing.counterfactual import Counterparts, counterfactual
from hanmo.data.mixing.wordlists import pairs, synonyms

WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
SENTENCE_END = re.compile(r"[.!?。！？；;…\n]")
Synonyms = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Copies of training documents with small changes."""

    copies: int = 0
    """Copies of each training document, 0 for none; a copy that equals its original is left out."""
    operations: tuple[str, ...] = ("replace", "insert", "swap", "delete")
    """What makes the first copy, the second ..., then the first again: replace and insert (synonyms), swap and delete (words),
    counterfactual (gendered words and given pairs)."""
    rate: float = 0.1
    """Share of the words of a sentence that change, alpha in EDA; counterfactual changes all that have a counterpart."""
    synonyms: Path | None = None
    """Synonyms of your own, a group a line, tabs between; joined to a small built-in list."""
    pairs: Path | None = None
    """Pairs for counterfactual, such as names: two words a line, a tab between; joined to built-in gendered words."""
    seed: int = 0
    """Another seed changes other words."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises ConfigError naming the key.
        """
        if self.copies < 0:
            raise ConfigError(f"augment.copies (={self.copies}) should be at least 0")
        if not 0 < self.rate <= 1:
            raise ConfigError(f"augment.rate (={self.rate:g}) should be above 0 and at most 1")
        for operation in self.operations:
            if operation not in OPERATIONS:
                raise ConfigError(f"augment.operations: {unknown_key(operation, operation, list(OPERATIONS))}")
        if self.copies and not self.operations:
            raise ConfigError("augment.operations is empty: name at least one, or set augment.copies to 0")


@dataclass(slots=True)
class SegmentedText:
    """A text in pieces: words, and what lies between them; `sentences` lists the places of the words of each sentence."""

    pieces: list[str] = field(default_factory=list[str])
    sentences: list[list[int]] = field(default_factory=lambda: [[]])

    @classmethod
    def of(cls, text: str) -> "SegmentedText":
        """Cut a text; its pieces joined give it back."""
        import rjieba

        words = cls()
        done = 0
        for run in HAN.finditer(text):
            words._add_latin(text[done : run.start()])
            for word in rjieba.cut(run.group(), hmm=False):
                words._add_word(word)
            done = run.end()
        words._add_latin(text[done:])
        return words

    def __str__(self) -> str:
        return "".join(self.pieces)

    def _add_latin(self, text: str) -> None:
        done = 0
        for match in WORD.finditer(text):
            self._add_between(text[done : match.start()])
            self._add_word(match.group())
            done = match.end()
        self._add_between(text[done:])

    def _add_between(self, text: str) -> None:
        if text:
            self.pieces.append(text)
            if SENTENCE_END.search(text):
                self.sentences.append([])

    def _add_word(self, word: str) -> None:
        self.sentences[-1].append(len(self.pieces))
        self.pieces.append(word)


def check_lists(config: AugmentConfig) -> None:
    """Read the word lists that are named, before any work is done.

    Raises DataError when one is missing or wrong.
    """
    if config.synonyms:
        synonyms(config.synonyms)
    if config.pairs:
        pairs(config.pairs)


def augment(text: str, operation: str, config: AugmentConfig, name: str) -> str:
    """The text changed by one operation; the same for the same text, operation, settings and `name`.

    >>> augment("The king is here.", "counterfactual", AugmentConfig(), "")
    'The queen is here.'
    """
    value = hashlib.sha256(f"augment\x1f{config.seed}\x1f{operation}\x1f{name}".encode()).digest()
    return OPERATIONS[operation](text, config, random.Random(int.from_bytes(value, "big")))


def augmentations(text: str, config: AugmentConfig, name: str) -> Iterator[tuple[int, str, str]]:
    """(number from 1, operation, text) of every copy of a text that differs from it and from the copies before."""
    seen = {text}
    for number in range(1, config.copies + 1):
        operation = config.operations[(number - 1) % len(config.operations)]
        changed = augment(text, operation, config, f"{name}\x1f{number}")
        if changed not in seen:
            seen.add(changed)
            yield number, operation, changed


def swap(words: SegmentedText, rate: float, dice: random.Random) -> None:
    """Random swap: two words of a sentence change places, n times."""
    for sentence in words.sentences:
        for _ in range(_draws(len(sentence), rate, dice) if len(sentence) > 1 else 0):
            one, two = dice.sample(sentence, 2)
            words.pieces[one], words.pieces[two] = words.pieces[two], words.pieces[one]


def delete(words: SegmentedText, rate: float, dice: random.Random) -> None:
    """Random deletion: each word goes with probability `rate`, with a blank beside it; one word of a sentence stays."""
    for sentence in words.sentences:
        leaving = [place for place in sentence if dice.random() < rate]
        if len(leaving) == len(sentence) and leaving:
            leaving.remove(dice.choice(leaving))
        for place in leaving:
            words.pieces[place] = ""
            if place + 1 < len(words.pieces) and words.pieces[place + 1].startswith(" "):
                words.pieces[place + 1] = words.pieces[place + 1][1:]
            elif place and words.pieces[place - 1].endswith(" "):
                words.pieces[place - 1] = words.pieces[place - 1][:-1]


def replace(words: SegmentedText, table: Synonyms, rate: float, dice: random.Random) -> None:
    """Synonym replacement: n words that have synonyms become one of them, with its capital."""
    for sentence in words.sentences:
        known = [place for place in sentence if words.pieces[place].lower() in table]
        for place in dice.sample(known, min(len(known), _draws(len(sentence), rate, dice))):
            word = words.pieces[place]
            other = dice.choice(table[word.lower()])
            words.pieces[place] = other[0].upper() + other[1:] if word[0].isupper() else other


def insert(words: SegmentedText, table: Synonyms, rate: float, dice: random.Random) -> None:
    """Random insertion: n times a synonym of some word of the sentence is put behind another word."""
    for sentence in words.sentences:
        known = [words.pieces[place].lower() for place in sentence if words.pieces[place].lower() in table]
        for _ in range(_draws(len(sentence), rate, dice) if known else 0):
            synonym, place = dice.choice(table[dice.choice(known)]), dice.choice(sentence)
            words.pieces[place] += synonym if HAN.search(words.pieces[place][-1]) else f" {synonym}"


def _draws(count: int, rate: float, dice: random.Random) -> int:
    """About `rate` times `count`, the broken part by chance; short sentences change now and then."""
    return int(count * rate + dice.random())


def _with_words(change: Callable[[SegmentedText, float, random.Random], None]) -> Callable[[str, AugmentConfig, random.Random], str]:
    def operation(text: str, config: AugmentConfig, dice: random.Random) -> str:
        words = SegmentedText.of(text)
        change(words, config.rate, dice)
        return str(words)

    return operation


def _with_synonyms(
    change: Callable[[SegmentedText, Synonyms, float, random.Random], None],
) -> Callable[[str, AugmentConfig, random.Random], str]:
    def operation(text: str, config: AugmentConfig, dice: random.Random) -> str:
        words = SegmentedText.of(text)
        change(words, _synonyms(config.synonyms, _stamp(config.synonyms)), config.rate, dice)
        return str(words)

    return operation


def _counterfactual(text: str, config: AugmentConfig, _: random.Random) -> str:
    return counterfactual(text, _counterparts(config.pairs, _stamp(config.pairs)))


def _stamp(path: Path | None) -> int:
    return path.stat().st_mtime_ns if path and path.exists() else 0


@functools.lru_cache(maxsize=2)
def _synonyms(path: Path | None, _: int) -> Synonyms:
    return synonyms(path)


@functools.lru_cache(maxsize=2)
def _counterparts(path: Path | None, _: int) -> Counterparts:
    return Counterparts.of(pairs(path))


OPERATIONS: dict[str, Callable[[str, AugmentConfig, random.Random], str]] = {
    "replace": _with_synonyms(replace),
    "insert": _with_synonyms(insert),
    "swap": _with_words(swap),
    "delete": _with_words(delete),
    "counterfactual": _counterfactual,
}
