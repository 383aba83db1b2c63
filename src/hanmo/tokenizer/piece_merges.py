"""SentencePiece's byte pairs as merges, and merges as SentencePiece's scores.

In: pieces with a score and a type each. Out: every way to make a piece of two pieces, in the order in which SentencePiece joins: of
all pairs of neighbours whose join is a piece, the one whose join has the highest score. And back, where merges can be said so.
"""

import math
from collections.abc import Sequence
from itertools import groupby

from hanmo.base.errors import ModelError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
"""What a piece is, by the numbers of SentencePiece (and of GGUF)."""
JOINED = (NORMAL, USER_DEFINED)
"""What pieces become and are made of; no text spells the others."""

Merge = tuple[str, str]


def merges_of(pieces: Sequence[str], scores: Sequence[float] = (), types: Sequence[int] = ()) -> list[Merge]:
    """Every way to make a piece of two, the best piece first, and of one piece the longest beginning first.

    Where scores say nothing (there are none, or two are equal), the first piece is the best. What a user defined comes before all.
    Raises ModelError for a score that is no number.

    >>> merges_of(["a", "b", "ab", "c", "bc", "abc"])
    [('a', 'b'), ('b', 'c'), ('ab', 'c'), ('a', 'bc')]
    >>> merges_of(["a", "b", "c", "ab", "bc"], [-2, -3, -4, -5, 0])
    [('b', 'c'), ('a', 'b')]
    """
    types = types or [NORMAL] * len(pieces)
    scores = scores or [0.0] * len(pieces)
    for piece, score in zip(pieces, scores, strict=True):
        if math.isnan(score):
            raise ModelError(f"the piece {piece[:60]!r} has a score that is no number: the file is damaged")
    known = {piece for piece, type_ in zip(pieces, types, strict=True) if type_ in JOINED}
    places = sorted(range(len(pieces)), key=lambda id: (types[id] != USER_DEFINED, -scores[id], id))
    return [
        (piece[:cut], piece[cut:])
        for piece in (pieces[id] for id in places if types[id] in JOINED)
        for cut in range(len(piece) - 1, 0, -1)
        if piece[:cut] in known and piece[cut:] in known
    ]


def scores_of(pieces: Sequence[str], types: Sequence[int], merges: Sequence[Merge]) -> list[float] | None:
    """Scores by which SentencePiece joins as these merges do; None where there are none.

    A score belongs to a piece and not to a pair: so every way to make a piece has to be a merge, and all of them have to follow one
    another. Pieces that nothing makes get scores below all others.
    """
    normal = {piece for piece, type_ in zip(pieces, types, strict=True) if type_ == NORMAL}
    made, wanted = _ways(merges), _ways(merges_of(pieces, types=types))
    if any(made.get(piece) != wanted.get(piece) for piece in normal):
        return None
    order = [piece for piece, _ in groupby(merges, "".join)]
    if len(order) != len(made):
        return None
    ranks = {piece: rank for rank, piece in enumerate(order)}
    return [-float(ranks.get(piece, len(ranks) + id)) for id, piece in enumerate(pieces)]


def _ways(merges: Sequence[Merge]) -> dict[str, set[Merge]]:
    """For each piece the pairs that make it."""
    found = dict[str, set[Merge]]()
    for merge in merges:
        found.setdefault("".join(merge), set()).add(merge)
    return found
