"""The networks of a run that do not foretell every next token, measured by what they were asked to do."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hanmo.base.records import Batch, Document
from hanmo.base.runs import Run
from hanmo.batches.special_tokens import special_tokens_of
from hanmo.batches.stream import BatchConfig, BatchStream
from hanmo.data.reading.read import read_dataset
from hanmo.evaluate.measurement import Measurement
from hanmo.evaluate.objective import (
    ObjectiveEvaluation,
    Score,
    evaluate_objective,
    pseudo_perplexity,
    uniform_score,
    unigram_score,
)
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.likelihood import token_log_probs
from hanmo.model.store import load_model
from hanmo.pipeline.networks import network_for
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.tokens import encode_dataset
from hanmo.tokenizer.load import Tokenizer
from hanmo.train.losses import TensorBatch
from hanmo.train.pretrain import Settings, batch_config, objective_of

ROWS = 8
COUNTED_STEPS = 50
"""Training batches from which the unigram baseline counts what is asked for."""
PSEUDO_TEXTS, PSEUDO_TOKENS = 40, 64
"""Beginnings of held-out documents for pseudo-perplexity: each token costs a pass of its own."""


def evaluate_by_objective(recipe: Recipe, folder: Run) -> dict[str, ObjectiveEvaluation]:
    """The trained network, and two baselines that look at nothing, on the held-out rows of the recipe's objective."""
    tokenizer = Tokenizer.load(folder.tokenizer)
    settings = Settings(model=network_for(recipe, tokenizer), train=recipe.train)
    objective = objective_of(settings, folder.tokenizer)
    splits = ("train", recipe.evaluate.split)
    stores = encode_dataset(folder.data, tokenizer, folder.tokens, splits)
    config = batch_config(recipe.train, settings.context_length, ROWS, ROWS)
    held_out = BatchStream(stores[splits[1]], once(config), objective)
    counts = asked_counts(BatchStream(stores["train"], config, objective), tokenizer.vocab_size)
    network = load_model(folder.model)
    assert isinstance(network, Encoder | EncoderDecoder)
    score = network_score(network)
    documents = list(read_dataset(folder.data, recipe.evaluate.split))
    pseudo = _pseudo(score, documents, tokenizer, settings.context_length) if isinstance(network, Encoder) else None
    return {
        "uniform": evaluate_objective(uniform_score(tokenizer.vocab_size), _batches(held_out)),
        "unigram": evaluate_objective(unigram_score(counts), _batches(held_out)),
        "transformer": evaluate_objective(score, _batches(held_out), pseudo),
    }


def once(config: BatchConfig) -> BatchConfig:
    """Every row once and in order, as validation reads them."""
    return dataclasses.replace(config, too_long="split", shuffle=False, repeat=False)


def _batches(stream: BatchStream) -> Iterator[Batch]:
    for step in range(stream.steps_per_epoch):
        yield stream.batch(step)


def asked_counts(stream: BatchStream, vocab_size: int) -> NDArray[np.int64]:
    """How often each token is asked for in some training batches."""
    counts = np.zeros(vocab_size, np.int64)
    for step in range(COUNTED_STEPS):
        batch = stream.batch(step)
        counts += np.bincount(batch.targets[batch.weights > 0], minlength=vocab_size)
    return counts


def network_score(network: Encoder | EncoderDecoder) -> Score:
    """ln p of a batch's targets under a network, and whether each is the likeliest token."""
    device = next(network.parameters()).device
    network.eval()

    @torch.no_grad()
    def score(batch: Batch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        given = TensorBatch.of(batch, device)
        if isinstance(network, Encoder):
            logits_BTV = network(given.ids, given.segments)
        else:
            assert given.source is not None
            logits_BTV = network(given.source, given.ids, given.source_seen)
        right = (logits_BTV.argmax(-1) == given.targets).double()
        return token_log_probs(logits_BTV, given.targets).double().cpu().numpy(), right.cpu().numpy()

    return score


def _pseudo(score: Score, documents: Sequence[Document], tokenizer: Tokenizer, context_length: int) -> Measurement | None:
    """Pseudo-perplexity of the beginnings of some documents; None where the tokenizer has no mask."""
    mask = special_tokens_of(tokenizer).mask
    length = min(PSEUDO_TOKENS, context_length - 1)
    opened = [np.concatenate([[tokenizer.eot_id], tokenizer.encode(each.text[:1000])[:length]]) for each in documents]
    chosen = [ids for ids in opened if len(ids) > 1][:PSEUDO_TEXTS]
    return pseudo_perplexity(score, chosen, mask) if mask is not None and chosen else None
