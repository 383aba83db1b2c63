"""The Python interface: `hanmo.load(path)` gives a model that writes, scores and embeds text, `hanmo.load_encoder` an encoder."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ModelError
from hanmo.convert.sources import local_model
from hanmo.generate.embed import TextEncoder
from hanmo.generate.loaded import TextModel
from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig, SoftmaxRegressionConfig
from hanmo.model.encoder_config import EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.rounding import Bits
from hanmo.model.scoring import language_model
from hanmo.model.store import Precision
from hanmo.tokenizer.rows import with_rows


@dataclass(frozen=True, kw_only=True)
class Score:
    """How likely a text is under a model, given that a text begins there."""

    bits: float
    """-log2 of the probability of the whole text."""
    bytes: int
    """Length of the text in UTF-8."""
    ids: list[int]
    """Its tokens."""
    logprobs: list[float]
    """Natural log-probability of each token, given all before it that the model sees."""

    @property
    def bits_per_byte(self) -> float:
        """The currency that models with different tokenizers share; NaN for an empty text."""
        return self.bits / self.bytes if self.bytes else math.nan


class LoadedModel(TextModel):
    """A model with its tokenizer, ready to continue and to score text."""

    @property
    def config(self) -> DecoderConfig | RecurrentConfig | SoftmaxRegressionConfig | NgramConfig | EncoderDecoderConfig:
        """What the network is made of."""
        return self.network.config

    def score(self, text: str, stride: int | None = None) -> Score:
        """How likely `text` is as a whole document; `stride` is how far a window advances beyond the context.

        Raises ModelError for an encoder-decoder, which gives no probability to a text alone.
        """
        if isinstance(self.network, EncoderDecoder):
            raise ModelError(f"{self.folder} holds an encoder-decoder: what it writes depends on what it reads, so a text has no score")
        ids: NDArray[np.int32] = self.tokenizer.encode(text)
        opened = np.concatenate([np.array([self.tokenizer.eot_id], ids.dtype), ids])
        with_rows(self.tokenizer, opened, self.config.vocab_size)
        logprobs = language_model(self.network).score([opened], stride)[0]
        return Score(bits=-float(logprobs.sum()) / math.log(2), bytes=len(text.encode()), ids=ids.tolist(), logprobs=logprobs.tolist())


def load(path: str | Path, *, dtype: Precision | Bits | None = "float32") -> LoadedModel:
    """The model in a model folder, a run, a GGUF file, or behind a fetched name or a hub name.

    dtype: float32, or bfloat16, int8, int4 for speed; None takes that of the file. Raises ModelError when there is no model.
    """
    return LoadedModel(local_model(path), dtype=dtype)


def load_encoder(path: str | Path, *, dtype: Precision | None = "float32") -> TextEncoder:
    """The encoder in a model folder or a run folder, or a fetched name, which turns texts into vectors.

    Raises ModelError when there is none.
    """
    return TextEncoder(local_model(path), dtype=dtype)
