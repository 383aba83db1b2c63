"""One small interface for every language model: what it thinks of given ids.

In: sequences of ids, each opening with the end-of-text token. Out: the log-probability of every later token, given all
tokens before it that the model can see. N-grams do this themselves; networks get it here: a decoder by sliding windows,
a recurrent network by carrying its state. One `evaluate` serves them all.
B rows, T positions, V vocabulary.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hanmo.base.errors import ModelError
from hanmo.model.decoder import Decoder
from hanmo.model.likelihood import token_log_probs
from hanmo.model.ngram import check_ids, check_stride
from hanmo.model.quantized import QuantizedDecoder
from hanmo.model.recurrent import Recurrent, StateCache
from hanmo.model.softmax_regression import SoftmaxRegression

Integers = NDArray[np.integer]

_LOGITS_AT_ONCE = 1 << 25
_TOKENS_AT_ONCE = 1 << 13
_STATE_CHUNK = 256
_STATE_ROWS = 32


@runtime_checkable
class LanguageModel(Protocol):
    """Anything that gives a probability to every next token."""

    @property
    def vocab_size(self) -> int:
        """Number of distinct ids."""
        ...

    def score(self, sequences: Sequence[Integers], stride: int | None = None) -> list[NDArray[np.float64]]:
        """For each sequence of n ids, n - 1 natural log-probabilities of ids[1:], each given the ids before it.

        `stride` is how far a window advances, for models that see through one.
        """
        ...


@dataclass(frozen=True)
class Window:
    """A stretch of one sequence read at once: inputs begin ... end - 1, of which those from `new` on are counted."""

    row: int
    begin: int
    new: int
    end: int

    @property
    def length(self) -> int:
        """Number of inputs."""
        return self.end - self.begin

    @property
    def seen(self) -> int:
        """Number of inputs that are context only."""
        return self.new - self.begin


def windows(row: int, num_inputs: int, context_length: int, stride: int) -> Iterator[Window]:
    """Windows over one sequence such that every input is counted exactly once.

    The first window counts all its inputs; each next one advances by `stride` and counts only what is new, so every
    later prediction has at least context_length - stride tokens before it. The last one is moved back to end with the
    sequence, which only lengthens the context.
    """
    end = min(context_length, num_inputs)
    if end > 0:
        yield Window(row, 0, 0, end)
    while end < num_inputs:
        new, end = end, min(end + stride, num_inputs)
        yield Window(row, end - context_length, new, end)


class NetworkScorer:
    """Sliding windows over a network whose context is bounded."""

    def __init__(self, network: Decoder | QuantizedDecoder | SoftmaxRegression, context_length: int) -> None:
        self.network, self.context_length = network, context_length

    @property
    def vocab_size(self) -> int:
        """Number of distinct ids."""
        return self.network.config.vocab_size

    def score(self, sequences: Sequence[Integers], stride: int | None = None) -> list[NDArray[np.float64]]:
        """Natural log-probabilities of ids[1:]; the default stride is half the context.

        Windows of similar length share a batch, and logits are made for counted tokens only, a bounded number at once.
        Batching changes a result by float noise only. Raises ModelError for an id outside the vocabulary, and for a
        stride that would leave tokens out.
        """
        step = max(1, self.context_length // 2) if stride is None else stride
        if not 1 <= step <= self.context_length:
            raise ModelError(f"stride (={stride}) should be from 1 to the context length (={self.context_length})")
        for ids in sequences:
            check_ids(ids, self.vocab_size)
        scores = _empty_scores(sequences)
        every = [w for row, ids in enumerate(sequences) for w in windows(row, len(ids) - 1, self.context_length, step)]
        every.sort(key=lambda w: (-w.length, w.seen))
        with _evaluating(self.network):
            for batch in self._batches(every):
                self._score_batch(sequences, batch, scores)
        return scores

    def _batches(self, every: Sequence[Window]) -> Iterator[Sequence[Window]]:
        """Windows, longest first, as many at once as fit."""
        start = 0
        while start < len(every):
            rows = max(1, _TOKENS_AT_ONCE // every[start].length)
            yield every[start : start + rows]
            start += rows

    def _score_batch(self, sequences: Sequence[Integers], batch: Sequence[Window], scores: list[NDArray[np.float64]]) -> None:
        ids_BT, targets_BT = _padded([sequences[w.row][w.begin : w.end + 1] for w in batch], _device(self.network))
        skipped = min(w.seen for w in batch)
        logs_BT = _log_probs(self.network, self.network.hidden(ids_BT)[:, skipped:], targets_BT[:, skipped:])
        for logs, window in zip(logs_BT, batch, strict=True):
            scores[window.row][window.new : window.end] = logs[window.seen - skipped : window.length - skipped]


class StateScorer:
    """A recurrent network reading each sequence from its first token to its last, state carried on."""

    def __init__(self, network: Recurrent) -> None:
        self.network = network

    @property
    def vocab_size(self) -> int:
        """Number of distinct ids."""
        return self.network.config.vocab_size

    def score(self, sequences: Sequence[Integers], stride: int | None = None) -> list[NDArray[np.float64]]:
        """Natural log-probabilities of ids[1:]; there is no window, so no stride changes them.

        Raises ModelError for an id outside the vocabulary.
        """
        check_stride(stride)
        for ids in sequences:
            check_ids(ids, self.vocab_size)
        scores = _empty_scores(sequences)
        longest_first = sorted(range(len(sequences)), key=lambda row: -len(sequences[row]))
        with _evaluating(self.network):
            for start in range(0, len(longest_first), _STATE_ROWS):
                self._score_rows(sequences, longest_first[start : start + _STATE_ROWS], scores)
        return scores

    def _score_rows(self, sequences: Sequence[Integers], rows: Sequence[int], scores: list[NDArray[np.float64]]) -> None:
        """Rows come longest first; one that has ended is dropped from the state."""
        cache = StateCache()
        begin = 0
        while rows := [row for row in rows if len(sequences[row]) - 1 > begin]:
            cache.keep(range(len(rows)))
            parts = [sequences[row][begin : begin + _STATE_CHUNK + 1] for row in rows]
            ids_BT, targets_BT = _padded(parts, _device(self.network))
            logs_BT = _log_probs(self.network, self.network.hidden(ids_BT, cache=cache), targets_BT)
            for row, logs, part in zip(rows, logs_BT, parts, strict=True):
                scores[row][begin : begin + len(part) - 1] = logs[: len(part) - 1]
            begin += _STATE_CHUNK


def language_model(model: Decoder | QuantizedDecoder | Recurrent | SoftmaxRegression | LanguageModel) -> LanguageModel:
    """The scoring interface of any model that a folder can hold."""
    if isinstance(model, Recurrent):
        return StateScorer(model)
    if isinstance(model, Decoder | QuantizedDecoder):
        return NetworkScorer(model, model.config.max_position_embeddings)
    if isinstance(model, SoftmaxRegression):
        return NetworkScorer(model, max(256, 2 * model.config.num_previous_tokens))
    return model


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """No gradients and no dropout inside; the network's mode is put back."""
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(training)


