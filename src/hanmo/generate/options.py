"""How tokens are drawn: the settings of one request; no torch here, so recipes and `--help` stay light."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from hanmo.base.config import build
from hanmo.base.errors import ConfigError, ModelError
from hanmo.generate.settings import plain_settings


@dataclass(frozen=True, kw_only=True)
class LengthOptions:
    """How long a text becomes, and what ends it."""

    max_tokens: int = 128
    """Most tokens to draw."""
    min_tokens: int = 0
    """No end-of-text token before this many tokens are drawn."""
    min_length: int = 0
    """The same with the tokens of the prompt counted."""
    stop: tuple[str, ...] = ()
    """Strings that end the text and are not part of it."""
    overflow: Literal["slide", "stop"] = "slide"
    """When the context is full: go on with its newer half, or stop. Searches stop."""


@dataclass(frozen=True, kw_only=True)
class DrawOptions:
    """How the next token is drawn."""

    greedy: bool = False
    """Whether to take the most likely token every time; temperature and all that only narrows the draw then play no part."""
    temperature: float = 1.0
    """Logits are divided by it: below 1 safer, above 1 wilder."""
    top_k: int = 0
    """Draw from this many most likely tokens; 0 from all. Contrastive search weighs this many."""
    top_p: float = 1.0
    """Draw from the smallest set of most likely tokens whose probabilities reach this sum (nucleus)."""
    min_p: float = 0.0
    """Draw from tokens at least this share as likely as the most likely one."""
    typical_p: float = 1.0
    """Draw from the tokens whose surprise is nearest to the expected one, up to this sum of probabilities."""
    epsilon_cutoff: float = 0.0
    """Draw from tokens at least this likely."""
    eta_cutoff: float = 0.0
    """The same with a bound that falls where the model is uncertain."""
    seed: int | None = None
    """The same seed gives the same text; none takes a new one, which the result names."""


@dataclass(frozen=True, kw_only=True)
class PenaltyOptions:
    """What makes some tokens less likely, or impossible."""

    repetition_penalty: float = 1.0
    """Above 1, tokens of the prompt and the text so far become less likely (CTRL)."""
    frequency_penalty: float = 0.0
    """Taken from a token's logit once for each time it was drawn (OpenAI)."""
    presence_penalty: float = 0.0
    """Taken from a token's logit once when it was drawn at all (OpenAI)."""
    no_repeat_ngram_size: int = 0
    """No run of this many tokens comes twice; 0 allows all."""
    dry_multiplier: float = 0.0
    """Above 0, a token that would go on with a repetition is made less likely, more with each token of it (DRY)."""
    dry_base: float = 1.75
    """What each further token of a repetition multiplies that by."""
    dry_allowed_length: int = 2
    """Repetitions up to this many tokens cost nothing."""
    dry_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    """A repetition does not reach over a token with one of these strings."""
    logit_bias: dict[int, float] = field(default_factory=dict)
    """Added to the logits of tokens, by id; -inf forbids one."""
    bad_words: tuple[str, ...] = ()
    """Strings whose tokens never follow one another, with and without a space before."""


