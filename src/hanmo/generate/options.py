"""How tokens are drawn: the settings of one request; no torch here, so recipes and `--help` stay light."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hanmo.base.config import build
from hanmo.base.errors import ConfigError, ModelError


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How tokens are drawn, and when to stop."""

    max_tokens: int = 128
    """Most tokens to draw."""
    greedy: bool = False
    """Whether to take the most likely token every time; temperature, top-k, top-p and min-p then play no part."""
    temperature: float = 1.0
    """Logits are divided by it: below 1 safer, above 1 wilder."""
    top_k: int = 0
    """Draw from this many most likely tokens; 0 from all."""
    top_p: float = 1.0
    """Draw from the smallest set of most likely tokens whose probabilities reach this sum (nucleus)."""
    min_p: float = 0.0
    """Draw from tokens at least this share as likely as the most likely one."""
    repetition_penalty: float = 1.0
    """Above 1, tokens of the prompt and the text so far become less likely (CTRL)."""
    frequency_penalty: float = 0.0
    """Taken from a token's logit once for each time it was drawn (OpenAI)."""
    no_repeat_ngram_size: int = 0
    """No run of this many tokens comes twice; 0 allows all."""
    num_return_sequences: int = 1
    """How many texts for each prompt, each with a seed of its own."""
    seed: int | None = None
    """The same seed gives the same text; none takes a new one, which the result names."""
    stop: tuple[str, ...] = ()
    """Strings that end the text and are not part of it."""
    overflow: Literal["slide", "stop"] = "slide"
    """When the context is full: go on with its newer half, or stop."""
    logprobs: bool = False
    """Whether to give each drawn token's log-probability under the model, before all of the above."""

    def __post_init__(self) -> None:
        """Check every value.

        Raises ConfigError with the value seen and what to do.
        """
        _require(self.temperature > 0, "temperature", self.temperature, "above 0; for the most likely token every time use greedy")
        _require(self.temperature < float("inf"), "temperature", self.temperature, "finite")
        _require(self.max_tokens >= 0, "max_tokens", self.max_tokens, "at least 0")
        _require(self.top_k >= 0, "top_k", self.top_k, "at least 0 (0 draws from all tokens)")
        _require(0 < self.top_p <= 1, "top_p", self.top_p, "above 0 and at most 1")
        _require(0 <= self.min_p <= 1, "min_p", self.min_p, "from 0 to 1")
        _require(0 < self.repetition_penalty < float("inf"), "repetition_penalty", self.repetition_penalty, "above 0 (1 changes nothing)")
        _require(abs(self.frequency_penalty) < float("inf"), "frequency_penalty", self.frequency_penalty, "a finite number")
        _require(self.no_repeat_ngram_size >= 0, "no_repeat_ngram_size", self.no_repeat_ngram_size, "at least 0 (0 allows all)")
        _require(self.num_return_sequences >= 1, "num_return_sequences", self.num_return_sequences, "at least 1")
        _require(self.seed is None or 0 <= self.seed < 2**64, "seed", self.seed, "from 0 to 2^64 - 1")
        _require(all(self.stop), "stop", self.stop, "strings that are not empty")


def _require(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"{name} (={value}) should be {wanted}")


def changed(options: SamplingOptions, changes: Mapping[str, object]) -> SamplingOptions:
    """`options` with some fields replaced, types checked.

    Raises ConfigError for a field that does not exist (with the nearest one) or a value that cannot be.
    """
    return build(SamplingOptions, {**{field.name: getattr(options, field.name) for field in dataclasses.fields(options)}, **changes})


SAME_NAME = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "no_repeat_ngram_size")
WITHOUT_EFFECT: Mapping[str, tuple[object, ...]] = {
    "num_beams": (1,),
    "num_beam_groups": (1,),
    "diversity_penalty": (0.0,),
    "length_penalty": (1.0,),
    "penalty_alpha": (),
    "typical_p": (1.0,),
    "epsilon_cutoff": (0.0,),
    "eta_cutoff": (0.0,),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "bad_words_ids": (),
    "force_words_ids": (),
    "suppress_tokens": (),
    "begin_suppress_tokens": (),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "sequence_bias": (),
    "guidance_scale": (1.0,),
    "encoder_repetition_penalty": (1.0,),
    "encoder_no_repeat_ngram_size": (0,),
    "exponential_decay_length_penalty": (),
    "prompt_lookup_num_tokens": (),
}


def from_generation_config(values: Mapping[str, object]) -> SamplingOptions:
    """A model folder's own defaults (generation_config.json) in our words.

    Raises ModelError for a value that cannot be.
    """
    changes = {name: values[name] for name in SAME_NAME if values.get(name) is not None}
    if values.get("do_sample") is False:
        changes["greedy"] = True
    if values.get("max_new_tokens") is not None:
        changes["max_tokens"] = values["max_new_tokens"]
    try:
        return build(SamplingOptions, changes)
    except ConfigError as error:
        raise ModelError(f"generation_config.json: {error}") from error


def not_done(values: Mapping[str, object]) -> list[str]:
    """Keys of a generation_config.json that ask for something we do not do, to be told to the user."""
    return sorted(key for key, neutral in WITHOUT_EFFECT.items() if values.get(key) is not None and values[key] not in neutral)
