"""Reading tokens and saying what may follow: one interface over every kind of model.

A reader holds rows of ids. `read` appends to each row and gives the logits [B, V] of what follows; `keep` drops, repeats
or reorders rows. With its memory (keys and values, or a state) or without, a reader gives the same logits up to the
rounding of floats.

A decoder sees at most P = max_position_embeddings tokens. The rule when a row is longer: what it reads begins at
`window_start`, a function of the row's length alone, which jumps by half a context each time the context is full.
B rows, T positions, V vocabulary.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hanmo.model.cache import KVCache
from hanmo.model.decoder import Decoder
from hanmo.model.ngram import Ngram
from hanmo.model.recurrent import Recurrent, StateCache
from hanmo.model.softmax_regression import SoftmaxRegression
from hanmo.model.store import Model

Rows = Sequence[Sequence[int]]
Network = Decoder | Recurrent | SoftmaxRegression


class Reader(Protocol):
    """Rows of ids, and the logits of what follows each."""

    def read(self, new: Rows) -> Tensor:
        """Append ids to every row (at least one each); logits [B, V] after the last."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows, in this order; a row may come several times."""
        ...


def make_reader(network: Model, max_tokens: int, *, cache: bool = True) -> Reader:
    """The reader for a network; `max_tokens` is how many tokens will follow the prompt, `cache` whether it remembers."""
    if isinstance(network, Ngram):
        return CountReader(network)
    if not cache or isinstance(network, SoftmaxRegression):
        return FreshReader(network)
    return DecoderReader(network, max_tokens) if isinstance(network, Decoder) else RecurrentReader(network)


def context_of(network: Model) -> int | None:
    """Most tokens the network sees at once; None where there is no such bound."""
    return network.config.max_position_embeddings if isinstance(network, Decoder) else None


