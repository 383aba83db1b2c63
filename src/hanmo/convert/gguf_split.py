"""A set of GGUF files that are one model: NAME-00001-of-0000N.gguf and its followers, as llama.cpp's gguf-split writes them.

In: the path of one of them, or of a file that stands alone. Out: one file that has all tensors. The first one's metadata speak for
the set; each says which of how many it is (`split.no`, `split.count`), and how many tensors there are in all.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from hanmo.base.errors import ModelError
from hanmo.convert.gguf_reader import GgufFile

_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")
_BYTES = re.compile(r".+\.gguf[-._]?(split-[a-z]{1,2}|part-?\d+(of\d+)?)", re.IGNORECASE)


def parts_of(path: Path) -> list[Path]:
    """The files of the set that a path belongs to, by their names; the path alone where its name tells of no set.

    >>> [str(each) for each in parts_of(Path("m-00002-of-00002.gguf"))]
    ['m-00001-of-00002.gguf', 'm-00002-of-00002.gguf']
    """
    found = _PART.fullmatch(path.name)
    if found is None or not 1 <= int(found[2]) <= int(found[3]):
        return [path]
    return [path.with_name(f"{found[1]}-{number:05}-of-{found[3]}.gguf") for number in range(1, int(found[3]) + 1)]


def sets_in(files: Sequence[Path]) -> list[Path]:
    """Some GGUF files with one of each set, its first."""
    return list(dict.fromkeys(parts_of(each)[0] if parts_of(each)[0] in files else each for each in files))


def is_piece(path: Path) -> bool:
    """Whether a name is that of a piece cut out of a file's bytes, which begins anywhere.

    >>> [is_piece(Path(each)) for each in ("m.gguf-split-a", "m.gguf.part1of2", "m.gguf", "m-00001-of-00002.gguf")]
    [True, True, False, False]
    """
    return bool(_BYTES.fullmatch(path.name))


def read_gguf(path: Path) -> GgufFile:
    """A file, or the set that it belongs to as one file.

    Raises ModelError in one line where a part is missing or belongs to another set, and as a file on its own does.
    """
    alone = GgufFile(path)
    count = _number(alone, "split.count")
    if count < 2:
        return alone
    paths = parts_of(path)
    if len(paths) != count:
        raise ModelError(
            f"{path} is part {_number(alone, 'split.no') + 1} of {count}, and its name should say so "
            f"({path.stem}-00001-of-{count:05}.gguf): give the parts their names back"
        )
    missing = next((each for each in paths if not each.is_file()), None)
    if missing is not None:
        raise ModelError(f"{path} is one of {count} parts, and {missing.name} is not beside it: fetch it too")
    first, *others = [alone if each == path else GgufFile(each) for each in paths]
    for number, each in enumerate([first, *others]):
        if (_number(each, "split.no"), _number(each, "split.count")) != (number, count):
            raise ModelError(f"{each.path} does not say that it is part {number + 1} of {count}: it belongs to another set")
    for each in others:
        if twice := first.tensors.keys() & each.tensors.keys():
            raise ModelError(f"{each.path} has the tensor {min(twice)!r}, which a part before it has too: they are no set")
        first.tensors |= each.tensors
    if (said := _number(first, "split.tensors.count")) not in (0, len(first.tensors)):
        raise ModelError(f"{first.path} promises {said} tensors in its {count} parts, which hold {len(first.tensors)}: fetch them again")
    return first


def _number(file: GgufFile, key: str) -> int:
    value = file.metadata.get(key, 0)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
