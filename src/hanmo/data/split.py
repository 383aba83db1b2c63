"""Documents are dealt to train, validation and test by a hash of their text.

In: text digests of the kept documents. Out: a split for each. The idea: a document's place depends on its own text and the
seed alone, so it stays when other documents come or go, and equal texts never straddle; near-duplicates go with the first of their
cluster. A small data set can leave a split empty; then the documents nearest to its border are moved there, which the manifest
says, because they would go back once the data grows.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ConfigError

TRAIN, VALIDATION, TEST = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Shares of documents held out."""

    validation: float = 0.05
    """Share for choosing between models and for stopping early."""
    test: float = 0.05
    """Share for the final figures."""
    seed: int = 0
    """Another seed gives other shares of the same sizes."""

    def __post_init__(self) -> None:
        """Check the shares.

        Raises ConfigError when they are negative or leave nothing to train on.
        """
        for name in ("validation", "test"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"split.{name} (={getattr(self, name)}) should be at least 0 and below 1")
        if self.validation + self.test >= 1:
            raise ConfigError(f"split.validation + split.test (={self.validation + self.test:g}) leave nothing to train on: lower one")


def position(digest: bytes, seed: int) -> float:
    """A document's place in [0, 1), uniform over texts: SHA-256 of the seed and the text's digest."""
    value = hashlib.sha256(f"split\x1f{seed}\x1f".encode() + digest).digest()
    return int.from_bytes(value[:6], "big") / 2**48


def assign(positions: NDArray[np.float64], config: SplitConfig) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """The split of each document, and the indices of documents moved so that no wanted split stays empty.

    Test takes [0, test), validation the next share, train the rest. Equal positions (equal texts, one cluster) go together. With
    fewer than three positions only train is filled.
    """
    splits = np.full(len(positions), TRAIN, dtype=np.int8)
    splits[positions < config.test + config.validation] = VALIDATION
    splits[positions < config.test] = TEST
    wanted = [split for split, share in ((TEST, config.test), (VALIDATION, config.validation)) if share > 0]
    moved: list[int] = []
    order = np.argsort(positions, kind="stable")
    for split in (*wanted, TRAIN) if len(np.unique(positions)) >= 3 else (TRAIN,):
        if not len(positions) or (splits == split).any():
            continue
        counts = np.bincount(splits, minlength=3)
        rich = int(counts.argmax())
        candidates = order[splits[order] == rich]
        index = int(candidates[-1] if split == TRAIN else candidates[0])
        together = np.flatnonzero(positions == positions[index])
        splits[together] = split
        moved += together.tolist()
    return splits, np.array(moved, dtype=np.int64)