def _log_probs(
    network: Decoder | QuantizedDecoder | Recurrent | SoftmaxRegression, hidden_BTD: Tensor, targets_BT: Tensor
) -> NDArray[np.float32]:
    """Log-probabilities [B, T] of the targets; logits are made for a few positions at once, so memory is bounded."""
    rows, length = targets_BT.shape
    positions = max(1, _LOGITS_AT_ONCE // (rows * network.config.vocab_size))
    parts = [
        token_log_probs(network.logits(hidden_BTD[:, at : at + positions]), targets_BT[:, at : at + positions])
        for at in range(0, length, positions)
    ]
    return torch.cat(parts, 1).cpu().numpy()


def _padded(parts: Sequence[Integers], device: torch.device) -> tuple[Tensor, Tensor]:
    """Inputs and targets [B, T] of stretches of ids, filled up on the right with zeros that no one counts."""
    length = max(len(part) for part in parts)
    rows = np.zeros((len(parts), length), np.int64)
    for row, part in zip(rows, parts, strict=True):
        row[: len(part)] = part
    ids = torch.from_numpy(rows).to(device)
    return ids[:, :-1], ids[:, 1:]


def _empty_scores(sequences: Iterable[Integers]) -> list[NDArray[np.float64]]:
    return [np.full(max(len(ids) - 1, 0), np.nan) for ids in sequences]


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
