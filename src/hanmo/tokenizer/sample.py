"""Which part of a large corpus a tokenizer is trained on: the same part in any order of the documents."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from hanmo.tokenizer.patterns import cut

LONGEST_PIECE = 10_000

# Measured on 15 MB of Chinese and 6 MB of English with tokenizers 0.23: peak memory of BPE training over bytes of text.
COST_OF_WIDE_BYTE, COST_OF_ASCII_BYTE = 70, 10

# The library counts pairs in 32 bits, and beyond that wraps silently; a pair cannot occur more often than there are bytes.
LARGEST_SAMPLE = 2**31 - 1


@dataclass(frozen=True)
class Sample:
    """Pieces of text, sorted by hash, and how many bytes of how many they are."""

    pieces: list[str]
    bytes: int
    of_bytes: int
    of_pieces: int
    share: float
    """A piece was kept when its hash lay in the lowest `share` of all hashes."""
    limits: tuple[str, ...]
    """What the whole corpus exceeds: settings, or the library's "32-bit counts"."""
    sha256: str
    """Over the hashes of all pieces kept."""

    def facts(self) -> dict[str, object]:
        """What is recorded beside the tokenizer."""
        return {
            "bytes": self.bytes,
            "of_bytes": self.of_bytes,
            "pieces": len(self.pieces),
            "of_pieces": self.of_pieces,
            "share": self.share,
            "limits": list(self.limits),
            "sha256": self.sha256,
        }


@dataclass(frozen=True, order=True)
class _Piece:
    place: int
    text: str
    bytes: int

    @property
    def cost(self) -> int:
        wide = min(self.bytes, (self.bytes - len(self.text)) * 3 // 2)
        return wide * COST_OF_WIDE_BYTE + (self.bytes - wide) * COST_OF_ASCII_BYTE


def sample(texts: Iterable[str], max_memory: int, max_bytes: int = 0) -> Sample:
    """As much text as can be trained on in about `max_memory` bytes, and no more than `max_bytes` unless that is 0.

    Texts are cut into pieces, between tokens where they offer such a place; a piece is kept when its SHA-256 lies under
    a bound, which is halved each time that too much is kept. So the sample depends on the set of pieces alone.
    """
    kept: list[_Piece] = []
    cost = size = seen = count = whole_cost = 0
    bound = 1 << 64
    for text in texts:
        for piece in cut(text, LONGEST_PIECE, anywhere=True):
            data = piece.encode("utf-8", "surrogatepass")
            seen, count = seen + len(data), count + 1
            new = _Piece(int.from_bytes(hashlib.sha256(data).digest()[:8], "big"), piece, len(data))
            whole_cost += new.cost
            if new.place >= bound:
                continue
            kept.append(new)
            cost, size = cost + new.cost, size + new.bytes
            while kept and _over(cost, size, max_memory, max_bytes):
                bound >>= 1
                kept = [each for each in kept if each.place < bound]
                cost, size = sum(each.cost for each in kept), sum(each.bytes for each in kept)
    kept.sort()
    digest = hashlib.sha256(b"".join(each.place.to_bytes(8, "big") for each in kept)).hexdigest()
    limits = _over(whole_cost, seen, max_memory, max_bytes)
    return Sample([each.text for each in kept], size, seen, count, bound / (1 << 64), limits, digest)


def _over(cost: int, size: int, max_memory: int, max_bytes: int) -> tuple[str, ...]:
    """The limits that so much text exceeds."""
    found = {
        "max_training_memory_bytes": cost > max_memory,
        "max_sample_bytes": 0 < max_bytes < size,
        "32-bit counts": size > LARGEST_SAMPLE,
    }
    return tuple(name for name, exceeded in found.items() if exceeded)
