"""A model with its tokenizer, out of one folder: what the engine needs, checked to belong together."""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ModelError, UsageError
from hanmo.base.folders import recover_folder
from hanmo.base.progress import Progress, say
from hanmo.base.runs import Run, model_folder
from hanmo.generate import engine, scheduler
from hanmo.generate.continuation import Generation
from hanmo.generate.embed import embed, with_wishes
from hanmo.generate.fill import Gap
from hanmo.generate.options import SamplingOptions, changed, for_answers, from_generation_config, not_done
from hanmo.generate.prompt import Prompt
from hanmo.generate.reader import context_of
from hanmo.generate.scored import Score
from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig, SoftmaxRegressionConfig
from hanmo.model.decoder import Decoder
from hanmo.model.embedder import Embedder
from hanmo.model.encoder_config import EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.pooling import PoolingKind, read_pooling
from hanmo.model.quantized import quantized
from hanmo.model.rounding import Bits
from hanmo.model.scoring import LanguageModel, language_model
from hanmo.model.store import Precision, Writer, load_writer, read_config, read_generation
from hanmo.tokenizer.chat import Chat, Messages, needed_template
from hanmo.tokenizer.ends import end_ids
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.rows import check_rows, with_rows

Options = SamplingOptions | None


class TextModel:
    """One loaded model: writes, answers, scores and embeds text.

    network, tokenizer: the parts. defaults: how the folder says tokens should be drawn; answer_defaults: the same for answers, where
    a folder that says nothing gets what rambles least. end_ids: tokens that end a text.
    dtype: float32 computes as other tools do, to the last digits; bfloat16, int8 and int4 round a decoder's weights and are faster;
    None takes the type of the file. Raises ModelError when `path` holds no model, no tokenizer, or two that do not belong together.
    """

    def __init__(self, path: Path, *, dtype: Precision | Bits | None = "float32") -> None:
        for place in (path, Run(path).model):
            recover_folder(place.absolute())
        self.folder = model_folder(path)
        self.network: Writer = load_answering(self.folder, dtype)
        self.tokenizer = Tokenizer.load(self.folder)
        rows = self.network.config.vocab_size
        check_rows(self.tokenizer, rows, self.folder)
        values = read_generation(self.folder)
        self.defaults = from_generation_config(values)
        self.answer_defaults = for_answers(values)
        for key in not_done(values):
            say(f"{self.folder / 'generation_config.json'}: {key} is not done here")
        self.end_ids = end_ids(self.tokenizer, values, read_config(self.folder), rows=rows)

    @overload
    def generate(self, prompt: str, options: Options = None, *, draft: "TextModel | None" = None, **changes: object) -> str: ...
    @overload
    def generate(
        self, prompt: list[str] | tuple[str, ...], options: Options = None, *, draft: "TextModel | None" = None, **changes: object
    ) -> list[str]: ...

    def generate(
        self, prompt: str | list[str] | tuple[str, ...], options: Options = None, *, draft: "TextModel | None" = None, **changes: object
    ) -> str | list[str]:
        """The new text after a prompt, or after each of several.

        `options`, by default the model's own, with `changes` (temperature=0.8, max_tokens=50, ...; see SamplingOptions).
        `draft`: a smaller model with the same tokenizer that guesses ahead, with speculate=N; the text stays the same.
        Raises UsageError for an option that does not exist, a prompt that does not fit, and several sequences of one
        prompt that is not in a list.
        """
        chosen = self._options(options, changes)
        if isinstance(prompt, str):
            self._refuse_several(chosen)
            return self.generations([prompt], chosen, draft=draft)[0].text
        return [each.text for each in self.generations(prompt, chosen, draft=draft)]

    def fill(self, before: str, after: str, options: Options = None, **changes: object) -> str:
        """The text between two others, for a model that was trained to fill gaps."""
        chosen = self._options(options, changes)
        self._refuse_several(chosen)
        return self.generations([Gap(before, after)], chosen)[0].text

    def generations(
        self, prompts: Sequence[Prompt], options: Options = None, *, draft: "TextModel | None" = None, **changes: object
    ) -> list[Generation]:
        """As `generate`, with ids, finish reason, seed and log-probabilities; several sequences stand side by side."""
        chosen = self._options(options, changes)
        guide = None if draft is None else self.network_of(draft, chosen)
        return engine.generate(self.network, self.tokenizer, prompts, chosen, end_ids=self.end_ids, draft=guide)

    def chat(self, arguments: Mapping[str, object] | None = None) -> Chat:
        """The model's chat template, with values for variables of its own (`enable_thinking`, say); it is read once.

        Raises ModelError for a model without a template, ConfigError for a variable that it has not.
        """
        return Chat(self.tokenizer, self._template, arguments)

    @cached_property
    def _template(self) -> str:
        return needed_template(self.folder)

    def answer(
        self, messages: Messages, options: Options = None, *, arguments: Mapping[str, object] | None = None, **changes: object
    ) -> str:
        """What the assistant says next in a conversation, a list of {"role": "user", "content": "..."}, under the model's template.

        `options` are by default `answer_defaults`; `arguments` are the template's own. Raises as `chat`, and UsageError for a
        conversation that does not fit.
        """
        chosen = self._options(options or self.answer_defaults, changes)
        self._refuse_several(chosen)
        return self.generations([self.chat(arguments).encode(messages, answer=True)], chosen)[0].text

    def write(self, count: int, *, window: int = 256, seed: int = 0) -> NDArray[np.int64]:
        """`count` ids of text that the model writes when nothing is asked, in pieces of up to `window` tokens at temperature 1.

        The same seed gives the same ids.
        """
        pieces: list[int] = []
        with Progress("write", total=count, unit="tokens") as progress:
            while (left := count - len(pieces)) > 0:
                texts, before = min(-(-left // window), scheduler.ROWS), len(pieces)
                for one in self.generations([""], SamplingOptions(max_tokens=window - 1, seed=seed, num_return_sequences=texts)):
                    pieces += [self.tokenizer.eot_id, *one.ids]
                seed += texts
                progress.advance(len(pieces) - before)
        return np.array(pieces[:count], np.int64)

    @property
    def config(self) -> DecoderConfig | RecurrentConfig | SoftmaxRegressionConfig | NgramConfig | EncoderDecoderConfig:
        """What the network is made of."""
        return self.network.config

    @cached_property
    def scorer(self) -> LanguageModel:
        """What gives every token of given ids its probability.

        Raises ModelError for an encoder-decoder, which gives no probability to a text alone.
        """
        if isinstance(self.network, EncoderDecoder):
            raise ModelError(f"{self.folder} holds an encoder-decoder: what it writes depends on what it reads, so a text has no score")
        return language_model(self.network)

    def score(self, text: str, stride: int | None = None) -> Score:
        """How likely `text` is as a whole document; `stride` is how far a window advances beyond the context.

        Raises as `scorer`.
        """
        scorer, ids = self.scorer, self.tokenizer.encode(text)
        opened = np.concatenate([np.array([self.tokenizer.eot_id], ids.dtype), ids])
        with_rows(self.tokenizer, opened, self.config.vocab_size)
        logprobs = scorer.score([opened], stride)[0]
        return Score(bits=-float(logprobs.sum()) / math.log(2), bytes=len(text.encode()), ids=ids.tolist(), logprobs=logprobs.tolist())

    @property
    def context(self) -> int | None:
        """Most tokens the network sees at once; None where there is no such bound."""
        return context_of(self.network)

    def embed(self, texts: Sequence[str], *, pooling: PoolingKind | None = None, normalize: bool | None = None) -> NDArray[np.float32]:
        """A vector for each text, [texts, D]: the mean of its tokens' last hidden states, or the last token's (pooling="last").

        Of an encoder-decoder, those of its encoder. pooling and normalize are by default the folder's own.
        Raises UsageError for a single string, and for a model without hidden states.
        """
        return embed(self.network, self.tokenizer, texts, with_wishes(read_pooling(self.folder), pooling, normalize))

    def network_of(self, draft: "TextModel", options: SamplingOptions) -> Writer:
        """The network of a draft for this model.

        Raises UsageError for one with another tokenizer, and when nothing is to be guessed.
        """
        if not options.speculate:
            raise UsageError("a draft guesses ahead: say how far with speculate (5, say)")
        if draft.tokenizer.fingerprint != self.tokenizer.fingerprint:
            raise UsageError(f"the draft {draft.folder} has another tokenizer than {self.folder}: its guesses would mean something else")
        return draft.network

    def stream(self, prompt: str, options: Options = None, **changes: object) -> Iterator[str]:
        """The new text piece by piece, whole characters only; joined, it is what `generate` gives."""
        chosen = self._options(options, changes)
        self._refuse_several(chosen)
        return (piece for _, piece in engine.stream(self.network, self.tokenizer, [prompt], chosen, end_ids=self.end_ids))

    def _options(self, options: Options, changes: dict[str, object]) -> SamplingOptions:
        chosen = self.defaults if options is None else options
        return changed(chosen, changes) if changes else chosen

    def _refuse_several(self, options: SamplingOptions) -> None:
        if options.num_return_sequences > 1:
            raise UsageError(
                f"num_return_sequences (={options.num_return_sequences}) of one prompt are several texts: "
                "give a list of prompts, or call generations"
            )


def load_answering(folder: Path, dtype: Precision | Bits | None) -> Writer:
    """The network of a model folder for answering: a decoder in few bits is packed for the kernels, others are as they are."""
    if dtype is None or dtype == "float32":
        return load_writer(folder, dtype=dtype)
    network = load_writer(folder, dtype="bfloat16" if dtype == "bfloat16" else None)
    return quantized(network, dtype) if isinstance(network, Decoder) and not isinstance(network, Embedder) else network
