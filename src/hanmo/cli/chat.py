'''`hanmo chat MODEL [--system TEXT]`: talk with a model in the terminal, under its own chat template.

A line is a turn; so is a pasted paragraph, and all that stands between """ and """. /new forgets the conversation, /bye or the
end of input ends it, Ctrl-C stops an answer.
'''

import contextlib
import json
import select
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import OmitArgPrefixes

from hanmo.base.errors import UsageError
from hanmo.base.progress import say
from hanmo.cli.arguments import flags_said
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.cli.generate import plain, token_table
from hanmo.generate.options import (
    GROUPS,
    DrawOptions,
    FormOptions,
    LengthOptions,
    PenaltyOptions,
    ReportOptions,
    SamplingOptions,
    for_answers,
    gathered,
    parts_of,
    yielding,
)

if TYPE_CHECKING:
    from hanmo.generate.continuation import Generation
    from hanmo.generate.loaded import TextModel
    from hanmo.generate.worker import Ticket
    from hanmo.tokenizer.chat import Chat

Message = dict[str, str]
OFFERED = tuple(name for name in GROUPS if name != "search")
"""What a turn that shares a batch can have."""
BLOCK = '"""'
PASTE_SECONDS = 0.02
"""Lines that arrive within this time of one another were pasted."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Talk with a model. Defaults of the flags that say how are the model's own, from its generation_config.json; where that says
    nothing they are those under which small models ramble least."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """Model folder, run, GGUF file, fetched name or hub name, with a chat template."""
    system: str = ""
    """What the model is told before the conversation begins."""
    template_arg: Annotated[tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="NAME=VALUE")] = ()
    """A value for a variable of the chat template: enable_thinking=false, say; as JSON where it is that. May come several times."""
    precision: Literal["float32", "bfloat16", "int8", "int4"] = "float32"
    """float32 computes as other tools do; the others round the weights and are faster."""
    length: OmitArgPrefixes[LengthOptions] = field(default_factory=LengthOptions)
    """How long an answer becomes, and what ends it."""
    draw: OmitArgPrefixes[DrawOptions] = field(default_factory=DrawOptions)
    """How the next token is drawn."""
    penalty: OmitArgPrefixes[PenaltyOptions] = field(default_factory=PenaltyOptions)
    """What makes some tokens less likely, or impossible."""
    form: OmitArgPrefixes[FormOptions] = field(default_factory=FormOptions)
    """What an answer has to look like; needs hanmo[constrain]."""
    report: OmitArgPrefixes[ReportOptions] = field(default_factory=ReportOptions)
    """What is told of each token."""

    @property
    def sampling(self) -> SamplingOptions:
        """All groups in one.

        Raises ConfigError for values that cannot be, or mean nothing together.
        """
        return gathered(getattr(self, name) for name in OFFERED)


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb; the model's own defaults fill in what is not said.

    Raises UsageError for wrong words, ModelError when MODEL is none.
    """
    from hanmo.convert.sources import local_model

    path = parse_arguments(Options, words, "chat").model
    from hanmo.model.store import read_generation

    defaults = parts_of(yielding(for_answers(read_generation(local_model(path))), flags_said(words)))
    return parse_arguments(Options, words, "chat", defaults={name: defaults[name] for name in OFFERED})


def run(options: Options) -> dict[str, object]:
    """Talk until the end of input; an answer is written while it grows. Gives the conversation, and how each answer came about.

    Raises UsageError for options that a conversation cannot have.
    """
    sampling, arguments = options.sampling, _arguments(options.template_arg)
    from hanmo.convert.sources import local_model
    from hanmo.generate.loaded import TextModel
    from hanmo.generate.worker import Worker

    model = TextModel(local_model(options.model), dtype=options.precision)
    template = model.chat(arguments)
    _tell_spelled(template, options.system)
    opening: list[Message] = [{"role": "system", "content": options.system}] if options.system else []
    messages, answers = list(opening), list[dict[str, object]]()
    worker = Worker(model.network, model.tokenizer, end_ids=model.end_ids)  # it remembers how the next turn begins
    try:
        for turn in _turns():
            if turn == "/new":
                messages, answers = list(opening), []
                continue
            _tell_spelled(template, turn)
            asked = [*messages, {"role": "user", "content": turn}]
            prompt = template.encode(asked, answer=True)
            if model.context is not None and len(prompt.ids) >= model.context:
                say(f"the conversation has {len(prompt.ids)} tokens, the model takes at most {model.context - 1}: /new begins another")
                continue
            ticket = worker.submit(prompt, sampling)
            for note in () if answers else ticket.notes:
                say(note)
            made = _hear(ticket)
            answers.append(_told(made, sampling, model))
            messages = [*asked, {"role": "assistant", "content": made.text}]
    finally:
        worker.close()
    return {"messages": messages, "answers": answers}


