"""Two forms of one model, compared on the same text: ids, chat template, logits, the likeliest continuation.

In: two model folders. Out: one row a question, with a figure. Logits of other precisions differ a little and of other models
much: the row says how far, and whether the likeliest tokens are still the same, which is what a reader would see.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from hanmo.base.errors import ModelError
from hanmo.model.decoder import Decoder
from hanmo.model.embedder import Embedder
from hanmo.model.store import load_model
from hanmo.tokenizer.chat import Chat, read_template
from hanmo.tokenizer.load import Tokenizer

TEXTS = (
    "The rain had stopped, and the street smelled of warm stone.",
    "她把信折好，放进抽屉，什么也没有说。",
    "def area(r):\n    return 3.14159 * r ** 2  # of a circle\n",
    "In 1969, 2 men walked on the moon;  12 have since.",
)
CONVERSATION = (
    {"role": "user", "content": "Which of these is a fruit: stone, pear, cloud?"},
    {"role": "assistant", "content": "A pear."},
    {"role": "user", "content": "再举一个例子。"},
)
CLOSE = 1e-3
"""Largest difference of logits, as a share of the largest one where that is above 1, that counts as equal: float32 sums in another order
stay below it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityCheck:
    """One question and its answer."""

    what: str
    equal: bool
    figure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedModel:
    """One form of a model, in memory."""

    network: Decoder
    tokenizer: Tokenizer
    template: str | None


def compare(first: Path, second: Path, *, tokens: int = 16) -> list[ParityCheck]:
    """The table for the models of two folders; `tokens` is how long a continuation is compared.

    Raises ModelError for a model that is no decoder.
    """
    return compare_forms(form_of(first), form_of(second), tokens=tokens)


def form_of(folder: Path) -> ComparedModel:
    """The model of a folder.

    Raises ModelError when it is no decoder.
    """
    network = load_model(folder)
    if not isinstance(network, Decoder) or isinstance(network, Embedder):
        raise ModelError(f"{folder} is a {type(network).__name__}: decoders are compared here")
    return ComparedModel(network=network, tokenizer=Tokenizer.load(folder), template=read_template(folder))


def compare_forms(first: ComparedModel, second: ComparedModel, *, tokens: int = 16) -> list[ParityCheck]:
    """The same for two models in memory."""
    networks = [first.network, second.network]
    ids = [[form.tokenizer.encode(text).tolist() for text in TEXTS] for form in (first, second)]
    alike = [one == other for one, other in zip(*ids, strict=True)]
    rows = [
        ParityCheck(what="tokens", equal=all(alike), figure=f"{sum(alike)} of {len(TEXTS)} texts have the same ids"),
        _template(first, second),
    ]
    context = min(network.config.max_position_embeddings for network in networks)
    same = [text[:context] for text, equal in zip(ids[0], alike, strict=True) if equal]
    sizes = {network.config.vocab_size for network in networks}
    if not same or len(sizes) > 1:
        missing = "no text has the same ids" if not same else f"vocabularies of {' and '.join(map(str, sorted(sizes)))}"
        return [*rows, *(ParityCheck(what=what, equal=False, figure=f"not compared: {missing}") for what in ("logits", "greedy text"))]
    return [*rows, _logits(networks, same), _greedy(networks, same, tokens)]


def refuse_difference(rows: Sequence[ParityCheck], what: str) -> None:
    """Raise ModelError where the table of what was written, and of what should have been, has a row that differs."""
    wrong = [f"{row.what}: {row.figure}" for row in rows if not row.equal]
    if wrong:
        raise ModelError(f"{what} would not be the same model ({'; '.join(wrong)}): nothing is written")


def _template(first: ComparedModel, second: ComparedModel) -> ParityCheck:
    templates = [first.template, second.template]
    if None in templates:
        told = "neither has one" if templates == [None, None] else "only one has a template"
        return ParityCheck(what="template", equal=templates == [None, None], figure=told)
    equal = _conversation(first) == _conversation(second)
    return ParityCheck(
        what="template", equal=equal, figure="a conversation has the same text and ids" if equal else "a conversation differs"
    )


def _conversation(form: ComparedModel) -> tuple[str, list[int]]:
    """A conversation under the template, or the reason for which that refuses it."""
    try:
        chat = Chat(form.tokenizer, form.template or "").encode(CONVERSATION, answer=True)
    except ModelError as error:
        return str(error), []
    return chat.text, chat.ids.tolist()


@torch.inference_mode()
def _logits(networks: Sequence[Decoder], texts: Sequence[list[int]]) -> ParityCheck:
    worst, largest, agreed, count = 0.0, 1.0, 0, 0
    for ids in texts:
        one, other = (network(torch.tensor([ids])) for network in networks)
        worst, largest = max(worst, (one - other).abs().max().item()), max(largest, one.abs().max().item())
        agreed += int((one.argmax(-1) == other.argmax(-1)).sum())
        count += len(ids)
    figure = f"max abs difference {worst:.2g}; the likeliest token is the same at {agreed} of {count} places"
    return ParityCheck(what="logits", equal=worst <= CLOSE * largest, figure=figure)


def _greedy(networks: Sequence[Decoder], texts: Sequence[list[int]], tokens: int) -> ParityCheck:
    alike = [_continued(networks[0], ids, tokens) == _continued(networks[1], ids, tokens) for ids in texts]
    return ParityCheck(
        what="greedy text", equal=all(alike), figure=f"{sum(alike)} of {len(texts)} continuations of {tokens} tokens are the same"
    )


@torch.inference_mode()
def _continued(network: Decoder, ids: list[int], tokens: int) -> list[int]:
    """The likeliest tokens one after another, everything read anew each time: short, and no cache to trust."""
    made: list[int] = []
    for _ in range(tokens):
        seen = [*ids, *made][-network.config.max_position_embeddings :]
        logits: Tensor = network(torch.tensor([seen]))
        made.append(int(logits[0, -1].argmax()))
    return made
