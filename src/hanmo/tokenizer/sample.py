"""Which part of a large corpus a tokenizer is trained on: the same part in any order of the documents."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from hanmo.tokenizer.patterns import cut

LONGEST_PIECE = 10_000


@dataclass(frozen=True)
class Sample:
    """Pieces of text, sorted, and what share of the whole they are."""

    pieces: list[str]
    bytes: int
    of_bytes: int


def sample(texts: Iterable[str], max_bytes: int) -> Sample:
    """At most `max_bytes` of text.

    Texts are cut into pieces between tokens; a piece is kept when its SHA-256 lies under a bound, which is halved each
    time that too much is kept. So the sample depends on the set of pieces alone. Memory: `max_bytes` and one text.
    """
    kept: list[tuple[int, int, str]] = []
    total = seen = 0
    bound = 1 << 64
    for text in texts:
        for piece in cut(text, LONGEST_PIECE):
            data = piece.encode("utf-8", "surrogatepass")
            seen += len(data)
            place = int.from_bytes(hashlib.sha256(data).digest()[:8], "big")
            if place < bound:
                kept.append((place, len(data), piece))
                total += len(data)
            while total > max_bytes and bound:
                bound >>= 1
                kept = [each for each in kept if each[0] < bound]
                total = sum(size for _, size, _ in kept)
    kept.sort()
    return Sample([piece for _, _, piece in kept], total, seen)
