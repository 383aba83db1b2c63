"""One model with its own tokenizer, measured on documents."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hanmo.base.errors import DataError, UsageError

if TYPE_CHECKING:
    from hanmo.base.records import Document
    from hanmo.evaluate.perplexity import Evaluation

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """What a model is measured on, and how."""

    data: str
    """Text to measure on: a file, a folder of files, a URL such as s3://bucket/folder, or a data set folder made by hanmo prepare."""
    split: Split | None = None
    """Split of a data set folder; test by default."""
    stride: int | None = None
    """Tokens by which a network's window advances; half its context by default. Smaller is slower and sees more context."""
    unit: Literal["document", "passage"] = "document"
    """What the interval resamples; fewer than five documents are always cut into passages."""


def read_documents(options: MeasureOptions) -> "Iterator[Document]":
    """The documents to measure on, a few at a time in memory.

    Raises UsageError for a split of something that has none, DataError when there is nothing to read.
    """
    from hanmo.data.reading.read import is_dataset, read_dataset, read_texts

    if is_dataset(options.data):
        return _read_split(read_dataset(options.data, options.split or "test"), options)
    if options.split is not None:
        raise UsageError(f"--split {options.split} needs a data set folder made by hanmo prepare, and {options.data} is none: leave it out")
    return read_texts(options.data)


def _read_split(documents: "Iterator[Document]", options: MeasureOptions) -> "Iterator[Document]":
    empty = True
    for document in documents:
        empty = False
        yield document
    if empty:
        raise DataError(f"{options.data} has no {options.split or 'test'} documents: choose another --split, or prepare with larger shares")


def measure(model: Path, documents: "Iterable[Document]", options: MeasureOptions) -> "Evaluation":
    """How well a model predicts some documents.

    Raises ModelError when there is no model, DataError when there is no text.
    """
    import numpy as np

    from hanmo.convert.sources import local_model
    from hanmo.evaluate.perplexity import evaluate
    from hanmo.model.scoring import language_model
    from hanmo.model.store import load_language_model
    from hanmo.tokenizer.load import Tokenizer
    from hanmo.tokenizer.rows import check_rows, with_rows

    folder = local_model(model)
    tokenizer, network = Tokenizer.load(folder), load_language_model(folder)
    check_rows(tokenizer, network.config.vocab_size, folder)
    lengths = np.array([len(tokenizer.bytes_of(id)) for id in range(tokenizer.vocab_size)])
    return evaluate(
        language_model(network),
        documents,
        lambda text: with_rows(tokenizer, tokenizer.encode(text), network.config.vocab_size),
        tokenizer.eot_id,
        stride=options.stride,
        unit=options.unit,
        token_bytes=lambda ids: lengths[ids],
        unknown_id=tokenizer.unk_id,
    )
