"""Files become streams of their content: decompressed, guarded against bombs, as UTF-8 where they are text in pieces.

In: an input file on this machine or behind a URL, or a member of an archive. Out: binary streams. The idea: compression is known
by its first bytes, not by the name; every stream counts what it gives, so that a small file that becomes endless is stopped
early; nothing is ever unpacked to disk.
"""

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from hanmo.data.reading.charset import errors_of
from hanmo.data.reading.decode import WIDE, decode_row
from hanmo.data.reading.formats import HEAD_BYTES, PACKED
from hanmo.data.reading.inputs import InputFile
from hanmo.data.reading.remote import open_url, url_size
from hanmo.data.tables import TableError, arrow_stream

BLOCK_BYTES = 2**20
UTF8_MARK = codecs.BOM_UTF8
LINE_BYTES = 2**20  # of a line that is decoded as a whole
FREE_BYTES = 16 * 2**20  # however well packed, so little harms nobody
LONE_RETURN = re.compile(rb"\r(?!\n)")
OPENERS: dict[str, Callable[[BinaryIO], BinaryIO]] = {
    "gz": lambda stream: cast("BinaryIO", gzip.GzipFile(fileobj=stream)),
    "xz": lambda stream: cast("BinaryIO", lzma.LZMAFile(stream)),  # noqa: SIM115 - `unpacked` closes it
    "bz2": lambda stream: cast("BinaryIO", bz2.BZ2File(stream)),
}


class TooLargeError(Exception):
    """More bytes than may be held or may come out."""

    rule = "max_bytes"

    def __init__(self, words: str, value: float, threshold: float) -> None:
        super().__init__(words)
        self.value, self.threshold = value, threshold


class BombError(TooLargeError):
    """A file that becomes much larger than packed data of good faith does."""

    rule = "bomb"


READ_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, tarfile.TarError, TableError, TooLargeError)
"""What a broken file raises while it is read."""


@dataclass(slots=True)
class Guard:
    """Counts what comes out of `packed` bytes; the guard of a member also counts for the `archive`."""

    packed: int
    max_ratio: float
    max_bytes: int
    archive: "Guard | None" = None
    unpacked: int = 0

    def count(self, number: int) -> None:
        """Take note of bytes that came out.

        Raises BombError when they are too many.
        """
        self.unpacked += number
        ratio = self.unpacked / max(1, self.packed)
        if self.unpacked > self.max_bytes:
            raise BombError("more bytes come out than read.max_unpacked", self.unpacked, self.max_bytes)
        if self.unpacked > FREE_BYTES and ratio > self.max_ratio:
            raise BombError("more bytes come out for each one packed than read.max_ratio", ratio, self.max_ratio)
        if self.archive:
            self.archive.count(number)

    def of_member(self, packed: int) -> "Guard":
        """A guard for one member."""
        return Guard(packed, self.max_ratio, self.max_bytes, archive=self)

    def forget(self) -> None:
        """Take back what a stopped member has counted, so that the others are read."""
        if self.archive:
            self.archive.unpacked -= self.unpacked


