"""A text becomes a signature of fixed size, and equal values in two signatures tell how much two texts share.

In: texts, one at a time; later the signatures of all. Out: pairs of documents worth a closer look.

Shingles are windows of letters: 8, or 5 where the first is dense (Chinese, Japanese, Korean). MinHash (Broder 1997): with h a
random order of all shingles, P(min h(A) = min h(B)) = J(A, B) = |A and B| / |A or B|. One hash serves all values: its leading
bits deal the shingles to 128 bins, and each bin keeps its smallest (one permutation hashing, Li, Owen & Zhang 2012); an empty
bin borrows from another, chosen by hashing (Shrivastava 2017).

When edits leave a share s of all letters as they were, here and there, a window of k survives with s^k, and
J = s^k / (2 - s^k). So a long shingle does what several rows do in a band (Leskovec, Rajaraman & Ullman, ch. 3): b bands of r
rows find a pair with 1 - (1 - J^r)^b, and here r = 1, b = 64, k = 8 gives

    s                   0.6    0.65   0.7    0.75   0.8    0.85   0.9    1
    1 - (1 - J)^64      0.42   0.65   0.85   0.97   0.998  1.000  1.000  1     (k = 5, Chinese: 0.93 at 0.6, 0.998 at 0.7)

so what has up to a fifth of its letters edited is found; 0.65 is where the comparison that follows draws its line. Edits that
lie together, as in whole sentences, leave more: then J = s / (2 - s), and 0.65 is found always. Two English texts of two pages
that have nothing to do with each other have J = 0.001, Chinese ones 0.0001. All 128 values then estimate J, and fewer than 4
equal ones drop a pair.

Common phrases would make some buckets as large as the data. Therefore bands are sorted like an LSH forest (Bawa, Condie &
Ganesan 2005), by the values that follow too, and each document meets only the next 4 in its bucket: at most 256 N pairs, and
copies, which share what follows as well, stand side by side.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hanmo.data.duplicates.letters import Codes, Hashes, letters, mix, windows

Signatures = NDArray[np.uint32]
Pairs = NDArray[np.int64]

WIDTH, DENSE_WIDTH = 8, 5
SIGNATURE_VALUES = 128
BANDS = 64
FOLLOWING = 2  # values after a band's own that sort its bucket
NEIGHBOURS = 4
LEAST_EQUAL = 4
BLOCK_PAIRS = 1 << 13  # of which signatures are held at a time
BIN_SHIFT = np.uint64(64 - SIGNATURE_VALUES.bit_length() + 1)
NOTHING = np.uint64(2**64 - 1)


def signature(text: str, least: int) -> Signatures:
    """The 128 values of a text; all zero, which no text gives, when it has fewer than `least` letters."""
    codes, dense = letters(text)
    if len(codes) < max(least, 1):
        return np.zeros(SIGNATURE_VALUES, np.uint32)
    hashes = shingles(codes, dense)
    bins = np.full(SIGNATURE_VALUES, NOTHING)
    np.minimum.at(bins, hashes >> BIN_SHIFT, hashes)
    empty = np.flatnonzero(bins == NOTHING)
    if len(empty):
        bins[empty] = bins[_lenders(bins != NOTHING, empty)]
    return np.maximum((mix(bins) >> np.uint64(32)).astype(np.uint32), 1)


def shingles(codes: Codes, dense: NDArray[np.bool_], times: int = 1) -> Hashes:
    """The hashes of all shingles of a row of letters, repeated ones too; a text shorter than one is one.

    With `times` they are so many times as wide.
    """
    if len(codes) < times * WIDTH:
        return mix(windows(codes, len(codes)))
    long = windows(codes, times * WIDTH)
    if not dense.any():
        return mix(long)
    short = windows(codes, times * DENSE_WIDTH)
    head, tail = dense[: len(long)], dense[len(long) : len(short)]
    return mix(np.concatenate([np.where(head, short[: len(long)], long), short[len(long) :][tail]]))


class Store(Protocol):
    """Signatures of all documents, in memory or on disk."""

    def __len__(self) -> int: ...

    def column(self, value: int) -> NDArray[np.uint32]:
        """One value of all documents."""
        ...

    def take(self, rows: NDArray[np.int64]) -> Signatures:
        """All values of some documents."""
        ...


@dataclass(frozen=True, slots=True)
class SignaturesInMemory:
    """Signatures in memory."""

    values: Signatures

    def __len__(self) -> int:
        return len(self.values)

    def column(self, value: int) -> NDArray[np.uint32]:
        """One value of all documents."""
        return self.values[:, value]

    def take(self, rows: NDArray[np.int64]) -> Signatures:
        """All values of some documents."""
        return self.values[rows]


def candidate_codes(signatures: Store) -> Iterator[NDArray[np.int64]]:
    """Pairs of rows that share a band and at least 4 values, as smaller * count + larger; a pair of several bands comes several times.

    The same for the same rows in the same order; memory is about 40 bytes a row.
    """
    count = len(signatures)
    for band in range(BANDS if count > 1 else 0):
        values = signatures.column(band)
        repeated = _repeated(values)
        following = [signatures.column(band + more)[repeated] for more in range(FOLLOWING, 0, -1)]
        values = values[repeated]
        order = np.lexsort((*following, values))
        values, order = values[order], repeated[order]
        for distance in range(1, NEIGHBOURS + 1):
            for start in range(0, len(order) - distance, BLOCK_PAIRS):
                stop = min(start + BLOCK_PAIRS, len(order) - distance)
                met = start + np.flatnonzero(values[start:stop] == values[start + distance : stop + distance])
                left, right = order[met], order[met + distance]
                codes = np.minimum(left, right) * count + np.maximum(left, right)
                yield codes[equal_values(signatures, codes) >= LEAST_EQUAL]


def candidate_pairs(signatures: Signatures) -> tuple[Pairs, NDArray[np.int64]]:
    """Pairs of rows (smaller first, in order) that share a band and at least 4 values, and how many they share."""
    held = SignaturesInMemory(signatures)
    codes = np.unique(np.concatenate([np.zeros(0, np.int64), *candidate_codes(held)]))
    return pairs_of(codes, len(held)), equal_values(held, codes)


def pairs_of(codes: NDArray[np.int64], count: int) -> Pairs:
    """[pairs, 2] rows, smaller first."""
    return np.stack([codes // max(count, 1), codes % max(count, 1)], axis=1)


def equal_values(signatures: Store, codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """In how many values the two rows of each pair agree, a block at a time."""
    pairs = pairs_of(codes, len(signatures))
    equal = np.zeros(len(codes), np.int64)
    for start in range(0, len(codes), BLOCK_PAIRS):
        rows, places = np.unique(pairs[start : start + BLOCK_PAIRS], return_inverse=True)
        values, places = signatures.take(rows), places.reshape(-1, 2)
        equal[start : start + BLOCK_PAIRS] = (values[places[:, 0]] == values[places[:, 1]]).sum(axis=1)
    return equal


def estimated_similarity(equal: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share s of letters that stayed as they were, from the number of equal values: s = (2 J / (1 + J))^(1 / 8).

    Ondov et al. 2016 (Mash). It takes edits to be scattered, so texts that share whole passages look closer than they are, and so do
    long texts of one author, which share shingles by chance: it rules pairs out, and never says that two texts are alike.

    >>> estimated_similarity(np.array([0, 128])).tolist()
    [0.0, 1.0]
    """
    jaccard = equal / SIGNATURE_VALUES
    return (2 * jaccard / (1 + jaccard)) ** (1 / WIDTH)