@dataclass(frozen=True, kw_only=True)
class FormOptions:
    """What the new text has to look like; needs hanmo[constrain]."""

    json_schema: str = ""
    """A JSON schema, as JSON, that the new text has to satisfy."""
    regex: str = ""
    """A regular expression that the new text has to match as a whole."""
    grammar: str = ""
    """A grammar in Lark's notation, from `start`, that the new text has to follow."""
    close_json: int = 0
    """Under json_schema, when max_tokens cuts the text: at most this many tokens more, which close it as soon as the schema allows."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Several texts, searches in place of a draw, and guessing ahead."""

    num_return_sequences: int = 1
    """How many texts for each prompt, each with a seed of its own; of beams the best."""
    num_beams: int = 1
    """Above 1, beam search: as many texts are kept side by side and the most likely win; nothing is drawn."""
    length_penalty: float = 1.0
    """A beam's log-probability is divided by its length to this power: above 0 longer texts win, below 0 shorter ones."""
    early_stopping: bool | Literal["never"] = False
    """When beams end: once enough are finished; when no running one looks better at its length (false); when none can be (never)."""
    num_beam_groups: int = 1
    """Beams in groups that are kept apart by diversity_penalty; divides num_beams."""
    diversity_penalty: float = 0.0
    """Taken from a token's score for each beam of an earlier group that chose it at this place."""
    penalty_alpha: float = 0.0
    """Above 0, contrastive search: of the top_k likely tokens the one that is least like what was said; this is its weight."""
    renormalize_logits: bool = False
    """Whether a beam's log-probabilities are made to sum to one again after all that is taken from them."""
    forced_bos_token_id: int | None = None
    """The token that comes first, for a text opened by one token alone: a translator's target language, say."""
    forced_eos_token_id: int | None = None
    """The token that comes last when max_tokens is reached."""
    speculate: int = 0
    """How many tokens to guess and then check in one pass; the text stays what it is. The text itself is the guide, or a draft model."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What is told of each token."""

    logprobs: bool = False
    """Whether to give each drawn token's log-probability under the model, before all of the above."""
    top_logprobs: int = 0
    """With logprobs, as many of the likeliest tokens beside each one."""
    prompt_logprobs: bool = False
    """Whether to give the log-probability of each token of the prompt, too; with max_tokens 0 nothing else is done."""


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(ReportOptions, SearchOptions, FormOptions, PenaltyOptions, DrawOptions, LengthOptions):
    """How tokens are drawn, and when to stop."""

    def __post_init__(self) -> None:
        """Check every value, and that together they mean something.

        Raises ConfigError with the value seen and what to do.
        """
        for name, (least, most, wanted) in RANGES.items():
            value = getattr(self, name)
            _require(value == value and least <= value <= most, name, value, wanted)
        _require(self.temperature > 0, "temperature", self.temperature, "above 0; for the most likely token every time use greedy")
        _require(self.top_p > 0, "top_p", self.top_p, "above 0 and at most 1")
        _require(self.typical_p > 0, "typical_p", self.typical_p, "above 0 and at most 1")
        _require(self.repetition_penalty > 0, "repetition_penalty", self.repetition_penalty, "above 0 (1 changes nothing)")
        _require(self.seed is None or 0 <= self.seed < 2**64, "seed", self.seed, "from 0 to 2^64 - 1")
        for name in ("stop", "bad_words", "dry_breakers"):
            _require(all(getattr(self, name)), name, getattr(self, name), "strings that are not empty")
        for name in ("forced_bos_token_id", "forced_eos_token_id"):
            token = getattr(self, name)
            _require(token is None or token >= 0, name, token, "a token id")
        for token, bias in self.logit_bias.items():
            _require(token >= 0 and bias < INFINITY, "logit_bias", {token: bias}, "token ids with numbers, minus infinity at the least")
        for wrong, message in self._contradictions():
            if wrong:
                raise ConfigError(message)

    @property
    def method(self) -> Literal["draw", "beams", "contrastive"]:
        """Which loop makes the text."""
        return "beams" if self.num_beams > 1 else "contrastive" if self.penalty_alpha else "draw"

    def _contradictions(self) -> list[tuple[bool, str]]:
        """Combinations that mean nothing, each with what to do."""
        beams, groups, wanted = self.num_beams, self.num_beam_groups, self.num_return_sequences
        search = self.method != "draw"
        forms = [name for name in FORMS if getattr(self, name)]
        return [
            (len(forms) > 1, f"a text follows one form, not {' and '.join(forms)}: leave one out"),
            (search and bool(forms), f"{' '.join(forms)} guides a draw: leave the search (num_beams, penalty_alpha) out"),
            (search and self.speculate > 0, "speculate is for drawing: leave it or the search (num_beams, penalty_alpha) out"),
            (bool(self.close_json) and not self.json_schema, "close_json ends a text under json_schema: give one or leave it out"),
            (self.max_tokens < self.min_tokens, f"min_tokens (={self.min_tokens}) exceeds max_tokens (={self.max_tokens}): lower it"),
            (bool(self.penalty_alpha) and beams > 1, "penalty_alpha and num_beams are two searches: leave one out"),
            (beams % groups != 0, f"num_beam_groups (={groups}) should divide num_beams (={beams})"),
            (
                groups > 1 and not self.diversity_penalty,
                f"num_beam_groups (={groups}) without diversity_penalty are equal: set one above 0",
            ),
            (
                bool(self.diversity_penalty) and groups == 1,
                "diversity_penalty keeps groups of beams apart: set num_beam_groups to 2 or more",
            ),
            (beams == 1 and self.length_penalty != 1, "length_penalty compares beams: set num_beams to 2 or more"),
            (beams == 1 and self.early_stopping is not False, "early_stopping ends beams: set num_beams to 2 or more"),
            (beams > 1 and wanted > beams, f"num_return_sequences (={wanted}) exceeds num_beams (={beams}): raise num_beams"),
            (bool(self.penalty_alpha) and wanted > 1, f"contrastive search has one text, not num_return_sequences (={wanted})"),
            (
                bool(self.penalty_alpha) and self.top_k < 2,
                f"contrastive search chooses among top_k (={self.top_k}) tokens: set it to 2 or more",
            ),
            (beams > 1 and bool(self.stop), "beams are compared when they are whole: leave stop out or search without beams"),
            (beams > 1 and self.logprobs, "beams carry one score, not logprobs: leave one out"),
            (
                bool(self.top_logprobs) and not (self.logprobs or self.prompt_logprobs),
                "top_logprobs stand beside logprobs: ask for those as well",
            ),
        ]


