"""Reading tokens and saying what may follow: one interface over every kind of model.

A reader holds rows of ids. `read` appends to each row and gives the logits [B, V] of what follows; `keep` drops, repeats
or reorders rows. With its memory (keys and values, or a state) or without, a reader gives the same logits up to the
rounding of floats. Rows of different lengths all end at the same place, so a row may join at any time.

A decoder sees at most P = max_position_embeddings tokens. The rule when a row is longer: what it reads begins at
`window_start`, a function of the row's length alone, which jumps by half a context each time the context is full.
B rows, T positions, V vocabulary.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from hanmo.model.cache import KVCache
from hanmo.model.decoder import Decoder
from hanmo.model.encoder_decoder import EncoderDecoder, EncoderDecoderCache
from hanmo.model.ngram import Ngram
from hanmo.model.quantized import QuantizedDecoder
from hanmo.model.recurrent import Recurrent, State, StateCache
from hanmo.model.softmax_regression import SoftmaxRegression
from hanmo.model.store import Writer

Rows = Sequence[Sequence[int]]
Network = Decoder | QuantizedDecoder | Recurrent | SoftmaxRegression


class Reader(Protocol):
    """Rows of ids, and the logits of what follows each."""

    def read(self, new: Rows) -> Tensor:
        """Append ids to every row (at least one each); logits [B, V] after the last."""
        ...

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows, in this order; a row may come several times."""
        ...

    def join(self, other: Self) -> None:
        """Go on with the rows of another reader of the same network below these."""
        ...


class Rewinder(Reader, Protocol):
    """A reader that can be asked about several tokens at once and take them back; of one row."""

    def read_each(self, new: Sequence[int]) -> Tensor:
        """Append ids to the row; logits [T, V] after each of them."""
        ...

    def forget(self, count: int) -> None:
        """Take the last `count` ids back."""
        ...


def make_reader(network: Writer, max_tokens: int, *, source: Sequence[int] | None = None, cache: bool = True) -> Reader:
    """The reader for a network; `max_tokens` is how many tokens will follow the prompt, `cache` whether it remembers.

    `source` is what an encoder-decoder reads before it writes.
    """
    if isinstance(network, EncoderDecoder):
        return PairReader(network, source or ()) if cache else FreshPairReader(network, source or ())
    if isinstance(network, Ngram):
        return CountReader(network)
    if not cache or isinstance(network, SoftmaxRegression):
        return FreshReader(network)
    return DecoderReader(network, max_tokens) if isinstance(network, Decoder | QuantizedDecoder) else RecurrentReader(network)


def context_of(network: Writer) -> int | None:
    """Most tokens the network sees at once; None where there is no such bound."""
    return network.config.max_position_embeddings if isinstance(network, Decoder | QuantizedDecoder) else None


