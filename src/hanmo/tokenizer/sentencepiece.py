"""The vocabulary in a SentencePiece file (`tokenizer.model`, `spiece.model`, `*.spm`).

In: a file in the wire format of protocol buffers (sentencepiece_model.proto). Out: pieces with scores and types, and how a text is
normalised before it is cut. Only what a tokenizer needs is looked at; nothing is allocated on a file's word.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hanmo.base.errors import ModelError
from hanmo.tokenizer.piece_merges import NORMAL

VARINT, EIGHT_BYTES, SIZED, FOUR_BYTES = 0, 1, 2, 5
"""How a value is written."""
LARGEST_FILE = 1 << 27
KINDS: dict[int, Literal["unigram", "bpe"]] = {1: "unigram", 2: "bpe"}
Value = int | bytes


@dataclass(kw_only=True)
class PieceVocabulary:
    """What a file says; the values before it is read are those of the format."""

    pieces: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    kind: int = 1
    byte_fallback: bool = False
    unk_id: int = 0
    charsmap: bytes = b""
    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True

    @property
    def crosses_blanks(self) -> bool:
        """Whether a piece goes on behind a blank."""
        return any("\u2581" in piece[1:] for piece in self.pieces)


def read_sentencepiece(path: Path) -> PieceVocabulary:
    """The vocabulary in a file.

    Raises ModelError for a file that is none, or of a kind that is not read.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ModelError(f"{path} has {path.stat().st_size:,} bytes: no SentencePiece model comes near that")
        found = _vocabulary(path.read_bytes())
    except (OSError, ValueError, struct.error) as error:
        raise ModelError(f"{path} is no SentencePiece model: {error}") from error
    if not found.pieces:
        raise ModelError(f"{path} is no SentencePiece model: it has no pieces")
    if found.kind not in KINDS:
        raise ModelError(f"{path} cuts by words or characters (model_type {found.kind}), which is not read here: unigram and bpe are")
    place = {piece: at for at, piece in enumerate(found.pieces)}
    if len(place) != len(found.pieces):
        twice = next(piece for at, piece in enumerate(found.pieces) if place[piece] != at)
        raise ModelError(f"{path} has the piece {twice[:60]!r} twice: no text would say which is meant")
    return found


def _vocabulary(data: bytes) -> PieceVocabulary:
    found = PieceVocabulary()
    for number, value in _fields(data):
        if number == 1:
            _add_piece(found, value)
        elif number == 2:
            spec = dict(_fields(_bytes(value)))
            found.kind = _int(spec.get(3, 1))
            found.byte_fallback, found.unk_id = bool(spec.get(35, 0)), _int(spec.get(40, 0))
        elif number == 3:
            rules = dict(_fields(_bytes(value)))
            found.charsmap = _bytes(rules.get(2, b""))
            found.add_dummy_prefix, found.remove_extra_whitespaces = bool(rules.get(3, 1)), bool(rules.get(4, 1))
    return found


def _add_piece(found: PieceVocabulary, value: Value) -> None:
    said = dict(_fields(_bytes(value)))
    found.pieces.append(_bytes(said.get(1, b"")).decode("utf-8"))
    found.scores.append(struct.unpack("<f", _bytes(said.get(2, bytes(4))))[0])
    found.types.append(_int(said.get(3, NORMAL)))


def _fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Each field's number and value: a number, or the bytes that it is made of.

    Raises ValueError for what is no message.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, form = tag >> 3, tag & 7
        if form == VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if form == SIZED:
            size, at = _varint(data, at)
        elif form in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if form == EIGHT_BYTES else 4
        else:
            raise ValueError(f"a field at byte {at} has a form that does not exist")
        if number == 0 or at + size > len(data):
            raise ValueError(f"a field at byte {at} goes beyond the end")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends."""
    value = 0
    for place in range(10):
        if at + place >= len(data):
            break
        value |= (data[at + place] & 0x7F) << (7 * place)
        if not data[at + place] & 0x80:
            return value, at + place + 1
    raise ValueError(f"a number at byte {at} has no end")


def _bytes(value: Value) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number stands where there should be a text")
    return value


def _int(value: Value) -> int:
    if not isinstance(value, int):
        raise ValueError("a text stands where there should be a number")
    return value
