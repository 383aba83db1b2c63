"""Small stores of made-up ids; a document's tokens tell which document and place they are."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from hanmo.base.records import Document
from hanmo.batches.store import TokenStore

EOT, VOCAB = 0, 5000


def encode_batch(texts: Sequence[str]) -> list[np.ndarray]:
    """A text is its own ids, written as numbers."""
    return [np.array([int(word) for word in text.split()], dtype=np.int32) for text in texts]


def documents(lengths: Sequence[int]) -> list[Document]:
    """Documents whose ids count up from 1 without a repetition."""
    ends = np.cumsum(lengths)
    return [
        Document(id=f"d{i}", text=" ".join(map(str, range(end - length + 1, end + 1))))
        for i, (length, end) in enumerate(zip(lengths, ends, strict=True))
    ]


@pytest.fixture
def make_store(tmp_path_factory) -> Callable[[Sequence[int]], TokenStore]:
    """Build a store of documents with so many tokens each."""

    def make(lengths: Sequence[int]) -> TokenStore:
        return TokenStore.build(tmp_path_factory.mktemp("store") / "train", documents(lengths), encode_batch, EOT, VOCAB)

    return make
