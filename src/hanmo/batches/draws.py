"""Random numbers that a seed decides in any version of any library: splitmix64 (Steele, Lea and Flood 2014)."""

import numpy as np
from numpy.typing import NDArray


def mixed(size: int, seed: int) -> NDArray[np.uint64]:
    """splitmix64 of seed + 1, seed + 2 ...: `size` numbers, all bits random."""
    with np.errstate(over="ignore"):
        state = (np.arange(1, size + 1, dtype=np.uint64) + np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))


def uniforms(size: int, seed: int) -> NDArray[np.float64]:
    """`size` numbers from 0 to 1, 1 left out."""
    return (mixed(size, seed) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def partition(total: int, parts: int, seed: int) -> NDArray[np.int64]:
    """`total` as a sum of `parts` numbers of at least 1, every such sum equally likely.

    >>> int(partition(10, 4, 1).sum()), int(partition(10, 4, 1).min()) >= 1
    (10, True)
    """
    borders = np.sort(np.argsort(mixed(total - 1, seed), kind="stable")[: parts - 1]) + 1
    return np.diff(np.concatenate([[0], borders, [total]])).astype(np.int64)
