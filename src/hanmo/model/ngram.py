"""Counting language models: interpolated modified Kneser-Ney of orders 1 (unigram) to 6, and uniform.

In: documents as rows of ids, each opening with the end-of-text token. Out: the probability of every next token.
The idea: a k-gram is known by one 64-bit key, (index of its first k-1 tokens among the (k-1)-grams) x V + last token.
Keys are kept sorted, so the children of a context lie side by side, counting is one sort an order, and looking up is
a binary search; no Python runs a token. Kept: 24 bytes a distinct n-gram.

A document's first token is context and never predicted. No n-gram crosses two documents.
Not here: pruning, unknown words (ids are closed), mixing of several corpora.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import DataError, ModelError
from hanmo.model.config import NgramConfig

Integers = NDArray[np.integer]

FALLBACK_DISCOUNTS = (0.0, 0.5, 1.0, 1.5)
_TOKENS_AT_ONCE = 1 << 21
_ABSENT = -1


def counts_of_counts(counts: Integers) -> NDArray[np.int64]:
    """How many n-grams have an (adjusted) count of 0, 1, 2, 3, 4: n_0 ... n_4."""
    return np.bincount(np.minimum(counts, 5), minlength=6)[:5]


def modified_discounts(n: NDArray[np.int64]) -> NDArray[np.float64]:
    """What is taken from a count of 0, 1, 2, and 3 or more: 0, D1, D2, D3+.

        Y = n1 / (n1 + 2 n2),  D1 = 1 - 2 Y n2/n1,  D2 = 2 - 3 Y n3/n2,  D3+ = 3 - 4 Y n4/n3

    n: counts of counts n_0 ... n_4. Source: Chen and Goodman (1999), "An empirical study of smoothing techniques for
    language modeling", Computer Speech & Language 13, modified Kneser-Ney smoothing.

    Little data, or counts shaped by a tokenizer, may leave an n_i at zero or a D_i outside (0, i]; the estimate then
    means nothing and (1/2, 1, 3/2) is taken for this order, the fallback of KenLM (Heafield et al. 2013).
    """
    n1, n2, n3, n4 = (float(each) for each in n[1:5])
    if min(n1, n2, n3, n4) == 0:
        return np.array(FALLBACK_DISCOUNTS)
    y = n1 / (n1 + 2 * n2)
    discounts = np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    if (discounts[1:] <= 0).any() or (discounts > np.arange(4)).any():
        return np.array(FALLBACK_DISCOUNTS)
    return discounts


def interpolate(
    discounted: NDArray[np.float64],
    total: NDArray[np.int32] | np.int32,
    weight: NDArray[np.float64] | np.float64,
    lower: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Interpolated Kneser-Ney probability of a token w after a context h.

        p(w | h) = (a(h w) - D(a(h w))) / sum_v a(h v)  +  g(h) p(w | h'),
        g(h) = (D1 N1(h .) + D2 N2(h .) + D3+ N3+(h .)) / sum_v a(h v)

    discounted: a - D(a), 0 where h w was never seen; total: the sum below; weight: g(h); lower: p(w | h') with h' one
    token shorter, 1/V below the unigrams. N_i(h .) is how many tokens follow h with an adjusted count of i.
    Source: Chen and Goodman (1999), interpolated modified Kneser-Ney.
    """
    return discounted / total + weight * lower


