"""`hanmo generate MODEL PROMPT [--max-tokens N] [--greedy] [--seed S]`: continue a text."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from hanmo.base.errors import UsageError
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.generate.options import SamplingOptions, from_generation_config

if TYPE_CHECKING:
    from hanmo.generate.continuation import Generation


@dataclass(frozen=True, kw_only=True)
class Options:
    """Continue a text. Defaults of the sampling flags are the model's own, from its generation_config.json."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """Model folder, run, GGUF file, fetched name or hub name."""
    prompt: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PROMPT")]
    """What to continue; - reads it from standard input, an empty one starts a text."""
    suffix: str = ""
    """What stands behind the gap that is to be filled; for models trained for that."""
    draft: Path | None = None
    """A smaller model with the same tokenizer that guesses ahead, with --speculate; the text stays the same."""
    precision: Literal["float32", "bfloat16", "int8", "int4"] = "float32"
    """float32 computes as other tools do; the others round the weights and are faster."""
    sampling: Annotated[SamplingOptions, tyro.conf.arg(name="")] = field(default_factory=SamplingOptions)
    """How tokens are drawn."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb; the model's own defaults fill in what is not said.

    Raises UsageError for wrong words, ModelError when MODEL is none.
    """
    from hanmo.convert.sources import local_model

    path = parse_arguments(Options, words, "generate").model
    from hanmo.model.store import read_generation

    defaults = from_generation_config(read_generation(local_model(path)))
    return parse_arguments(Options, words, "generate", defaults={"sampling": defaults})


def run(options: Options) -> dict[str, object]:
    """Generate; one sequence is written to standard output while it grows."""
    from hanmo.convert.sources import local_model
    from hanmo.generate.engine import generate
    from hanmo.generate.fill import Gap
    from hanmo.generate.loaded import TextModel

    text = _read_prompt() if options.prompt == "-" else _checked(options.prompt)
    prompt = Gap(text, _checked(options.suffix)) if options.suffix else text
    model = TextModel(local_model(options.model), dtype=options.precision)
    draft = None if options.draft is None else model.network_of(TextModel(local_model(options.draft)), options.sampling)
    alone = options.sampling.num_return_sequences == 1
    heard = _write if alone else None
    made = generate(model.network, model.tokenizer, [prompt], options.sampling, on_text=heard, end_ids=model.end_ids, draft=draft)
    if alone:
        _write(0, "\n")
        return _plain(made[0])
    return {"sequences": [_plain(each) for each in made]}


def _checked(prompt: str) -> str:
    """The prompt; bytes on the command line that are no UTF-8 arrive as lone surrogates.

    Raises UsageError for one that is not Unicode.
    """
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"the prompt is not UTF-8 (character {error.start}): convert it first") from error
    return prompt


def _write(number: int, text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _read_prompt() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"the prompt on standard input is not UTF-8 (byte {error.start}): convert it first") from error


def _plain(made: "Generation") -> dict[str, object]:
    return {key: value for key, value in asdict(made).items() if value is not None}


def show(result: dict[str, object]) -> str:
    """Several sequences under headings; one alone has already been written."""
    sequences = result.get("sequences")
    if not isinstance(sequences, list):
        return ""
    return "\n".join(f"--- {number} ({each['finish_reason']})\n{each['text']}" for number, each in enumerate(sequences, 1))
