"""`hanmo tokenizer train|show|extend|import|encode`: text to ids and back, made, measured and used."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from hanmo.base.errors import UsageError
from hanmo.base.storage import read_text
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.tokenizer.config import TokenizerConfig

if TYPE_CHECKING:
    from hanmo.tokenizer.load import Tokenizer

MOST_ROWS = 30
USAGE = """usage: hanmo tokenizer train [RECIPE] DATASET --out DIR [--kind bpe] [--vocab-size 8192]   (--help tells the rest)
       hanmo tokenizer show DIR [--data DATASET] [--text TEXT]
       hanmo tokenizer extend DIR --out DIR [--words FILE] [--data DATASET --add N]
       hanmo tokenizer import VOCABULARY --out DIR [--lowercase]
       hanmo tokenizer encode DATASET --tokenizer DIR --out DIR [--workers N]"""


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a tokenizer on the training documents of a data set, or on bare text."""

    data: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
    """Data set folder made by hanmo prepare (its training split), or any file, folder or URL of text."""
    out: Path
    """Folder for tokenizer.json, tokenizer_config.json, tokenizer_training.json, vocabulary.tsv and, of word pieces, vocab.txt."""
    tokenizer: Annotated[TokenizerConfig, tyro.conf.arg(name="")] = field(default_factory=TokenizerConfig)
    """The kind and its settings."""


@dataclass(frozen=True, kw_only=True)
class Show:
    """Show a tokenizer: its size, its most frequent tokens, how it cuts a text, what each language costs."""

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """Folder with tokenizer.json: a tokenizer's or a model's."""
    text: str = ""
    """A text to cut into tokens."""
    data: str | None = None
    """Data set (its validation split) or text on which to count tokens per byte, character and word by language."""
    top: int = 20
    """How many of the most frequent tokens to list."""


@dataclass(frozen=True, kw_only=True)
class Extend:
    """Add words of a domain to a tokenizer; all ids it has stay."""

    folder: tyro.conf.Positional[Path]
    """Folder with tokenizer.json: a tokenizer's or a model's."""
    out: Path
    """Folder for the extended tokenizer."""
    words: Path | None = None
    """Text file with one word a line, each to become a token."""
    data: str | None = None
    """Data set (its training split) or text of the domain: what would save most tokens in it is added."""
    add: int = 0
    """Most tokens to add, those for words first; 0 takes the words alone."""


@dataclass(frozen=True, kw_only=True)
class Import:
    """Make a tokenizer folder from a vocabulary of another tool."""

    vocabulary: tyro.conf.Positional[Path]
    """BERT's vocab.txt, or GPT-2's vocab.json (encoder.json) with merges.txt (vocab.bpe) beside it, or a folder with them."""
    out: Path
    """Folder for the tokenizer."""
    lowercase: bool = False
    """Whether capitals and accents are dropped first (vocab.txt of an uncased model)."""


@dataclass(frozen=True, kw_only=True)
class Encode:
    """Encode a data set into token stores, and write the tokens of each document beside its receipt."""

    data: tyro.conf.Positional[Path]
    """Data set folder made by hanmo prepare."""
    tokenizer: Path
    """Folder with tokenizer.json."""
    out: Path
    """Folder for the stores, one a split: hanmo pretrain takes it as --tokens."""
    workers: int = 0
    """Processes that encode; 0 takes all cores."""


Action = Train | Show | Extend | Import | Encode


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make, measure or use a tokenizer."""

    action: Action
    """What to do."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb.

    Raises UsageError for wrong words.
    """
    kinds: dict[str, type[Action]] = {"show": Show, "extend": Extend, "import": Import, "encode": Encode}
    match list(words):
        case ["train", *rest]:
            return Options(action=parse_arguments(Train, rest, "tokenizer train", sections=("tokenizer",)))
        case [("show" | "extend" | "import" | "encode") as name, *rest]:
            return Options(action=parse_arguments(kinds[name], rest, f"tokenizer {name}"))
        case ["-h" | "--help", *_]:
            sys.stdout.write(USAGE + "\n")
            raise SystemExit(0)
        case _:
            raise UsageError("say hanmo tokenizer train, show, extend, import or encode; hanmo tokenizer --help tells the rest")


def run(options: Options) -> dict[str, object]:
    """Do it; gives the tokenizer's facts."""
    match options.action:
        case Train():
            return _train(options.action)
        case Show():
            return _show(options.action)
        case Extend():
            return _extend(options.action)
        case Import():
            return _import(options.action)
        case Encode():
            return _encode(options.action)