def jaccard(a: Hashes, b: Hashes) -> float:
    """|A and B| / |A or B| of two rows of hashes in ascending order, each once; merging two runs takes linear time.

    >>> jaccard(np.array([1, 2], np.uint64), np.array([2, 3], np.uint64))
    0.3333333333333333
    """
    both = np.sort(np.concatenate([a, b]), kind="stable")
    shared = int(np.count_nonzero(both[1:] == both[:-1]))
    either = len(both) - shared
    return shared / either if either else 1.0


def _repeated(values: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Rows whose value another row has too; zero is no value."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    same = ordered[1:] == ordered[:-1]
    chosen = np.zeros(len(values), np.bool_)
    chosen[1:] |= same
    chosen[:-1] |= same
    return np.sort(order[chosen & (ordered > 0)])


def _lenders(filled: NDArray[np.bool_], empty: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each empty bin the first filled one among its own row of random bins; two texts with the same bins agree."""
    tries = _tries()[empty]
    usable = filled[tries]
    lenders = tries[np.arange(len(empty)), usable.argmax(axis=1)]
    lost = ~usable.any(axis=1)
    lenders[lost] = np.flatnonzero(filled)[0]
    return lenders


@functools.cache
def _tries() -> NDArray[np.int64]:
    """[128, 128] bins to try for each empty bin."""
    numbers = mix(np.arange(SIGNATURE_VALUES * SIGNATURE_VALUES, dtype=np.uint64))
    return (numbers % np.uint64(SIGNATURE_VALUES)).astype(np.int64).reshape(SIGNATURE_VALUES, -1)
