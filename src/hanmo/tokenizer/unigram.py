"""Pieces chosen by likelihood: the unigram language model of Kudo (2018, "Subword Regularization", section 3.2).

In: texts. Out: a backend whose model gives every text its most probable pieces, and bytes for characters without one.
The idea: begin with all frequent substrings of pre-tokens, then in turn re-estimate their probabilities by expectation
maximization over all segmentations, and drop those whose loss costs least, until the vocabulary has its size.

The library has a trainer, but it goes through words in the order of a random hash and adds floating-point numbers in
that order, so its vocabulary differs from run to run; this one is a function of the texts. Encoding is the library's.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models

from hanmo.tokenizer.config import PreTokenizerName
from hanmo.tokenizer.patterns import pre_tokenizer

LONGEST = 16
LONGEST_WORD = 32
SEEDS_PER_TOKEN = 32
KEPT_EACH_ROUND = 0.75
COVERAGE = 0.9995
LEAST = 1e-9
BYTE_SCORE = -10_000.0
ALWAYS = "\n\t" + "".join(map(chr, range(0x20, 0x7F)))
"""Characters with a piece of their own in any case; those of <0x41> must, lest a text of that form be read as a byte."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def train_unigram(
    pieces: Sequence[str],
    *,
    special: Sequence[str],
    vocab_size: int,
    min_frequency: int,
    pattern: tuple[PreTokenizerName, int],
) -> tokenizers.Tokenizer:
    """Special tokens, 256 bytes, then pieces by falling probability, up to `vocab_size`; the last special one is unknown."""
    first = [*special, *(f"<0x{byte:02X}>" for byte in range(256))]
    room = vocab_size - len(first)
    words, alphabet = _words(pieces, pattern, room)
    chosen = fit(words, alphabet, room, min_frequency) if words else dict.fromkeys(alphabet, LEAST)
    # Four digits: what the library writes with more it does not always read back to the same bits.
    scores = sorted(((piece, round(math.log(p), 4)) for piece, p in chosen.items()), key=lambda each: (-each[1], each[0]))
    vocabulary = [*((token, 0.0 if id < len(special) else BYTE_SCORE) for id, token in enumerate(first)), *scores]
    backend = tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=len(special) - 1, byte_fallback=True))
    backend.pre_tokenizer = pre_tokenizer(*pattern, as_bytes=False)  # pyright: ignore[reportAttributeAccessIssue]
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])  # pyright: ignore[reportAttributeAccessIssue]
    return backend


