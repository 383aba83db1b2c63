"""How well a language model predicts a text: bits per byte, perplexity per token and per word, with intervals.

In: a model that scores ids, documents, the way from text to ids. Out: an `Evaluation` with what every document took, so
that two models can be compared in pairs. Bits per byte is the common currency: it does not ask how text was cut into tokens.
Not here: how models see (model/scoring), how intervals are drawn (uncertainty).
"""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import DataError, ModelError
from hanmo.base.progress import Progress
from hanmo.base.records import Document
from hanmo.data.cleaning.words import words
from hanmo.evaluate.measurement import Measurement, ratio
from hanmo.evaluate.uncertainty import FEWEST_UNITS
from hanmo.model.scoring import LanguageModel

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]
Unit = Literal["document", "passage"]

PASSAGE_BYTES = 2048
_SMALLEST_PASSAGE_BYTES = 256
_CHARACTERS_AT_ONCE = 1 << 21


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model took for a set of documents.

    Arrays of documents and of units are in the order the documents came in; an empty document is left out.
    """

    bits_per_byte: float
    """-(sum of log2 p of all text tokens) / UTF-8 bytes."""
    interval: tuple[float, float] | None
    """95 % interval of bits_per_byte; None when the text is too short to say."""
    perplexity: float | None
    """exp(-(sum of ln p) / tokens), with the model's own tokens; None where a float cannot hold it."""
    word_perplexity: float | None
    """exp(-(sum of ln p) / words); None for a text without words, too."""
    tokens: int
    bytes: int
    words: int
    documents: int
    unknown_tokens: int
    """Tokens that stand for text outside the vocabulary, whose spelling the model is not asked for."""
    unit: Unit
    """What the bootstrap drew."""
    text_sha256: str
    """SHA-256 over the texts, in order: the same for two models measured on the same text."""
    document_ids: tuple[str, ...]
    document_bits: Floats
    document_bytes: Floats
    document_tokens: Floats
    unit_bits: Floats
    unit_bytes: Floats

    @property
    def measurement(self) -> Measurement:
        """Bits per byte, unit by unit, for comparisons."""
        return bits_per_byte(self.unit_bits, self.unit_bytes, self.unit, self.text_sha256)

    @property
    def definition(self) -> str:
        """In words, what the numbers are."""
        several = f"{self.unit_bytes.size} {self.unit}s"
        passages = f" of about {self.bytes / self.unit_bytes.size:,.0f} bytes; other documents may differ by more"
        unsure = f"none: fewer than {FEWEST_UNITS} units of text"
        interval = f"95 %, expanded percentile bootstrap over {several}{passages if self.unit == 'passage' else ''}"
        unknown = f"; {self.unknown_tokens} tokens are unknown words, whose spelling is not paid for: bits_per_byte is too low"
        return (
            "bits_per_byte: -sum log2 p over all text tokens / UTF-8 bytes, <|endoftext|> given and not counted; "
            "perplexity: exp(-sum ln p / tokens of this model's tokenizer); "
            "word_perplexity: exp(-sum ln p / words), Chinese words as rjieba cuts them, others runs of letters and digits; "
            f"interval: {interval if self.interval else unsure}{unknown if self.unknown_tokens else ''}"
        )

    def summary(self) -> dict[str, object]:
        """The numbers under their stable names, for JSON."""
        return {
            "bits_per_byte": self.bits_per_byte,
            "interval": list(self.interval) if self.interval else None,
            "perplexity": self.perplexity,
            "word_perplexity": self.word_perplexity,
            "tokens": self.tokens,
            "bytes": self.bytes,
            "words": self.words,
            "documents": self.documents,
            "text_sha256": self.text_sha256,
            "unknown_tokens": self.unknown_tokens,
            "unit": self.unit,
            "units": int(self.unit_bytes.size),
            "definition": self.definition,
        }


@dataclass(frozen=True)
class _Scored:
    """One document; `token_bits` and `token_bytes` are let go once it is clear that nobody cuts passages."""

    id: str
    bits: float
    bytes: int
    tokens: int
    words: float
    unknown: int
    token_bits: Floats | None
    token_bytes: Floats | None


