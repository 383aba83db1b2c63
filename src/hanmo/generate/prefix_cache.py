"""What is remembered of prompts: keys and values of their first chunks, shared by all prompts that begin alike.

In: ids and what a reader made of them, chunk by chunk. Out: the longest known beginning of another prompt.
The least recently used chunks are forgotten first. The whole beginning is the key, so nothing is taken for another.
"""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from torch import Tensor

Part = tuple[Tensor, Tensor]
"""Keys and values of one chunk, [L, 1, K, chunk, W] each."""


class PrefixCache:
    """At most `most_tokens` tokens' keys and values, in chunks of `chunk`. `hits` and `misses` count tokens."""

    def __init__(self, chunk: int, most_tokens: int) -> None:
        self.chunk, self.most_chunks = chunk, most_tokens // chunk
        self.hits = self.misses = 0
        self._parts: OrderedDict[bytes, Part] = OrderedDict()

    def __len__(self) -> int:
        """How many tokens are remembered."""
        return len(self._parts) * self.chunk

    def find(self, ids: Sequence[int]) -> tuple[int, list[Part]]:
        """How many first tokens are known, and their parts; the last token is never among them, for its logits are wanted."""
        parts: list[Part] = []
        whole = np.asarray(ids, np.int32)
        for end in range(self.chunk, len(ids), self.chunk):
            part = self._parts.get(whole[:end].tobytes())
            if part is None:
                break
            parts.append(part)
            self._parts.move_to_end(whole[:end].tobytes())
        known = len(parts) * self.chunk
        self.hits += known
        self.misses += len(ids) - known
        return known, parts

    def keep(self, ids: Sequence[int], part: Part) -> None:
        """Remember the last chunk of `ids`, a whole number of chunks."""
        self._parts[np.asarray(ids, np.int32).tobytes()] = part
        while len(self._parts) > self.most_chunks:
            self._parts.popitem(last=False)