class Counted(io.RawIOBase):
    """A stream that fills every buffer it is given, and tells a guard how much came out."""

    def __init__(self, stream: BinaryIO, guard: Guard | None = None) -> None:
        super().__init__()
        self._stream, self._guard = stream, guard
        self._read = cast("Callable[[int], bytes]", getattr(stream, "read1", stream.read))  # read1 keeps what came before an error
        self._error: Exception | None = None

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Fill the buffer, short only at the end or before an error, which comes with the next call.

        Raises BombError when too much has come out.
        """
        if self._error:
            raise self._error
        filled = 0
        try:
            while filled < len(buffer) and (data := self._read(len(buffer) - filled)):
                buffer[filled : filled + len(data)] = data
                filled += len(data)
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            if not filled:
                raise
            self._error = error
        if self._guard:
            self._guard.count(filled)
        return filled

    def seekable(self) -> bool:
        """Whether it is as it lies, with nothing to count."""
        return not self._guard and self._stream.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """The place."""
        return self._stream.tell()


@contextlib.contextmanager
def open_file(file: InputFile) -> Generator[io.BufferedReader]:
    """The bytes of a file as they are, seekable."""
    if file.url:
        with open_url(file.url) as stream:
            yield io.BufferedReader(Counted(stream), HEAD_BYTES)
    else:
        with file.path.open("rb", buffering=HEAD_BYTES) as stream:
            yield cast("io.BufferedReader", stream)


def file_size(file: InputFile) -> int:
    """Bytes of a file.

    Raises OSError when it is not there.
    """
    return url_size(file.url) if file.url else file.path.stat().st_size


@contextlib.contextmanager
def unpacked(stream: io.BufferedReader, guard: Guard) -> Generator[io.BufferedReader]:
    """The content of a stream, decompressed once when its first bytes say so."""
    kind = packed_kind(stream.peek(8)[:8])
    if not kind:
        yield stream
        return
    with arrow_stream(stream, "zstd") if kind == "zst" else OPENERS[kind](stream) as plain:
        yield io.BufferedReader(Counted(plain, guard), HEAD_BYTES)


def packed_kind(head: bytes) -> str:
    """The compression that the first bytes tell; empty for none."""
    return next((kind for magic, kind in PACKED.items() if head.startswith(magic)), "")


def lines(stream: BinaryIO, limit: int) -> Iterator[tuple[bytes | None, int]]:
    """Lines with their lengths in bytes; None instead of a line longer than `limit`, which is read past, not held.

    A carriage return that stands alone ends a line too, and comes out as a line feed. A byte order mark at a line's beginning, where
    files were joined, is left out; the length counts it.
    """
    stream = io.BufferedReader(LineEnds(stream), HEAD_BYTES)
    while line := stream.readline(limit + 1):
        if len(line) <= limit or line.endswith(b"\n"):
            yield line.removeprefix(UTF8_MARK), len(line)
            continue
        length = len(line)
        while more := stream.readline(BLOCK_BYTES):
            length += len(more)
            if more.endswith(b"\n"):
                break
        yield None, length


def count_line_ends(block: bytes, before: bytes = b"") -> int:
    """How many lines end in a block, behind the bytes `before` it.

    >>> count_line_ends(b"a\\r\\nb\\rc\\n\\r"), count_line_ends(b"\\nd", before=b"c\\r")
    (4, 0)
    """
    split = before.endswith(b"\r") and block.startswith(b"\n")
    return block.count(b"\n") + block.count(b"\r") - block.count(b"\r\n") - split


class _InBlocks(io.RawIOBase):
    """A stream made of blocks that `_block` gives, each of any length; an empty one is the end."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._read = cast("Callable[[int], bytes]", getattr(stream, "read1", stream.read))  # read1 keeps what came before an error
        self._left = b""

    def _block(self) -> bytes:
        raise NotImplementedError

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Fill the buffer, or a part of it."""
        self._left = self._left or self._block()
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


class LineEnds(_InBlocks):
    """The bytes of a stream with every carriage return that stands alone as a line feed: each byte stays where it was."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._held = b""

    def _block(self) -> bytes:
        while read := self._read(HEAD_BYTES):
            block, self._held = self._held + read, b""
            if block.endswith(b"\r"):  # what follows says whether it stands alone
                block, self._held = block[:-1], b"\r"
            if block:
                return LONE_RETURN.sub(b"\n", block) if b"\r" in block else block
        last, self._held = self._held, b""
        return last.replace(b"\r", b"\n")


class Rejoined(_InBlocks):
    """A stream with the bytes before it that were read to look at them."""

    def __init__(self, before: bytes, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._left = before

    def _block(self) -> bytes:
        return self._read(HEAD_BYTES)


class AsUtf8(_InBlocks):
    """Text in another encoding as UTF-8 bytes.

    UTF-16 and UTF-32 go block by block, what is wrong in them as U+FFFD; the others line by line, for a line may be in another encoding
    than the first ones. A line that nothing explains comes out as it is, and one beyond LINE_BYTES in the encoding that is expected.
    """

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        super().__init__(stream)
        self._encoding, self._wide = encoding, encoding.startswith(WIDE)
        errors = errors_of(encoding, "replace" if self._wide else "surrogateescape")
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._begun, self._long, self._held = False, False, b""
        self._error: Exception | None = None

    def _block(self) -> bytes:
        while True:
            block = self._next()
            if self._wide:
                text = self._decoder.decode(block, final=not block)
                if not self._begun:
                    text, self._begun = text.removeprefix("\ufeff"), bool(text)
                out = text.encode("utf-8", "surrogateescape")
            else:
                out = self._lines(block)
            if out or not block:
                return out

    def _next(self) -> bytes:
        """The next bytes; an error waits until what came before it has gone out."""
        if self._error:
            raise self._error
        try:
            return self._read(HEAD_BYTES)
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            if not self._held:
                raise
            self._error = error
            return b""

    def _lines(self, block: bytes) -> bytes:
        """The lines that end in a block, what is held before them; all that is left when there is no more."""
        out = b""
        if self._long:
            first, feed, block = block.partition(b"\n")
            out = self._decoded(first + feed, last=not first or bool(feed))
            self._long = not feed
            if self._long:
                return out
        lines = (self._held + block).split(b"\n")
        self._held = lines.pop() if block else b""
        out += b"\n".join(map(self._line, lines)) + (b"\n" if block and lines else b"")
        if len(self._held) > LINE_BYTES:
            out, self._held, self._long = out + self._decoded(self._held, last=False), b"", True
        return out

    def _decoded(self, piece: bytes, last: bool) -> bytes:
        """A piece of a long line."""
        return self._decoder.decode(piece, final=last).encode("utf-8", "surrogateescape")

    def _line(self, line: bytes) -> bytes:
        if line.isascii():
            return line
        try:
            return decode_row(line, self._encoding).text.encode("utf-8", "replace")
        except UnicodeDecodeError:
            return line


def as_utf8(stream: BinaryIO, encoding: str) -> BinaryIO:
    """The stream itself when it began in UTF-8, else one that converts."""
    return stream if encoding in ("", "ascii", "utf-8") else io.BufferedReader(AsUtf8(stream, encoding))


def as_rows(stream: BinaryIO, encoding: str) -> BinaryIO:
    """The stream itself where its lines end with the byte of a line end, else one in UTF-8: each line is decoded by itself."""
    return as_utf8(stream, encoding) if encoding.startswith(WIDE) else stream
