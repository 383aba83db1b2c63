"""What an objective has to know of a tokenizer: its special tokens by their purpose, and where words begin.

In: a tokenizer. Out: `SpecialTokens`, plain numbers. A name is looked for under its role in `tokenizer_config.json` and among the
names that known models use (`tokenizer.special`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ConfigError
from hanmo.batches.config import ObjectiveConfig
from hanmo.data.cleaning.words import HAN, WORD, runs
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.special import mask_id, middle_marks, sentinel_ids
from hanmo.tokenizer.wordpiece import CONTINUED

Groups = Callable[[NDArray[np.int64]], NDArray[np.int64]]
"""ids [n] -> the number of the word that each belongs to, rising from 0."""


@dataclass(frozen=True)
class SpecialTokens:
    """Special tokens of one vocabulary."""

    vocab_size: int
    eot: int
    special: NDArray[np.int64]
    """Every special token, rising."""
    mask: int | None = None
    sentinels: tuple[int, ...] = ()
    """Tokens that stand for what was cut out, in order."""
    middle: tuple[int, int, int] | None = None
    """Marks of beginning, end and middle."""

    @cached_property
    def plain(self) -> NDArray[np.int64]:
        """Every token that is not special."""
        return np.setdiff1d(np.arange(self.vocab_size), self.special)


def special_tokens_of(tokenizer: Tokenizer) -> SpecialTokens:
    """The special tokens a tokenizer has."""
    ids = {name: id for id, name in enumerate(tokenizer.names())}
    role = tokenizer.special_id("mask_token")
    mask = mask_id(ids) if role is None else role
    sentinels, middle = sentinel_ids(ids), middle_marks(ids)
    known = {id for id in (mask, *sentinels, *(middle or ())) if id is not None}
    special = np.array(sorted({*tokenizer.special_ids(), *known, tokenizer.eot_id}), np.int64)
    return SpecialTokens(tokenizer.vocab_size, tokenizer.eot_id, special, mask, sentinels, middle)


def check_special_tokens(marks: SpecialTokens, objective: ObjectiveConfig, context_length: int) -> None:
    """Raise ConfigError when a tokenizer lacks what an objective needs."""
    lacking = ""
    if objective.name == "masked" and marks.mask is None:
        lacking = "a mask token"
    elif objective.name == "span_corruption":
        needed = round(context_length * objective.share / objective.mean_span) + 2
        if len(marks.sentinels) < needed:
            lacking = f"{needed} sentinels (it has {len(marks.sentinels)})"
    elif objective.name == "fill_in_the_middle" and marks.middle is None:
        lacking = "marks of beginning, end and middle"
    if lacking:
        raise ConfigError(
            f"train.objective.name (={objective.name}) needs {lacking} in the tokenizer: "
            f"train one with tokenizer.objectives = [{objective.name!r}]"
        )


def word_groups(tokenizer: Tokenizer) -> Groups:
    """The function that tells which tokens belong to one word.

    Text is what the tokens write; its words are those of `data.cleaning.words`. A token that reaches into two words binds
    them together, one between words stands alone.
    """
    continued = not tokenizer.adds_bytes and tokenizer.kind == "wordpiece"

    def groups(ids: NDArray[np.int64]) -> NDArray[np.int64]:
        pieces = [tokenizer.bytes_of(int(id)) for id in ids]
        return _grouped(_spaced(pieces) if continued else pieces)

    return groups


def _spaced(pieces: Sequence[bytes]) -> list[bytes]:
    """Word pieces with the spaces that were lost: none before a continuation, none between two Chinese characters."""
    mark, spaced, before = CONTINUED.encode(), list[bytes](), b""
    for piece in pieces:
        if piece.startswith(mark) and len(piece) > len(mark):
            piece = piece.removeprefix(mark)
            spaced.append(piece)
        else:
            spaced.append(piece if _is_chinese(before) and _is_chinese(piece) else b" " + piece)
        before = piece
    return spaced


def _is_chinese(piece: bytes) -> bool:
    return HAN.fullmatch(piece.decode("utf-8", "replace")) is not None


def _grouped(pieces: Sequence[bytes]) -> NDArray[np.int64]:
    """The word of each piece, by where words begin and end in the text that all pieces write."""
    ends = np.cumsum([len(piece) for piece in pieces]).astype(np.int64)
    if not len(ends):
        return ends
    text = b"".join(pieces).decode("utf-8", "surrogateescape")
    widths = [len(character.encode("utf-8", "surrogateescape")) for character in text]
    places = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
    inside = np.full(int(ends[-1]) + 1, -1, np.int64)  # the word of each byte
    for number, (start, end) in enumerate(_spans(text)):
        inside[places[start] : places[end]] = number
    group, number = np.empty(len(pieces), np.int64), -1
    last = -1  # the last word that a piece has touched
    for index, (end, piece) in enumerate(zip(ends.tolist(), pieces, strict=True)):
        touched = inside[end - len(piece) : end]
        words = touched[touched >= 0]
        joined = len(words) > 0 and int(words[0]) == last
        number += 0 if joined else 1
        group[index] = number
        last = int(words[-1]) if len(words) and touched[-1] >= 0 else -1
    return group


def _spans(text: str) -> list[tuple[int, int]]:
    """Where each word begins and ends, in characters."""
    spans: list[tuple[int, int]] = []
    place = 0
    for gap, run in runs(text):
        spans += [(place + match.start(), place + match.end()) for match in WORD.finditer(gap)]
        place += len(gap)
        for word in run:
            spans.append((place, place + len(word)))
            place += len(word)
    return spans
