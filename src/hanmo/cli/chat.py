"""`hanmo chat MODEL [--system TEXT]`: talk with a model in the terminal, under its own chat template.

A line is a turn; /new forgets the conversation, /bye or the end of input ends it, Ctrl-C stops an answer.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from hanmo.base.errors import UsageError
from hanmo.base.progress import say
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.generate.options import SamplingOptions, from_generation_config

if TYPE_CHECKING:
    from hanmo.generate.worker import Ticket

ANSWER_TOKENS = 512
"""Most tokens of an answer where neither the model nor the user says."""
Message = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Talk with a model. Defaults of the sampling flags are the model's own, from its generation_config.json."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """Model folder, run, GGUF file, fetched name or hub name, with a chat template."""
    system: str = ""
    """What the model is told before the conversation begins."""
    precision: Literal["float32", "bfloat16", "int8", "int4"] = "float32"
    """float32 computes as other tools do; the others round the weights and are faster."""
    sampling: Annotated[SamplingOptions, tyro.conf.arg(name="")] = field(default_factory=SamplingOptions)
    """How tokens are drawn."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb; the model's own defaults fill in what is not said.

    Raises UsageError for wrong words, ModelError when MODEL is none.
    """
    from hanmo.convert.sources import local_model

    path = parse_arguments(Options, words, "chat").model
    from hanmo.model.store import read_generation

    values = read_generation(local_model(path))
    defaults = from_generation_config(values)
    if values.get("max_new_tokens") is None:
        defaults = replace(defaults, max_tokens=ANSWER_TOKENS)
    return parse_arguments(Options, words, "chat", defaults={"sampling": defaults})


def run(options: Options) -> dict[str, object]:
    """Talk until the end of input; an answer is written while it grows. Gives the conversation.

    Raises UsageError for options that a conversation cannot have.
    """
    from hanmo.convert.sources import local_model
    from hanmo.generate.loaded import TextModel
    from hanmo.generate.worker import Worker
    from hanmo.tokenizer.chat import Chat

    if options.sampling.num_return_sequences > 1:
        raise UsageError(f"a turn has one answer, not num_return_sequences (={options.sampling.num_return_sequences}): leave it out")
    model = TextModel(local_model(options.model), dtype=options.precision)
    template = Chat.load(model.folder)
    opening: list[Message] = [{"role": "system", "content": options.system}] if options.system else []
    messages = list(opening)
    worker = Worker(model.network, model.tokenizer, end_ids=model.end_ids)  # it remembers how the next turn begins
    try:
        for line in _lines():
            if line == "/new":
                messages = list(opening)
                continue
            asked = [*messages, {"role": "user", "content": line}]
            prompt = template.encode(asked, answer=True)
            if model.context is not None and len(prompt.ids) >= model.context:
                say(f"the conversation has {len(prompt.ids)} tokens, the model takes at most {model.context - 1}: /new begins another")
                continue
            messages = [*asked, {"role": "assistant", "content": _hear(worker.submit(prompt, options.sampling))}]
    finally:
        worker.close()
    return {"messages": messages}


def _lines() -> Iterator[str]:
    """What is typed, until /bye, the end of input, or Ctrl-C.

    Raises UsageError for input that is not UTF-8.
    """
    at_terminal = sys.stdin.isatty()
    if at_terminal:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - input() has a history with it
    while True:
        try:
            line = input("> " if at_terminal else "").strip()
            line.encode()
        except (EOFError, KeyboardInterrupt):
            return
        except UnicodeError as error:
            raise UsageError(f"what was typed is not UTF-8 ({error}): convert it first") from error
        if line == "/bye":
            return
        if line:
            yield line


def _hear(ticket: "Ticket") -> str:
    """The answer, written piece by piece; Ctrl-C gives it up where it stands."""
    try:
        _write(ticket)
    except KeyboardInterrupt:
        ticket.cancel()
        _write(ticket)
    sys.stdout.write("\n")
    return ticket.generations()[0].text


def _write(ticket: "Ticket") -> None:
    for _, piece in ticket:
        sys.stdout.write(piece)
        sys.stdout.flush()


def show(result: dict[str, object]) -> str:
    """Nothing: everything was said."""
    return ""
