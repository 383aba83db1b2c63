"""Conversations become ids, by the template that came with the model.

In: messages. Out: ids, and a mask that says which of them the assistant wrote. The rendered text is encoded once, as transformers
does. Special tokens that a template writes are special; those that somebody wrote into a message are only text, so nobody can end
a turn or speak as another by typing. That holds for added tokens that are not marked special too, where the template speaks them;
but the assistant itself may write those (<think>).
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ConfigError, DataError, ModelError
from hanmo.base.storage import read_json
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.spoken import SIGN, Copy, guarded, signed, speaking
from hanmo.tokenizer.template_tree import GENERATION_BEGINS, GENERATION_ENDS
from hanmo.tokenizer.templates import render, variables

Messages = Sequence[Mapping[str, Any]]
TEMPLATE_FILE = "chat_template.jinja"
BREAK = "\ufdd2"
"""A noncharacter put inside what looks like a special token in a message, and taken out again before encoding."""
ROLES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
GIVEN = ("messages", "tools", "documents", "add_generation_prompt", *ROLES)
"""Variables of a template that the conversation itself and the tokenizer give."""
_MARKS = re.compile(f"[{GENERATION_BEGINS}{GENERATION_ENDS}]")
_OURS = re.compile(f"[{GENERATION_BEGINS}{GENERATION_ENDS}{BREAK}{SIGN}]")
_PROBE = ({"role": "user", "content": "a"}, {"role": "assistant", "content": "a"})


@dataclass(frozen=True, slots=True)
class Encoded:
    """A conversation as ids; `written[i]` says whether the assistant wrote token i, with the token that ends its turn."""

    text: str
    ids: NDArray[np.int32]
    written: NDArray[np.bool_]


class Chat:
    """One template with the tokenizer it speaks to, and values for variables of its own (`enable_thinking`, say).

    Raises ConfigError for a variable that the template has not, or that a conversation gives.
    """

    def __init__(self, tokenizer: Tokenizer, template: str, arguments: Mapping[str, Any] | None = None) -> None:
        self._tokenizer, self._template = tokenizer, template
        self._arguments = _checked(arguments or {}, template)
        settings = tokenizer.settings
        self._roles = {role: _content(settings[role]) for role in ROLES if settings.get(role) is not None}
        self._special = self._spoken = _any_of(tokenizer.special())
        self._names = [*tokenizer.special(), *self._speaks()]
        self._spoken = _any_of(self._names)

    def _speaks(self) -> list[str]:
        """The added tokens not marked special that the template writes, by itself or around a short conversation."""
        plain = self._tokenizer.added().keys() - self._tokenizer.special().keys()
        marks = sorted(each for each in plain if not each.isspace() and not each.isalnum())
        if not marks:
            return []
        try:
            written = self._template + self._marked(_PROBE, True, None)
        except ModelError:  # it wants other messages
            written = self._template
        return [each for each in marks if each in written]

    @cached_property
    def _as_written(self) -> Copy:
        return speaking(self._tokenizer.backend)

    @cached_property
    def _as_meant(self) -> Copy:
        return guarded(self._tokenizer.backend, self._names)

    @classmethod
    def load(cls, folder: Path) -> "Chat":
        """The template and the tokenizer of a model folder.

        Raises ModelError when it has no template.
        """
        template = needed_template(folder)
        return cls(Tokenizer.load(folder), template)

    def spelled(self, text: str) -> list[str]:
        """The tokens of the template that a typed text spells; they are taken as text there."""
        return list(dict.fromkeys(self._spoken.findall(text)))

    def text(self, messages: Messages, *, answer: bool = False, tools: Sequence[Mapping[str, Any]] | None = None) -> str:
        """The conversation as the template writes it; with `answer`, up to where the assistant begins to speak.

        Raises ModelError for a template that does not take these messages, DataError for what are no messages.
        """
        return _MARKS.sub("", self._marked(messages, answer, tools)).replace(BREAK, "")

    def encode(self, messages: Messages, *, answer: bool = False, tools: Sequence[Mapping[str, Any]] | None = None) -> Encoded:
        """The conversation as ids, with what the assistant wrote.

        A template says what that is with {% generation %}; for one that does not, it is what each assistant message adds to
        the text before it, up to the end of its turn. Raises as `text` does.
        """
        marked = self._marked(messages, answer, tools)
        if GENERATION_BEGINS in marked:
            text, spans = _unmarked(marked)
        else:
            text, spans = marked, self._added(messages, marked, tools)
        return self._encoded(text, spans)

    def _marked(self, messages: Messages, answer: bool, tools: Sequence[Mapping[str, Any]] | None) -> str:
        for number, message in enumerate(messages):
            if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise DataError(f"message {number} (={str(message)[:60]!r}) should have a role (system, user, assistant) and a content")
        defused = [self._defused(each, self._special if each["role"] == "assistant" else self._spoken) for each in messages]
        given = {"messages": defused, "tools": self._defused(tools, self._spoken), "documents": None}
        own = self._defused(self._arguments, self._spoken)
        return render(self._template, {**self._roles, **own, **given, "add_generation_prompt": answer})

    def _defused(self, value: Any, tokens: re.Pattern[str]) -> Any:
        """The same, with `tokens` in texts broken in two and our own marks taken out."""
        if isinstance(value, str):
            return tokens.sub(lambda found: found[0][:1] + BREAK + found[0][1:], _OURS.sub("", value))
        if isinstance(value, Mapping):
            return {key: self._defused(each, tokens) for key, each in cast("Mapping[str, Any]", value).items()}
        return [self._defused(each, tokens) for each in cast("Sequence[Any]", value)] if isinstance(value, list | tuple) else value

    def _added(self, messages: Messages, whole: str, tools: Sequence[Mapping[str, Any]] | None) -> list[tuple[int, int]]:
        """Where the assistant's turns stand in a text; its blanks after the last special token are the template's."""
        spans: list[tuple[int, int]] = []
        for number, message in enumerate(messages):
            if message.get("role") != "assistant":
                continue
            before = self._marked(messages[:number], True, tools)
            after = self._marked(messages[: number + 1], False, tools)
            if not (after.startswith(before) and whole.startswith(after)):
                raise ModelError(
                    "the chat template rewrites earlier turns, so what the assistant wrote cannot be told apart: "
                    "mark it in the template with {% generation %}"
                )
            spans.append((len(before), len(after.rstrip())))
        return spans

    def _encoded(self, text: str, spans: Sequence[tuple[int, int]]) -> Encoded:
        said = text.replace(BREAK, "")
        if said == text:
            (ids, starts), places = self._as_written.encode(text), np.arange(len(text))
        else:
            meant, places = self._signed(text)
            ids, starts = self._as_meant.encode(meant)
        last = len(places) - 1
        written = [_inside(int(places[min(int(start), last)]), spans) for start in starts]
        return Encoded(said, ids, np.array(written, bool))

    def _signed(self, text: str) -> tuple[str, NDArray[np.int64]]:
        """The text with each special token that the template wrote under a sign, and for each character its place before."""
        pieces: list[str] = []
        places: list[int] = []
        before = 0
        for found in [*self._spoken.finditer(text), None]:
            start, end = (len(text), len(text)) if found is None else found.span()
            kept = [at for at in range(before, start) if text[at] != BREAK]
            pieces += [text[at] for at in kept] + ([] if found is None else [signed(found[0])])
            places += kept + ([] if found is None else [start, *range(start, end), end - 1])
            before = end
        return "".join(pieces), np.array(places, np.int64)


def read_template(folder: Path) -> str | None:
    """The chat template of a model folder: a file of its own, or a key of tokenizer_config.json.

    Raises ModelError when it is no text.
    """
    file, settings = folder / TEMPLATE_FILE, folder / "tokenizer_config.json"
    if file.is_file():
        try:
            return file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{file} cannot be read as text: {error}") from error
    found: Any = read_json(settings).get("chat_template") if settings.is_file() else None
    if isinstance(found, list):  # several under names, one of which is the default
        named = {str(each.get("name")): each.get("template") for each in cast("list[dict[str, Any]]", found)}
        found = named.get("default")
    if found is not None and not isinstance(found, str):
        raise ModelError(f"{settings}: chat_template (={str(found)[:40]!r}) should be a text")
    return found


def needed_template(folder: Path) -> str:
    """The chat template of a model that answers.

    Raises ModelError when there is none.
    """
    template = read_template(folder)
    if template is None:
        raise ModelError(f"{folder} has no chat template ({TEMPLATE_FILE}): it is a model that continues text, not one that answers")
    return template


def _checked(arguments: Mapping[str, Any], template: str) -> Mapping[str, Any]:
    """Values for variables that the template has."""
    known = sorted(variables(template) - set(GIVEN)) if arguments else []
    for name in arguments:
        if name in GIVEN:
            raise ConfigError(f"template argument {name!r} is what the conversation and the tokenizer give: leave it out")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}" if known else "it has none of its own"
            raise ConfigError(f"the chat template has no variable {name!r}: {hint}")
    return arguments


def _content(token: Any) -> str:
    return str(cast("dict[str, Any]", token).get("content") if isinstance(token, dict) else token)


def _any_of(tokens: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds the longest of some tokens; one that was broken after its only letter is none."""
    longest_first = sorted(tokens, key=len, reverse=True)
    return re.compile(f"(?:{'|'.join(map(re.escape, longest_first))})(?!{BREAK})" if longest_first else "(?!)")


def _unmarked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its marks, and where the marked parts stand in it."""
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    size, begin = 0, 0
    for piece in re.split(f"({_MARKS.pattern})", text):
        if piece == GENERATION_BEGINS:
            begin = size
        elif piece == GENERATION_ENDS:
            spans.append((begin, size))
        else:
            pieces.append(piece)
            size += len(piece)
    return "".join(pieces), spans


def _inside(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)
