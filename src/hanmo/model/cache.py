"""Keys and values already computed, so that decoding reads the past instead of computing it again.

Rows that share a batch join and leave without moving the others: there is room for more rows than there are, a row that leaves
gives its place to the last one, and padding in front that no row needs is hidden, not cut off.
L layers, B rows, K key-value heads, S slots, W width of a head.
"""

import mmap
from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from hanmo.model.config import DecoderConfig

PAGED = 1 << 25
"""Bytes from which memory comes straight from the system, which gives a page when it is first written.

Below, the allocator's own is better: what it is given back there it learns to keep for all the tensors of a step (glibc does, up
to this size).
"""
PRIVATE = sum(getattr(mmap, name, 0) for name in ("MAP_PRIVATE", "MAP_ANONYMOUS", "MAP_NORESERVE"))


class KVCache:
    """Preallocated keys and values [L, B, K, S, W]; `length` slots are filled in every row.

    Rows of different lengths are padded on the left: `starts_B` is the first real slot of each row, and a row's
    positions count from there.
    """

    def __init__(
        self,
        config: DecoderConfig,
        rows: int,
        slots: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | None = None,
        starts_B: Tensor | None = None,
    ) -> None:
        shape = (config.num_hidden_layers, rows, config.key_value_heads, slots, config.head_width)
        self._all = (_zeros(shape, dtype, device), _zeros(shape, dtype, device))
        self._hidden = 0
        self.starts_B = torch.zeros(rows, dtype=torch.long, device=device) if starts_B is None else starts_B
        self.length = 0
        self._show()

    @property
    def slots(self) -> int:
        """How many tokens fit."""
        return self.keys.size(3)

    @property
    def places(self) -> int:
        """How many rows there is room for."""
        return self._all[0].size(1)

    @property
    def used(self) -> int:
        """How many tokens the longest row has."""
        return self.length - int(self.starts_B.min())

    def extend(self, layer: int, k_BKTW: Tensor, v_BKTW: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new keys and values of a layer; gives all of them so far."""
        end = self.length + k_BKTW.size(2)
        self.keys[layer, :, :, self.length : end] = k_BKTW
        self.values[layer, :, :, self.length : end] = v_BKTW
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; only those that change their place are moved."""
        if len(rows) > self.places:
            self._lay(rows, len(rows), self.length, self.slots)
        else:
            moved = [place for place, row in enumerate(rows) if row != place]
            for memory in self._all if moved else ():
                filled = memory[..., self._hidden : self._hidden + self.length, :]
                filled[:, moved] = filled[:, [rows[place] for place in moved]]
            self.starts_B = self.starts_B[list(rows)]
        self._trim()

    def join(self, other: "KVCache", slots: int, most: int) -> None:
        """The rows of another cache below these; all end at the same slot.

        Only those rows are copied while there is room. Where there is none everything is laid out anew with `slots` slots, and
        with so much room for more rows and for longer ones, up to `most` tokens, that this happens ever more seldom.
        """
        self._trim()
        rows, lacking = len(self.starts_B), other.used - self.length
        if rows + len(other.starts_B) > self.places or lacking > self._hidden:
            longest = max(self.length, other.used)
            before = min(longest, max(most - longest, 0))
            self._lay(range(rows), 2 * (rows + len(other.starts_B)), before + longest, before + slots)
        elif lacking > 0:
            self._hide(-lacking)
        self.starts_B = torch.cat([self.starts_B, other.starts_B + (self.length - other.length)])
        self._show()
        for memory, more in ((self.keys, other.keys), (self.values, other.values)):
            memory[:, rows:, :, self.length - other.used : self.length] = more[..., other.length - other.used : other.length, :]
        self._trim()

    def make_room(self, slots: int) -> None:
        """Lay the filled slots out anew in a cache of `slots` slots."""
        self._trim()
        rows = len(self.starts_B)
        self._lay(range(rows), min(self.places, 4 * rows), self.length, slots)

    def truncate(self, length: int) -> None:
        """Forget all slots from `length` on."""
        self.length = min(self.length, length)

    def _lay(self, rows: Sequence[int], places: int, end: int, slots: int) -> None:
        """Copy some rows into new memory with so many places for rows, so that they end at slot `end`."""
        filled = [memory[:, list(rows), :, : self.length] for memory in (self.keys, self.values)]
        layers, _, heads, _, width = self.keys.shape
        shape = (layers, places, heads, slots, width)
        self._all = (_zeros(shape, filled[0].dtype, filled[0].device), _zeros(shape, filled[1].dtype, filled[1].device))
        for memory, known in zip(self._all, filled, strict=True):
            memory[:, : len(rows), :, end - self.length : end] = known
        self.starts_B = self.starts_B[list(rows)] + (end - self.length)
        self.length, self._hidden = end, 0
        self._show()

    def _trim(self) -> None:
        """Hide the slots in front that no row needs."""
        self._hide(int(self.starts_B.min()))

    def _hide(self, slots: int) -> None:
        """Let the first slot that is shown be so many further on."""
        self._hidden, self.length, self.starts_B = self._hidden + slots, self.length - slots, self.starts_B - slots
        self._show()

    def _show(self) -> None:
        rows = len(self.starts_B)
        self.keys, self.values = (memory[:, :rows, :, self._hidden :] for memory in self._all)


def _zeros(shape: Sequence[int], dtype: torch.dtype, device: torch.device | None) -> Tensor:
    """Zeros; large ones on the CPU take no memory before something is written there, so room to spare costs nothing."""
    size = prod(shape) * dtype.itemsize
    if size < PAGED or not PRIVATE or (device is not None and device.type != "cpu"):
        return torch.zeros(tuple(shape), dtype=dtype, device=device)
    return torch.frombuffer(mmap.mmap(-1, size, flags=PRIVATE), dtype=dtype).view(tuple(shape))
