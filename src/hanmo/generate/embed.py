"""Texts become vectors: the last hidden states of an encoder or of a network that writes, pooled as its folder says.

B texts, T tokens, D width.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hanmo.base.errors import ModelError, UsageError
from hanmo.base.runs import model_folder
from hanmo.generate.prompt import opening
from hanmo.generate.reader import context_of
from hanmo.model.decoder import Decoder
from hanmo.model.embedder import Embedder
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.ngram import Ngram
from hanmo.model.pooling import Pooling, PoolingKind, pool, read_pooling
from hanmo.model.quantized import QuantizedDecoder
from hanmo.model.recurrent import Recurrent
from hanmo.model.softmax_regression import SoftmaxRegression
from hanmo.model.store import AnyModel, Precision, load_model
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.rows import check_rows, with_rows

Network = Encoder | EncoderDecoder | Decoder | QuantizedDecoder | Recurrent
TOKENS_AT_ONCE = 1 << 13


class TextEncoder:
    """Embeds text.

    Raises ModelError when `path` holds no encoder, no tokenizer, or two that do not belong together.
    """

    def __init__(self, path: Path, *, dtype: Precision | None = "float32") -> None:
        self.folder = model_folder(path)
        network = load_model(self.folder, dtype=dtype)
        if not isinstance(network, Encoder | Embedder):
            raise ModelError(f"{self.folder} holds a {type(network).__name__.lower()}, not an encoder: hanmo.load reads it")
        self.network = network
        self.tokenizer = Tokenizer.load(self.folder)
        check_rows(self.tokenizer, network.config.vocab_size, self.folder)
        self.pooling: Pooling = read_pooling(self.folder)

    def embed(self, texts: Sequence[str], *, pooling: PoolingKind | None = None, normalize: bool | None = None) -> NDArray[np.float32]:
        """A vector for each text, [texts, D].

        pooling is mean, cls or last, normalize gives length 1; both are by default the folder's own. A text is cut off where
        the network, or its folder, sees no further. Raises UsageError for a single string.
        """
        return embed(self.network, self.tokenizer, texts, with_wishes(self.pooling, pooling, normalize))


def with_wishes(pooling: Pooling, kind: PoolingKind | None, normalize: bool | None) -> Pooling:
    """The folder's pooling with what the caller says."""
    return dataclasses.replace(pooling, kind=kind or pooling.kind, normalize=pooling.normalize if normalize is None else normalize)


def embed(network: AnyModel, tokenizer: Tokenizer, texts: Sequence[str], pooling: Pooling) -> NDArray[np.float32]:
    """A vector for each text, [texts, D]; texts of similar length share a batch.

    Raises UsageError for a single string, and for a model without hidden states.
    """
    if isinstance(texts, str):
        raise UsageError("embed takes a list of texts: put the one text in brackets")
    if isinstance(network, Ngram | SoftmaxRegression):
        raise UsageError("this model has no hidden state of a text: an encoder, a decoder or a recurrent network gives embeddings")
    rows = [_ids(network, tokenizer, text, pooling.max_tokens) for text in texts]
    vectors = np.zeros((len(rows), network.config.hidden_size), np.float32)
    order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
    start = 0
    while start < len(order):
        batch = order[start : start + max(1, TOKENS_AT_ONCE // len(rows[order[start]]))]
        vectors[batch] = _pooled(network, [rows[row] for row in batch], pooling)
        start += len(batch)
    return vectors


def _ids(network: Network, tokenizer: Tokenizer, text: str, most_tokens: int) -> list[int]:
    """The text between the tokens that open and close one: those of an encoder by their roles, others as when they generate."""
    if isinstance(network, Encoder):
        opens, closes = ([] if (id := tokenizer.special_id(role)) is None else [id] for role in ("cls_token", "sep_token"))
        ids, context = [*(opens or [tokenizer.eot_id]), *tokenizer.encode(text).tolist()], network.config.context_length
    else:
        begun, (_, closes), context = opening(network, tokenizer, text), tokenizer.frame(), context_of(network)
        ids = begun.ids if begun.source is None else begun.source[: len(begun.source) - len(closes)]
    longest = min((each for each in (most_tokens, context) if each), default=len(ids) + len(closes))
    return list(with_rows(tokenizer, [*ids[: longest - len(closes)], *closes], network.config.vocab_size))


@torch.inference_mode()
def _pooled(network: Network, rows: Sequence[Sequence[int]], pooling: Pooling) -> NDArray[np.float32]:
    device = next(network.parameters()).device
    ids_BT = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long, device=device)  # any token: what fills a row up is not seen
    seen_BT = torch.zeros_like(ids_BT, dtype=torch.bool)
    for place, row in enumerate(rows):
        ids_BT[place, : len(row)], seen_BT[place, : len(row)] = torch.tensor(row, device=device), True
    return pool(_states(network, ids_BT, seen_BT), seen_BT, pooling).float().cpu().numpy()


def _states(network: Network, ids_BT: Tensor, seen_BT: Tensor) -> Tensor:
    """The last hidden state [B, T, D] of every token; what fills a row up stands behind it, where no causal network looks."""
    full = bool(seen_BT.all())
    if isinstance(network, Encoder):
        return network.hidden(ids_BT, None if full else (~seen_BT).long())
    if isinstance(network, EncoderDecoder):
        return network.read(ids_BT, None if full else seen_BT)
    return network.hidden(ids_BT)
