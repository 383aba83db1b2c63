"""Text of a given form: a JSON schema, a regular expression or a grammar decides which tokens may come next.

In: the form, the tokenizer. Out: for each sequence a mask over the vocabulary that follows its tokens. The work is done
by llguidance (optional extra `constrain`), which walks a parser and the tokens' bytes together. Bounded: a form that
takes too long or too much to build is refused. Nothing here draws tokens.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hanmo.base.errors import ConfigError, MissingExtraError, UsageError
from hanmo.generate.options import FORMS, SamplingOptions
from hanmo.tokenizer.load import Tokenizer

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

LONGEST_FORM = 100_000


class Form:
    """What a text has to look like, ready to be followed by any number of sequences."""

    def __init__(self, kind: str, source: str, vocabulary: "LLTokenizer") -> None:
        from llguidance import LLMatcher

        if len(source) > LONGEST_FORM:
            raise ConfigError(f"{kind} has {len(source)} characters, more than {LONGEST_FORM}: shorten it")
        self._vocabulary, self._grammar = vocabulary, _grammar(kind, source)
        message = LLMatcher.validate_grammar(self._grammar, vocabulary)
        if message and not message.startswith("WARNING"):
            raise ConfigError(f"{kind} is not one that can be followed: {' '.join(message.split())}")

    def start(self) -> "Following":
        """Follow the form from its beginning."""
        from llguidance import LLMatcher

        return Following(LLMatcher(self._vocabulary, self._grammar, log_level=0))


class Following:
    """A form on its way along one sequence."""

    def __init__(self, matcher: "LLMatcher") -> None:
        self._matcher = matcher

    def allowed(self, size: int) -> Tensor:
        """Which of `size` ids may come next, as a mask [V]; the end tokens where the text may end.

        Raises UsageError where the parser gave up (a form beyond its limits).
        """
        bias = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.uint8) > 0
        if self._matcher.is_error():
            raise UsageError(f"the form cannot be followed any further: {' '.join(self._matcher.get_error().split())}")
        mask_V = torch.zeros(size, dtype=torch.bool)
        mask_V[: len(bias)] = bias[:size]
        return mask_V

    def take(self, token: int) -> None:
        """Go on by one token that was allowed."""
        self._matcher.consume_token(token)

    def copy(self) -> "Following":
        """The same place, to go on from on its own."""
        return Following(self._matcher.deep_copy())

    @property
    def is_complete(self) -> bool:
        """Whether the text is whole and nothing can follow it."""
        return self._matcher.is_stopped() and not self._matcher.is_error()


def form_of(options: SamplingOptions, tokenizer: Tokenizer, end_ids: Sequence[int]) -> Form | None:
    """The form that the options ask for; None when they ask for none.

    Raises ConfigError for one that cannot be followed, MissingExtraError without llguidance, UsageError for a tokenizer
    that does not write bytes.
    """
    wanted = [(kind, source) for kind in FORMS if (source := getattr(options, kind))]
    if not wanted:
        return None
    try:
        import llguidance  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError as error:
        raise MissingExtraError("llguidance", "constrain") from error
    if not tokenizer.adds_bytes:
        raise UsageError(f"{wanted[0][0]} needs a tokenizer whose text is its tokens' bytes, not {tokenizer.kind}")
    return Form(*wanted[0], _vocabulary(tokenizer, tuple(end_ids)))


@dataclass(frozen=True)
class _Bytes:
    """A tokenizer as llguidance asks for one."""

    tokenizer: Tokenizer
    tokens: list[bytes]
    special_token_ids: list[int]
    eos_token_id: int
    bos_token_id: int | None = None
    is_tokenizer_wrapper: bool = True

    def __call__(self, text: str | bytes) -> list[int]:
        written = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        return self.tokenizer.encode(written).tolist()


@lru_cache(maxsize=4)
def _vocabulary(tokenizer: Tokenizer, end_ids: tuple[int, ...]) -> "LLTokenizer":
    """A tokenizer in llguidance's form; building it takes a moment, so the last ones are kept."""
    from llguidance import LLTokenizer

    tokens = [tokenizer.bytes_of(id) for id in range(tokenizer.vocab_size)]
    silent = [id for id, text in enumerate(tokens) if not text]
    named = [text or tokenizer.visible(id).encode() for id, text in enumerate(tokens)]
    return LLTokenizer(_Bytes(tokenizer, named, silent, end_ids[0]), eos_token=list(end_ids))  # pyright: ignore[reportArgumentType]


def _grammar(kind: str, source: str) -> str:
    from llguidance import LLMatcher

    if kind == "regex":
        return LLMatcher.grammar_from_regex(source)
    if kind == "grammar":
        return LLMatcher.grammar_from_lark(source)
    try:
        schema = json.loads(source)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"json_schema is not JSON: {error}") from error
    if not isinstance(schema, dict | bool):
        raise ConfigError(f"json_schema should be an object, not {type(schema).__name__}")
    return LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides={"whitespace_flexible": False})
