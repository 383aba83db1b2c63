"""How well a network does what it was trained to do where that is not every next token: hidden tokens, cut-out spans.

In: a way to the log-probabilities of a network, batches of held-out rows. Out: an `ObjectiveEvaluation`: nats a token asked
for and accuracy, row by row, so that models can be compared in pairs. For encoders there is pseudo-perplexity too, which
hides each token alone (Salazar et al. 2020). Neither is a probability of a text: bits per byte of other models do not
compare with it.
"""

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import DataError
from hanmo.base.records import Batch
from hanmo.evaluate.measurement import Measurement, ratio

Floats = NDArray[np.float64]
Score = Callable[[Batch], tuple[Floats, Floats]]
"""A batch -> ln p of each target, and 1.0 where the likeliest token is the target: both [rows, context]."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveEvaluation:
    """What a model took for the tokens that an objective asks for; arrays have one place a row."""

    nats: Floats
    hits: Floats
    targets: Floats
    rows_sha256: str
    """Digest of all that was asked: equal for models measured on the same rows."""
    pseudo: Measurement | None = None
    """Pseudo-perplexity, where it was measured."""

    @property
    def measurement(self) -> Measurement:
        """Nats a token asked for."""
        return self._measurement("loss", "nats", larger_is_better=False)

    @property
    def accuracy(self) -> Measurement:
        """Share of tokens asked for that are the likeliest."""
        return self._measurement("accuracy", "hits", larger_is_better=True)

    def _measurement(self, metric: str, above: str, *, larger_is_better: bool) -> Measurement:
        columns = {above: getattr(self, above), "targets": self.targets}
        return Measurement(
            metric=metric,
            unit="row",
            columns=columns,
            statistic=ratio(above, "targets"),
            larger_is_better=larger_is_better,
            measured_on=self.rows_sha256,
        )

    def summary(self) -> dict[str, object]:
        """The numbers under their stable names, for JSON."""
        parts = [self.measurement, self.accuracy, *([self.pseudo] if self.pseudo else [])]
        intervals = {each.metric: _as_list(each.interval()) for each in parts}
        return {
            **{each.metric: each.value for each in parts},
            "intervals": intervals,
            "interval": intervals["loss"],
            "targets": int(self.targets.sum()),
            "unit": "row",
            "units": len(self.targets),
            "definition": DEFINITION + (PSEUDO if self.pseudo else ""),
        }


DEFINITION = "loss: mean -ln p of the tokens asked for; accuracy: share of them that are the likeliest token"
PSEUDO = "; pseudo_perplexity: exp of the mean -ln p of tokens, each hidden alone (Salazar et al. 2020)"


def _as_list(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def evaluate_objective(score: Score, batches: Iterable[Batch], pseudo: Measurement | None = None) -> ObjectiveEvaluation:
    """Score held-out rows; rows that ask for nothing are left out.

    Raises DataError when no row asks for anything.
    """
    nats: list[Floats] = []
    hits: list[Floats] = []
    targets: list[Floats] = []
    digest = hashlib.sha256()
    for batch in batches:
        log_probs, right = score(batch)
        nats.append(-(log_probs * batch.weights).sum(1))
        hits.append((right * batch.weights).sum(1))
        targets.append(batch.weights.sum(1, dtype=np.float64))
        for part in (batch.ids, batch.targets, batch.weights):
            digest.update(np.ascontiguousarray(part).tobytes())
    counts = np.concatenate(targets) if targets else np.zeros(0)
    asked = counts > 0
    if not asked.any():
        raise DataError("no held-out row asks for a token: prepare with larger shares under split")
    return ObjectiveEvaluation(
        nats=np.concatenate(nats)[asked],
        hits=np.concatenate(hits)[asked],
        targets=counts[asked],
        rows_sha256=digest.hexdigest(),
        pseudo=pseudo,
    )


def unigram_score(counts: NDArray[np.integer]) -> Score:
    """A baseline that always says how often each token was asked for in training, one added to each count."""
    log_probs = np.log((counts + 1.0) / (counts.sum() + len(counts)))
    commonest = int(counts.argmax())

    def score(batch: Batch) -> tuple[Floats, Floats]:
        return log_probs[batch.targets], (batch.targets == commonest).astype(np.float64)

    return score


def uniform_score(vocab_size: int) -> Score:
    """A baseline for which all tokens are alike; its likeliest token is right once in `vocab_size`."""

    def score(batch: Batch) -> tuple[Floats, Floats]:
        shape = batch.targets.shape
        return np.full(shape, -math.log(vocab_size)), np.full(shape, 1 / vocab_size)

    return score


def pseudo_perplexity(score: Score, texts: Sequence[NDArray[np.integer]], mask_id: int, rows: int = 32) -> Measurement:
    """exp(-mean ln p(token | all others)), each token of each text hidden alone (Salazar et al. 2020, equation 2).

    `texts` are ids short enough for the encoder, the first of each given and not counted; a text is a unit of the interval.
    """
    nats = np.array([-_hidden_one_by_one(score, np.asarray(ids, np.int64), mask_id, rows) for ids in texts])
    return Measurement(
        metric="pseudo_perplexity",
        unit="text",
        columns={"nats": nats, "tokens": np.array([len(ids) - 1.0 for ids in texts])},
        statistic=lambda sums: np.exp(sums["nats"] / sums["tokens"]),
        larger_is_better=False,
    )


def _hidden_one_by_one(score: Score, ids: NDArray[np.int64], mask_id: int, rows: int) -> float:
    """Sum of ln p of every token of one text after its first."""
    total = 0.0
    for start in range(1, len(ids), rows):
        places = np.arange(start, min(start + rows, len(ids)))
        given = np.repeat(ids[None], len(places), 0)
        weights = np.zeros(given.shape, np.float32)
        weights[np.arange(len(places)), places] = 1
        hidden = np.where(weights > 0, np.int64(mask_id), given)
        log_probs, _ = score(Batch(ids=hidden, targets=given, weights=weights))
        total += float((log_probs * weights).sum())
    return total