FORMS = ("json_schema", "regex", "grammar")
INFINITY = float("inf")
LARGEST = 1e300
RANGES: Mapping[str, tuple[float, float, str]] = {
    "max_tokens": (0, INFINITY, "at least 0"),
    "min_tokens": (0, INFINITY, "at least 0"),
    "min_length": (0, INFINITY, "at least 0"),
    "temperature": (0, LARGEST, "above 0 and finite; for the most likely token every time use greedy"),
    "top_k": (0, INFINITY, "at least 0 (0 draws from all tokens)"),
    "top_p": (0, 1, "above 0 and at most 1"),
    "min_p": (0, 1, "from 0 to 1"),
    "typical_p": (0, 1, "above 0 and at most 1"),
    "epsilon_cutoff": (0, 1, "from 0 to 1"),
    "eta_cutoff": (0, 1, "from 0 to 1"),
    "repetition_penalty": (0, LARGEST, "above 0 and finite (1 changes nothing)"),
    "frequency_penalty": (-LARGEST, LARGEST, "a finite number"),
    "presence_penalty": (-LARGEST, LARGEST, "a finite number"),
    "no_repeat_ngram_size": (0, INFINITY, "at least 0 (0 allows all)"),
    "dry_multiplier": (0, LARGEST, "at least 0 (0 changes nothing)"),
    "dry_base": (1, LARGEST, "at least 1"),
    "dry_allowed_length": (1, INFINITY, "at least 1"),
    "num_beams": (1, 1000, "from 1 (no beams) to 1000"),
    "length_penalty": (-LARGEST, LARGEST, "a finite number"),
    "num_beam_groups": (1, 1000, "from 1 (no groups) to num_beams"),
    "diversity_penalty": (0, LARGEST, "at least 0"),
    "penalty_alpha": (0, 1, "from 0 (no contrastive search) to 1"),
    "close_json": (0, 10_000, "from 0 (a text that is cut stays cut) to 10000"),
    "speculate": (0, 1000, "from 0 (no speculation) to 1000"),
    "num_return_sequences": (1, INFINITY, "at least 1"),
    "top_logprobs": (0, 1000, "from 0 to 1000"),
}


def _require(holds: bool, name: str, value: object, wanted: str) -> None:
    if not holds:
        raise ConfigError(f"{name} (={value}) should be {wanted}")


GROUPS: Mapping[str, type] = {
    "length": LengthOptions,
    "draw": DrawOptions,
    "penalty": PenaltyOptions,
    "form": FormOptions,
    "search": SearchOptions,
    "report": ReportOptions,
}
"""The options in groups, as `--help` shows them."""


def parts_of(options: SamplingOptions) -> dict[str, object]:
    """The options group by group."""
    return {name: kind(**{each.name: getattr(options, each.name) for each in dataclasses.fields(kind)}) for name, kind in GROUPS.items()}


def gathered(groups: Iterable[object]) -> SamplingOptions:
    """The options in some groups of them; the rest are the defaults.

    Raises ConfigError for values that mean nothing together.
    """
    values = {each.name: getattr(group, each.name) for group in groups for each in dataclasses.fields(group)}  # pyright: ignore[reportArgumentType]
    return SamplingOptions(**values)


def changed(options: SamplingOptions, changes: Mapping[str, object]) -> SamplingOptions:
    """`options` with some fields replaced, types checked; what was said before yields to what is said now.

    Raises ConfigError for a field that does not exist (with the nearest one) or a value that cannot be.
    """
    before = yielding(options, changes)
    return build(SamplingOptions, {**{field.name: getattr(before, field.name) for field in dataclasses.fields(before)}, **changes})


def yielding(options: SamplingOptions, said: Mapping[str, object]) -> SamplingOptions:
    """`options` without what some settings overrule: one that narrows a draw asks for a draw, greedy and a form for no search.

    said: the settings by name; of their values only numbers of beams and tokens and greedy count, which may also be words.
    """
    single = str(said.get("num_beams", 2)) in ("0", "1")
    draws = said.keys() & DRAWN - ({"top_k"} if options.penalty_alpha else set())
    alone = draws or single or said.keys() & {*FORMS, "speculate"} or str(said.get("greedy", False)) == "True"
    changes: dict[str, object] = {}
    if draws and "greedy" not in said:
        changes["greedy"] = False
    if (alone and "num_beams" not in said) or single or "penalty_alpha" in said:
        changes |= {"num_beams": 1, "num_beam_groups": 1, "diversity_penalty": 0.0, "length_penalty": 1.0, "early_stopping": False}
    if alone or "num_beams" in said:
        changes["penalty_alpha"] = 0.0
    if (most := str(said.get("max_tokens"))).isdecimal():
        changes["min_tokens"] = min(options.min_tokens, int(most))
    return dataclasses.replace(options, **changes)  # pyright: ignore[reportArgumentType]


