"""Searches: texts chosen as wholes, or against what was already said, where `sample` draws one token after another.

In: ids of a prompt, options. Out: ids with a score. Nothing random happens here. A search ends where the context ends.
R running beams, B rows, V vocabulary, T positions, D width, K candidates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hanmo.base.errors import UsageError
from hanmo.generate.continuation import Chosen, Continuation, possible, told_if_asked
from hanmo.generate.options import SamplingOptions
from hanmo.generate.penalties import NEVER
from hanmo.generate.reader import Reader
from hanmo.generate.sample import apply_penalties
from hanmo.model.cache import KVCache
from hanmo.model.decoder import Decoder
from hanmo.model.quantized import QuantizedDecoder
from hanmo.model.recurrent import Recurrent, StateCache
from hanmo.model.store import Writer


@dataclass(frozen=True)
class Beam:
    """A text on its way, or a finished one (its end token included): ids after the prompt, score, row in the reader."""

    ids: tuple[int, ...]
    score: float
    row: int = 0


class BeamGroup:
    """The beams of one group and what they finished.

    A running beam's score is the sum of its tokens' log-probabilities; a finished one's is divided by length^penalty
    (Wu et al. 2016, section 7, in transformers' form: lp = |Y|^alpha).
    """

    def __init__(self, options: SamplingOptions, end_ids: Sequence[int], room: int) -> None:
        self.options, self.ends, self.room = options, frozenset(end_ids), room
        self.size = options.num_beams // options.num_beam_groups
        self.running = [Beam((), 0.0)]
        self.finished: list[Beam] = []

    def advance(self, log_probs_RV: Tensor) -> list[int]:
        """Go on with the best continuations of the running beams; among the `size` best, those that end are finished.

        Gives the tokens that go on.

        More continuations are looked at than are kept, so that ends do not starve the search.
        """
        scores_R = torch.tensor([each.score for each in self.running], device=log_probs_RV.device)
        sums_N = (log_probs_RV + scores_R[:, None]).flatten()
        looked_at = min(max(2, 1 + len(self.ends)) * self.size, sums_N.numel())
        best = sums_N.topk(looked_at)
        candidates = []
        for place, score in zip(best.indices.tolist(), best.values.tolist(), strict=True):
            row, token = divmod(place, log_probs_RV.size(1))
            if score > NEVER:
                candidates.append(Beam((*self.running[row].ids, token), score, self.running[row].row))
        self.finished += [self._finish(each) for each in candidates[: self.size] if self._ends(each)]
        self.finished = sorted(self.finished, key=lambda each: -each.score)[: self.size]
        going = [each for each in candidates if each.ids[-1] not in self.ends][: self.size]
        self.running = [each for each in going if not self._ends(each)]
        if self._is_over():
            self.running = []
        return [each.ids[-1] for each in going]

    def _ends(self, beam: Beam) -> bool:
        return beam.ids[-1] in self.ends or len(beam.ids) == self.room

    def _finish(self, beam: Beam) -> Beam:
        return Beam(beam.ids, beam.score / len(beam.ids) ** self.options.length_penalty)

    def _is_over(self) -> bool:
        """Whether running on cannot, or by the chosen rule need not, improve what is finished."""
        if not self.running or len(self.finished) < self.size:
            return not self.running
        if self.options.early_stopping is True:
            return True
        alpha = self.options.length_penalty
        length = self.room if self.options.early_stopping == "never" and alpha > 0 else len(self.running[0].ids)
        return self.running[0].score / length**alpha <= self.finished[-1].score


@torch.inference_mode()
def beam_search(reader: Reader, one: Continuation, vocab_size: int) -> list[Beam]:
    """The best `num_return_sequences` texts after the prompt of `one`, best first.

    Beam search (Graves 2012; Sutskever et al. 2014, section 3.2); with groups diverse beam search (Vijayakumar et al.
    2018, algorithm 1, Hamming diversity): a group's scores are lowered by diversity_penalty for each beam of an earlier
    group that chose the same token at this place.
    """
    options, words = one.options, one.limits.words
    room = one.limits.room(len(one.prompt_ids))
    groups = [BeamGroup(options, words.end_ids, room) for _ in range(options.num_beam_groups)]
    logits_BV = reader.read([one.prompt_ids])
    while any(group.running for group in groups):
        taken_V = torch.zeros_like(logits_BV[0])
        for group in (each for each in groups if each.running):
            rows = [[*one.prompt_ids, *beam.ids] for beam in group.running]
            log_probs_RV = logits_BV[[beam.row for beam in group.running]].log_softmax(-1)
            drawn = [beam.ids for beam in group.running]
            log_probs_RV = apply_penalties(possible(log_probs_RV, vocab_size), options, rows, drawn, words)
            log_probs_RV = log_probs_RV.log_softmax(-1) if options.renormalize_logits else log_probs_RV
            tokens = group.advance(log_probs_RV - options.diversity_penalty * taken_V)
            taken_V += torch.bincount(torch.tensor(tokens, dtype=torch.long, device=taken_V.device), minlength=taken_V.numel())
        logits_BV = _read_on(reader, groups, logits_BV)
    finished = sorted((beam for group in groups for beam in group.finished), key=lambda each: -each.score)
    if len(finished) < options.num_return_sequences:
        raise UsageError(f"beams found {len(finished)} texts, not num_return_sequences (={options.num_return_sequences}): lower it")
    return finished[: options.num_return_sequences]


def _read_on(reader: Reader, groups: Sequence[BeamGroup], logits_BV: Tensor) -> Tensor:
    """Read the last token of each running beam, the beams' rows in the order of the groups."""
    running = [beam for group in groups for beam in group.running]
    if not running:
        return logits_BV
    reader.keep([beam.row for beam in running])
    rows = iter(range(len(running)))
    for group in groups:
        group.running = [Beam(beam.ids, beam.score, next(rows)) for beam in group.running]
    return reader.read([[beam.ids[-1]] for beam in running])


@torch.inference_mode()
def contrastive_search(network: Writer, one: Continuation, vocab_size: int) -> Iterator[Chosen]:
    """The tokens after the prompt of `one`, until it has ended; the caller gives it each token.

    Of the k likeliest v: the one with the largest (1 - alpha) p(v) - alpha max_j cos(h_v, h_j), h the last hidden
    states of all tokens before (Su et al. 2022, "A Contrastive Framework for Neural Text Generation", eq. 5).
    Raises UsageError for a model that has no hidden states, and for an encoder-decoder.
    """
    if not isinstance(network, Decoder | QuantizedDecoder | Recurrent):
        raise UsageError("contrastive search compares hidden states of one text, which this model has not: leave penalty_alpha out")
    alpha = one.options.penalty_alpha
    cache = _memory(network, len(one.prompt_ids) + one.limits.room(len(one.prompt_ids)))
    device = network.embed_tokens.weight.device
    past_TD = _hidden(network, torch.tensor([one.prompt_ids], device=device), cache)[0]
    while True:
        logits_BV = network.logits(past_TD[-1:]).float()
        probabilities_V = apply_penalties(possible(logits_BV, vocab_size), one.options, [one.row], [one.ids], one.limits.words).softmax(-1)[
            0
        ]
        likely = probabilities_V.topk(min(one.options.top_k, vocab_size))
        cache.keep([0] * likely.indices.numel())
        new_KD = _hidden(network, likely.indices[:, None], cache)[:, -1]
        alike_K = (F.normalize(new_KD.float(), dim=-1) @ F.normalize(past_TD.float(), dim=-1).T).amax(-1)
        best = ((1 - alpha) * likely.values - alpha * alike_K).argmax()
        yield told_if_asked(logits_BV, likely.indices[best][None], one.options)[0]
        if one.finish_reason:
            return
        cache.keep([int(best)])
        past_TD = torch.cat([past_TD, new_KD[best][None]])


def _memory(network: Decoder | QuantizedDecoder | Recurrent, length: int) -> KVCache | StateCache:
    if isinstance(network, Recurrent):
        return StateCache()
    return network.new_cache(1, length)


def _hidden(network: Decoder | QuantizedDecoder | Recurrent, ids_BT: Tensor, cache: KVCache | StateCache) -> Tensor:
    return network.hidden(ids_BT, cache=cache)  # pyright: ignore[reportArgumentType]
