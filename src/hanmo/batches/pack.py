"""How a store's tokens become rows, so that every token is a target exactly once an epoch, or its loss is counted.

A token's input position p has the target p + 1 in the store; the last token's target is the first one, the end-of-text
token, which is right: a document ends. So a row is known by its positions alone. Three ways to fill rows:

- Concatenated: the store as one circle, cut every `context` positions from a starting place that each epoch moves.
- Isolated: each document cut into pieces of at most `context` positions, the pieces put into rows by best fit,
  longest first (Ding et al. 2024, "Fewer Truncations Improve Language Modeling"); no piece sees another.
- Fixed: each document a row of its own, padded to `context` positions; one that is longer is cut into several rows
  (split), cut off (truncate), left out (drop), or an error.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import DataError


@dataclass(frozen=True)
class Filled:
    """Rows as positions in the store, [rows, context].

    `valid` is False where a row is padding; `segments` counts the pieces in a row from 0, padding as one more, or is
    None when a row is one text.
    """

    positions: NDArray[np.int64]
    valid: NDArray[np.bool_]
    segments: NDArray[np.int32] | None


TooLong = Literal["split", "truncate", "drop", "error"]


class Packing(Protocol):
    """One way to fill rows."""

    num_rows: int
    """Rows in an epoch."""
    documents_cut: int
    """Documents that no single row holds, for the receipt; of concatenated text, those longer than a row."""
    documents_dropped: int
    """Documents in no row at all."""

    def fill(self, rows: NDArray[np.int64], start: int) -> Filled:
        """The given rows of an epoch; `start` moves the borders where a packing allows that."""
        ...

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Targets in each of the given rows."""
        ...


class Concatenated:
    """Documents one after another; rows cross their borders."""

    def __init__(self, offsets: NDArray[np.int64], context: int) -> None:
        self.num_tokens = int(offsets[-1])
        self.context = context
        self.num_rows = -(-self.num_tokens // context)
        self.documents_cut = int((np.diff(offsets) > context).sum())
        self.documents_dropped = 0

    def fill(self, rows: NDArray[np.int64], start: int) -> Filled:
        """Row r holds the positions from start + r * context on, modulo the number of tokens."""
        place = rows[:, None] * self.context + np.arange(self.context)
        return Filled((place + start) % self.num_tokens, place < self.num_tokens, None)

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """`context`, and what is left in the last row."""
        return np.minimum(self.context, self.num_tokens - rows * self.context)


class Isolated:
    """Pieces of documents side by side in a row, each alone."""

    def __init__(self, offsets: NDArray[np.int64], context: int) -> None:
        starts, lengths = cut_documents(offsets, context)
        row_of = best_fit(lengths, context)
        order = np.lexsort((starts, row_of))
        self.context = context
        self.starts, self.piece_lengths = starts[order], lengths[order]
        self.num_rows = int(row_of.max()) + 1
        self.first_piece = np.searchsorted(row_of[order], np.arange(self.num_rows + 1))
        self.row_lengths = np.bincount(row_of, weights=lengths, minlength=self.num_rows).astype(np.int64)
        self.documents_cut = int((np.diff(offsets) > context).sum())
        self.documents_dropped = 0

    def fill(self, rows: NDArray[np.int64], start: int) -> Filled:
        """The pieces of each row from left to right; pieces stay as they are in every epoch."""
        counts = self.first_piece[rows + 1] - self.first_piece[rows]
        piece = _ranges(self.first_piece[rows], counts)
        lengths = self.piece_lengths[piece]
        row = np.repeat(np.repeat(np.arange(len(rows)), counts), lengths)
        column = _ranges(np.zeros(len(rows), np.int64), self.row_lengths[rows])
        positions = np.zeros((len(rows), self.context), np.int64)
        positions[row, column] = _ranges(self.starts[piece], lengths)
        segments = np.repeat(counts.astype(np.int32), self.context).reshape(positions.shape)
        segments[row, column] = np.repeat(_ranges(np.zeros(len(rows), np.int64), counts), lengths)
        return Filled(positions, np.arange(self.context) < self.row_lengths[rows, None], segments)

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions taken in each row."""
        return self.row_lengths[rows]


class Fixed:
    """One document, or one piece of it, a row.

    Raises DataError when documents are too long and that is asked to be an error, or when every one is left out.
    """

    def __init__(self, offsets: NDArray[np.int64], context: int, too_long: TooLong = "split") -> None:
        sizes = np.diff(offsets)
        longer = sizes > context
        if too_long == "error" and longer.any():
            raise DataError(
                f"{int(longer.sum()):,} of {len(sizes):,} documents have more than train.context_length (={context}) tokens, "
                f"the longest {int(sizes.max()):,}: raise it, or set train.too_long to split, truncate or drop"
            )
        if too_long == "split":
            self.starts, self.row_lengths = cut_documents(offsets, context)
        else:
            kept = ~longer if too_long == "drop" else np.ones(len(sizes), bool)
            self.starts, self.row_lengths = offsets[:-1][kept], np.minimum(sizes[kept], context)
        if not len(self.starts):
            raise DataError(f"every document has more than train.context_length (={context}) tokens: raise it, or do not drop them")
        self.context = context
        self.num_rows = len(self.starts)
        self.documents_dropped = int(longer.sum()) if too_long == "drop" else 0
        self.documents_cut = int(longer.sum()) - self.documents_dropped

    def fill(self, rows: NDArray[np.int64], start: int) -> Filled:
        """The document of each row, then padding; rows stay as they are in every epoch."""
        valid = np.arange(self.context) < self.row_lengths[rows, None]
        return Filled(np.where(valid, self.starts[rows, None] + np.arange(self.context), 0), valid, None)

    def lengths(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions taken in each row."""
        return self.row_lengths[rows]


def _ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """start, start + 1, ... for each start, joined.

    >>> _ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + counts, counts)


def cut_documents(offsets: NDArray[np.int64], context: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and length of the pieces, in the order of the documents; every position in exactly one piece."""
    sizes = np.diff(offsets)
    pieces = -(-sizes // context)
    number = _ranges(np.zeros(len(sizes), np.int64), pieces)
    starts = np.repeat(offsets[:-1], pieces) + number * context
    return starts, np.minimum(context, np.repeat(offsets[1:], pieces) - starts)


def best_fit(lengths: NDArray[np.int64], capacity: int) -> NDArray[np.int64]:
    """The row of each piece: longest first, each into the fullest row that still takes it (best fit decreasing).

    Rows with equal room are alike, so they are kept by room: a bit of `rooms` says that some row has that much left.
    """
    row_of = np.empty(len(lengths), np.int64)
    rows_with: list[list[int]] = [[] for _ in range(capacity + 1)]
    rooms = num_rows = 0
    for piece in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[piece])
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            row = rows_with[room].pop()
            if not rows_with[room]:
                rooms &= ~(1 << room)
        else:
            room, row, num_rows = capacity, num_rows, num_rows + 1
        row_of[piece] = row
        if left := room - length:
            rows_with[left].append(row)
            rooms |= 1 << left
    return row_of
