"""`hanmo tokenizer train DATASET --kind bpe --vocab-size 8192 --out DIR` and `hanmo tokenizer show DIR [--data TEXT]`."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from hanmo.base.errors import UsageError
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.tokenizer.config import TokenizerConfig

if TYPE_CHECKING:
    from hanmo.base.records import Document
    from hanmo.tokenizer.load import Tokenizer

USAGE = """usage: hanmo tokenizer train [RECIPE] DATASET --out DIR [--kind bpe] [--vocab-size 8192]   (--help tells the rest)
       hanmo tokenizer show DIR [--data DATASET] [--text TEXT]"""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a tokenizer on the training documents of a data set, or on bare text."""

    data: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DATASET")]
    """Data set folder made by hanmo prepare (its training split), or any file or folder of text."""
    out: Path
    """Folder for tokenizer.json, tokenizer_config.json and vocabulary.tsv."""
    tokenizer: Annotated[TokenizerConfig, tyro.conf.arg(name="")] = field(default_factory=TokenizerConfig)
    """The kind and its settings."""


@dataclass(frozen=True, kw_only=True)
class Show:
    """Show a tokenizer: its size, its most frequent tokens, how it cuts a text, what each language costs."""

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """Folder with tokenizer.json: a tokenizer's or a model's."""
    text: str = ""
    """A text to cut into tokens."""
    data: Path | None = None
    """Data set (its validation split) or text on which to count tokens per byte, character and word by language."""
    top: int = 20
    """How many of the most frequent tokens to list."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Train a tokenizer, or show one."""

    action: Train | Show
    """What to do."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb.

    Raises UsageError for wrong words.
    """
    match list(words):
        case ["train", *rest]:
            return Options(action=parse_arguments(Train, rest, "tokenizer train", sections=("tokenizer",)))
        case ["show", *rest]:
            return Options(action=parse_arguments(Show, rest, "tokenizer show"))
        case ["-h" | "--help", *_]:
            sys.stdout.write(USAGE + "\n")
            raise SystemExit(0)
        case _:
            raise UsageError("say hanmo tokenizer train DATASET --out DIR, or hanmo tokenizer show DIR")


def run(options: Options) -> dict[str, object]:
    """Train or show; gives the tokenizer's facts."""
    return _train(options.action) if isinstance(options.action, Train) else _show(options.action)


def _train(action: Train) -> dict[str, object]:
    from hanmo.tokenizer.train import train_tokenizer

    tokenizer = train_tokenizer((document.text for document in _documents(action.data, "train")), action.tokenizer)
    tokenizer.save(action.out)
    return {"folder": str(action.out), **_facts(tokenizer, 10)}


def _show(action: Show) -> dict[str, object]:
    from hanmo.base.runs import Run
    from hanmo.tokenizer.fertility import fertility
    from hanmo.tokenizer.load import Tokenizer

    inside_run = not (action.folder / "tokenizer.json").is_file() and (Run(action.folder).tokenizer / "tokenizer.json").is_file()
    folder = Run(action.folder).tokenizer if inside_run else action.folder
    tokenizer = Tokenizer.load(folder)
    result: dict[str, object] = {"folder": str(folder), **_facts(tokenizer, action.top)}
    if action.text:
        ids = tokenizer.encode(action.text).tolist()
        result |= {"ids": ids, "tokens": [tokenizer.visible(id) for id in ids], "recovered": tokenizer.decode(ids) == action.text}
    if action.data is not None:
        measured = fertility(_documents(action.data, "validation"), tokenizer)
        result["fertility"] = {language: counts.rates() for language, counts in measured.items()}
    return result


def _facts(tokenizer: "Tokenizer", top: int) -> dict[str, object]:
    rows = tokenizer.vocabulary() if tokenizer.has_counts else []
    return {
        "kind": tokenizer.kind,
        "vocab_size": tokenizer.vocab_size,
        "sha256": tokenizer.fingerprint,
        "most_frequent": [{"token": token, "id": id, "count": count} for token, id, count in rows[:top]],
        "never_used": sum(count == 0 for _, _, count in rows),
    }


def _documents(data: Path, split: str) -> "Iterator[Document]":
    from hanmo.data.read import is_dataset, read_dataset, read_texts

    return read_dataset(data, split) if is_dataset(data) else read_texts(data)


def show(result: dict[str, Any]) -> str:
    """What a person reads."""
    lines = [f"{result['folder']}: {result['kind']}, {result['vocab_size']:,} tokens"]
    if result["most_frequent"]:
        lines.append(f"  most frequent: {' '.join(repr(row['token']) for row in result['most_frequent'])}")
        lines.append(f"  never used in the text it was trained on: {result['never_used']:,}")
    if "tokens" in result:
        lines.append(f"  {len(result['ids'])} tokens: {'|'.join(result['tokens'])}")
        lines.append("  decoding gives the text back" if result["recovered"] else "  decoding does NOT give the text back")
    if "fertility" in result:
        lines += _table(result["fertility"])
    return "\n".join(lines)


def _table(measured: dict[str, dict[str, float]]) -> list[str]:
    names = ("documents", "tokens", "tokens_per_byte", "tokens_per_character", "tokens_per_word", "unknown_share", "not_recovered")
    lines = ["  " + f"{'language':<10}" + "".join(f"{name:>22}" for name in names)]
    for language, rates in measured.items():
        cells = (f"{rates[name]:>22.4f}" if isinstance(rates[name], float) else f"{rates[name]:>22,}" for name in names)
        lines.append("  " + f"{language or 'unknown':<10}" + "".join(cells))
    return lines
