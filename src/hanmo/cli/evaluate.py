"""`hanmo evaluate MODEL --data FILE_OR_DATASET`: bits per byte and perplexity, with an interval."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from hanmo.base.errors import DataError, UsageError
from hanmo.cli.arguments import parse as parse_arguments

if TYPE_CHECKING:
    from hanmo.base.records import Document
    from hanmo.evaluate.perplexity import Evaluation
    from hanmo.model.scoring import LanguageModel

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """What a model is measured on, and how."""

    data: str
    """Text to measure on: a file, a folder of files, a URL such as s3://bucket/folder, or a data set folder made by hanmo prepare."""
    split: Split | None = None
    """Split of a data set folder; test by default."""
    stride: int | None = None
    """Tokens by which a network's window advances; half its context by default. Smaller is slower and sees more context."""
    unit: Literal["document", "passage"] = "document"
    """What the interval resamples; fewer than five documents are always cut into passages."""


@dataclass(frozen=True, kw_only=True)
class Options(Measure):
    """Measure how well a model predicts a text."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """Model folder, run, GGUF file, fetched name or hub name."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    return parse_arguments(Options, words, "evaluate")


def run(options: Options) -> dict[str, object]:
    """Score every document; gives the numbers under their stable names."""
    from hanmo.convert.sources import local_model
    from hanmo.data.reading.remote import without_secrets

    local_model(options.model)
    found = measure(options.model, read_documents(options), options)
    return {"model": str(options.model), "data": without_secrets(options.data), **found.summary()}


def load_scorer(path: Path) -> "LanguageModel":
    """The scoring interface of a model, whatever its form."""
    from hanmo.convert.sources import local_model
    from hanmo.model.scoring import language_model
    from hanmo.model.store import load_language_model

    return language_model(load_language_model(local_model(path)))


def read_documents(options: Measure) -> "Iterator[Document]":
    """The documents to measure on, a few at a time in memory.

    Raises UsageError for a split of something that has none, DataError when there is nothing to read.
    """
    from hanmo.data.reading.read import is_dataset, read_dataset, read_texts

    if is_dataset(options.data):
        return _read_split(read_dataset(options.data, options.split or "test"), options)
    if options.split is not None:
        raise UsageError(f"--split {options.split} needs a data set folder made by hanmo prepare, and {options.data} is none: leave it out")
    return read_texts(options.data)


def _read_split(documents: "Iterator[Document]", options: Measure) -> "Iterator[Document]":
    empty = True
    for document in documents:
        empty = False
        yield document
    if empty:
        raise DataError(f"{options.data} has no {options.split or 'test'} documents: choose another --split, or prepare with larger shares")


def measure(model: Path, documents: "Iterable[Document]", options: Measure) -> "Evaluation":
    """One model with its own tokenizer on some documents."""
    import numpy as np

    from hanmo.convert.sources import local_model
    from hanmo.evaluate.perplexity import evaluate
    from hanmo.tokenizer.load import Tokenizer

    tokenizer = Tokenizer.load(local_model(model))
    lengths = np.array([len(tokenizer.bytes_of(id)) for id in range(tokenizer.vocab_size)])
    return evaluate(
        load_scorer(model),
        documents,
        tokenizer.encode,
        tokenizer.eot_id,
        stride=options.stride,
        unit=options.unit,
        token_bytes=lambda ids: lengths[ids],
        unknown_id=tokenizer.unk_id,
    )


def show(result: dict[str, object]) -> str:
    """What a person reads."""
    lines = [
        f"{result['model']} on {result['data']}: {result['documents']:,} documents, {result['bytes']:,} bytes",
        f"  bits per byte      {number(result['bits_per_byte'])}   {spread(result['interval'])}",
        f"  perplexity, token  {number(result['perplexity'], 2)}   ({result['tokens']:,} tokens)",
        f"  perplexity, word   {number(result['word_perplexity'], 2)}   ({result['words']:,} words)",
        *(f"  {part}" for part in str(result["definition"]).split("; ")),
    ]
    return "\n".join(lines)


def number(value: object, digits: int = 4) -> str:
    """A number with a fixed number of decimals, or a dash where there is none."""
    return f"{value:,.{digits}f}" if isinstance(value, float) else "-"


def spread(interval: object, sign: str = "") -> str:
    """An interval in words."""
    if not isinstance(interval, list):
        return "no interval: too little text"
    low, high = interval
    return f"95 % interval {low:{sign}.4f} to {high:{sign}.4f}"
