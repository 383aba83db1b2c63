"""Equal texts are found, and one of each is kept.

In: the digest of every document's normalised text, in the order of the inputs. Out: for each document the first one with
the same text. The idea: sorting 128-bit digests needs 24 bytes a document and no luck; the first in the order of sources is
kept, so the choice depends on neither workers nor timing.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class DuplicateConfig:
    """Which repeated documents are left out."""

    exact: bool = True
    """Keep one of the documents whose normalised texts are equal."""


def text_digest(text: str) -> bytes:
    """The first 16 bytes of SHA-256 of a normalised text."""
    return hashlib.sha256(text.encode()).digest()[:16]


def first_occurrences(digests: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each row of digests [documents, 2] the index of the first equal row.

    >>> first_occurrences(np.array([[1, 1], [2, 2], [1, 1]], dtype=np.uint64)).tolist()
    [0, 1, 0]
    """
    count = len(digests)
    first = np.zeros(count, dtype=np.int64)
    if not count:
        return first
    order = np.lexsort((np.arange(count), digests[:, 1], digests[:, 0]))
    ordered = digests[order]
    begins = np.ones(count, dtype=bool)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    group = np.cumsum(begins) - 1
    first[order] = order[begins][group]
    return first
