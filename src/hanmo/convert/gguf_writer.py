"""A GGUF file, written whole or not at all.

In: metadata as Python values and tensors as float32 with a format each. Out: version 3, little-endian, aligned to 32 bytes
(ggml's `docs/gguf.md`). A tensor is asked for when its turn comes, so that one at a time is in memory.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hanmo.base.storage import write_atomically
from hanmo.convert.gguf_blocks import BlockFormat, quantized
from hanmo.convert.gguf_reader import ARRAY, MAGIC, STRING, Value

ALIGNMENT = 32
CODES: dict[type, tuple[int, str]] = {bool: (7, "?"), int: (4, "I"), float: (6, "f")}
SIGNED = (5, "i")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A tensor to be written: its shape (rows first), its format, and how to get its numbers."""

    shape: tuple[int, ...]
    format: BlockFormat
    numbers: Callable[[], NDArray[np.float32]]


def write_gguf(path: Path, metadata: Mapping[str, Value], tensors: Mapping[str, Outgoing]) -> None:
    """Write a file; a kill leaves the old one or the new one.

    Whole numbers are written as 32 bits, unsigned where none is negative; lists of them always signed, as token types are.
    Raises ModelError for a row that is no whole number of blocks, StorageError where the disk does not take it.
    """

    def write(temporary: Path) -> None:
        with temporary.open("wb") as stream:
            stream.write(MAGIC + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
            for key, value in metadata.items():
                stream.write(_string(key) + _value(value))
            offset = 0
            for name, tensor in tensors.items():
                stream.write(_string(name) + struct.pack("<I", len(tensor.shape)))
                stream.write(struct.pack(f"<{len(tensor.shape)}Q", *reversed(tensor.shape)))
                stream.write(struct.pack("<IQ", tensor.format.code, offset))
                tensor.format.stored(tensor.shape[-1])
                offset += _aligned(tensor.format.stored(prod(tensor.shape)))
            for tensor in tensors.values():
                _pad(stream)
                stream.write(quantized(tensor.numbers(), tensor.format).data)
            _pad(stream)

    write_atomically(path, write)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _pad(stream: BinaryIO) -> None:
    stream.write(b"\0" * (_aligned(stream.tell()) - stream.tell()))


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _string(value)
    if not isinstance(value, list):
        code, form = SIGNED if isinstance(value, int) and value < 0 else CODES[type(value)]
        return struct.pack(f"<I{form}", code, value)
    if value and isinstance(value[0], str):
        return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(_string(str(each)) for each in value)
    code, form = CODES[type(value[0])] if value else SIGNED
    code, form = SIGNED if form == "I" else (code, form)
    return struct.pack(f"<IIQ{len(value)}{form}", ARRAY, code, len(value), *value)
