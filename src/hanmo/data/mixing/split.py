"""Documents are dealt to train, validation and test by a hash of their text, or of the group they belong to.

In: text digests of the kept documents. Out: a split for each, and a fold for cross-validation. The idea: a document's place
depends on its own text (or group) and the seed alone, so it stays when other documents come or go, and equal texts (or the
members of a group) never straddle; near-duplicates go with the first of their cluster. A small data set can leave a split
empty; then the documents nearest to its border are moved there, which the manifest says, because they would go back once
the data grows.
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
    folds: int = 0
    """Parts for cross-validation: every document gets a fold from 0 to folds - 1, in its metadata and its receipt; 0 for none."""
    group_by: str = ""
    """What stays together in one split and one fold: source, language, domain, or a column named in read.keep_columns; empty for
    equal texts only."""

    def __post_init__(self) -> None:
        """Check the shares.

        Raises ConfigError when they are negative or leave nothing to train on.
        """
        for name in ("validation", "test"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"split.{name} (={getattr(self, name)}) should be at least 0 and below 1")
        if self.validation + self.test >= 1:
            raise ConfigError(f"split.validation + split.test (={self.validation + self.test:g}) leave nothing to train on: lower one")
        if self.folds < 0 or self.folds == 1:
            raise ConfigError(f"split.folds (={self.folds}) should be at least 2, or 0 for none")


def position(digest: bytes, seed: int, purpose: str = "split") -> float:
    """A document's place in [0, 1), uniform over texts: SHA-256 of purpose, seed and the text's digest."""
    value = hashlib.sha256(f"{purpose}\x1f{seed}\x1f".encode() + digest).digest()
    return int.from_bytes(value[:6], "big") / 2**48


def unit_digest(digest: bytes, group: str | None) -> bytes:
    """What is dealt as one: the group where there is one, else the text; 16 bytes."""
    return digest if group is None else hashlib.sha256(f"group\x1f{group}".encode()).digest()[:16]


def fold_of(unit: bytes, config: SplitConfig) -> int:
    """The fold of a unit for cross-validation.

    >>> fold_of(b"x" * 16, SplitConfig(folds=5)) in range(5)
    True
    """
    return int(position(unit, config.seed, "fold") * config.folds)


def deal(units: NDArray[np.uint64], config: SplitConfig) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """The split of each document, and the indices of documents moved so that no split stays empty.

    units: digests [documents, 2]; equal ones stay together, and are moved together.
    """
    distinct, members = np.unique(units, axis=0, return_inverse=True)
    members = members.reshape(-1)
    positions = np.array([position(unit.tobytes(), config.seed) for unit in distinct], dtype=np.float64)
    splits, moved = assign(positions, config)
    rows = [np.flatnonzero(members == unit) for unit in moved]
    return splits[members], np.concatenate([np.zeros(0, dtype=np.int64), *rows])


def assign(positions: NDArray[np.float64], config: SplitConfig) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """The split of each position, and the indices of those moved so that no wanted split stays empty.

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
