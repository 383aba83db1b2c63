"""What every reader is given: the settings of reading, and one content with its label, its format and a way to open it.

A content is a file, a piece of one, or a member of an archive; readers do not know which.
"""

import contextlib
import io
import os
import traceback
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from hanmo.base.errors import ConfigError
from hanmo.data.reading.conversations import Template
from hanmo.data.reading.decode import WIDE, decode, decode_row
from hanmo.data.reading.formats import Format
from hanmo.data.reading.inputs import Refused, Text
from hanmo.data.reading.normalize import without_surrogates
from hanmo.data.reading.streams import TooLargeError

FAULT = "reader_fault"
"""The rule that refuses what met a fault of ours; the report counts it loudly."""
DOCUMENT_BYTES = 16  # a PDF, or a table inside an archive, that has to be held whole: up to so many times read.max_bytes


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """How files become texts."""

    text_column: str = "text"
    """Column of JSON, CSV and Parquet that holds the text."""
    columns: tuple[str, ...] = ()
    """Names of the columns of a CSV or TSV file that has no header, or of JSON rows that are lists."""
    keep_columns: tuple[str, ...] = ()
    """Further columns to keep as metadata of the document."""
    id_column: str = "id"
    """Column with a name of its own for every row, kept in its metadata and its receipt; empty for none."""
    conversation: Template = "named"
    """How rows of turns (sharegpt, messages, alpaca) are written: "User: ..." before each, turns alone, ChatML's marks; none: not."""
    entities: bool = False
    """Turn HTML entities in the text of tables (&amp;, &#8217;) into characters; for rows that were cut out of pages."""
    split_on: Literal["auto", "none", "passage", "line", "heading", "chapter"] = "auto"
    """What begins a new document inside a text file: nothing, a line, a markdown heading, a chapter (第一回, Chapter Two, 番外); passage
    cuts a long text at its own chapters, headings, blank lines, else sentences; auto does so where fewer than three files are given."""
    max_bytes: int = 16 * 2**20
    """Longest document in bytes as found; longer ones are refused with a receipt, and never held in memory."""
    max_ratio: float = 200.0
    """Most bytes that a packed byte may become once 16 MiB have come out; a file beyond it is refused as a bomb."""
    max_unpacked: int = 64 * 2**30
    """Most bytes that a compressed file or an archive may become."""

    def __post_init__(self) -> None:
        """Check the limits.

        Raises ConfigError when one is not positive, or two columns have one name.
        """
        if len(set(self.columns)) < len(self.columns) or "" in self.columns:
            raise ConfigError(f"read.columns (={', '.join(self.columns)}) should be names that differ")
        for name in ("max_bytes", "max_ratio", "max_unpacked"):
            if not getattr(self, name) >= 1:
                raise ConfigError(f"read.{name} (={getattr(self, name)}) should be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Bytes with a label and a format; `open` gives a stream from their beginning, decompressed. The rest is as in Unit."""

    label: str
    format: Format
    open: Callable[[], AbstractContextManager[BinaryIO]]
    size: int = 0
    start: int = 0
    stop: int = -1
    first_row: int = 1

    def decode(self, data: bytes) -> tuple[str, str]:
        """Text and encoding of a piece that is UTF-8, or has been converted to it.

        Raises UnicodeDecodeError.
        """
        encoding = self.format.encoding
        try:
            return data.decode("utf-8"), "utf-8" if encoding == "ascii" else encoding
        except UnicodeDecodeError:
            decoded = decode(data)
            return decoded.text, decoded.encoding

    def decode_row(self, data: bytes) -> tuple[str, str]:
        """Text and encoding of a row as it stands in the file, which need not be that of the others; UTF-16 and UTF-32 are UTF-8 by now.

        Raises UnicodeDecodeError.
        """
        encoding = self.format.encoding
        if encoding.startswith(WIDE):
            return data.decode("utf-8", "replace"), encoding
        decoded = decode_row(data, encoding)
        return decoded.text, decoded.encoding

    def text(
        self, text: str, *, label: str = "", encoding: str = "", metadata: dict[str, str] | None = None, note: str = "", own_id: str = ""
    ) -> Text:
        """A text from this content."""
        form = self.format
        return Text(
            source=label or self.label,
            text=text,
            format=form.kind,
            encoding=encoding or form.encoding.replace("ascii", "utf-8"),
            note="; ".join(filter(None, (form.note, note))),
            own_id=own_id,
            metadata=metadata or {},
        )


def too_long(label: str, value: int, limit: int) -> Refused:
    """The refusal of a document beyond the limit."""
    return Refused(
        source=label, rule="max_bytes", detail="raise read.max_bytes or set read.split_on", value=float(value), threshold=float(limit)
    )


def undecodable(label: str, data: bytes, error: UnicodeDecodeError) -> Refused:
    """The refusal of bytes that no encoding explains."""
    why = error.reason if error.encoding in error.reason else f"it is not {error.encoding}"
    return Refused(source=label, rule="undecodable", detail=f"byte 0x{data[error.start]:02x} at {error.start}: {why}")


def refusal(label: str, error: BaseException) -> Refused:
    """The refusal of what raised an error while it was read."""
    if isinstance(error, TooLargeError):
        return Refused(source=label, rule=error.rule, detail=one_line(error), value=float(error.value), threshold=float(error.threshold))
    return Refused(source=label, rule="encrypted" if "password" in str(error).lower() else "unreadable", detail=one_line(error))


def fault(label: str, error: Exception, behind: str = "") -> Refused:
    """The refusal of what a reader did not expect: a fault of ours, with its place in the input and in our code."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}hanmo{os.sep}" in frame.filename] or frames
    place = f" at {Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else ""
    after = f", behind {behind}" if behind else ""
    return Refused(source=label, rule=FAULT, detail=f"{type(error).__name__}: {one_line(error)}{place}{after}")


@contextlib.contextmanager
def seekable(content: Content, config: ReadConfig) -> Generator[BinaryIO]:
    """A stream that can go to any place; what was packed is held in memory for that.

    Raises TooLargeError when it is too large to hold.
    """
    with content.open() as stream:
        if stream.seekable():
            yield stream
            return
        limit = DOCUMENT_BYTES * config.max_bytes
        data = stream.read(limit + 1)
        if len(data) > limit:
            raise TooLargeError("packed files of this format are held whole: unpack it, or raise read.max_bytes", len(data), limit)
        yield io.BytesIO(data)


def held(content: Content, limit: int) -> bytes:
    """All bytes of a content that is read in one piece.

    Raises TooLargeError when they are more than the limit.
    """
    with content.open() as stream:
        data = stream.read(limit + 1)
    if len(data) > limit:
        raise TooLargeError("raise read.max_bytes or set read.split_on", max(len(data), content.size), limit)
    return data


def one_line(error: BaseException) -> str:
    """An error's words without line ends, not too many of them."""
    return without_surrogates(" ".join(str(error).split()))[:200]
