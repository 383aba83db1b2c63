"""`hanmo import SOURCE --out DIR`: a model from elsewhere becomes a model folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from hanmo.base.progress import size
from hanmo.cli.arguments import parse as parse_arguments


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write a model from elsewhere as a model folder: safetensors, tokenizer, chat template; pickled weights are refused."""

    source: Annotated[Positional[Path], arg(metavar="SOURCE")]
    """A GGUF file, a Hugging Face folder, a name that hanmo fetch knows, or a name on the hub (OWNER/NAME)."""
    out: Path
    """Folder to write."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    return parse_arguments(Options, words, "import")


def run(options: Options) -> dict[str, object]:
    """Import; gives where it is and how large."""
    from hanmo.convert.folders import write_folder_of

    return {"source": str(options.source), **write_folder_of(options.source, options.out)}


def show(result: dict[str, object]) -> str:
    """What a person reads."""
    held = result["bytes"]
    assert isinstance(held, int)
    return f"{result['source']} is now a model folder: {result['path']} ({size(held)})"
