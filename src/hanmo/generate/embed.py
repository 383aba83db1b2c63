"""Texts become vectors: an encoder with its tokenizer, out of one folder, pooled as the folder says.

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
from hanmo.model.encoder import Encoder
from hanmo.model.pooling import Pooling, PoolingKind, pool, read_pooling
from hanmo.model.store import Precision, load_model
from hanmo.tokenizer.load import Tokenizer

TOKENS_AT_ONCE = 1 << 13


class TextEncoder:
    """Embeds text.

    Raises ModelError when `path` holds no encoder, no tokenizer, or two that do not belong together.
    """

    def __init__(self, path: Path, *, dtype: Precision | None = "float32") -> None:
        self.folder = model_folder(path)
        network = load_model(self.folder, dtype=dtype)
        if not isinstance(network, Encoder):
            raise ModelError(f"{self.folder} holds a {type(network).__name__.lower()}, not an encoder: hanmo.load reads it")
        self.network = network
        self.tokenizer = Tokenizer.load(self.folder)
        if self.tokenizer.vocab_size > network.config.vocab_size:
            raise ModelError(
                f"the tokenizer of {self.folder} has {self.tokenizer.vocab_size} ids, the model {network.config.vocab_size}: "
                "they do not belong together"
            )
        self.pooling: Pooling = read_pooling(self.folder)

    def embed(self, texts: Sequence[str], *, pooling: PoolingKind | None = None, normalize: bool | None = None) -> NDArray[np.float32]:
        """A vector for each text, [texts, D]; pooling and normalize, by default the folder's own, are mean or cls, and length 1 or not.

        Texts of similar length share a batch; a text is cut off where the network, or its folder, sees no further.
        Raises UsageError for a single string.
        """
        if isinstance(texts, str):
            raise UsageError("embed takes a list of texts: put the one text in brackets")
        chosen = dataclasses.replace(
            self.pooling,
            kind=pooling or self.pooling.kind,
            normalize=self.pooling.normalize if normalize is None else normalize,
        )
        rows = [self._ids(text) for text in texts]
        vectors = np.zeros((len(rows), self.network.config.hidden_size), np.float32)
        order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
        start = 0
        while start < len(order):
            batch = order[start : start + max(1, TOKENS_AT_ONCE // len(rows[order[start]]))]
            vectors[batch] = self._embed([rows[row] for row in batch], chosen)
            start += len(batch)
        return vectors

    def _ids(self, text: str) -> NDArray[np.int64]:
        """The text between the tokens that open and close one, where the tokenizer names them."""
        opening, closing = ([] if (id := self.tokenizer.special_id(role)) is None else [id] for role in ("cls_token", "sep_token"))
        opening = opening or [self.tokenizer.eot_id]
        longest = min(self.pooling.max_tokens or self.network.config.context_length, self.network.config.context_length)
        ids = self.tokenizer.encode(text)[: max(0, longest - len(opening) - len(closing))]
        return np.concatenate([opening, ids, closing]).astype(np.int64)

    @torch.inference_mode()
    def _embed(self, rows: Sequence[NDArray[np.int64]], pooling: Pooling) -> NDArray[np.float32]:
        ids_BT = np.full((len(rows), max(len(row) for row in rows)), self.network.config.pad_token_id or 0)
        segments_BT = np.ones_like(ids_BT)
        for ids, segments, row in zip(ids_BT, segments_BT, rows, strict=True):
            ids[: len(row)], segments[: len(row)] = row, 0
        device = next(self.network.parameters()).device
        padding_BT: Tensor = torch.from_numpy(segments_BT).to(device)
        alone = None if len({len(row) for row in rows}) == 1 else padding_BT
        states_BTD = self.network.hidden(torch.from_numpy(ids_BT).to(device), alone)
        return pool(states_BTD, padding_BT == 0, pooling).float().cpu().numpy()
