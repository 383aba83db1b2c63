"""How much of a data set is new: types among tokens, compression, and n-grams that were never seen before.

In: the documents of a data set. Out: a few numbers from a sample. The idea: ids are hashes, so the first documents in the order of
ids are a sample that depends on the data alone; it is bounded, so that the report costs the same for any size.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hanmo.data.cleaning.repetition import MULTIPLIER
from hanmo.data.cleaning.words import word_list
from hanmo.data.tables import read_rows

SAMPLE_CHARACTERS = 500_000
WINDOW = 1000
ORDERS = (1, 2, 3, 4, 5)
HELD_BACK = 0.1
Keys = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Diversity:
    """Numbers about a sample of the training documents; None where the sample is too small to tell."""

    documents: int
    words: int
    type_token_ratio: float | None
    """Different words among 1000 words in a row, on average (Johnson 1944: windows of one size can be compared)."""
    compression_ratio: float | None
    """Bytes of UTF-8 for one byte of their zlib compression."""
    novelty: dict[int, float]
    """By n, the share of n-grams of words in the last tenth of the documents that the first nine tenths do not have."""


def diversity(documents: Path) -> Diversity:
    """Diversity of the training documents in a folder `documents`."""
    return measure_diversity(_sample(documents))


def measure_diversity(texts: Iterable[str]) -> Diversity:
    """Diversity of texts, each a document.

    >>> measure_diversity(["no more", "no less"]).novelty
    {1: 0.5, 2: 1.0}
    """
    ids: dict[str, int] = {}
    numbers: list[Keys] = []
    compressor = zlib.compressobj(6)
    plain = packed = 0
    for text in texts:
        encoded = text.encode()
        plain += len(encoded)
        packed += len(compressor.compress(encoded))
        numbers.append(np.array([ids.setdefault(word.lower(), len(ids)) for word in word_list(text)], dtype=np.uint64))
    packed += len(compressor.flush())
    words = np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.uint64)
    windows = [len(np.unique(words[start : start + WINDOW])) / WINDOW for start in range(0, len(words) - WINDOW + 1, WINDOW)]
    return Diversity(
        documents=len(numbers),
        words=len(words),
        type_token_ratio=sum(windows) / len(windows) if windows else None,
        compression_ratio=plain / packed if plain else None,
        novelty=novelty(numbers),
    )


def novelty(documents: Sequence[Keys]) -> dict[int, float]:
    """By n, the share of n-grams in the last tenth of the documents that do not occur in those before; n-grams end with their document."""
    border = len(documents) - max(1, round(HELD_BACK * len(documents)))
    shares: dict[int, float] = {}
    for n in ORDERS if border > 0 else ():
        before, after = (_ngrams(part, n) for part in (documents[:border], documents[border:]))
        if len(after):
            shares[n] = float(np.isin(after, before, invert=True).mean())
    return shares


def _ngrams(documents: Sequence[Keys], n: int) -> Keys:
    """All n-grams as numbers, document after document."""
    found: list[Keys] = []
    for numbers in documents:
        keys = numbers[: max(0, len(numbers) - n + 1)]
        for step in range(1, n):
            keys = keys * MULTIPLIER + numbers[step : len(keys) + step]
        found.append(keys)
    return np.concatenate(found) if found else np.zeros(0, dtype=np.uint64)


def _sample(documents: Path) -> Iterator[str]:
    taken = 0
    for path in sorted(documents.glob("train-*.parquet")):
        for row in read_rows(path, ("text",)):
            text = cast("str", row["text"])
            if taken and taken + len(text) > SAMPLE_CHARACTERS:
                return
            taken += len(text)
            yield text[:SAMPLE_CHARACTERS]
