"""The rows of every optimizer step, as a pure function of the step's number.

There is no position to save: resuming is exact because nothing is remembered. Row number n of the endless stream is row
n mod R of epoch n div R, in an order that the seed and the epoch alone decide; step s takes the rows from s * batch_size
on. Ranks and micro-batches share these rows out, so their union is the same for every division.
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ConfigError
from hanmo.base.records import Batch
from hanmo.base.runtime import derive_seed
from hanmo.batches.draws import mixed
from hanmo.batches.objectives import NextToken, Objective, Rows
from hanmo.batches.pack import Concatenated, Filled, Fixed, Isolated, Packing, TooLong
from hanmo.batches.store import TokenStore


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How tokens become batches."""

    batch_size: int
    """Rows in an optimizer step, over all processes and micro-batches."""
    context_length: int
    """Positions in a row."""
    micro_batch_size: int = 0
    """Rows in one micro-batch of one process; 0 takes all rows of a process at once."""
    packing: Literal["concatenate", "isolate", "fixed"] = "concatenate"
    """Whether documents share a row freely, never see their neighbours, or have each a padded row of their own."""
    too_long: TooLong = "split"
    """What becomes of a document longer than its row (fixed): more rows, its beginning only, nothing, or an error."""
    seed: int = 1
    """Decides the order of rows and where they begin."""
    shuffle: bool = True
    """Whether each epoch has its own order; otherwise rows come as they stand in the store."""
    repeat: bool = True
    """Whether a new epoch follows an old one; otherwise what lies beyond the first is padding."""

    def __post_init__(self) -> None:
        """Check sizes.

        Raises ConfigError naming the key.
        """
        for name in ("batch_size", "context_length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"train.{name} (={getattr(self, name)}) should be at least 1")
        if self.micro_batch_size < 0 or (self.micro_batch_size and self.batch_size % self.micro_batch_size):
            raise ConfigError(
                f"train.batch_size (={self.batch_size}) is not a multiple of train.micro_batch_size (={self.micro_batch_size}): change one"
            )


class BatchStream:
    """All batches of a run over one store."""

    def __init__(self, store: TokenStore, config: BatchConfig, objective: Objective | None = None) -> None:
        self.store = store
        self.config = config
        self.objective: Objective = objective or NextToken()
        length = self.objective.text_length(config.context_length)
        self.packing: Packing = _packing(store.offsets, dataclasses.replace(config, context_length=length))
        self._orders: dict[int, NDArray[np.integer]] = {}

    @property
    def rows_per_epoch(self) -> int:
        """Rows that hold every token once."""
        return self.packing.num_rows

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which every row has been used at least once."""
        return -(-self.rows_per_epoch // self.config.batch_size)

    def micro_batches(self, world_size: int = 1) -> int:
        """Micro-batches of one process in a step.

        Raises ConfigError when the rows of a step cannot be shared out evenly.
        """
        rows, left = divmod(self.config.batch_size, world_size)
        micro_rows = self.config.micro_batch_size or rows
        if left or not rows or rows % micro_rows:
            raise ConfigError(
                f"train.batch_size (={self.config.batch_size}) is not a multiple of the number of processes (={world_size}) times "
                f"train.micro_batch_size (={self.config.micro_batch_size}): change one"
            )
        return rows // micro_rows

    def batch(self, step: int, micro: int = 0, rank: int = 0, world_size: int = 1) -> Batch:
        """The rows of one micro-batch of one process in one step; the same for the same arguments, always."""
        micros = self.micro_batches(world_size)
        assert 0 <= micro < micros and 0 <= rank < world_size and step >= 0, (step, micro, rank, world_size)
        size = self.config.batch_size // world_size // micros
        first = step * self.config.batch_size + (rank * micros + micro) * size
        numbers = np.arange(first, first + size)
        return self._read(self._filled(numbers), numbers)

    def _filled(self, numbers: NDArray[np.int64]) -> Filled:
        """Positions of rows of the endless stream; a batch may straddle epochs, a tiny store even several."""
        parts: list[Filled] = []
        epochs = numbers // self.rows_per_epoch
        for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
            inside = numbers[epochs == epoch] - epoch * self.rows_per_epoch
            parts.append(self.packing.fill(self._ordered(epoch, inside), self._start(epoch)))
            if epoch > 0 and not self.config.repeat:
                parts[-1].valid[:] = False
        if len(parts) == 1:
            return parts[0]
        segments = [part.segments for part in parts if part.segments is not None]
        return Filled(
            np.concatenate([part.positions for part in parts]),
            np.concatenate([part.valid for part in parts]),
            np.concatenate(segments) if segments else None,
        )

    def _read(self, filled: Filled, numbers: NDArray[np.int64]) -> Batch:
        tokens, eot = self.store.ids, self.store.eot_id
        following = filled.positions + 1
        following[following == self.store.num_tokens] = 0
        rows = Rows(
            ids=np.where(filled.valid, tokens[filled.positions], eot).astype(np.int64),
            following=np.where(filled.valid, tokens[following], eot).astype(np.int64),
            valid=filled.valid,
            segments=filled.segments,
        )
        return self.objective.batch(rows, [derive_seed(self.config.seed, "objective", int(number)) for number in numbers])

    def _start(self, epoch: int) -> int:
        if not self.config.shuffle:
            return 0
        return derive_seed(self.config.seed, "start", epoch) % self.store.num_tokens

    def _ordered(self, epoch: int, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows at some places of an epoch's order; the last two epochs asked for are kept."""
        if not self.config.shuffle:
            return places
        if epoch not in self._orders:
            while len(self._orders) > 1:
                del self._orders[min(self._orders)]
            self._orders[epoch] = permutation(self.rows_per_epoch, derive_seed(self.config.seed, "order", epoch))
        return self._orders[epoch][places].astype(np.int64)

    def receipt(self, steps: int | None = None) -> dict[str, object]:
        """What becomes of every token in an epoch, and in a run of so many steps."""
        rows, context = self.rows_per_epoch, self.config.context_length
        targets = int(self.packing.lengths(np.arange(rows)).sum())
        account: dict[str, object] = {
            "packing": self.config.packing,
            "objective": self.objective.name,
            "context_length": context,
            "documents": self.store.num_documents,
            "documents_cut": self.packing.documents_cut,
            "documents_dropped": self.packing.documents_dropped,
            "tokens": self.store.num_tokens,
            "targets_per_epoch": targets,
            "tokens_lost": self.store.num_tokens - targets,
            "rows_per_epoch": rows,
            "padding_per_epoch": rows * context - targets,
        }
        if steps is None:
            return account
        used = steps * self.config.batch_size
        whole, part = divmod(used, rows) if self.config.repeat else divmod(min(used, rows), rows)
        begun = int(self.packing.lengths(self._ordered(whole, np.arange(part))).sum())
        return {
            **account,
            "steps": steps,
            "rows_used": whole * rows + part,
            "targets_used": whole * targets + begun,
            "epochs": whole + part / rows,
        }


def _packing(offsets: NDArray[np.int64], config: BatchConfig) -> Packing:
    if config.packing == "fixed":
        return Fixed(offsets, config.context_length, config.too_long)
    return {"concatenate": Concatenated, "isolate": Isolated}[config.packing](offsets, config.context_length)


def permutation(size: int, seed: int) -> NDArray[np.integer]:
    """The numbers below `size` in an order that the seed decides. Memory while sorting: some 20 bytes a number."""
    return np.argsort(mixed(size, seed), kind="stable").astype(np.uint32 if size <= 1 << 32 else np.int64)
