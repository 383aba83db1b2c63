"""Text of a given form: a JSON schema, a regular expression or a grammar decides which tokens may come next.

In: the form, the tokenizer. Out: for each sequence a mask over the vocabulary that follows its tokens. The work is done
by llguidance (optional extra `constrain`), which walks a parser and the tokens' bytes together. Bounded: a form that
takes too long or too much to build is refused. Nothing here draws tokens.
"""

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hanmo.base.errors import ConfigError, MissingExtraError, UsageError
from hanmo.generate.closing import QUOTE, Closers, Strings
from hanmo.generate.options import FORMS, SamplingOptions
from hanmo.generate.schema import followed, read_schema
from hanmo.generate.unique import UniqueItems, unique_items
from hanmo.tokenizer.load import Tokenizer

if TYPE_CHECKING:
    from llguidance import LLMatcher

LONGEST_FORM = 100_000
FEW, MOST_LOOKS = 48, 400
"""With so few tokens to choose from it is looked ahead whether they lead anywhere, at most so many tokens in all."""


class Form:
    """What a text has to look like, ready to be followed by any number of sequences.

    `notes` tell the user what of it is not checked.
    """

    def __init__(self, kind: str, source: str, vocabulary: "ByteVocabulary") -> None:
        from llguidance import LLMatcher

        if len(source) > LONGEST_FORM:
            raise ConfigError(f"{kind} has {len(source)} characters, more than {LONGEST_FORM}: shorten it")
        self.vocabulary = vocabulary
        self.notes: tuple[str, ...] = ()
        self._unique: UniqueItems | None = None
        if kind == "json_schema":
            asked = read_schema(source)
            self._unique = unique_items(asked)
            schema, self.notes = followed(asked, vocabulary.knows_format)
            source = json.dumps(schema)
        self._grammar = _grammar(kind, source)
        message = LLMatcher.validate_grammar(self._grammar, vocabulary.tokens)
        if message and not message.startswith("WARNING"):
            raise ConfigError(f"{kind} is not one that can be followed: {' '.join(message.split())}")

    def start(self) -> "Following":
        """Follow the form from its beginning."""
        from llguidance import LLMatcher

        return Following(LLMatcher(self.vocabulary.tokens, self._grammar, log_level=0), self.vocabulary, self._unique)


class Following:
    """A form on its way along one sequence."""

    def __init__(self, matcher: "LLMatcher", vocabulary: "ByteVocabulary", unique: UniqueItems | None = None) -> None:
        self._matcher, self._vocabulary, self._unique = matcher, vocabulary, unique
        self._strings = Strings()

    def allowed(self, size: int) -> Tensor:
        """Which of `size` ids may come next, as a mask [V]; the end tokens where the text may end.

        Raises UsageError where the parser gave up (a form beyond its limits), or no text can follow (items that have to differ).
        """
        mask_V = torch.zeros(size, dtype=torch.bool)
        found_V = self._followed()
        mask_V[: len(found_V)] = found_V[:size]
        if self._unique is not None and self._unique.is_asked:
            mask_V = self._without_repeated_items(mask_V)
        return mask_V

    def _followed(self) -> Tensor:
        """Which ids the parser lets come next, as a mask over the tokenizer's."""
        bias = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.uint8) > 0
        if self._matcher.is_error():
            raise UsageError(f"the form cannot be followed any further: {' '.join(self._matcher.get_error().split())}")
        return bias

    def _without_repeated_items(self, mask_V: Tensor) -> Tensor:
        """Without the ids that finish an item which is there already, or after which nothing else could be finished."""
        assert self._unique is not None
        ids, looks = mask_V.nonzero().flatten().tolist(), [MOST_LOOKS]
        if len(ids) > FEW and self._unique.is_in_string:
            ids = self._vocabulary.that_may_end_one_of(self._unique.rests(), mask_V)
        for id in ids:
            after = self._unique.after(self._vocabulary.texts[id])
            mask_V[id] = after is not None and self._goes_on(id, after, looks)
        if not bool(mask_V.any()):
            raise UsageError("the form cannot be followed any further: uniqueItems leaves no value that is not there already")
        return mask_V

    def _goes_on(self, id: int, after: UniqueItems, looks: list[int]) -> bool:
        """Whether, `id` taken, an item can be finished that is not there already; looking ahead where there is little to choose."""
        assert self._unique is not None
        if len(after) < len(self._unique) or (after.is_between and after.finished > self._unique.finished):
            return True
        ahead = Following(self._matcher.deep_copy(), self._vocabulary, after)
        ahead._matcher.consume_token(id)
        return ahead._finishes(looks)

    def _finishes(self, looks: list[int]) -> bool:
        """Whether something can still be finished here: an item that differs, its array, or the text."""
        assert self._unique is not None
        looks[0] -= 1
        if looks[0] < 0 or self._matcher.is_stopped():
            return True
        ids = self._followed().nonzero().flatten().tolist()
        if len(ids) > FEW or not self._vocabulary.end_ids.isdisjoint(ids):
            return True
        following = [(id, after) for id in ids if (after := self._unique.after(self._vocabulary.texts[id])) is not None]
        if any(after.finished > self._unique.finished or len(after) < len(self._unique) for _, after in following):
            return True
        return any(self._goes_on(id, after, looks) for id, after in following)

    def closing(self, size: int) -> Tensor:
        """Of the ids that may come next those that bring a JSON text nearest to its end, as a mask [V]."""
        return self._vocabulary.closers.nearest(self.allowed(size), self._strings.is_inside)

    def take(self, token: int) -> None:
        """Go on by one token that was allowed."""
        self._matcher.consume_token(token)
        text = self._vocabulary.texts[token]
        self._strings.push(text)
        self._unique = None if self._unique is None else self._unique.after(text) or self._unique

    def copy(self) -> "Following":
        """The same place, to go on from on its own."""
        other = Following(self._matcher.deep_copy(), self._vocabulary, self._unique)
        other._strings = copy(self._strings)
        return other

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
    if tokenizer.piece_bytes() is None:
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
        if self.tokenizer.adds_bytes:
            return self.tokenizer.encode(written).tolist()
        return self._longest(text if isinstance(text, bytes) else text.encode())

    def _longest(self, text: bytes) -> list[int]:
        """The longest piece at each place: the tokenizer itself would put a blank before a text, here in the middle of one."""
        ids: list[int] = []
        while text:
            sizes = range(min(len(text), self._most), 0, -1)
            found = next((id for size in sizes if (id := self._ids.get(text[:size])) is not None), None)
            if found is None:  # a letter that no piece writes
                break
            ids.append(found)
            text = text[len(self.tokens[found]) :]
        return ids

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        silent = set(self.special_token_ids)
        return {text: id for id, text in enumerate(self.tokens) if id not in silent}

    @cached_property
    def _most(self) -> int:
        return max(map(len, self._ids), default=0)


