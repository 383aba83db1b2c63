"""`hanmo fetch NAME` / `hanmo fetch --list`: bring an open corpus or a starter model by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from hanmo.base.errors import UsageError
from hanmo.cli.arguments import parse as parse_arguments


@dataclass(frozen=True, kw_only=True)
class Options:
    """Bring a corpus or a starter model of the catalogue to this machine; looks in HANMO_CORPORA and the cache first."""

    name: Annotated[Positional[str], arg(metavar="NAME")] = ""
    """Name in the catalogue."""
    list: bool = False
    """Show what the catalogue has."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    options = parse_arguments(Options, words, "fetch")
    if bool(options.name) == options.list:
        raise UsageError("hanmo fetch needs a name, or --list to see the names")
    return options


def run(options: Options) -> dict[str, object]:
    """Fetch one entry, or list all; gives facts and the local path (empty when it is not here yet)."""
    from hanmo.data.catalogue import ENTRIES, CatalogueEntry, entry_of, fetch, find

    def facts(entry: CatalogueEntry, path: object) -> dict[str, object]:
        return {
            "name": entry.name,
            "kind": entry.kind,
            "title": entry.title,
            "language": entry.language,
            "license": entry.license,
            "citation": entry.citation,
            "archive": " ".join(requirement for requirement, _ in entry.archives),
            "path": str(path or ""),
        }

    if options.list:
        rows = [facts(entry, find(entry)) for entry in ENTRIES.values()]
        return {plural: [row for row in rows if row["kind"] == kind] for kind, plural in (("corpus", "corpora"), ("model", "models"))}
    entry = entry_of(options.name)
    path = fetch(options.name)
    files = [file for file in path.rglob("*") if file.is_file()]
    return {**facts(entry, path), "files": len(files), "bytes": sum(file.stat().st_size for file in files)}


def show(result: dict[str, object]) -> str:
    """What a person reads."""
    corpora, models = result.get("corpora"), result.get("models")
    if isinstance(corpora, list) and isinstance(models, list):
        return "\n".join(
            f"{c['name']:<23}{c['title']} ({c['license']}){'  ' + c['path'] if c['path'] else ''}" for c in [*corpora, *models]
        )
    size = f"{result['files']} files, {result['bytes']:,} bytes"
    return f"{result['name']}: {size} in {result['path']}\n{result['citation']} ({result['license']})"