def _train(action: Train) -> dict[str, object]:
    from hanmo.data.reading.read import read_any
    from hanmo.tokenizer.train import train_tokenizer

    tokenizer = train_tokenizer((document.text for document in read_any(action.data, "train")), action.tokenizer)
    tokenizer.save(action.out)
    return {"folder": str(action.out), **_facts(tokenizer, 10)}


def _show(action: Show) -> dict[str, object]:
    from hanmo.data.reading.read import read_any
    from hanmo.tokenizer.fertility import fertility, language, origin, summed

    folder, tokenizer = _load(action.folder)
    result: dict[str, object] = {"folder": str(folder), **_facts(tokenizer, action.top)}
    if action.text:
        ids = tokenizer.encode(action.text).tolist()
        result |= {"ids": ids, "tokens": [tokenizer.visible(id) for id in ids], "recovered": tokenizer.decode(ids) == action.text}
    if action.data is not None:
        documents = read_any(action.data, "validation")
        measured = fertility(documents, tokenizer, key=lambda document: (language(document), origin(document)))
        for name, part in (("fertility", 0), ("fertility_by_source", 1)):
            result[name] = {key: counts.rates() for key, counts in summed(measured, part).items()}
    return result


def _extend(action: Extend) -> dict[str, object]:
    from hanmo.data.reading.read import read_any
    from hanmo.tokenizer.extend import extend

    folder, old = _load(action.folder)
    if action.data is None and not action.words:
        raise UsageError("say what to extend by: --words FILE, or --data DATASET --add N")
    if action.data is not None and not action.words and action.add < 1:
        raise UsageError(f"--add (={action.add}) says how many tokens --data may give: at least 1")
    words = _read_words(action.words) if action.words else []
    texts = (document.text for document in read_any(action.data, "train")) if action.data and action.add else ()
    extension = extend(old, words=words, texts=texts, add=action.add)
    new = extension.tokenizer
    new.save(action.out)
    _copy_template(folder, action.out)
    result: dict[str, object] = {
        "folder": str(action.out),
        **_facts(new, 0),
        "extended_from": str(folder),
        "added": extension.added,
        "not_single": extension.not_single,
    }
    if action.data is not None:
        result |= _saved(action.data, old, new)
    return result


def _saved(data: str, old: "Tokenizer", new: "Tokenizer") -> dict[str, object]:
    """What the validation split of a data set, or a text, costs with both; unknown tokens, for they are cheap and worthless."""
    from hanmo.data.reading.read import read_any

    sums = {"before": [0, 0], "after": [0, 0]}
    for document in read_any(data, "validation"):
        for name, tokenizer in (("before", old), ("after", new)):
            ids = tokenizer.encode(document.text)
            sums[name][0] += len(ids)
            sums[name][1] += 0 if tokenizer.unk_id is None else int((ids == tokenizer.unk_id).sum())
    tokens, unknown = ({f"{kind}_{name}": sums[name][place] for name in sums} for place, kind in enumerate(("tokens", "unknown")))
    return {**tokens, **unknown, "saved_share": 1 - tokens["tokens_after"] / max(1, tokens["tokens_before"])}


def _read_words(path: Path) -> list[str]:
    try:
        return read_text(path).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--words {path} cannot be read as UTF-8 text: {error}") from error


def _copy_template(source: Path, target: Path) -> None:
    """How conversations are written belongs to a tokenizer too."""
    import shutil

    for file in (*source.glob("chat_template*"), *source.glob("special_tokens_map.json")):
        if file.is_file() and source.resolve() != target.resolve():
            shutil.copy(file, target / file.name)


def _import(action: Import) -> dict[str, object]:
    from hanmo.tokenizer.vocabularies import import_vocabulary

    tokenizer = import_vocabulary(action.vocabulary, lowercase=action.lowercase)
    tokenizer.save(action.out)
    return {"folder": str(action.out), **_facts(tokenizer, 0)}


