"""Keys and values already computed, so that decoding reads the past instead of computing it again.

L layers, B rows, K key-value heads, S slots, W width of a head.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from hanmo.model.config import DecoderConfig


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
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.starts_B = torch.zeros(rows, dtype=torch.long, device=device) if starts_B is None else starts_B
        self.length = 0

    @property
    def slots(self) -> int:
        """How many tokens fit."""
        return self.keys.size(3)

    def extend(self, layer: int, k_BKTW: Tensor, v_BKTW: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new keys and values of a layer; gives all of them so far."""
        end = self.length + k_BKTW.size(2)
        self.keys[layer, :, :, self.length : end] = k_BKTW
        self.values[layer, :, :, self.length : end] = v_BKTW
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def keep(self, rows_B: Tensor) -> None:
        """Keep these rows, in this order."""
        self.keys, self.values = self.keys[:, rows_B], self.values[:, rows_B]
        self.starts_B = self.starts_B[rows_B]

    def truncate(self, length: int) -> None:
        """Forget all slots from `length` on."""
        self.length = min(self.length, length)

    @classmethod
    def joined(cls, caches: Sequence["KVCache"], config: DecoderConfig, slots: int) -> "KVCache":
        """The rows of several caches one below the other in one of `slots` slots; all end at the same slot, and padding
        that no row needs is gone."""
        starts = [each.starts_B + (-each.length) for each in caches]  # counted from the end
        length = -int(torch.cat(starts).min())
        first = caches[0].keys
        rows = sum(each.keys.size(1) for each in caches)
        made = cls(config, rows, slots, dtype=first.dtype, device=first.device, starts_B=torch.cat(starts) + length)
        row = 0
        for each in caches:
            used, end = min(length, each.length), row + each.keys.size(1)
            made.keys[:, row:end, :, length - used : length] = each.keys[..., each.length - used : each.length, :]
            made.values[:, row:end, :, length - used : length] = each.values[..., each.length - used : each.length, :]
            row = end
        made.length = length
        return made
