"""Equal texts are found, and one of each is kept; what is done about all kinds of duplicates is said here.

In: the digest of every document's normalised text, in the order of the inputs. Out: for each document the first one with
the same text. The idea: sorting 128-bit digests needs 24 bytes a document and no luck; the first in the order of sources is
kept, so the choice depends on neither workers nor timing. Near-duplicates are found in signatures and clusters, recurring lines in lines.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ConfigError

LEAST_THRESHOLD = 0.6


@dataclass(frozen=True, kw_only=True)
class DuplicateConfig:
    """Which repeated documents and lines are left out."""

    exact: bool = True
    """Keep one of the documents whose normalised texts are equal."""
    near: bool = True
    """Look for documents that are nearly the same, case, spacing and punctuation apart."""
    keep: Literal["longest", "all"] = "longest"
    """Of near-duplicates keep the longest (then the smallest id), or all of them, in one split."""
    threshold: float = 0.65
    """Least similarity of near-duplicates: the share of letters that an alignment leaves unchanged, or the Jaccard index of shingles."""
    min_letters: int = 50
    """Documents with fewer letters and digits are never near-duplicates: short texts are alike by chance."""
    lines: int = 0
    """Remove lines that recur in at least so many documents (menus, notices); 0 for none."""
    unit: Literal["line", "paragraph"] = "line"
    """What `lines` counts and removes: lines, or paragraphs between empty lines."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises ConfigError naming the key.
        """
        if not LEAST_THRESHOLD <= self.threshold <= 1:
            raise ConfigError(f"duplicates.threshold (={self.threshold}) should be between {LEAST_THRESHOLD} and 1")
        if self.min_letters < 1:
            raise ConfigError(f"duplicates.min_letters (={self.min_letters}) should be at least 1")
        if self.lines < 0 or self.lines == 1:
            raise ConfigError(f"duplicates.lines (={self.lines}) should be 0 or at least 2")


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