class ByteVocabulary:
    """A tokenizer's vocabulary for following forms: in llguidance's words, as bytes, and what of it closes JSON."""

    def __init__(self, tokenizer: Tokenizer, end_ids: Sequence[int]) -> None:
        from llguidance import LLTokenizer

        self.texts = tokenizer.piece_bytes() or []
        silent = [id for id, text in enumerate(self.texts) if not text]
        named = [text or tokenizer.visible(id).encode() for id, text in enumerate(self.texts)]
        wrapped = _Bytes(tokenizer, named, silent, end_ids[0])
        self.tokens = LLTokenizer(wrapped, eos_token=list(end_ids))  # pyright: ignore[reportArgumentType]
        self.closers, self.end_ids = Closers(self.texts, end_ids), frozenset(end_ids)
        self._quoting_V = torch.tensor([QUOTE in text for text in self.texts])
        self._ids: dict[bytes, list[int]] = {}
        for id, text in enumerate(self.texts):
            self._ids.setdefault(text, []).append(id)
        self._formats: dict[str, bool] = {}

    def that_may_end_one_of(self, rests: Sequence[bytes], allowed_V: Tensor) -> list[int]:
        """Of the allowed ids those that have a quote, and those with which one of the rests of strings begins."""
        begun = {id for rest in rests for end in range(1, len(rest) + 1) for id in self._ids.get(rest[:end], ())}
        wanted_V = self._quoting_V.clone()
        wanted_V[sorted(begun)] = True
        return (allowed_V[: len(wanted_V)] & wanted_V[: len(allowed_V)]).nonzero().flatten().tolist()

    def knows_format(self, name: str) -> bool:
        """Whether llguidance checks a `format` of JSON schema."""
        from llguidance import LLMatcher

        if name not in self._formats:
            grammar = _grammar("json_schema", json.dumps({"type": "string", "format": name}))
            self._formats[name] = not LLMatcher.validate_grammar(grammar, self.tokens)
        return self._formats[name]


@lru_cache(maxsize=4)
def _vocabulary(tokenizer: Tokenizer, end_ids: tuple[int, ...]) -> ByteVocabulary:
    """Building one takes a moment, so the last ones are kept."""
    return ByteVocabulary(tokenizer, end_ids)


def _grammar(kind: str, source: str) -> str:
    from llguidance import LLMatcher

    if kind == "regex":
        return LLMatcher.grammar_from_regex(source)
    if kind == "grammar":
        return LLMatcher.grammar_from_lark(source)
    return LLMatcher.grammar_from_json_schema(source, overrides={"whitespace_flexible": False})


def cut_note(options: SamplingOptions, reasons: Sequence[str]) -> str:
    """What to tell a user whose texts ended for these reasons before their form was whole; empty when none was cut."""
    wanted = next((kind for kind in FORMS if getattr(options, kind)), "")
    cut = sum(reason == "length" for reason in reasons)
    if not (wanted and cut):
        return ""
    which = "the text was" if len(reasons) == 1 else f"{cut} of {len(reasons)} texts were"
    closing = f"close_json (={options.close_json})" if options.close_json else "close_json (32, say), which closes the JSON"
    way_out = f"raise max_tokens (={options.max_tokens})" + (f" or {closing}" if wanted == "json_schema" else "")
    return f"{which} cut before the {wanted} was satisfied (finish_reason length): {way_out}"