def window_start(length: int, context: int) -> int:
    """First token that is seen when a row of `length` tokens meets a context of `context`.

    0 while the row fits; then the smallest multiple of ceil(context / 2) that makes the rest fit. Between half a context
    and a whole one is always seen, and a cache is rebuilt once in half a context of tokens.

    >>> [window_start(length, 8) for length in (1, 8, 9, 12, 13, 17)]
    [0, 0, 4, 4, 8, 12]
    """
    hop = context - context // 2
    return 0 if length <= context else -(-(length - context) // hop) * hop


class RowsReader(ABC):
    """What readers share that keep all ids and nothing else."""

    def __init__(self) -> None:
        self._rows: list[list[int]] = []

    def keep(self, rows: Sequence[int]) -> None:
        """As in Reader."""
        self._rows = [list(self._rows[row]) for row in rows]

    def join(self, other: Self) -> None:
        """As in Reader."""
        self._rows += other._rows

    def forget(self, count: int) -> None:
        """As in Rewinder."""
        for row in self._rows:
            del row[len(row) - count :]

    @abstractmethod
    def read(self, new: Rows) -> Tensor:
        """As in Reader."""

    def read_each(self, new: Sequence[int]) -> Tensor:
        """As in Rewinder, one after another."""
        return torch.cat([self.read([[each]]) for each in new])


class FreshReader(RowsReader):
    """Reads everything anew each time: slow, and the measure for readers that remember."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def read(self, new: Rows) -> Tensor:
        """As in Reader."""
        self._rows = _appended(self._rows, new)
        context = context_of(self.network)
        starts = [window_start(len(row), context) if context else 0 for row in self._rows]
        logits = [_last_logits(self.network, _tensor([row[start:]], self.network)) for row, start in zip(self._rows, starts, strict=True)]
        return torch.cat(logits)


class CountReader(RowsReader):
    """An n-gram model: log-probabilities in place of logits."""

    def __init__(self, model: Ngram) -> None:
        super().__init__()
        self.model = model

    def read(self, new: Rows) -> Tensor:
        """As in Reader."""
        self._rows = _appended(self._rows, new)
        seen = max(self.model.config.order - 1, 0)
        rows = [np.array(row[len(row) - seen :] if len(row) > seen else row, np.int64) for row in self._rows]
        return torch.from_numpy(np.stack([np.log(self.model.next_probabilities(row)) for row in rows])).float()


class DecoderReader:
    """A decoder with its keys and values; rows of different lengths are padded on the left."""

    def __init__(self, network: Decoder | QuantizedDecoder, max_tokens: int) -> None:
        self.network, self.context = network, network.config.max_position_embeddings
        self.max_tokens = max_tokens
        self._rows: list[list[int]] = []
        self._cache: KVCache | None = None

    def read(self, new: Rows) -> Tensor:
        """As in Reader."""
        self._rows = _appended(self._rows, new)
        most = max(map(len, new))
        alike = all(len(ids) == most for ids in new)
        if self._cache is None or not alike or (most > 1 and max(map(len, self._rows)) > self.context):
            self._cache, logits = self._fill([self._window(row) for row in self._rows], self.max_tokens)
            return logits
        cache = self._make_room(self._cache, most)
        self._slide(cache)
        return _last_logits(self.network, _tensor(new, self.network), cache)

    def read_each(self, new: Sequence[int]) -> Tensor:
        """As in Rewinder; the row still fits the context with them, and something was read before."""
        assert self._cache is not None
        self._rows[0].extend(new)
        cache = self._make_room(self._cache, len(new))
        hidden_BTD = self.network.hidden(_tensor([new], self.network), cache=cache)
        return self.network.logits(hidden_BTD[0]).float()

    def forget(self, count: int) -> None:
        """As in Rewinder."""
        assert self._cache is not None
        del self._rows[0][len(self._rows[0]) - count :]
        self._cache.truncate(self._cache.length - count)

    def keep(self, rows: Sequence[int]) -> None:
        """As in Reader."""
        self._rows = [list(self._rows[row]) for row in rows]
        if self._cache is not None:
            self._cache.keep(rows)

    def join(self, other: Self) -> None:
        """As in Reader; both have read. The rows that are here already stay where they are, as long as there is room."""
        assert self._cache is not None and other._cache is not None
        self._rows += other._rows
        self.max_tokens = max(self.max_tokens, other.max_tokens)
        self._cache.join(other._cache, self._slots(max(self._cache.used, other._cache.used), 1), self.context)

    def part(self, start: int, end: int) -> tuple[Tensor, Tensor]:
        """Keys and values of some tokens of the only row, to go on from in another reader."""
        assert self._cache is not None
        first = int(self._cache.starts_B[0])
        return tuple(memory[..., first + start : first + end, :].clone() for memory in (self._cache.keys, self._cache.values))  # pyright: ignore[reportReturnType]

    def resume(self, ids: Sequence[int], parts: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Begin with one row whose keys and values are known."""
        self._rows = [list(ids)]
        self._cache = self.network.new_cache(1, self._slots(len(ids), 1))
        self._cache.keys[..., : len(ids), :] = torch.cat([keys for keys, _ in parts], -2)
        self._cache.values[..., : len(ids), :] = torch.cat([values for _, values in parts], -2)
        self._cache.length = len(ids)

    def _window(self, row: Sequence[int]) -> Sequence[int]:
        return row[window_start(len(row), self.context) :]

    def _slots(self, used: int, more: int) -> int:
        """How many slots to lay out behind `used` ones: for what will be drawn, two contexts at most."""
        return max(used + more, min(used + self.max_tokens, 2 * self.context))

    def _fill(self, windows: Rows, more: int) -> tuple[KVCache, Tensor]:
        """Read whole windows at once into a new cache with room for `more` tokens, two contexts at most."""
        longest = max(map(len, windows))
        starts_B = torch.tensor([longest - len(window) for window in windows], device=self.network.embed_tokens.weight.device)
        slots = max(longest, min(longest + more, 2 * self.context))
        cache = self.network.new_cache(len(windows), slots, starts_B)
        return cache, _last_logits(self.network, _tensor(_padded(windows), self.network), cache)

    def _make_room(self, cache: KVCache, more: int) -> KVCache:
        """The cache, which begins with what is still seen and has room again when its last slot was taken."""
        if cache.length + more > cache.slots:
            cache.make_room(self._slots(cache.used, more))
        return cache

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
            self._cache.keep(rows)

    def join(self, other: Self) -> None:
        """As in Reader; both have read."""
        assert self._cache is not None and other._cache is not None
        self._cache.state = _side_by_side(self._cache.state, other._cache.state)


class PairReader:
    """An encoder-decoder with its memory: what each row read, which is read once, and what it has written."""

    def __init__(self, network: EncoderDecoder, source: Sequence[int]) -> None:
        self.network, self.source = network, source
        self._memory: EncoderDecoderCache | None = None

    def read(self, new: Rows) -> Tensor:
        """As in Reader; each row by the same number of ids."""
        if self._memory is None:
            self._memory = self.network.remember(_tensor([self.source], self.network))
        hidden_BTD = self.network.decode(_tensor(new, self.network), self._memory, keep=True)
        return self.network.logits(hidden_BTD[:, -1:])[:, 0].float()

    def keep(self, rows: Sequence[int]) -> None:
        """As in Reader; something was read before."""
        assert self._memory is not None
        self._memory.keep(torch.tensor(list(rows), device=self._memory.starts_B.device))

    def join(self, other: Self) -> None:
        """As in Reader; both have read."""
        assert self._memory is not None and other._memory is not None
        self._memory = EncoderDecoderCache.joined(self._memory, other._memory)


class FreshPairReader:
    """An encoder-decoder that reads both texts anew each time: slow, and the measure for the one that remembers."""

    def __init__(self, network: EncoderDecoder, source: Sequence[int]) -> None:
        self.network, self._source = network, source
        self._pairs: list[tuple[Sequence[int], list[int]]] = []

    def read(self, new: Rows) -> Tensor:
        """As in Reader."""
        self._pairs = self._pairs or [(self._source, []) for _ in new]
        for (_, row), more in zip(self._pairs, new, strict=True):
            row.extend(more)
        return torch.cat([self.network(*(_tensor([ids], self.network) for ids in pair))[:, -1].float() for pair in self._pairs])

    def keep(self, rows: Sequence[int]) -> None:
        """As in Reader."""
        self._pairs = [(self._pairs[row][0], list(self._pairs[row][1])) for row in rows]

    def join(self, other: Self) -> None:
        """As in Reader."""
        self._pairs += other._pairs


def _side_by_side(some: State | None, others: State | None) -> State:
    if isinstance(some, tuple) and isinstance(others, tuple):
        return torch.cat([some[0], others[0]], 1), torch.cat([some[1], others[1]], 1)
    assert isinstance(some, Tensor) and isinstance(others, Tensor)
    return torch.cat([some, others], 1)


def _appended(rows: list[list[int]], new: Rows) -> list[list[int]]:
    for row, more in zip(rows, new, strict=bool(rows)):
        row.extend(more)
    return rows or [list(row) for row in new]


def _padded(rows: Rows) -> Rows:
    longest = max(map(len, rows))
    return [[0] * (longest - len(row)) + list(row) for row in rows]


def _tensor(rows: Rows, network: Network | EncoderDecoder) -> Tensor:
    return torch.tensor([list(row) for row in rows], dtype=torch.long, device=network.embed_tokens.weight.device)


def _last_logits(network: Network, ids_BT: Tensor, cache: KVCache | StateCache | None = None) -> Tensor:
    """Logits [B, V] after the last position only: the vocabulary is the widest matrix, one row of it is enough."""
    hidden_BTD = network.hidden(ids_BT) if cache is None else network.hidden(ids_BT, cache=cache)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return network.logits(hidden_BTD[:, -1]).float()
