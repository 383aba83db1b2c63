"""`hanmo VERB ...`: finds the verb, runs it, and turns errors into one line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong use. `--json` prints one JSON object last on standard output.
"""

import contextlib
import difflib
import importlib
import json
import os
import sys
from typing import TextIO

VERBS = {
    "fetch": "bring an open corpus or a starter model, by name",
    "prepare": "turn files into clean documents, with a receipt for each",
    "tokenizer": "train, show, extend or import a tokenizer, and encode with it",
    "plan": "parameters, FLOPs, memory and minutes, before anything runs",
    "pretrain": "train a model from the beginning on a data set",
    "generate": "continue a text",
    "evaluate": "bits per byte and perplexity, with intervals",
    "compare": "two models on the same text, paired",
    "run": "a whole life from one recipe: prepare, train, evaluate, report",
    "doctor": "what this machine can do, to paste into a bug report",
}


def main(arguments: list[str] | None = None) -> None:
    """Run one verb and leave with its exit code."""
    # threads that spin while they wait take the core from the work they wait for, as soon as the machine is shared
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


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
    from hanmo.base.errors import HanmoError

    try:
        module = importlib.import_module(f"hanmo.cli.{verb}")
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            result = module.run(module.parse(words))
        shown = module.show(result)
        if shown:
            _print(shown, sys.stderr if as_json else sys.stdout)
        if as_json:
            _print(json.dumps(result, ensure_ascii=False), sys.stdout)
    except HanmoError as error:
        _print(f"hanmo {verb}: {error}", sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        _print(f"hanmo {verb}: interrupted; the same command goes on from what is saved", sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


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
