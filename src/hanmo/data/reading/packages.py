"""Documents that are zip packages of XML: opened, and read member by member with a bound on all that comes out.

In: a content that is a zip archive. Out: its members as blocks, and XML as events. The idea: what an office or a book is made of is
as dangerous as any archive, so every member counts against the same guard, and XML that declares entities is refused. No tree is
ever built, so a document costs no more memory than its text.
"""

import contextlib
import io
import tarfile
import zipfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import BinaryIO, Protocol, cast
from xml.parsers import expat

from hanmo.data.reading.contents import Content, ReadConfig, seekable
from hanmo.data.reading.streams import READ_ERRORS, BombError, Counted, Guard, TooLargeError

BLOCK_BYTES = 2**16
MEMBER_ERRORS = (*READ_ERRORS, zipfile.BadZipFile, tarfile.TarError, RuntimeError, NotImplementedError, ValueError)
"""What a broken member raises; zipfile says RuntimeError for a password and NotImplementedError for a rare compression."""
ENCRYPTED = 0x1  # general purpose bit of a zip member (APPNOTE 4.4.4)


class Handler(Protocol):
    """What is told of the elements of a document, their names without prefixes."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        ...

    def end(self, tag: str) -> None:
        """It ends."""
        ...

    def data(self, text: str) -> None:
        """Characters inside."""
        ...


class Package:
    """The members of a zip package."""

    def __init__(self, archive: zipfile.ZipFile, guard: Guard) -> None:
        self._archive, self._guard = archive, guard
        self.names = frozenset(archive.namelist())

    def blocks(self, name: str) -> Iterator[bytes]:
        """A member, block by block.

        Raises one of MEMBER_ERRORS.
        """
        member = self._archive.getinfo(name)
        if member.flag_bits & ENCRYPTED:
            raise RuntimeError("the document asks for a password")
        guard = self._guard.of_member(member.compress_size)
        try:
            with self._archive.open(member) as raw:
                stream = io.BufferedReader(Counted(cast("BinaryIO", raw), guard), BLOCK_BYTES)
                while block := stream.read(BLOCK_BYTES):
                    yield block
        except BombError:
            guard.forget()
            raise

    def whole(self, name: str, limit: int) -> bytes:
        """A member in one piece.

        Raises one of MEMBER_ERRORS.
        """
        held = bytearray()
        for block in self.blocks(name):
            held += block
            if len(held) > limit:
                raise TooLargeError("raise read.max_bytes", len(held), limit)
        return bytes(held)


@contextlib.contextmanager
def opened_package(content: Content, config: ReadConfig) -> Generator[Package]:
    """The package that a content is.

    Raises one of MEMBER_ERRORS.
    """
    with seekable(content, config) as stream, zipfile.ZipFile(stream) as archive:
        yield Package(archive, Guard(content.size, config.max_ratio, config.max_unpacked))


def read_xml(blocks: Iterable[bytes], handler: Handler) -> None:
    """Tell a handler what an XML document holds.

    Raises ValueError when it is broken or declares entities, which may grow without end.
    """
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = lambda tag, attributes: handler.start(_local(tag), {_local(k): v for k, v in attributes.items()})
    parser.EndElementHandler = lambda tag: handler.end(_local(tag))
    parser.CharacterDataHandler = handler.data
    parser.EntityDeclHandler = _refuse_entity
    try:
        for block in blocks:
            parser.Parse(block, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ValueError(f"XML that is broken: {error}") from error


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _refuse_entity(*_: object) -> None:
    raise ValueError("XML that declares entities is not read")
