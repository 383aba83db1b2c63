"""The weights of a model folder: one safetensors file, or several, under an index or by their names; headers first, tensors when asked."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from hanmo.base.errors import ModelError
from hanmo.model.foreign import refuse_other_form, refuse_pointer

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
LONGEST_NAME = 255
"""Bytes of a file's name on Linux, macOS and Windows."""
Shape = tuple[int, ...]
_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors")


class Shards:
    """Names, shapes and types of all tensors of a folder, known before any weight is read.

    Raises ModelError in one line for a file that is missing, truncated, pickled, or not what the index says.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shapes: dict[str, Shape] = {}
        self.kinds: dict[str, str] = {}
        self._files: dict[str, str] = {}
        for file, promised in _files(folder).items():
            found = self._read_header(file)
            if promised is not None and not promised <= found:
                raise ModelError(f"{folder / file} has no tensor {min(promised - found)}, which {INDEX} promises: fetch the model again")

    def _read_header(self, file: str) -> set[str]:
        with _opened(self.folder / file) as opened:
            found = set(opened.keys())
            if twice := found & self._files.keys():
                raise ModelError(f"the tensor {min(twice)} is in two files of {self.folder}: fetch the model again")
            for name in found:
                if not name.isprintable():
                    raise ModelError(f"{self.folder / file} has a tensor with an unreadable name ({name[:40]!r}): refused")
                about = opened.get_slice(name)
                self.shapes[name], self.kinds[name] = tuple(about.get_shape()), str(about.get_dtype())
                self._files[name] = file
        return found

    def read(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor, file by file."""
        for file in dict.fromkeys(self._files.values()):
            with _opened(self.folder / file) as opened:
                for name in opened.keys():  # noqa: SIM118  an opened file is no mapping
                    yield name, opened.get_tensor(name)


def _files(folder: Path) -> dict[str, set[str] | None]:
    """Files that hold weights, with the tensors that an index promises in each."""
    if (folder / WEIGHTS).is_file():
        return {WEIGHTS: None}
    if not (folder / INDEX).is_file():
        if found := _unlisted(folder):
            return dict.fromkeys(found)
        refuse_other_form(folder)
        pickled = [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]
        if pickled:
            raise ModelError(
                f"{folder} holds only pickled weights ({pickled[0].name}), which can run any code when opened: "
                "convert them to safetensors where you trust them"
            )
        raise ModelError(f"{folder} holds no weights: {WEIGHTS} is missing")
    try:
        places = json.loads((folder / INDEX).read_text("utf-8"))["weight_map"]
        wanted = {file: {name for name, where in places.items() if where == file} for file in sorted(set(places.values()))}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{folder / INDEX} cannot be read as an index of weights: {error!r}") from error
    for file in wanted:
        if Path(file).name != file:
            raise ModelError(f"{folder / INDEX} points outside its folder ({file!r}): refused")
        if (size := len(file.encode("utf-8", "surrogatepass"))) > LONGEST_NAME:
            raise ModelError(f"{folder / INDEX} names a file in {size:,} bytes ({file[:20]!r}...): file systems hold {LONGEST_NAME}")
    return {**wanted}


def _unlisted(folder: Path) -> list[str]:
    """The files that hold the weights where no index says so: the only one, or NAME-00001-of-0000N.safetensors and its followers.

    Raises ModelError for a set with a part missing, and for files whose names tell nothing.
    """
    names = sorted(each.name for each in folder.glob("*.safetensors") if not each.name.startswith(("adapter", "consolidated")))
    if len(names) < 2 and not any(map(_PART.fullmatch, names)):
        return names
    sets = {(found[1], found[3]) for found in map(_PART.fullmatch, names) if found}
    if len(sets) != 1 or not all(map(_PART.fullmatch, names)):
        raise ModelError(f"{folder} has no {INDEX}, which would say which of {', '.join(names[:4])} hold the weights: fetch it")
    [(stem, last)] = sets
    for number in range(1, int(last) + 1):
        if (name := f"{stem}-{number:05}-of-{last}.safetensors") not in names:
            raise ModelError(f"{folder / name} is missing: it is one of {int(last)} parts of the weights; fetch it too")
    return names


def _opened(path: Path) -> safe_open:
    if not path.is_file():
        raise ModelError(f"{path} is missing: fetch the model again")
    refuse_pointer(path)
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError, ValueError) as error:
        size = path.stat().st_size
        reason = " ".join(str(error).split())
        raise ModelError(f"{path} ({size:,} bytes) is damaged or cut short: {reason}; fetch or save the model again") from error