def _words(pieces: Sequence[str], pattern: tuple[PreTokenizerName, int], room: int) -> tuple[Counter[str], list[str]]:
    """Pre-tokens with their counts, cut at characters too rare for a piece of their own, and the alphabet."""
    steps = pre_tokenizer(*pattern, training=True, as_bytes=False)
    found, characters = Counter[str](), Counter[str]()
    for piece in pieces:
        characters.update(piece)
        found.update(word for word, _ in steps.pre_tokenize_str(piece))
    alphabet = _alphabet(characters, (room - len(ALWAYS)) // 2)
    rare = "".join(map(re.escape, sorted(characters.keys() - set(alphabet))))
    cut_out = re.compile(f"[{rare}]+" if rare else "(?!)")
    words = Counter[str]()
    for word, count in found.items():
        for part in cut_out.split(word):
            for start in range(0, len(part), LONGEST_WORD):
                words[part[start : start + LONGEST_WORD]] += count
    return words, alphabet


def _alphabet(characters: Mapping[str, int], room: int) -> list[str]:
    """The characters that have to be there, and no more than `room` others, which make up `COVERAGE` of the text with them."""
    kept, total = set(ALWAYS), sum(characters.values())
    covered = sum(characters.get(character, 0) for character in ALWAYS)
    for character in sorted(characters.keys() - kept, key=lambda each: (-characters[each], each)):
        if len(kept) >= room + len(ALWAYS) or covered >= COVERAGE * total:
            break
        kept.add(character)
        covered += characters[character]
    return sorted(kept)


@dataclass(frozen=True)
class Grams:
    """All frequent substrings of words: single characters first, then longer ones, level by level.

    Every substring of a gram is one too, so a gram's beginning and end, each one character shorter, are numbers of
    grams (-1 for characters). `levels[n]` is the first gram of n + 1 characters.
    """

    counts: Floats
    beginnings: Ints
    ends: Ints
    levels: list[int]
    alphabet: str

    def text(self, gram: int) -> str:
        """What a gram spells."""
        last: list[str] = []
        while gram >= len(self.alphabet):
            last.append(self.alphabet[self._last_character(gram)])
            gram = int(self.beginnings[gram])
        return self.alphabet[gram] + "".join(reversed(last))

    def _last_character(self, gram: int) -> int:
        while gram >= len(self.alphabet):
            gram = int(self.ends[gram])
        return gram


@dataclass(frozen=True)
class Lattice:
    """Every place of every gram in the words, as edges between the gaps of characters, sorted by their distance from the word's start."""

    grams: Ints
    starts: Ints
    stops: Ints
    depths: Ints
    words: Ints
    """The word of each edge."""
    first_nodes: Ints
    last_nodes: Ints
    weights: Floats
    """How often each word occurs."""

    def only(self, kept: NDArray[np.bool_]) -> "Lattice":
        """The lattice of fewer grams."""
        left = kept[self.grams]
        return replace(
            self,
            grams=self.grams[left],
            starts=self.starts[left],
            stops=self.stops[left],
            depths=self.depths[left],
            words=self.words[left],
        )

    def expected(self, probabilities: Floats) -> Floats:
        """How often each gram is expected, over all segmentations in proportion to their probability (forward-backward)."""
        p, nodes = probabilities[self.grams], int(self.last_nodes[-1]) + 1
        forward, backward = np.zeros(nodes), np.zeros(nodes)
        forward[self.first_nodes] = backward[self.last_nodes] = 1.0
        borders = np.searchsorted(self.depths, np.arange(int(self.depths[-1]) + 2))
        slices = [slice(int(start), int(stop)) for start, stop in pairwise(borders)]
        for at in slices:
            np.add.at(forward, self.stops[at], forward[self.starts[at]] * p[at])
        for at in reversed(slices):
            np.add.at(backward, self.starts[at], backward[self.stops[at]] * p[at])
        share = (self.weights / backward[self.first_nodes])[self.words]
        return _weigh(self.grams, forward[self.starts] * p * backward[self.stops] * share, len(probabilities))


def fit(words: Mapping[str, int], alphabet: Sequence[str], room: int, min_frequency: int) -> dict[str, float]:
    """The probability of each of at most `room` pieces, all of the alphabet among them.

    The loss of a piece is what the likelihood falls by when it is written with others wherever it is expected.
    """
    characters = len(alphabet)
    grams, lattice = collect(words, alphabet, SEEDS_PER_TOKEN * room, min_frequency)
    kept = np.ones(len(grams.counts), dtype=bool)
    probabilities = np.maximum(grams.counts, 1) / max(1.0, grams.counts.sum())
    while True:
        _, probabilities = _estimated(lattice, probabilities, kept)
        expected, probabilities = _estimated(lattice, probabilities, kept)
        longer = int(kept[characters:].sum())
        if longer <= room - characters:
            break
        losses = np.where(kept, np.inf, -np.inf)
        longer_ones = np.flatnonzero(kept[characters:]) + characters
        gained = _log(probabilities)[longer_ones] - _alternatives(grams, probabilities)[longer_ones]
        losses[longer_ones] = expected[longer_ones] * gained
        count = characters + max(room - characters, int(KEPT_EACH_ROUND * longer))
        kept = np.zeros_like(kept)
        kept[np.argsort(-losses, kind="stable")[:count]] = True
        probabilities = np.where(kept, probabilities, 0.0)
        lattice = lattice.only(kept)
    kept[characters:] &= expected[characters:] >= 0.5
    return {grams.text(int(gram)): float(probabilities[gram]) for gram in np.flatnonzero(kept)}


def _estimated(lattice: Lattice, probabilities: Floats, kept: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """How often each piece is expected, and the probabilities that follow, leaning towards few pieces as in variational Bayes.

    With a floor, for a piece that longer ones make superfluous now may be needed when they are gone.
    """
    expected = lattice.expected(probabilities)
    weighed = np.maximum(expected, 0.5)
    found = np.exp(_digamma(weighed) - _digamma(np.array([weighed[kept].sum()])))
    return expected, np.where(kept, np.maximum(found, LEAST), 0.0)


def collect(words: Mapping[str, int], alphabet: Sequence[str], most: int, least: int) -> tuple[Grams, Lattice]:
    """Substrings of at most `LONGEST` characters that occur `least` times, or more often so as to be no more than `most`."""
    spelled = sorted(word for word in words if word)
    lengths = np.array([len(word) for word in spelled], dtype=np.int64)
    weights = np.array([words[word] for word in spelled], dtype=np.float64)
    codes = np.frombuffer("".join(spelled).encode("utf-32-le"), dtype=np.uint32).astype(np.int64)
    here = np.searchsorted(np.array([ord(character) for character in alphabet]), codes)
    word_of = np.repeat(np.arange(len(spelled)), lengths)
    begins = np.cumsum(lengths) - lengths
    depth = np.arange(len(codes)) - begins[word_of]
    position = np.arange(len(codes))
    found = [(position, here)]
    counts = [_weigh(here, weights[word_of], len(alphabet))]
    links: list[tuple[Ints, Ints]] = [(np.full(len(alphabet), -1), np.full(len(alphabet), -1))]
    levels, gram_at = [0], np.full(len(codes) + 1, -1)
    gram_at[position] = here
    total = len(alphabet)
    while len(levels) < LONGEST and len(position):
        position = position[(depth[position] + len(levels) < lengths[word_of[position]])]
        position = position[gram_at[position + 1] >= 0]
        pairs = gram_at[position] * total + gram_at[position + 1]
        distinct, which = np.unique(pairs, return_inverse=True)
        often = _weigh(which, weights[word_of[position]], len(distinct))
        frequent = often >= least
        number = np.where(frequent, total + np.cumsum(frequent) - 1, -1)
        levels.append(total)
        links.append((distinct[frequent] // total, distinct[frequent] % total))
        counts.append(often[frequent])
        gram_at = np.full(len(codes) + 1, -1)
        gram_at[position] = number[which]
        position = position[gram_at[position] >= 0]
        found.append((position, gram_at[position]))
        total += int(frequent.sum())
        least = max(least, _threshold(counts[1:], most))
    levels.append(total)
    grams, renumbered = _only_frequent(np.concatenate(counts), links, levels, least, "".join(alphabet))
    at = np.concatenate([place for place, _ in found])
    length = np.repeat(np.arange(1, len(found) + 1), [len(place) for place, _ in found])
    gram = renumbered[np.concatenate([numbers for _, numbers in found])]
    order = np.lexsort((at, depth[at]))
    order = order[gram[order] >= 0]
    at, length, gram = at[order], length[order], gram[order]
    start, first = at + word_of[at], begins + np.arange(len(spelled))
    return grams, Lattice(gram, start, start + length, depth[at], word_of[at], first, first + lengths, weights)


def _weigh(numbers: Ints, weights: Floats, size: int) -> Floats:
    """The weights of each number below `size`, summed."""
    return np.bincount(numbers, weights=weights, minlength=size).astype(np.float64)


def _threshold(counts: Sequence[Floats], most: int) -> int:
    """The least count that no more than `most` reach."""
    every = np.concatenate(counts)
    return 0 if len(every) <= most else int(np.partition(every, len(every) - most - 1)[len(every) - most - 1]) + 1


def _only_frequent(
    counts: Floats, links: Sequence[tuple[Ints, Ints]], levels: Sequence[int], least: int, alphabet: str
) -> tuple[Grams, Ints]:
    """Grams that occur `least` times, and the new number of each old one or -1; no gram is rarer than one that holds it."""
    kept = counts >= least
    kept[: len(alphabet)] = True
    renumbered = np.where(kept, np.cumsum(kept) - 1, -1)
    beginnings, ends = (np.concatenate(side)[kept] for side in zip(*links, strict=True))
    beginnings[len(alphabet) :], ends[len(alphabet) :] = renumbered[beginnings[len(alphabet) :]], renumbered[ends[len(alphabet) :]]
    borders = [int(kept[:level].sum()) for level in levels]
    return Grams(counts[kept], beginnings, ends, borders, alphabet), renumbered


def _alternatives(grams: Grams, probabilities: Floats) -> Floats:
    """The log-probability of the best way to write each gram with other pieces."""
    alone = _log(probabilities)
    best, other = alone.copy(), np.full(len(alone), -np.inf)
    for n, (start, stop) in enumerate(pairwise(grams.levels[1:]), 2):
        this = np.arange(start, stop)
        beginnings, ends = [grams.beginnings[this]], [grams.ends[this]]
        for _ in range(n - 2):
            beginnings.append(grams.beginnings[beginnings[-1]])
            ends.append(grams.ends[ends[-1]])
        for beginning, end in zip(beginnings, reversed(ends), strict=True):
            other[this] = np.maximum(other[this], best[beginning] + alone[end])
        best[this] = np.maximum(alone[this], other[this])
    return other


def _log(probabilities: Floats) -> Floats:
    return np.log(probabilities, where=probabilities > 0, out=np.full(len(probabilities), -1e9))


def _digamma(x: Floats) -> Floats:
    """The derivative of ln Gamma for x >= 0.5: recurrence up to 6, then its asymptotic series (Abramowitz and Stegun 6.3.18).

    >>> round(float(_digamma(np.array([1.0]))[0]), 6)
    -0.577216
    """
    shifted, lower = x + 6, np.zeros_like(x)
    for step in range(6):
        lower += 1 / (x + step)
    inverse = 1 / shifted**2
    return np.log(shifted) - 0.5 / shifted - inverse * (1 / 12 - inverse * (1 / 120 - inverse / 252)) - lower
