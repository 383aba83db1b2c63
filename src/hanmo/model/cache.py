"""Keys and values already computed, so that decoding reads the past instead of computing it again.

L layers, B rows, K key-value heads, S slots, W width of a head.
"""

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
