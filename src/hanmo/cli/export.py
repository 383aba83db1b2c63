"""`hanmo export MODEL --to hf|gguf [--precision f32|f16|q8_0|q4_1|q4_0] --out PATH`: a model for other tools."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from hanmo.base.errors import UsageError
from hanmo.base.progress import size
from hanmo.cli.arguments import parse as parse_arguments


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write a model for other tools: a Hugging Face folder, or a GGUF file with an Ollama Modelfile beside it."""

    model: Annotated[Positional[Path], arg(metavar="MODEL")]
    """Model folder, run, GGUF file, fetched name or hub name."""
    to: Literal["hf", "gguf"]
    """hf for transformers and vLLM, gguf for llama.cpp and Ollama."""
    precision: Literal["f32", "f16", "q8_0", "q4_1", "q4_0"] | None = None
    """How a GGUF file stores matrices: 32, 16, 8.5, 5 or 4.5 bits a weight; f16 by default."""
    out: Path
    """Folder (hf) or file (gguf) to write."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb.

    Raises UsageError for a precision that a folder does not have.
    """
    options = parse_arguments(Options, words, "export")
    if options.to == "hf" and options.precision is not None:
        raise UsageError(f"--precision {options.precision} is for --to gguf; a folder keeps the precision of its weights: leave it out")
    return options


def run(options: Options) -> dict[str, object]:
    """Export; gives where it is and how large."""
    from hanmo.convert.folders import write_folder_of
    from hanmo.convert.gguf import export_gguf
    from hanmo.convert.sources import local_model

    if options.to == "hf":
        return {"model": str(options.model), **write_folder_of(options.model, options.out)}
    return {"model": str(options.model), **export_gguf(local_model(options.model), options.out, options.precision or "f16")}


def show(result: dict[str, object]) -> str:
    """What a person reads."""
    held = result["bytes"]
    assert isinstance(held, int)
    beside = f"\nollama create NAME -f {result['modelfile']}" if "modelfile" in result else ""
    return f"{result['model']} is now in {result['path']} ({size(held)}){beside}"
