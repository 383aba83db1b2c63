"""`hanmo export MODEL --to hf|gguf [--precision f32|f16|q8_0|q4_1|q4_0] [--calibrate self|TEXT] --out PATH`: a model for other tools."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast

from tyro.conf import Positional, arg

from hanmo.base.errors import UsageError
from hanmo.base.progress import size
from hanmo.cli.arguments import parse as parse_arguments


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write a model for other tools: a Hugging Face folder, or a GGUF file with an Ollama Modelfile beside it.

    What is written is read back and compared (as hanmo doctor --parity does) before it has its name; where it differs, nothing is kept.
    """

    model: Annotated[Positional[Path], arg(metavar="MODEL")]
    """Model folder, run, GGUF file, fetched name or hub name."""
    to: Literal["hf", "gguf"]
    """hf for transformers and vLLM, gguf for llama.cpp and Ollama."""
    precision: Literal["f32", "f16", "q8_0", "q4_1", "q4_0"] | None = None
    """How a GGUF file stores matrices: 32, 16, 8.5, 5 or 4.5 bits a weight; f16 by default."""
    calibrate: str | None = None
    """Text to fit the scales of q4_0 to: a file, folder or data set, or `self` for what the model writes. Takes minutes; loses less."""
    out: Path
    """Folder (hf) or file (gguf) to write."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb.

    Raises UsageError for a precision that a folder does not have, and for a text where nothing is fitted.
    """
    options = parse_arguments(Options, words, "export")
    if options.to == "hf" and options.precision is not None:
        raise UsageError(f"--precision {options.precision} is for --to gguf; a folder keeps the precision of its weights: leave it out")
    if options.calibrate is not None and options.precision != "q4_0":
        raise UsageError("--calibrate fits the scales of --to gguf --precision q4_0: ask for these, or leave it out")
    return options


def run(options: Options) -> dict[str, object]:
    """Export and prove it; gives where it is and how large, the table of the proof, and what fitting won.

    Raises ModelError where what was written is not the same model.
    """
    from hanmo.convert.folders import export_folder
    from hanmo.convert.gguf import export_gguf
    from hanmo.convert.sources import local_model

    model = {"model": str(options.model)}
    if options.to == "hf":
        return {**model, **export_folder(options.model, options.out)}
    folder, precision = local_model(options.model), options.precision or "f16"
    if options.calibrate is None:
        return {**model, **export_gguf(folder, options.out, precision)}
    from hanmo.pipeline.calibrate import calibrate

    source, fits = options.calibrate, list[dict[str, float]]()
    written = export_gguf(folder, options.out, precision, lambda network: fits.append(calibrate(network, folder, source)))
    return {**model, **written, "nats_from_full_precision": fits[0]}


def show(result: dict[str, object]) -> str:
    """What a person reads."""
    held = result["bytes"]
    assert isinstance(held, int)
    beside = f"\nollama create NAME -f {result['modelfile']}" if "modelfile" in result else ""
    proof = "; ".join(f"{row['what']}: {row['figure']}" for row in cast("list[dict[str, object]]", result["parity"]))
    text = f"{result['model']} is now in {result['path']} ({size(held)}){beside}\nread back, it is the same model ({proof})"
    if "nats_from_full_precision" not in result:
        return text
    nats = cast("dict[str, float]", result["nats_from_full_precision"])
    return (
        f"{text}\na token's distribution is {nats['learned']:.4f} nats from full precision (KL on text that was not learned from; "
        f"{nats['plain']:.4f} without fitting, {nats['weighted']:.4f} before learning)"
    )