@dataclass(frozen=True)
class _Level:
    """All k-grams of one order: the sorted keys, adjusted counts, and what is known of their contexts.

    totals and weights are indexed by the context's index among the (k-1)-grams; a context that nothing follows has
    total 1 and weight 1, which leaves the lower order as it is.
    """

    keys: NDArray[np.int64]
    counts: NDArray[np.int32]
    discounts: NDArray[np.float64]
    totals: NDArray[np.int32]
    weights: NDArray[np.float64]

    @classmethod
    def build(cls, keys: NDArray[np.int64], counts: NDArray[np.int32], num_contexts: int, vocab_size: int) -> "_Level":
        discounts = modified_discounts(counts_of_counts(counts))
        contexts = keys // vocab_size
        totals = np.bincount(contexts, weights=counts, minlength=num_contexts)
        weights = np.bincount(contexts, weights=discounts[np.minimum(counts, 3)], minlength=num_contexts)
        alone = totals == 0
        totals[alone] = weights[alone] = 1
        return cls(keys, counts, discounts, totals.astype(np.int32), weights / totals)

    def find(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Index of each key, -1 where it was never seen."""
        if not self.keys.size:
            return np.full(keys.shape, _ABSENT, np.int64)
        found = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
        return np.where(self.keys[found] == keys, found, _ABSENT)

    def discounted(self, index: NDArray[np.int64] | slice) -> NDArray[np.float64]:
        """a - D(a) of the k-grams at `index`."""
        counts = self.counts[index]
        return counts - self.discounts[np.minimum(counts, 3)]


class Ngram:
    """Interpolated modified Kneser-Ney over ids."""

    def __init__(self, config: NgramConfig, levels: Sequence[_Level]) -> None:
        self.config = config
        self._levels = tuple(levels)

    @property
    def vocab_size(self) -> int:
        """Number of distinct ids."""
        return self.config.vocab_size

    @property
    def num_ngrams(self) -> list[int]:
        """How many distinct n-grams each order holds, from 1 up."""
        return [level.keys.size for level in self._levels]

    @classmethod
    def fit(cls, ids: Integers, offsets: Integers, config: NgramConfig) -> "Ngram":
        """Count the documents ids[offsets[i]:offsets[i + 1]] (a token store's two arrays).

        Raises DataError when nothing can be predicted, ModelError for an id outside the vocabulary.
        """
        check_ids(ids, config.vocab_size)
        places = _places(ids.size, offsets)
        if not (places > 0).any():
            raise DataError(f"no document has two tokens ({offsets.size - 1} documents, {ids.size} tokens): nothing to count")
        return cls(config, tuple(_count(config, ids, places)))

    @classmethod
    def fit_sequences(cls, sequences: Sequence[Integers], config: NgramConfig) -> "Ngram":
        """Count documents given one by one."""
        return cls.fit(*flatten(sequences), config)

    def score(self, sequences: Sequence[Integers], stride: int | None = None) -> list[NDArray[np.float64]]:
        """Natural log-probability of ids[1:] of each sequence, given all before.

        `stride` moves the window of a network; an n-gram needs no window and gives the same for every stride.
        """
        check_stride(stride)
        return [each for group in _groups(sequences) for each in self._score_group(group)]

    def _score_group(self, sequences: Sequence[Integers]) -> list[NDArray[np.float64]]:
        ids, offsets = flatten(sequences)
        check_ids(ids, self.vocab_size)
        places = _places(ids.size, offsets)
        probabilities = np.full(ids.size, 1 / self.vocab_size)
        contexts = np.zeros(ids.size, np.int64)
        for level in self._levels:
            seen = np.flatnonzero(contexts != _ABSENT)
            at = contexts[seen]
            grams = level.find(at * self.vocab_size + ids[seen])
            discounted = np.where(grams == _ABSENT, 0.0, level.discounted(grams) if level.counts.size else 0.0)
            probabilities[seen] = interpolate(discounted, level.totals[at], level.weights[at], probabilities[seen])
            contexts = _next_contexts(seen, grams, places)
        logs = np.log(probabilities)
        return [logs[a + 1 : b] for a, b in pairwise(offsets)]

    def next_probabilities(self, context: Integers) -> NDArray[np.float64]:
        """The distribution [V] of the token after `context` (a document's beginning, or any part of it)."""
        check_ids(context, self.vocab_size)
        probabilities = np.full(self.vocab_size, 1 / self.vocab_size)
        for order, level in enumerate(self._levels, 1):
            if order - 1 > len(context):
                break
            at = self._index(context[len(context) - order + 1 :])
            if at == _ABSENT:
                break
            children = slice(*np.searchsorted(level.keys, [at * self.vocab_size, (at + 1) * self.vocab_size]))
            discounted = np.zeros(self.vocab_size)
            discounted[level.keys[children] - at * self.vocab_size] = level.discounted(children)
            probabilities = interpolate(discounted, level.totals[at], level.weights[at], probabilities)
        return probabilities

    def _index(self, gram: Integers) -> int:
        at = 0
        for level, token in zip(self._levels, gram, strict=False):
            at = int(level.find(np.array([at * self.vocab_size + int(token)]))[0])
            if at == _ABSENT:
                break
        return at

    def state(self) -> dict[str, NDArray[np.integer]]:
        """All that was counted, as named arrays: `orders.{k}.keys` int64 and `orders.{k}.counts` int32."""
        arrays: dict[str, NDArray[np.integer]] = {}
        for order, level in enumerate(self._levels, 1):
            arrays[f"orders.{order}.keys"] = level.keys
            arrays[f"orders.{order}.counts"] = level.counts
        return arrays

    @classmethod
    def from_state(cls, config: NgramConfig, arrays: Mapping[str, NDArray[np.integer]]) -> "Ngram":
        """The model that gave these arrays.

        Raises ModelError when an array is missing, one too many, or damaged, or the configuration is not theirs.
        """
        if len(arrays) > 2 * config.order:
            raise ModelError(f"the n-gram model has {len(arrays)} arrays, order (={config.order}) asks for {2 * config.order}")
        levels: list[_Level] = []
        num_contexts = 1
        for order in range(1, config.order + 1):
            keys, counts = (_array(arrays, f"orders.{order}.{name}", kind) for name, kind in (("keys", np.int64), ("counts", np.int32)))
            bound = num_contexts * config.vocab_size
            if keys.shape != counts.shape or (np.diff(keys) <= 0).any() or (keys.size and not 0 <= keys[0] <= keys[-1] < bound):
                raise ModelError(f"orders.{order} of the n-gram model is damaged: keys and counts do not belong together")
            if (counts < 0).any() or (levels and (levels[0].find(keys % config.vocab_size) < 0).any()):
                raise ModelError(
                    f"orders.{order} of the n-gram model has counts below zero, or ids that never stand alone: "
                    f"it is damaged, or vocab_size (={config.vocab_size}) is not its own"
                )
            levels.append(_Level.build(keys, counts.astype(np.int32), num_contexts, config.vocab_size))
            num_contexts = keys.size
        return cls(config, levels)


class Uniform(Ngram):
    """Every id as likely as any other, p = 1/V: nothing counted, order 0."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__(NgramConfig(vocab_size=vocab_size, order=0), ())


def flatten(sequences: Sequence[Integers]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of ids as one flat array and the offsets [rows + 1] where each begins."""
    offsets = np.zeros(len(sequences) + 1, np.int64)
    np.cumsum([len(ids) for ids in sequences], out=offsets[1:])
    return np.concatenate([*sequences, np.zeros(0, np.int64)]).astype(np.int64, copy=False), offsets


def _count(config: NgramConfig, ids: Integers, places: NDArray[np.int32]) -> Iterator[_Level]:
    """The levels from unigrams up; the counts of one are known once the order above it has been sorted."""
    contexts = np.zeros(ids.size, np.int64)
    keys, grams, num_contexts = np.zeros(0, np.int64), contexts.astype(np.int32), 1
    for order in range(1, config.order + 1):
        ends = np.flatnonzero(places >= order - 1)
        above, index, examples = _sorted_keys(contexts[ends] * config.vocab_size + ids[ends])
        if order > 1:
            opening = (places == order - 2) & (places > 0)
            counts = _adjusted_counts(grams, ends[examples], opening, keys.size)
            yield _Level.build(keys, counts, num_contexts, config.vocab_size)
            num_contexts = keys.size
        keys, grams = above, np.full(ids.size, _ABSENT, np.int32)
        grams[ends] = index
        contexts = _next_contexts(ends, index, places)
    if config.order == 0:
        return
    counts = np.bincount(grams[(grams != _ABSENT) & (places > 0)], minlength=keys.size).astype(np.int32)
    yield _Level.build(keys, counts, num_contexts, config.vocab_size)


def _adjusted_counts(grams: NDArray[np.int32], examples: NDArray[np.int64], opening: NDArray[np.bool_], size: int) -> NDArray[np.int32]:
    """Adjusted counts of a lower order: how many different tokens were seen before a gram (its continuation count).

    Nothing stands before a gram that opens a document: such occurrences count in full, as in KenLM.
    examples: where one example of each gram of the order above ends; opening: where a gram that opens a document ends.
    """
    counts = np.bincount(grams[examples], minlength=size)
    opened = grams[opening & (grams != _ABSENT)]
    return (counts + np.bincount(opened, minlength=size)).astype(np.int32)


def _sorted_keys(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]]:
    """The distinct keys in order, the index of each given key among them, and where one example of each stands."""
    order = np.argsort(keys)
    ordered = keys[order]
    first = np.ones(keys.size, np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    index = np.empty(keys.size, np.int32)
    index[order] = np.cumsum(first, dtype=np.int32) - 1
    return ordered[first], index, order[first]


def _next_contexts(positions: NDArray[np.int64], grams: Integers, places: NDArray[np.int32]) -> NDArray[np.int64]:
    """For each token, the index of the gram that ends just before it in its document, -1 where there is none."""
    contexts = np.full(places.size + 1, _ABSENT, np.int64)
    contexts[positions + 1] = grams
    contexts = contexts[:-1]
    contexts[places == 0] = _ABSENT
    return contexts


def _places(size: int, offsets: Integers) -> NDArray[np.int32]:
    """How many tokens of its own document stand before each token."""
    starts = np.repeat(offsets[:-1], np.diff(offsets))
    if starts.size != size:
        raise ModelError(f"offsets cover {starts.size} tokens but {size} are given")
    return (np.arange(size) - starts).astype(np.int32)


def _groups(sequences: Sequence[Integers]) -> Iterator[list[Integers]]:
    """The sequences in order, in groups of about two million tokens, so that scoring needs bounded memory."""
    group: list[Integers] = []
    size = 0
    for ids in sequences:
        if group and size + len(ids) > _TOKENS_AT_ONCE:
            yield group
            group, size = [], 0
        group.append(ids)
        size += len(ids)
    if group:
        yield group


def check_ids(ids: Integers, vocab_size: int) -> None:
    """Raise ModelError for an id outside the vocabulary."""
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < vocab_size:
        raise ModelError(f"ids from {ids.min()} to {ids.max()} do not fit a vocabulary of {vocab_size}: is this the model's tokenizer?")


def check_stride(stride: int | None) -> None:
    """Raise ModelError for a stride that does not move."""
    if stride is not None and stride < 1:
        raise ModelError(f"stride (={stride}) should be at least 1")


def _array(arrays: Mapping[str, NDArray[np.integer]], name: str, kind: type[np.integer]) -> NDArray[np.int64]:
    """One row of numbers, as int64; the bytes of another type would be other numbers."""
    if name not in arrays:
        raise ModelError(f"the n-gram model has no array {name}: was it saved with a lower order?")
    if arrays[name].dtype != kind or arrays[name].ndim != 1:
        raise ModelError(f"{name} of the n-gram model should be one row of {kind.__name__}, not {arrays[name].dtype} {arrays[name].shape}")
    return arrays[name].astype(np.int64)
