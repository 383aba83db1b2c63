"""Whatever a user may call a model, as a folder that loads.

In: a model folder, a run, a GGUF file, a name that `hanmo fetch` knows, a name on the hub. Out: a model folder. A GGUF file is
imported once, into the cache, and again when it has changed. Pickled weights are refused, whatever they are called.
"""

import hashlib
from pathlib import Path

from hanmo.base.errors import ModelError
from hanmo.base.progress import say
from hanmo.base.runs import Run, model_folder
from hanmo.convert.gguf import import_gguf
from hanmo.convert.gguf_reader import MAGIC
from hanmo.convert.gguf_split import is_piece, parts_of, sets_in
from hanmo.convert.hub import fetch_from_hub, is_hub_name
from hanmo.data.catalogue import ENTRIES, cache_folder, find
from hanmo.model.foreign import refuse_other_form, refuse_pointer

FORM = "2"
"""Counts up when an import would give another folder for the same file."""
MOST_PARTS = 1000
"""How many files of a set are looked at to see whether one has changed."""
OLDER = (b"lmgg", b"fmgg", b"tjgg", b"algg")
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


def local_model(name: str | Path) -> Path:
    """The model folder behind a name or path.

    Raises ModelError in one line when there is none, or its weights are pickled.
    """
    text = str(name)
    if text in ENTRIES and not Path(text).exists():
        return _of_folder(_fetched(text))
    path = Path(name)
    if path.is_dir():
        return _of_folder(path)
    if path.is_file():
        return _of_file(path)
    if is_hub_name(text) and not path.parent.exists():
        found = fetch_from_hub(text)
        return _of_folder(found) if found.is_dir() else _of_file(found)
    raise ModelError(
        f"{name} does not exist as a folder or file; names that hanmo fetch knows are "
        f"{', '.join(each.name for each in ENTRIES.values() if each.kind == 'model')}, hub names look like OWNER/NAME"
    )


def _fetched(name: str) -> Path:
    entry = ENTRIES[name]
    if entry.kind != "model":
        raise ModelError(f"{name} is a corpus, no model")
    found = find(entry)
    if found is None:
        raise ModelError(f"{name} is not on this machine yet: hanmo fetch {name}")
    return found


def _of_folder(folder: Path) -> Path:
    """A model folder or run as it is; a folder with one GGUF file, or one set of them, and no config.json stands for that."""
    if any((each / "config.json").is_file() for each in (folder, Run(folder).model)):
        return model_folder(folder)
    files = sets_in(sorted(folder.glob("*.gguf")))
    if len(files) > 1:
        raise ModelError(f"{folder} holds several GGUF models: name one of {', '.join(each.name for each in files[:8])}")
    if not files:
        refuse_other_form(folder)
    return _of_file(files[0]) if files else model_folder(folder)


def _of_file(path: Path) -> Path:
    if path.suffix in PICKLED:
        raise ModelError(
            f"{path} holds pickled weights, which can run any code when opened: convert them to safetensors where you trust them"
        )
    if path.suffix == ".safetensors":
        raise ModelError(f"{path} holds weights alone: give the folder, with its config.json")
    if is_piece(path):
        raise ModelError(f"{path} is a piece of a GGUF file cut by bytes: join all of them in order first (cat PIECES > model.gguf)")
    refuse_pointer(path)
    with path.open("rb") as stream:
        if (begins := stream.read(len(MAGIC))) in OLDER:
            raise ModelError(f"{path} is a model of GGML, the form before GGUF: take a GGUF file of this model")
        if begins != MAGIC:
            raise ModelError(f"{path} is no model: a file should be GGUF, and this one does not begin with {MAGIC.decode()}")
    return imported(path)


def imported(path: Path) -> Path:
    """The model folder of a GGUF file, or of a set of them, in the cache, made when a file is new or has changed."""
    path, *others = [each for each in parts_of(path)[:MOST_PARTS] if each.is_file()] or [path]
    about = [(each.resolve(), each.stat()) for each in (path, *others)]
    said = " ".join([FORM, *(f"{each} {stat.st_size} {stat.st_mtime_ns}" for each, stat in about)])
    place = cache_folder() / "imported" / f"{path.stem}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"
    if not (place / "config.json").is_file():
        say(f"importing {path} into {place}")
        import_gguf(path, place)
    return place
