"""Files become documents; what it was made from decides whether later stages still hold."""

import dataclasses
import hashlib
import json
from pathlib import Path

from hanmo.base.errors import HanmoError
from hanmo.base.runs import Run
from hanmo.data.catalogue import ENTRIES, find
from hanmo.data.prepare import WITHOUT_EFFECT, prepare, read_manifest
from hanmo.data.reading.inputs import Source, list_files, name_sources
from hanmo.pipeline.recipe import Recipe
from hanmo.pipeline.stage import Stage


def _made(recipe: Recipe, folder: Run) -> list[Path]:
    return [folder.data / "manifest.json", folder.data / "documents"]


def _do(recipe: Recipe, folder: Run) -> None:
    prepare(recipe.sources, folder.data, dataclasses.replace(recipe.prepare, card_language=recipe.language))


def source_files(recipe: Recipe) -> str:
    """SHA-256 over names, sizes and times of all source files; empty when a source is not at hand, whose data may well be."""
    paths = [find(ENTRIES[source]) if source in ENTRIES else Path(source) for source in recipe.sources]
    try:
        files, _ = list_files(name_sources([Source(path=path) for path in paths if path is not None]))
        facts = [(file.label, (state := file.path.stat()).st_size, state.st_mtime_ns) for file in files]
    except (HanmoError, OSError):
        return ""
    return hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()


def data_fingerprint(folder: Run) -> str:
    """What the data set was made from, by its own account."""
    return str(read_manifest(folder.data).get("fingerprint", ""))


STAGE = Stage(
    name="prepare",
    settings=("sources", "prepare"),
    appearance=("language",),
    without_effect=("prepare.card_language", *(f"prepare.{name}" for name in WITHOUT_EFFECT)),
    made=_made,
    do=_do,
    outside=source_files,
    identity=data_fingerprint,
)
