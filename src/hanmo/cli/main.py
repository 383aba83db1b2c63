"""`hanmo VERB ...`: finds the verb, runs it, and turns errors into one line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong use. `--json` prints one JSON object last on standard output.
"""

import contextlib
import difflib
import importlib
import io
import json
import math
import os
import sys
from typing import TextIO

VERBS = {
    "fetch": "bring an open corpus or a starter model, by name",
    "prepare": "turn files into clean documents, with a receipt for each",
    "contamination": "which items of an evaluation set stand in the training text",
    "tokenizer": "train, show, extend or import a tokenizer, and encode with it",
    "plan": "parameters, FLOPs, memory and minutes, before anything runs",
    "pretrain": "train a model from the beginning on a data set",
    "import": "a model from elsewhere (GGUF, Hugging Face, hub) becomes a model folder",
    "export": "a model for other tools: a Hugging Face folder or a GGUF file",
    "generate": "continue a text",
    "chat": "talk with a model in the terminal",
    "evaluate": "bits per byte and perplexity, with intervals",
    "compare": "two models on the same text, paired",
    "run": "a whole life from one recipe: prepare, train, evaluate, report",
    "doctor": "what this machine can do, to paste into a bug report",
}


def main(arguments: list[str] | None = None) -> None:
    """Run one verb and leave with its exit code."""
    # threads that spin while they wait take the core from the work they wait for, as soon as the machine is shared
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _mend_streams()
    try:
        code = run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        code = _interrupted("hanmo")
    sys.exit(code)


def _mend_streams() -> None:
    """A stream that is closed takes and gives nothing; one that cannot write a character writes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run(words: list[str]) -> int:
    """Run one verb; gives the exit code."""
    if not words or words[0] in ("-h", "--help", "help"):
        _print(usage(), sys.stdout)
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        import importlib.metadata

        _print(f"hanmo {importlib.metadata.version('hanmo')}", sys.stdout)
        return 0
    verb, rest = words[0], words[1:]
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        _print(f"hanmo: unknown verb {verb!r}" + (f": did you mean {near[0]!r}?" if near else "") + "; see hanmo --help", sys.stderr)
        return 2
    as_json = "--json" in rest
    return _run_verb(verb, [word for word in rest if word != "--json"], as_json)


def _run_verb(verb: str, words: list[str], as_json: bool) -> int:
    from hanmo.base.errors import HanmoError, words_of_system

    try:
        module = importlib.import_module(f"hanmo.cli.{verb}")
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            result = module.run(module.parse(words))
        shown = module.show(result)
        if shown:
            _print(shown, sys.stderr if as_json else sys.stdout)
        if as_json:
            plain = "utf" not in (sys.stdout.encoding or "").lower()
            _print(json.dumps(_finite(result), ensure_ascii=plain), sys.stdout)
    except HanmoError as error:
        return _failed(verb, str(error), error.exit_code)
    except KeyboardInterrupt:
        return _interrupted(f"hanmo {verb}")
    except BrokenPipeError:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 1
    except (OSError, MemoryError, RuntimeError) as error:
        if not (said := words_of_system(error)):
            raise
        return _failed(verb, said, 1)
    return 0


def _failed(verb: str, message: str, code: int) -> int:
    _print(f"hanmo {verb}: {' '.join(message.splitlines())}", sys.stderr)
    return code


def _interrupted(who: str) -> int:
    _print(f"{who}: interrupted; the same command goes on from what is saved", sys.stderr)
    return 1


def _finite(value: object) -> object:
    """`value` with null for numbers that JSON does not have (NaN, infinity)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def usage() -> str:
    """The page that `hanmo --help` prints."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {meaning}" for verb, meaning in VERBS.items()]
    return "hanmo (翰墨): from a folder of text to a language model, with an honest report\n\n" + "\n".join(
        [*lines, "", "hanmo VERB --help tells the rest; --json prints one JSON object last on standard output."]
    )


def _print(text: str, stream: TextIO) -> None:
    stream.write(text + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