def evaluate(
    model: LanguageModel,
    documents: Iterable[Document],
    encode: Callable[[str], Integers],
    eot_id: int,
    stride: int | None = None,
    unit: Unit = "document",
    token_bytes: Callable[[Integers], Integers] | None = None,
    unknown_id: int | None = None,
) -> Evaluation:
    """Score documents; each begins with `eot_id`, which is given and not counted.

    stride: how far a network's window advances. unit: what the interval resamples; with fewer than five documents it is
    passages whatever is asked for. token_bytes: UTF-8 bytes behind each token, to cut passages at the same bytes for
    every tokenizer; without it a document's bytes are spread evenly over its tokens. unknown_id: the token of unknown words.
    Raises DataError when no document holds text, ModelError when the model gives something that is no probability.
    """
    scored: list[_Scored] = []
    digest = hashlib.sha256()
    with Progress("evaluate", unit="bytes") as progress:
        for group in _groups(documents, digest.update):
            fresh = list(_score(model, group, encode, eot_id, stride, token_bytes, unknown_id))
            progress.advance(sum(each.bytes for each in fresh))
            scored += fresh
            if unit == "document" and len(scored) >= FEWEST_UNITS:
                scored = [dataclasses.replace(each, token_bits=None, token_bytes=None) for each in scored]
    if not any(each.tokens for each in scored):
        raise DataError("no document holds any text that this tokenizer knows: nothing to evaluate on")
    chosen: Unit = unit if len(scored) >= FEWEST_UNITS else "passage"
    bits = np.array([s.bits for s in scored])
    sizes = np.array([float(s.bytes) for s in scored])
    tokens = np.array([float(s.tokens) for s in scored])
    unit_bits, unit_bytes = (bits, sizes) if chosen == "document" else _passages(scored)
    total, spoken = float(bits.sum()), sum(s.words for s in scored)
    return Evaluation(
        bits_per_byte=total / float(sizes.sum()),
        interval=bits_per_byte(unit_bits, unit_bytes, chosen).interval(),
        perplexity=_exponential(total / float(tokens.sum())),
        word_perplexity=_exponential(total / spoken) if spoken else None,
        tokens=int(tokens.sum()),
        bytes=int(sizes.sum()),
        words=int(spoken),
        documents=len(scored),
        unknown_tokens=sum(s.unknown for s in scored),
        unit=chosen,
        text_sha256=digest.hexdigest(),
        document_ids=tuple(s.id for s in scored),
        document_bits=bits,
        document_bytes=sizes,
        document_tokens=tokens,
        unit_bits=unit_bits,
        unit_bytes=unit_bytes,
    )


def bits_per_byte(bits: Floats, sizes: Floats, unit: Unit, text_sha256: str = "") -> Measurement:
    """Sum of -log2 p over sum of UTF-8 bytes, with what each unit adds to both."""
    return Measurement(
        metric="bits_per_byte",
        unit=unit,
        columns={"bits": bits, "bytes": sizes},
        statistic=ratio("bits", "bytes"),
        larger_is_better=False,
        measured_on=text_sha256,
    )


def _exponential(bits: float) -> float | None:
    """2^bits, None where a float cannot hold it."""
    return 2.0**bits if bits < 1000 else None


def _groups(documents: Iterable[Document], see: Callable[[bytes], object]) -> Iterator[list[Document]]:
    """Documents with text, a few megabytes at once; `see` is shown every text."""
    group: list[Document] = []
    size = 0
    for document in documents:
        if document.text:
            group.append(document)
            see(document.text.encode() + b"\0")
            size += len(document.text)
        if size >= _CHARACTERS_AT_ONCE:
            yield group
            group, size = [], 0
    if group:
        yield group


def _score(
    model: LanguageModel,
    documents: Sequence[Document],
    encode: Callable[[str], Integers],
    eot_id: int,
    stride: int | None,
    token_bytes: Callable[[Integers], Integers] | None,
    unknown_id: int | None,
) -> Iterator[_Scored]:
    """Score one group of documents."""
    texts = [encode(document.text) for document in documents]
    logs = model.score([np.concatenate([[eot_id], ids]).astype(np.int64) for ids in texts], stride)
    for document, ids, nats in zip(documents, texts, logs, strict=True):
        if np.isnan(nats).any() or (nats > 1e-6).any():
            raise ModelError(f"the model gives document {document.id!r} something that is no probability: its weights are damaged")
        bits = nats / -math.log(2)
        yield _Scored(
            id=document.id,
            bits=float(bits.sum()),
            bytes=len(document.text.encode()),
            tokens=len(ids),
            words=words(document.text),
            unknown=0 if unknown_id is None else int((ids == unknown_id).sum()),
            token_bits=bits,
            token_bytes=np.ones(len(ids)) if token_bytes is None else np.asarray(token_bytes(ids), np.float64),
        )


def _passages(scored: Sequence[_Scored]) -> tuple[Floats, Floats]:
    """Bits and bytes of all passages; about 2 kB each, shorter where there is little text."""
    wanted = min(max(sum(s.bytes for s in scored) / 20, _SMALLEST_PASSAGE_BYTES), PASSAGE_BYTES)
    kept = [(s.token_bits, s.token_bytes, s.bytes) for s in scored]
    pairs = [passages(bits, each, size, wanted) for bits, each, size in kept if bits is not None and each is not None]
    return np.concatenate([bits for bits, _ in pairs]), np.concatenate([sizes for _, sizes in pairs])


def passages(bits: Floats, token_bytes: Floats, size: int, wanted: float) -> tuple[Floats, Floats]:
    """Bits and bytes of the equal passages, about `wanted` bytes each, that a document of `size` bytes falls into.

    The borders depend on the document alone, so the passages of two tokenizers match; a token that spans a border is
    shared in proportion to its bytes.
    """
    edges = np.linspace(0, size, max(1, round(size / wanted)) + 1)
    if bits.size == 0:
        return np.zeros(edges.size - 1), np.diff(edges)
    ends = np.concatenate([[0], np.cumsum(token_bytes)])
    spent = np.concatenate([[0], np.cumsum(bits)])
    if ends[-1] == 0:
        ends = np.arange(ends.size, dtype=np.float64)
    last = np.append(np.diff(ends) > 0, True)
    at_edges = np.interp(edges, ends[last] * (size / ends[-1]), spent[last])
    at_edges[0], at_edges[-1] = 0.0, spent[-1]
    return np.diff(at_edges), np.diff(edges)