def _arguments(words: Sequence[str]) -> dict[str, object]:
    """NAME=VALUE, each value as JSON where it is that, else as text.

    Raises UsageError for anything else.
    """
    values: dict[str, object] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not (name and sign):
            raise UsageError(f"--template-arg (={word}) should be NAME=VALUE: enable_thinking=false, say")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


def _tell_spelled(template: "Chat", typed: str) -> None:
    if found := template.spelled(typed):
        say(f"what was typed spells {' '.join(found)}: that is taken as text, not as special tokens")


def _turns() -> Iterator[str]:
    """What is typed, a turn at a time, until /bye, the end of input, or Ctrl-C.

    Raises UsageError for input that is not UTF-8.
    """
    at_terminal = sys.stdin.isatty()
    if at_terminal:
        with contextlib.suppress(ImportError):
            import readline

            readline.parse_and_bind("set enable-bracketed-paste on")  # a pasted paragraph then waits for Enter as one line
    while True:
        try:
            turn = _typed(at_terminal).strip()
            turn.encode()
        except (EOFError, KeyboardInterrupt):
            return
        except UnicodeError as error:
            raise UsageError(f"what was typed is not UTF-8 ({error}): convert it first") from error
        if turn == "/bye":
            return
        if turn:
            yield turn


def _typed(at_terminal: bool) -> str:
    """One turn: a line, lines that were pasted at once, or the lines of a block."""
    text = input("> " if at_terminal else "")
    if not text.lstrip().startswith(BLOCK):
        while at_terminal and _is_waiting():
            text += "\n" + input()
        return text
    text = text.lstrip().removeprefix(BLOCK)
    with contextlib.suppress(EOFError):
        while not text.rstrip().endswith(BLOCK):
            text += "\n" + input(". " if at_terminal else "")
    return text.rstrip().removesuffix(BLOCK)


def _is_waiting() -> bool:
    """Whether more was typed already than was read."""
    try:
        return bool(select.select([sys.stdin], [], [], PASTE_SECONDS)[0])
    except (OSError, ValueError):  # a system whose select knows sockets only
        return False


def _hear(ticket: "Ticket") -> "Generation":
    """The answer, written piece by piece; Ctrl-C gives it up where it stands."""
    try:
        _write(ticket)
    except KeyboardInterrupt:
        ticket.cancel()
        _write(ticket)
    sys.stdout.write("\n")
    sys.stdout.flush()
    return ticket.generations()[0]


def _write(ticket: "Ticket") -> None:
    for event in ticket:
        sys.stdout.write(event.text)
        sys.stdout.flush()


def _told(made: "Generation", sampling: SamplingOptions, model: "TextModel") -> dict[str, object]:
    """How an answer came about, as plain values; what the user should know of it is said."""
    told = plain(made, model.tokenizer)
    if table := token_table(told):
        say(table)
    if note := _note(made, sampling, model.context):
        say(note)
    return {key: value for key, value in told.items() if key not in ("text", "prompt")}


def _note(made: "Generation", sampling: SamplingOptions, context: int | None) -> str:
    """What a reader cannot see in an answer that did not end by itself."""
    from hanmo.generate.constrain import cut_note

    if made.finish_reason == "closed":
        return f"(the JSON was closed after max_tokens (={sampling.max_tokens}))"
    if made.finish_reason != "length":
        return ""
    if note := cut_note(sampling, [made.finish_reason]):
        return note
    if len(made.ids) < sampling.max_tokens:
        return f"(the answer was cut where the context of {context} tokens is full: /new begins another conversation)"
    return f"(the answer was cut at max_tokens (={sampling.max_tokens}): ask it to go on, or begin with a larger --max-tokens)"


def show(result: Mapping[str, object]) -> str:
    """Nothing: everything was said."""
    return ""
