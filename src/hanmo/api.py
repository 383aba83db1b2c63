"""The Python interface: `hanmo.load(path)` gives a model that continues and scores text."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ModelError, UsageError
from hanmo.base.folders import recover_folder
from hanmo.base.progress import say
from hanmo.base.runs import Run, model_folder
from hanmo.generate import engine
from hanmo.generate.engine import Generation
from hanmo.generate.options import SamplingOptions, changed, from_generation_config, not_done
from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.ngram import Ngram
from hanmo.model.recurrent import Recurrent
from hanmo.model.scoring import language_model
from hanmo.model.store import Precision, load_model, read_generation
from hanmo.tokenizer.load import Tokenizer

Options = SamplingOptions | None


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


class LoadedModel:
    """A model with its tokenizer, ready to continue and to score text.

    network, tokenizer, config: the parts. defaults: how the folder says tokens should be drawn. end_ids: tokens that end a text.
    """

    def __init__(self, folder: Path, *, dtype: Precision | None = "float32") -> None:
        self.folder = folder
        self.network: Decoder | Recurrent | Ngram = load_model(folder, dtype=dtype)
        if not (folder / "tokenizer.json").is_file():
            raise ModelError(f"{folder} has no tokenizer.json: save the model with its tokenizer")
        self.tokenizer = Tokenizer.load(folder)
        if self.tokenizer.vocab_size > self.network.config.vocab_size:
            raise ModelError(
                f"the tokenizer of {folder} has {self.tokenizer.vocab_size} ids, the model {self.network.config.vocab_size}: "
                "they do not belong together"
            )
        values = read_generation(folder)
        self.defaults = from_generation_config(values)
        for key in not_done(values):
            say(f"{folder / 'generation_config.json'}: {key} is not done here")
        self.end_ids = _ids(values.get("eos_token_id"))

    @property
    def config(self) -> DecoderConfig | RecurrentConfig | NgramConfig:
        """What the network is made of."""
        return self.network.config

    @overload
    def generate(self, prompt: str, options: Options = None, **changes: object) -> str: ...
    @overload
    def generate(self, prompt: list[str] | tuple[str, ...], options: Options = None, **changes: object) -> list[str]: ...

    def generate(self, prompt: str | list[str] | tuple[str, ...], options: Options = None, **changes: object) -> str | list[str]:
        """The new text after a prompt, or after each of several.

        `options`, by default the model's own, with `changes` (temperature=0.8, max_tokens=50, ...; see SamplingOptions).
        Raises UsageError for an option that does not exist, a prompt that does not fit, and several sequences of one
        prompt that is not in a list.
        """
        chosen = self._options(options, changes)
        if isinstance(prompt, str):
            self._refuse_several(chosen)
            return self.generations([prompt], chosen)[0].text
        return [each.text for each in self.generations(prompt, chosen)]

    def generations(self, prompts: Sequence[str], options: Options = None, **changes: object) -> list[Generation]:
        """As `generate`, with ids, finish reason, seed and log-probabilities; several sequences stand side by side."""
        chosen = self._options(options, changes)
        return engine.generate(self.network, self.tokenizer, prompts, chosen, end_ids=self.end_ids)

    def stream(self, prompt: str, options: Options = None, **changes: object) -> Iterator[str]:
        """The new text piece by piece, whole characters only; joined, it is what `generate` gives."""
        chosen = self._options(options, changes)
        self._refuse_several(chosen)
        return (piece for _, piece in engine.stream(self.network, self.tokenizer, [prompt], chosen, end_ids=self.end_ids))

    def score(self, text: str, stride: int | None = None) -> Score:
        """How likely `text` is as a whole document; `stride` is how far a window advances beyond the context."""
        ids: NDArray[np.int32] = self.tokenizer.encode(text)
        opened = np.concatenate([np.array([self.tokenizer.eot_id], ids.dtype), ids])
        logprobs = language_model(self.network).score([opened], stride)[0]
        return Score(bits=-float(logprobs.sum()) / math.log(2), bytes=len(text.encode()), ids=ids.tolist(), logprobs=logprobs.tolist())

    def _options(self, options: Options, changes: dict[str, object]) -> SamplingOptions:
        chosen = self.defaults if options is None else options
        return changed(chosen, changes) if changes else chosen

    def _refuse_several(self, options: SamplingOptions) -> None:
        if options.num_return_sequences > 1:
            raise UsageError(
                f"num_return_sequences (={options.num_return_sequences}) of one prompt are several texts: "
                "give a list of prompts, or call generations"
            )


def load(path: str | Path, *, dtype: Precision | None = "float32") -> LoadedModel:
    """The model in a model folder or a run folder.

    dtype: precision to compute in, None takes that of the file. Raises ModelError when there is no model.
    """
    place = Path(path)
    for folder in (place, Run(place).model):
        recover_folder(folder.absolute())
    return LoadedModel(model_folder(place), dtype=dtype)


def _ids(value: object) -> list[int]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, int)]