def _encode(action: Encode) -> dict[str, object]:
    from hanmo.data.reading.read import SPLITS, read_dataset
    from hanmo.pipeline.tokens import encode_dataset

    folder, tokenizer = _load(action.tokenizer)
    splits = [split for split in SPLITS if next(read_dataset(action.data, split), None) is not None]
    stores = encode_dataset(action.data, tokenizer, action.out, splits, action.workers)
    made = {
        split: {"documents": store.num_documents, "tokens": store.num_tokens, "bytes": store.num_bytes} for split, store in stores.items()
    }
    return {"folder": str(folder), **_facts(tokenizer, 0), "out": str(action.out), "splits": made}


def _load(folder: Path) -> "tuple[Path, Tokenizer]":
    """The tokenizer of a folder or a run, and where it is."""
    from hanmo.base.runs import Run
    from hanmo.tokenizer.load import Tokenizer

    inside_run = not (folder / "tokenizer.json").is_file() and (Run(folder).tokenizer / "tokenizer.json").is_file()
    folder = Run(folder).tokenizer if inside_run else folder
    return folder, Tokenizer.load(folder)


def _facts(tokenizer: "Tokenizer", top: int) -> dict[str, object]:
    rows = tokenizer.vocabulary() if tokenizer.has_counts else []
    return {
        "kind": tokenizer.kind,
        "vocab_size": tokenizer.vocab_size,
        "sha256": tokenizer.fingerprint,
        "most_frequent": [{"token": token, "id": id, "count": count} for token, id, count in rows[:top]],
        "never_used": sum(count == 0 for _, _, count in rows),
    }


def show(result: dict[str, Any]) -> str:
    """What a person reads."""
    lines = [f"{result['folder']}: {result['kind']}, {result['vocab_size']:,} tokens"]
    if result["most_frequent"]:
        lines.append(f"  most frequent: {' '.join(repr(row['token']) for row in result['most_frequent'])}")
        lines.append(f"  never used in the text it was trained on: {result['never_used']:,}")
    if "tokens" in result:
        lines.append(f"  {len(result['ids'])} tokens: {'|'.join(result['tokens'])}")
        lines.append("  decoding gives the text back" if result["recovered"] else "  decoding does NOT give the text back")
    for name, title in (("fertility", "language"), ("fertility_by_source", "source")):
        if name in result:
            lines += _table(result[name], title)
    if "added" in result:
        lines.append(
            f"  {len(result['added']):,} tokens added to those of {result['extended_from']}: {' '.join(map(repr, result['added'][:20]))}"
        )
        if result["not_single"]:
            lines.append(f"  still more than one token: {' '.join(result['not_single'][:20])}")
    if "saved_share" in result:
        lines.append(f"  tokens: {result['tokens_before']:,} before, {result['tokens_after']:,} after, {result['saved_share']:.1%} saved")
        if result["unknown_before"]:
            lines.append(f"  unknown: {result['unknown_before']:,} before, {result['unknown_after']:,} after")
    for split, sums in result.get("splits", {}).items():
        lines.append(f"  {result['out']}/{split}: {sums['documents']:,} documents, {sums['tokens']:,} tokens, {sums['bytes']:,} bytes")
    return "\n".join(lines)


def _table(measured: dict[str, dict[str, float]], title: str) -> list[str]:
    names = (
        "documents",
        "tokens",
        "tokens_per_byte",
        "tokens_per_character",
        "tokens_per_word",
        "continued_share",
        "unknown_share",
        "not_recovered",
    )
    width = min(40, max(10, *(len(key) + 2 for key in measured))) if measured else 10
    lines = ["  " + f"{title:<{width}}" + "".join(f"{name:>21}" for name in names)]
    for key, rates in list(measured.items())[:MOST_ROWS]:
        cells = (f"{rates[name]:>21.4f}" if isinstance(rates[name], float) else f"{rates[name]:>21,}" for name in names)
        lines.append("  " + f"{(key or 'unknown')[-width:]:<{width}}" + "".join(cells))
    if len(measured) > MOST_ROWS:
        lines.append(f"  ... {len(measured) - MOST_ROWS:,} more: --json has them all")
    return lines