def window_start(length: int, context: int) -> int:
    """First token that is seen when a row of `length` tokens meets a context of `context`.

    0 while the row fits; then the smallest multiple of ceil(context / 2) that makes the rest fit. Between half a context
    and a whole one is always seen, and a cache is rebuilt once in half a context of tokens.

    >>> [window_start(length, 8) for length in (1, 8, 9, 12, 13, 17)]
    [0, 0, 4, 4, 8, 12]
    """
    hop = context - context // 2
    return 0 if length <= context else -(-(length - context) // hop) * hop


class FreshReader:
    """Reads everything anew each time: slow, and the measure for readers that remember."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._rows: list[list[int]] = []

    def read(self, new: Rows) -> Tensor:
        """As in Reader."""
        self._rows = _appended(self._rows, new)
        context = context_of(self.network)
        starts = [window_start(len(row), context) if context else 0 for row in self._rows]
        logits = [_last_logits(self.network, _tensor([row[start:]], self.network)) for row, start in zip(self._rows, starts, strict=True)]
        return torch.cat(logits)

    def keep(self, rows: Sequence[int]) -> None:
        """As in Reader."""
        self._rows = [list(self._rows[row]) for row in rows]


class DecoderReader:
    """A decoder with its keys and values; rows of different lengths are padded on the left."""

    def __init__(self, network: Decoder, max_tokens: int) -> None:
        self.network, self.context = network, network.config.max_position_embeddings
        self.max_tokens = max_tokens
        self._rows: list[list[int]] = []
        self._cache: KVCache | None = None

    def read(self, new: Rows) -> Tensor:
        """As in Reader."""
        self._rows = _appended(self._rows, new)
        if self._cache is None or any(len(ids) != 1 for ids in new):
            self._cache, logits = self._fill([self._window(row) for row in self._rows], self.max_tokens)
            return logits
        self._make_room(self._cache)
        self._slide(self._cache)
        return _last_logits(self.network, _tensor(new, self.network), self._cache)

    def keep(self, rows: Sequence[int]) -> None:
        """As in Reader."""
        self._rows = [list(self._rows[row]) for row in rows]
        if self._cache is not None:
            self._cache.keep(torch.tensor(list(rows), device=self._cache.starts_B.device))

    def _window(self, row: Sequence[int]) -> Sequence[int]:
        return row[window_start(len(row), self.context) :]

    def _fill(self, windows: Rows, more: int) -> tuple[KVCache, Tensor]:
        """Read whole windows at once into a new cache with room for `more` tokens, two contexts at most."""
        longest = max(map(len, windows))
        weight = self.network.embed_tokens.weight
        starts_B = torch.tensor([longest - len(window) for window in windows], device=weight.device)
        slots = max(longest, min(longest + more, 2 * self.context))
        cache = KVCache(self.network.config, len(windows), slots, dtype=weight.dtype, device=weight.device, starts_B=starts_B)
        return cache, _last_logits(self.network, _tensor(_padded(windows), self.network), cache)

    def _make_room(self, cache: KVCache) -> None:
        """Move what is still seen to the front when the last slot is taken."""
        if cache.length < cache.slots:
            return
        unused = int(cache.starts_B.min())
        for memory in (cache.keys, cache.values):
            memory[..., : cache.length - unused, :] = memory[..., unused : cache.length, :].clone()
        cache.starts_B -= unused
        cache.length -= unused

    def _slide(self, cache: KVCache) -> None:
        """Rows whose window moves with the token about to be read: read their new window, so that positions start again."""
        moved = [
            index
            for index, row in enumerate(self._rows)
            if window_start(len(row), self.context) != window_start(len(row) - 1, self.context)
        ]
        if not moved:
            return
        cache.starts_B[moved] = cache.length
        size = self.context // 2
        if not size:
            return
        fresh, _ = self._fill([self._window(self._rows[index])[:-1] for index in moved], 0)
        for source, index in enumerate(moved):
            for memory, new in ((cache.keys, fresh.keys), (cache.values, fresh.values)):
                memory[:, index, :, cache.length - size : cache.length] = new[:, source, :, :size]
        cache.starts_B[moved] -= size


class RecurrentReader:
    """A recurrent network with its state, which has no longest context."""

    def __init__(self, network: Recurrent) -> None:
        self.network = network
        self._cache: StateCache | None = None

    def read(self, new: Rows) -> Tensor:
        """As in Reader; after the first time, each row by the same number of ids."""
        if self._cache is None:
            longest = max(map(len, new))
            device = self.network.embed_tokens.weight.device
            self._cache = StateCache(torch.tensor([longest - len(row) for row in new], device=device))
        return _last_logits(self.network, _tensor(_padded(new), self.network), self._cache)

    def keep(self, rows: Sequence[int]) -> None:
        """As in Reader."""
        if self._cache is not None:
            self._cache.keep(torch.tensor(list(rows)))


class CountReader:
    """An n-gram model: log-probabilities in place of logits."""

    def __init__(self, model: Ngram) -> None:
        self.model = model
        self._rows: list[list[int]] = []

    def read(self, new: Rows) -> Tensor:
        """As in Reader."""
        self._rows = _appended(self._rows, new)
        seen = max(self.model.config.order - 1, 0)
        rows = [np.array(row[len(row) - seen :] if len(row) > seen else row, np.int64) for row in self._rows]
        return torch.from_numpy(np.stack([np.log(self.model.next_probabilities(row)) for row in rows])).float()

    def keep(self, rows: Sequence[int]) -> None:
        """As in Reader."""
        self._rows = [list(self._rows[row]) for row in rows]


def _appended(rows: list[list[int]], new: Rows) -> list[list[int]]:
    for row, more in zip(rows, new, strict=bool(rows)):
        row.extend(more)
    return rows or [list(row) for row in new]


def _padded(rows: Rows) -> Rows:
    longest = max(map(len, rows))
    return [[0] * (longest - len(row)) + list(row) for row in rows]


def _tensor(rows: Rows, network: Network) -> Tensor:
    return torch.tensor([list(row) for row in rows], dtype=torch.long, device=network.embed_tokens.weight.device)


def _last_logits(network: Network, ids_BT: Tensor, cache: KVCache | StateCache | None = None) -> Tensor:
    """Logits [B, V] after the last position only: the vocabulary is the widest matrix, one row of it is enough."""
    hidden_BTD = network.hidden(ids_BT) if cache is None else network.hidden(ids_BT, cache=cache)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return F.linear(hidden_BTD[:, -1], network.output_weight).float()
