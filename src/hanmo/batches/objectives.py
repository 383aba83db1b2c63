"""What a network reads of a row, and what it is asked to say; nothing of a row is ever lost.

In: rows of ids and a seed for each. Out: a `Batch`. Each formula is a pure function of one text and one seed, and the
original ids can be made again from what it gives. B rows, T positions, n tokens of one text.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ConfigError
from hanmo.base.records import Batch
from hanmo.batches.config import ObjectiveConfig
from hanmo.batches.draws import partition, uniforms
from hanmo.batches.special_tokens import Groups, SpecialTokens
from hanmo.model.config import NetworkKind

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]

MASKED, REPLACED = 0.8, 0.1
"""Shares of chosen tokens that become the mask, and any other token; the rest stays (Devlin et al. 2019, section 3.1)."""


@dataclass(frozen=True)
class Rows:
    """Rows as they stand in the store; `following` is what comes after each position, `valid` is False for padding."""

    ids: Ids
    following: Ids
    valid: Flags
    segments: NDArray[np.int32] | None


class Objective(Protocol):
    """One way of asking."""

    name: str

    def text_length(self, context_length: int) -> int:
        """Tokens of text in a row of `context_length` positions."""
        ...

    def batch(self, rows: Rows, seeds: Sequence[int]) -> Batch:
        """What the network reads and says, a seed a row."""
        ...


class NextToken:
    """Every token from those before it."""

    name = "next_token"

    def text_length(self, context_length: int) -> int:
        """All of it."""
        return context_length

    def batch(self, rows: Rows, seeds: Sequence[int]) -> Batch:
        """The rows as they are."""
        return Batch(ids=rows.ids, targets=rows.following, weights=rows.valid.astype(np.float32), segments=rows.segments)


def choose(ids: Ids, groups: NDArray[np.int64], share: float, marks: SpecialTokens, seed: int) -> Flags:
    """Which tokens of a text are hidden: each group with probability `share`, at least one, never a special token."""
    able = ~np.isin(ids, marks.special)
    if not able.any():
        return able
    drawn = uniforms(int(groups[-1]) + 1, seed)[groups]
    chosen = able & (drawn < share)
    return chosen if chosen.any() else able & (drawn == drawn[able].min())


def mask(ids: Ids, chosen: Flags, marks: SpecialTokens, seed: int) -> Ids:
    """The chosen tokens as the mask (80 %), as any token that is not special (10 %), as they are (10 %); Devlin et al. 2019."""
    assert marks.mask is not None
    kind, which = uniforms(len(ids), seed), uniforms(len(ids), seed + len(ids))
    anything = marks.plain[(which * len(marks.plain)).astype(np.int64)]
    masked = np.where(chosen & (kind < MASKED), marks.mask, ids)
    return np.where(chosen & (kind >= MASKED) & (kind < MASKED + REPLACED), anything, masked)


def spans(ids: Ids, share: float, mean_span: float, marks: SpecialTokens, seed: int) -> Flags:
    """Which tokens are cut out: round(share n) in spans of `mean_span` on average, never a special token.

    Lengths of spans, and of what stands between them, are random sums, turned round by a random number of places (Raffel et
    al. 2020, section 3.3.4, and its code base, random_roll). There are never more spans than sentinels less the last.
    """
    cut = np.zeros(len(ids), bool)
    if len(ids) < 2:
        return cut
    number = min(max(round(len(ids) * share), 1), len(ids) - 1)
    pieces = min(max(round(number / mean_span), 1), number, len(ids) - number)
    lengths = np.stack([partition(len(ids) - number, pieces, seed), partition(number, pieces, seed + len(ids))], 1).ravel()
    turn = int(uniforms(1, seed + 2 * len(ids))[0] * len(ids))  # or else every text would end with a span
    cut = np.roll(np.repeat(np.arange(2 * pieces) % 2 == 1, lengths), turn) & ~np.isin(ids, marks.special)
    begins = cut & ~np.concatenate([[False], cut[:-1]])
    return cut & (np.cumsum(begins) < len(marks.sentinels))


def corrupt(ids: Ids, cut: Flags, marks: SpecialTokens) -> tuple[Ids, Ids]:
    """The text with a sentinel for each span, and the spans behind their sentinels with one more at the end (section 3.1.4)."""
    begins = cut & ~np.concatenate([[False], cut[:-1]])
    sentinels = np.array(marks.sentinels, np.int64)
    number = np.cumsum(begins)
    source = np.where(begins, sentinels[np.maximum(number - 1, 0)], ids)[~cut | begins]
    said = [np.concatenate([[sentinels[i]], ids[cut & (number == i + 1)]]) for i in range(int(number[-1]) if len(ids) else 0)]
    return source, np.concatenate([*said, [sentinels[len(said)], marks.eot]]).astype(np.int64)


def restore(source: Ids, target: Ids, marks: SpecialTokens) -> Ids:
    """The text again, from both halves of `corrupt`."""
    order = {sentinel: i for i, sentinel in enumerate(marks.sentinels)}
    places = [i for i, id in enumerate(target.tolist()) if id in order]
    said = {int(target[a]): target[a + 1 : b] for a, b in itertools.pairwise(places)}
    parts = [said.get(int(id), np.array([id])) if int(id) in order else np.array([id]) for id in source]
    return np.concatenate([np.empty(0, np.int64), *parts]).astype(np.int64)


def rearrange(text: Ids, first: int, second: int, middle: tuple[int, int, int], *, suffix_first: bool) -> Ids:
    """A text cut at two places, its middle moved to the end (Bavarian et al. 2022, section 3).

    PSM: <pre> beginning <suf> end <mid> middle. SPM: <pre> <suf> end <mid> beginning middle, the form that shares its
    mark with PSM (section 3.1 and appendix D).
    """
    before, between, after = np.split(text, [first, second])
    pre, suf, mid = middle
    if suffix_first:
        return np.concatenate([[pre, suf], after, [mid], before, between])
    return np.concatenate([[pre], before, [suf], after, [mid], between])


class Masked:
    """Tokens that were hidden, from all others."""

    name = "masked"

    def __init__(self, config: ObjectiveConfig, marks: SpecialTokens, groups: Groups | None) -> None:
        self.config, self.marks, self.groups = config, marks, groups

    def text_length(self, context_length: int) -> int:
        """All of it."""
        return context_length

    def batch(self, rows: Rows, seeds: Sequence[int]) -> Batch:
        """Targets are the tokens themselves, weights 1 where one was chosen; padding is a segment of its own."""
        ids, weights = rows.ids.copy(), np.zeros(rows.ids.shape, np.float32)
        for row, seed in enumerate(seeds):
            text = rows.ids[row, : int(rows.valid[row].sum())]
            if not len(text):
                continue
            groups = np.arange(len(text)) if self.groups is None else self.groups(text)
            chosen = choose(text, groups, self.config.share, self.marks, seed)
            ids[row, : len(text)] = mask(text, chosen, self.marks, seed + len(text))
            weights[row, : len(text)] = chosen
        segments = rows.segments
        if segments is None and not rows.valid.all():
            segments = (~rows.valid).astype(np.int32)
        return Batch(ids=ids, targets=rows.ids, weights=weights, segments=segments)


class SpanCorruption:
    """What was cut out, while reading what is left."""

    name = "span_corruption"

    def __init__(self, config: ObjectiveConfig, marks: SpecialTokens, start: int) -> None:
        self.config, self.marks, self.start = config, marks, start

    def text_length(self, context_length: int) -> int:
        """All of it: what is cut out makes room for the sentinels."""
        return context_length

    def batch(self, rows: Rows, seeds: Sequence[int]) -> Batch:
        """A source and a target for each row."""
        pairs: list[tuple[Ids, Ids]] = []
        for row, seed in enumerate(seeds):
            text = rows.ids[row, : int(rows.valid[row].sum())]
            cut = spans(text, self.config.share, self.config.mean_span, self.marks, seed)
            pairs.append(corrupt(text, cut, self.marks) if len(text) else (text, text))
        return paired(pairs, self.start)


class Prefix:
    """The rest of a text, from a beginning of any length that is only read (Raffel et al. 2020, section 3.2.1).

    A decoder reads beginning and rest in one row and is asked for the rest only; an encoder-decoder reads the beginning
    in both directions and writes the rest.
    """

    name = "prefix"

    def __init__(self, marks: SpecialTokens, start: int | None) -> None:
        self.marks, self.start = marks, start

    def text_length(self, context_length: int) -> int:
        """All of it."""
        return context_length

    def batch(self, rows: Rows, seeds: Sequence[int]) -> Batch:
        """Rows cut at a place that the seed decides: at least one token is read, at least one is said."""
        lengths = rows.valid.sum(1)
        cuts = [split(int(length), seed) for length, seed in zip(lengths, seeds, strict=True)]
        if self.start is not None:
            texts = [ids[: int(length)] for ids, length in zip(rows.ids, lengths, strict=True)]
            return paired([(text[:at], text[at:]) for text, at in zip(texts, cuts, strict=True)], self.start)
        said = np.arange(rows.ids.shape[1]) + 1 >= np.array(cuts)[:, None]
        return Batch(ids=rows.ids, targets=rows.following, weights=(rows.valid & said).astype(np.float32), segments=rows.segments)


def split(length: int, seed: int) -> int:
    """A place from 1 to length - 1, each equally likely; 1 where there is none."""
    return 1 + int(uniforms(1, seed)[0] * max(length - 1, 1))


class FillInTheMiddle:
    """The next token, in rows of which some have a text whose middle was moved to its end."""

    name = "fill_in_the_middle"

    def __init__(self, config: ObjectiveConfig, marks: SpecialTokens) -> None:
        self.config, self.marks = config, marks

    def text_length(self, context_length: int) -> int:
        """Three positions are left for the marks."""
        return context_length - 3

    def batch(self, rows: Rows, seeds: Sequence[int]) -> Batch:
        """Rows with room for three marks; without them the last three positions are padding."""
        shape = len(rows.ids), rows.ids.shape[1] + 3
        ids, targets = np.full(shape, self.marks.eot), np.full(shape, self.marks.eot)
        weights, segments = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
        for row, seed in enumerate(seeds):
            length = int(rows.valid[row].sum())
            text, following = rows.ids[row, :length], rows.following[row, :length]
            owner = np.zeros(length, np.int32) if rows.segments is None else rows.segments[row, :length]
            text, following, owner = self._row(text, following, owner, seed)
            ids[row, : len(text)], targets[row, : len(text)], weights[row, : len(text)] = text, following, 1.0
            segments[row] = owner.max(initial=0) + 1
            segments[row, : len(text)] = owner
        return Batch(ids=ids, targets=targets, weights=weights, segments=None if rows.segments is None else segments)

    def _row(self, text: Ids, following: Ids, owner: NDArray[np.int32], seed: int) -> tuple[Ids, Ids, NDArray[np.int32]]:
        asked, place, one, other, order = uniforms(5, seed)
        begin, end = piece_at(text, owner, int(place * len(text)), self.marks.eot) if len(text) else (0, 0)
        if asked >= self.config.rate or begin == end:
            return text, following, owner
        assert self.marks.middle is not None
        first, second = sorted(int(draw * (end - begin + 1)) for draw in (one, other))
        moved = rearrange(text[begin:end], first, second, self.marks.middle, suffix_first=order < self.config.suffix_first)
        # a middle is over, whatever the store goes on with
        said = np.concatenate([following[:begin], moved[1:], [self.marks.eot], following[end:]])
        if begin and owner[begin - 1] == owner[begin]:
            said[begin - 1] = moved[0]
        owners = np.concatenate([owner[:begin], np.repeat(owner[begin], len(moved)), owner[end:]])
        return np.concatenate([text[:begin], moved, text[end:]]), said, owners


def piece_at(text: Ids, owner: NDArray[np.int32], place: int, eot: int) -> tuple[int, int]:
    """Where the document that a place lies in begins, behind its end-of-text token, and ends."""
    starts = np.flatnonzero((text == eot) | np.concatenate([[True], owner[1:] != owner[:-1]]))
    number = int(np.searchsorted(starts, place, side="right")) - 1
    begin = int(starts[number])
    end = int(starts[number + 1]) if number + 1 < len(starts) else len(text)
    return begin + int(text[begin] == eot), end


def paired(pairs: Sequence[tuple[Ids, Ids]], start: int) -> Batch:
    """Sources and targets as a batch, filled up to the longest; a target is read one place later, behind `start`."""
    sources, targets = ([pair[i] for pair in pairs] for i in range(2))
    source = np.full((len(pairs), max(1, *(len(each) for each in sources))), start)
    said = np.full((len(pairs), max(1, *(len(each) for each in targets))), start)
    seen, weights = np.zeros(source.shape, bool), np.zeros(said.shape, np.float32)
    for row, (read, written) in enumerate(pairs):
        source[row, : len(read)], seen[row, : max(1, len(read))] = read, True
        said[row, : len(written)], weights[row, : len(written)] = written, 1.0
    ids = np.concatenate([np.full((len(pairs), 1), start), said[:, :-1]], 1)
    return Batch(ids=ids.astype(np.int64), targets=said.astype(np.int64), weights=weights, source=source.astype(np.int64), source_seen=seen)


def make_objective(
    config: ObjectiveConfig, marks: SpecialTokens, groups: Groups | None, *, network: NetworkKind, start: int, context_length: int
) -> Objective:
    """The objective that the settings name, for a kind of network; `start` opens what an encoder-decoder writes.

    Raises ConfigError when a row is too short for it.
    """
    match config.name:
        case "next_token":
            return NextToken()
        case "masked":
            return Masked(config, marks, groups if config.unit == "word" else None)
        case "span_corruption":
            return SpanCorruption(config, marks, start)
        case "prefix":
            return Prefix(marks, start if network == "encoder_decoder" else None)
        case "fill_in_the_middle":
            if context_length < 5:
                raise ConfigError(f"train.context_length (={context_length}) should be at least 5 to fill in the middle")
            return FillInTheMiddle(config, marks)
