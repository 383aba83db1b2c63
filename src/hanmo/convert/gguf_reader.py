"""A GGUF file, read through a memory map; every size, count and offset is checked before it is used.

In: a path. Out: its metadata as Python values, its tensors' names, shapes and formats, and their numbers when asked.
The layout is that of ggml's `docs/gguf.md`, versions 2 and 3, little-endian: magic, version, counts, metadata, a table of
tensors, then their bytes, each at an aligned offset. A file that lies about any of these is refused in one line; nothing is
allocated on its word: no count may ask for more bytes than follow it, and no two tensors may share bytes.
"""

import math
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ModelError
from hanmo.convert.gguf_blocks import FORMATS, NOT_READ, BlockFormat, dequantized

MAGIC = b"GGUF"
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
LONGEST_NAME = 1 << 12
SMALLEST_ENTRY, SMALLEST_TENSOR = 8 + 4 + 1, 8 + 4 + 8 + 4 + 8
MOST_DIMENSIONS = 4

Value = bool | int | float | str | list[int] | list[float] | list[str] | list[bool]


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor of the file: its shape in our order (rows first), its format, and where its bytes stand."""

    name: str
    shape: tuple[int, ...]
    format: BlockFormat
    start: int
    bytes: int
    content: NDArray[np.uint8]
    """All bytes of the file that it stands in."""


class GgufFile:
    """Metadata and tensors of one file.

    Raises ModelError in one line for a file that is no GGUF, cut short, or not what it says of itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._bytes: NDArray[np.uint8] = np.memmap(path, np.uint8, "r")
        except (OSError, ValueError) as error:
            raise ModelError(f"{path} cannot be read: {error}") from error
        cursor = _Cursor(path, self._bytes)
        tensors = self._read_head(cursor)
        self.metadata: dict[str, Value] = {}
        for _ in range(self._entries):
            key = cursor.name("a metadata key")
            if key in self.metadata:
                raise cursor.wrong(f"the metadata key {key!r} comes twice")
            self.metadata[key] = cursor.value(key)
        self.tensors = self._read_table(cursor, tensors)

    def _read_head(self, cursor: "_Cursor") -> int:
        if bytes(cursor.take(4, "the magic")) != MAGIC:
            raise ModelError(f"{self.path} is no GGUF file: it begins with {bytes(self._bytes[:4])!r}")
        version = cursor.number("<I", "the version")
        if version not in (2, 3):
            hint = " (it is big-endian)" if version & 0xFFFF == 0 else ""
            raise ModelError(f"{self.path}: version {version} of GGUF is not read here{hint}; 2 and 3 are")
        tensors = cursor.count("<Q", SMALLEST_TENSOR, "tensors")
        self._entries = cursor.count("<Q", SMALLEST_ENTRY, "metadata entries")
        return tensors

    def _read_table(self, cursor: "_Cursor", count: int) -> dict[str, Stored]:
        alignment = self.metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or isinstance(alignment, bool) or not 1 <= alignment <= 1 << 16 or alignment & (alignment - 1):
            raise cursor.wrong(f"general.alignment (={alignment!r}) is no power of two up to 65536")
        rows = [self._read_row(cursor) for _ in range(count)]
        base = -(-cursor.place // alignment) * alignment
        found: dict[str, Stored] = {}
        for name, shape, kind, offset in rows:
            if name in found:
                raise cursor.wrong(f"the tensor {name!r} comes twice")
            size = kind.stored(math.prod(shape))
            if offset % alignment or base + offset + size > len(self._bytes):
                raise cursor.wrong(
                    f"the tensor {name!r} should take {size:,} bytes from {base + offset:,} on, the file has {len(self._bytes):,} bytes "
                    f"and an alignment of {alignment}: fetch it again"
                )
            found[name] = Stored(name, shape, kind, base + offset, size, self._bytes)
        in_order = sorted(found.values(), key=lambda each: each.start)
        for before, after in pairwise(in_order):
            if before.start + before.bytes > after.start:
                raise cursor.wrong(f"the tensors {before.name!r} and {after.name!r} share bytes")
        return found

    def _read_row(self, cursor: "_Cursor") -> tuple[str, tuple[int, ...], BlockFormat, int]:
        name = cursor.name("a tensor's name")
        dimensions = cursor.number("<I", f"the dimensions of {name!r}")
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise cursor.wrong(f"the tensor {name!r} says it has {dimensions} dimensions, 1 to {MOST_DIMENSIONS} can be")
        shape = [cursor.number("<Q", f"the shape of {name!r}") for _ in range(dimensions)][::-1]
        if not 0 < math.prod(shape) <= 8 * len(self._bytes):
            raise cursor.wrong(
                f"the tensor {name!r} says it has the shape {shape}, which the file's {len(self._bytes):,} bytes cannot hold"
            )
        code = cursor.number("<I", f"the format of {name!r}")
        known = ", ".join(each.name for each in FORMATS.values())
        if code in NOT_READ:
            raise ModelError(
                f"{self.path}: the tensor {name!r} is stored as {NOT_READ[code]}, which is not read here: "
                f"take a file of this model in one of {known}"
            )
        if code not in FORMATS:
            raise cursor.wrong(f"the tensor {name!r} has the format {code}, which is none of GGUF")
        if shape[-1] % FORMATS[code].size:
            raise cursor.wrong(f"the rows of {name!r} ({shape[-1]} numbers) are no whole blocks of {FORMATS[code].name}")
        return name, tuple(shape), FORMATS[code], cursor.number("<Q", f"the offset of {name!r}")

    def read(self, name: str) -> NDArray[np.float32]:
        """The numbers of one tensor, in its shape."""
        stored = self.tensors[name]
        raw = np.asarray(stored.content[stored.start : stored.start + stored.bytes])
        return dequantized(raw, stored.format).reshape(stored.shape)


class _Cursor:
    """A place in the file that moves on as things are read, and never beyond its end."""

    def __init__(self, path: Path, content: NDArray[np.uint8]) -> None:
        self.path, self._content, self.place = path, memoryview(content), 0  # pyright: ignore[reportArgumentType]

    def wrong(self, reason: str) -> ModelError:
        """The error for a file that contradicts itself."""
        return ModelError(f"{self.path} is no sound GGUF file: {reason}")

    def take(self, size: int, what: str) -> memoryview:
        """The next `size` bytes."""
        left = len(self._content) - self.place
        if size > left:
            raise self.wrong(f"{what} should take {size:,} bytes at {self.place:,}, {left:,} are left: it is cut short or damaged")
        self.place += size
        return self._content[self.place - size : self.place]

    def number(self, form: str, what: str) -> int:
        """One number in a form of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form), what))[0]

    def count(self, form: str, smallest: int, what: str) -> int:
        """A number of things, each of which takes at least `smallest` bytes of what follows."""
        count = self.number(form, f"the number of {what}")
        if count * smallest > len(self._content) - self.place:
            raise self.wrong(f"it says {count:,} {what}, for which its {len(self._content):,} bytes have no room")
        return count

    def string(self, what: str, longest: int | None = None) -> str:
        """A string: its length in bytes, then UTF-8."""
        size = self.number("<Q", f"the length of {what}")
        if longest is not None and size > longest:
            raise self.wrong(f"{what} should be {size:,} bytes long, {longest:,} is the most there can be")
        try:
            return str(self.take(size, what), "utf-8")
        except UnicodeDecodeError as error:
            raise self.wrong(f"{what} is not UTF-8: {error.reason}") from error

    def name(self, what: str) -> str:
        """A short printable string."""
        name = self.string(what, LONGEST_NAME)
        if not name or not name.isprintable():
            raise self.wrong(f"{what} ({name[:40]!r}) is empty or unreadable")
        return name

    def value(self, key: str) -> Value:
        """A value: its type, then its bytes."""
        kind = self.number("<I", f"the type of {key}")
        if kind == STRING:
            return self.string(key)
        if kind == ARRAY:
            return self._array(key)
        return self.number(self._form(kind, key), key)

    def _array(self, key: str) -> Value:
        kind = self.number("<I", f"the type of {key}")
        if kind == STRING:
            return [self.string(f"an element of {key}") for _ in range(self.count("<Q", 8, f"elements of {key}"))]
        form = self._form(kind, key)
        count = self.count("<Q", struct.calcsize(form), f"elements of {key}")
        return list(struct.unpack(f"<{count}{form[1]}", self.take(count * struct.calcsize(form), key)))

    def _form(self, kind: int, key: str) -> str:
        if kind not in SCALARS:
            raise self.wrong(f"{key} has the type {kind}, which is not read here")
        return SCALARS[kind]