DRAWN = frozenset(["temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"])
"""Settings that play a part only where tokens are drawn."""
SAME_NAME = (
    *("temperature", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"),
    *("repetition_penalty", "no_repeat_ngram_size", "min_length"),
    *("renormalize_logits", "forced_bos_token_id", "forced_eos_token_id"),
)
THEIR_NAMES = (("max_new_tokens", "max_tokens"), ("min_new_tokens", "min_tokens"), ("prompt_lookup_num_tokens", "speculate"))
CANDIDATES = 50
"""What transformers takes for top_k where contrastive search is asked for alone."""
BEAMS = ("num_beams", "num_beam_groups", "diversity_penalty", "length_penalty", "early_stopping")
WITHOUT_EFFECT: Mapping[str, tuple[object, ...]] = {
    "force_words_ids": (),
    "begin_suppress_tokens": (),
    "sequence_bias": (),
    "guidance_scale": (1.0,),
    "encoder_repetition_penalty": (1.0,),
    "encoder_no_repeat_ngram_size": (0,),
    "exponential_decay_length_penalty": (),
}


def from_generation_config(values: Mapping[str, object]) -> SamplingOptions:
    """A model folder's own defaults (generation_config.json) in our words; what other tools call off is off.

    Raises ModelError for a value that cannot be.
    """
    values = plain_settings(values)
    changes: dict[str, object] = {name: values[name] for name in SAME_NAME if values.get(name) is not None}
    if values.get("do_sample") is False:
        changes["greedy"] = True
    for theirs, ours in THEIR_NAMES:
        if values.get(theirs) is not None:
            changes[ours] = values[theirs]
    if never := _never(values)[0]:
        changes["logit_bias"] = dict.fromkeys(never, -INFINITY)
    beams = values.get("num_beams")
    if isinstance(beams, int) and beams > 1:
        changes |= {name: values[name] for name in BEAMS if values.get(name) is not None}
    elif values.get("penalty_alpha"):
        changes = {"top_k": CANDIDATES, **changes, "penalty_alpha": values["penalty_alpha"]}
    try:
        return build(SamplingOptions, changes)
    except ConfigError as error:
        raise ModelError(f"generation_config.json: {error}") from error


SAYS_HOW = ("do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty", "num_beams", "penalty_alpha")
CALM: Mapping[str, object] = {"temperature": 0.7, "min_p": 0.1, "repetition_penalty": 1.1}
"""How an answer is drawn where the model's folder says nothing: docs/log.md has what this was chosen from."""
ANSWER_TOKENS = 512
"""Most tokens of an answer where the model's folder says nothing."""


def for_answers(values: Mapping[str, object]) -> SamplingOptions:
    """The defaults of a conversation: a model folder's own (generation_config.json), and where it says nothing those that ramble least.

    Raises ModelError for a value that cannot be.
    """
    options = from_generation_config(values)
    if plain_settings(values).get("max_new_tokens") is None:
        options = changed(options, {"max_tokens": max(ANSWER_TOKENS, options.min_tokens)})
    return options if any(values.get(name) is not None for name in SAYS_HOW) else changed(options, CALM)


def not_done(values: Mapping[str, object]) -> list[str]:
    """Keys of a generation_config.json that ask for something we do not do, to be told to the user."""
    found = [key for key, neutral in WITHOUT_EFFECT.items() if values.get(key) is not None and values[key] not in neutral]
    return sorted([*found, *(["bad_words_ids"] if _never(values)[1] else [])])


def _never(values: Mapping[str, object]) -> tuple[list[int], bool]:
    """Tokens that never come (`suppress_tokens`, single ones of `bad_words_ids`), and whether longer words are forbidden: not done."""
    words, tokens = values.get("bad_words_ids"), values.get("suppress_tokens")
    words = words if isinstance(words, list) else []
    single = [word[0] for word in words if isinstance(word, list) and len(word) == 1]
    ends = values.get("eos_token_id")
    ends = ends if isinstance(ends, list) else [ends]  # elsewhere too, a bad word that ends a text does not count
    never = [*(each for each in single if each not in ends), *(tokens if isinstance(tokens, list) else [])]
    return [each for each in never if isinstance(each, int)], len(single) < len(words)
