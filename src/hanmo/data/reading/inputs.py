"""Sources become a sorted list of files, each with a name that does not depend on the machine.

In: folders and files, here or behind a URL, with their licences. Out: `InputFile`s in the order of their labels, and a
`Refused` for everything that cannot be read. The idea: a label is the source's own name and the path below it, so the same texts get the
same ids wherever they lie.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hanmo.base.errors import DataError
from hanmo.data.reading.formats import Format
from hanmo.data.reading.remote import is_url, list_url, without_secrets

HIDDEN = "hidden files and folders are not read"
Identity = tuple[int, int]  # device and inode


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file or a folder the user named, with what is known of its text; a `url` stands in place of the path."""

    path: Path = Path()
    url: str = ""
    name: str = ""
    license: str = ""
    citation: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One file to read, under a path or a URL; `label` names it in receipts."""

    path: Path = Path()
    label: str
    url: str = ""
    license: str = ""
    language: str = ""

    @property
    def name(self) -> str:
        """The last part of its path, whose ending tells what it may hold."""
        return without_secrets(self.url).rsplit("/", 1)[-1] if self.url else printable(self.path.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text as it was found; `source` is the file's label, with `#row` for a row, a line or a part of it.

    `format` and `encoding` are what it was read as; `note` says where the file's name promised something else; `own_id` is what its row
    is called where it comes from.
    """

    source: str
    text: str
    format: str = ""
    encoding: str = ""
    note: str = ""
    own_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One input that gave no text: the rule that refused it, and why in words."""

    source: str
    rule: str
    detail: str = ""
    value: float | None = None
    threshold: float | None = None
    own_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What one reader reads in one go: a file, rows `start` to `stop` of it, or an input refused before.

    `format` is what its first bytes say. For jsonl and lines `start` and `stop` are bytes at line ends, for parquet row groups;
    `stop` is -1 for the end. `first_row` counts from 1; `bytes` is the part's share of the file.
    """

    file: InputFile
    format: Format = field(default_factory=Format)
    start: int = 0
    stop: int = -1
    first_row: int = 1
    bytes: int = 0
    refused: Refused | None = None


def place(source: str | Path) -> Source:
    """What a user wrote, as a source: a URL, or a path here.

    Raises DataError for an empty one, which would be the folder that we stand in.

    >>> place("s3://bucket/texts").url, place("file:///tmp/a.txt").path.as_posix()
    ('s3://bucket/texts', '/tmp/a.txt')
    """
    if source == "":
        raise DataError("a source is empty: give a file, a folder, or a URL")
    if isinstance(source, str) and is_url(source) and not source.startswith("file://"):
        return Source(url=source)
    return Source(path=Path(source.removeprefix("file://") if isinstance(source, str) else source))


def name_sources(sources: Sequence[Source]) -> list[Source]:
    """Sources with names of their own: the last part of the path, longer where two would be equal.

    Sorted by name; a path given twice counts once.
    """
    unique = {_place(source): source for source in sources}
    parts = {place: _parts(place, source) for place, source in unique.items()}
    lengths = dict.fromkeys(unique, 1)
    while True:
        names = {place: unique[place].name or "/".join(parts[place][-length:]) for place, length in lengths.items()}
        counts = Counter(names.values())
        longer = [p for p, name in names.items() if counts[name] > 1 and lengths[p] < len(parts[p]) and not unique[p].name]
        if not longer:
            break
        for place in longer:
            lengths[place] += 1
    named = (replace(s, path=s.path if s.url else Path(place), name=names[place]) for place, s in unique.items())
    return sorted(named, key=lambda source: source.name)


def _place(source: Source) -> str:
    return source.url.rstrip("/") or os.path.abspath(source.path)  # noqa: PTH100 - links are not resolved on purpose


def _parts(place: str, source: Source) -> tuple[str, ...]:
    if source.url:
        return tuple(part for part in without_secrets(place).split("://", 1)[1].split("/") if part) or ("root",)
    return Path(place).parts[1:] or ("root",)


def list_files(sources: Sequence[Source], without: Path | None = None) -> tuple[list[InputFile], list[Refused]]:
    """All files below named sources in the order of their labels, and what was refused without opening it.

    A file reached through two nested sources counts once, under the smaller label. Raises DataError when a source does
    not exist.
    """
    forbidden = _identity(without) if without else None
    files: dict[str, InputFile] = {}
    refused: list[Refused] = []
    for source in sources:
        for found in _behind_url(source) if source.url else _on_disk(source, forbidden):
            if isinstance(found, Refused):
                refused.append(found)
                continue
            known = files.get(found.url or str(found.path))
            if known is None or found.label < known.label:
                files[found.url or str(found.path)] = found
    return sorted(files.values(), key=lambda f: f.label), sorted(refused, key=lambda r: (r.source, r.rule))


def _on_disk(source: Source, forbidden: Identity | None) -> Iterator[InputFile | Refused]:
    if not os.path.lexists(source.path):
        raise DataError(f"the source {source.path} does not exist: give a file, a folder, or a name that hanmo fetch --list shows")
    for found in _walk(source.path, source.name, (), forbidden):
        if isinstance(found, Refused):
            yield found
        else:
            yield InputFile(path=found[0], label=found[1], license=source.license, language=source.language)


def _behind_url(source: Source) -> Iterator[InputFile | Refused]:
    for url, below in list_url(source.url):
        label = f"{source.name}/{below}" if below else source.name
        if any(is_hidden(part) for part in below.split("/")):
            yield Refused(source=label, rule="hidden", detail=HIDDEN)
        else:
            yield InputFile(url=url, label=label, license=source.license, language=source.language)


def is_hidden(name: str) -> bool:
    """Whether files and folders of this name are left out."""
    return name.startswith(".") or name in ("__pycache__", "__MACOSX")


def _walk(path: Path, label: str, above: tuple[Identity, ...], forbidden: Identity | None) -> Iterator[tuple[Path, str] | Refused]:
    """Files below `path` in sorted order; `above` holds the folders we came through."""
    try:
        facts = path.stat()
    except OSError as error:
        rule = "broken_link" if path.is_symlink() else "unreadable"
        yield Refused(source=label, rule=rule, detail=os.strerror(error.errno or 0))
        return
    if stat.S_ISREG(facts.st_mode):
        yield Path(os.path.abspath(path)), label  # noqa: PTH100 - links are not resolved on purpose
        return
    if not stat.S_ISDIR(facts.st_mode):
        yield Refused(source=label, rule="special_file", detail="neither a file nor a folder")
        return
    here = (facts.st_dev, facts.st_ino)
    if here in above or here == forbidden:
        detail = "the output folder" if here == forbidden else "a link to a folder that contains it"
        yield Refused(source=label, rule="hidden" if here == forbidden else "link_loop", detail=detail)
        return
    try:
        names = sorted(os.listdir(path))  # noqa: PTH208 - names only
    except OSError as error:
        yield Refused(source=label, rule="unreadable", detail=os.strerror(error.errno or 0))
        return
    for name in names:
        below = f"{label}/{printable(name)}"
        if is_hidden(name):
            yield Refused(source=below, rule="hidden", detail=HIDDEN)
        else:
            yield from _walk(path / name, below, (*above, here), forbidden)


def _identity(path: Path) -> Identity:
    facts = path.stat()
    return facts.st_dev, facts.st_ino


def printable(name: str) -> str:
    """A file name that UTF-8 can write; bytes that are no UTF-8 appear as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
