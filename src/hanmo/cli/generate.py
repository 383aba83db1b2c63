"""`hanmo generate MODEL PROMPT [--max-tokens N] [--greedy] [--seed S]`: continue a text."""

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from tyro.conf import OmitArgPrefixes

from hanmo.base.errors import UsageError
from hanmo.base.progress import say
from hanmo.cli.arguments import flags_said
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.generate.options import (
    GROUPS,
    DrawOptions,
    FormOptions,
    LengthOptions,
    PenaltyOptions,
    ReportOptions,
    SamplingOptions,
    SearchOptions,
    from_generation_config,
    gathered,
    parts_of,
    yielding,
)

if TYPE_CHECKING:
    from hanmo.generate.continuation import Generation
    from hanmo.tokenizer.load import Tokenizer


@dataclass(frozen=True, kw_only=True)
class Options:
    """Continue a text. Defaults of the flags that say how are the model's own, from its generation_config.json."""

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
    length: OmitArgPrefixes[LengthOptions] = field(default_factory=LengthOptions)
    """How long the text becomes, and what ends it."""
    draw: OmitArgPrefixes[DrawOptions] = field(default_factory=DrawOptions)
    """How the next token is drawn."""
    penalty: OmitArgPrefixes[PenaltyOptions] = field(default_factory=PenaltyOptions)
    """What makes some tokens less likely, or impossible."""
    form: OmitArgPrefixes[FormOptions] = field(default_factory=FormOptions)
    """What the text has to look like; needs hanmo[constrain]."""
    search: OmitArgPrefixes[SearchOptions] = field(default_factory=SearchOptions)
    """Several texts, searches in place of a draw, and guessing ahead."""
    report: OmitArgPrefixes[ReportOptions] = field(default_factory=ReportOptions)
    """What is told of each token."""

    @property
    def sampling(self) -> SamplingOptions:
        """All groups in one.

        Raises ConfigError for values that cannot be, or mean nothing together.
        """
        return gathered(getattr(self, name) for name in GROUPS)


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb; the model's own defaults fill in what is not said.

    Raises UsageError for wrong words, ModelError when MODEL is none.
    """
    from hanmo.convert.sources import local_model

    path = parse_arguments(Options, words, "generate").model
    from hanmo.model.store import read_generation

    defaults = parts_of(yielding(from_generation_config(read_generation(local_model(path))), flags_said(words)))
    return parse_arguments(Options, words, "generate", defaults=defaults)


def run(options: Options) -> dict[str, object]:
    """Generate; one sequence is written to standard output while it grows."""
    sampling = options.sampling
    from hanmo.convert.sources import local_model
    from hanmo.generate.engine import generate
    from hanmo.generate.fill import Gap
    from hanmo.generate.loaded import TextModel

    text = _read_prompt() if options.prompt == "-" else _checked(options.prompt)
    prompt = Gap(text, _checked(options.suffix)) if options.suffix else text
    model = TextModel(local_model(options.model), dtype=options.precision)
    draft = None if options.draft is None else model.network_of(TextModel(local_model(options.draft)), sampling)
    _tell_spelled(model.tokenizer, text + options.suffix)
    alone = sampling.num_return_sequences == 1
    heard = _write if alone else None
    made = generate(model.network, model.tokenizer, [prompt], sampling, on_text=heard, end_ids=model.end_ids, draft=draft)
    if alone:
        _write(0, "\n")
        return plain(made[0], model.tokenizer)
    return {"sequences": [plain(each, model.tokenizer) for each in made]}


def _tell_spelled(tokenizer: "Tokenizer", typed: str) -> None:
    """Say so where somebody types what looks like a special token."""
    from hanmo.generate.prompt import spelled

    if found := spelled(tokenizer, typed):
        say(f"the prompt spells {' '.join(found)}: that is taken as text, not as special tokens; hanmo chat writes those of a conversation")


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


def plain(made: "Generation", tokenizer: "Tokenizer") -> dict[str, object]:
    """A generation as plain values; with log-probabilities the tokens' names beside them."""
    told: dict[str, object] = {key: value for key, value in asdict(made).items() if value is not None}
    if made.logprobs is not None:
        told["tokens"] = [tokenizer.visible(id) for id in made.ids]
    if made.prompt_ids is not None:
        told["prompt_tokens"] = [tokenizer.visible(id) for id in made.prompt_ids]
    for name, tops in (("top_tokens", made.top_logprobs), ("top_prompt_tokens", made.prompt_top_logprobs)):
        if tops is not None:
            told[name] = [[tokenizer.visible(id) for id in top] for top in tops]
    return told


def show(result: dict[str, object]) -> str:
    """Several sequences under headings, and log-probabilities where they are asked for; a text alone has already been written."""
    sequences = result.get("sequences")
    if not isinstance(sequences, list):
        return token_table(result)
    blocks: list[str] = []
    for number, each in enumerate(sequences, 1):
        table = token_table(each)
        blocks.append(f"--- {number} ({each['finish_reason']})\n{each['text']}" + (f"\n{table}" if table else ""))
    return "\n".join(blocks)


def token_table(told: dict[str, object]) -> str:
    """A line for each token, those of the prompt first if they are asked for: its log-probability, its name, and the likeliest
    ones in its place; empty without log-probabilities."""
    lines: list[str] = []
    prompt = told.get("prompt_tokens")
    if isinstance(prompt, list) and prompt:
        lines = [
            f"{'':8}  {prompt[0]}",
            *_lines(prompt[1:], told.get("prompt_logprobs"), told.get("top_prompt_tokens"), told.get("prompt_top_logprobs")),
        ]
    return "\n".join([*lines, *_lines(told.get("tokens"), told.get("logprobs"), told.get("top_tokens"), told.get("top_logprobs"))])


def _lines(tokens: object, logprobs: object, names: object, tops: object) -> list[str]:
    if not isinstance(tokens, list) or not isinstance(logprobs, list):
        return []
    lines: list[str] = []
    for place, (token, logprob) in enumerate(zip(tokens, logprobs, strict=True)):
        line = f"{logprob:8.3f}  {token}"
        if isinstance(names, list) and isinstance(tops, list):
            beside = zip(names[place], tops[place].values(), strict=True)
            line = f"{line:<28}  " + "  ".join(f"{name} {value:.3f}" for name, value in beside)
        lines.append(line)
    return lines
