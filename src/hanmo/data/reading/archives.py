"""Archives become their members, read one after the other without unpacking anything to disk.

In: a zip or tar content. Out: what its members hold, labelled `archive/member`, in the order of the archive. The idea: a member is
a content like any file, so every format is read inside an archive too; one level deep, with one guard for all that comes
out. Members that are encrypted, hidden, no files, or have names that would leave the folder get a receipt each.
"""

import contextlib
import io
import re
import stat
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO, BinaryIO, TypeVar, cast

from hanmo.base.errors import HanmoError
from hanmo.data.reading.books import book_text, is_book
from hanmo.data.reading.charset import detect
from hanmo.data.reading.contents import Content, ReadConfig, fault, refusal, seekable
from hanmo.data.reading.formats import HEAD_BYTES, find_format
from hanmo.data.reading.inputs import HIDDEN, Refused, Text, is_hidden
from hanmo.data.reading.office import is_office, package_text
from hanmo.data.reading.packages import ENCRYPTED, MEMBER_ERRORS, Package
from hanmo.data.reading.streams import BombError, Counted, Guard, unpacked

S = TypeVar("S")
Opened = contextlib.AbstractContextManager[IO[bytes]]
ReadContent = Callable[[Content, ReadConfig], Iterator[Text | Refused]]
UTF8_NAME = 0x800  # general purpose bit of a zip member (APPNOTE 4.4.4)
UNSAFE = re.compile(r"^([A-Za-z]:|[/\\])|(^|[/\\])\.\.([/\\]|$)|[\0-\x1f\x7f]")


def read_zip(content: Content, config: ReadConfig, read: ReadContent) -> Iterator[Text | Refused]:
    """All members of a zip archive."""
    with seekable(content, config) as stream:
        try:
            archive = zipfile.ZipFile(stream)
        except MEMBER_ERRORS as error:
            yield refusal(content.label, error)
            return
        with archive:
            guard, labels = Guard(content.size, config.max_ratio, config.max_unpacked), _Labels(content.label)
            package = Package(archive, guard)
            if kind := "epub" if is_book(package.names) else "office" if is_office(package.names) else "":
                yield from _document(content, kind, package, config)
                return
            for member in archive.infolist():
                if member.is_dir():
                    continue
                name = zip_name(member)
                label = labels.of(name)
                if refused := _refused_member(label, name, encrypted=bool(member.flag_bits & ENCRYPTED), link=_is_link(member)):
                    yield refused
                    continue
                inside = guard.of_member(member.compress_size)
                yield from _read_member(label, name, lambda member=member: archive.open(member), inside, config, read)


def _document(content: Content, kind: str, package: Package, config: ReadConfig) -> Iterator[Text | Refused]:
    """The text of an archive that is a document under another name."""
    form = replace(content.format, kind=kind, note=content.format.note or f"a zip archive that is {kind}")
    try:
        yield from (book_text if kind == "epub" else package_text)(replace(content, format=form), package, config)
    except MEMBER_ERRORS as error:
        yield refusal(content.label, error)


def read_tar(content: Content, config: ReadConfig, read: ReadContent) -> Iterator[Text | Refused]:
    """All members of a tar archive, in one pass."""
    guard = Guard(content.size, config.max_ratio, config.max_unpacked)
    labels = _Labels(content.label)
    try:
        with content.open() as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if member.isdir():
                    continue
                name = member.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace").removeprefix("./")
                label = labels.of(name)
                if refused := _refused_member(label, name, encrypted=False, link=not member.isfile()):
                    yield refused
                elif opened := archive.extractfile(member):
                    yield from _read_member(label, name, _once(opened), guard.of_member(content.size), config, read)
    except MEMBER_ERRORS as error:
        yield refusal(content.label, error)


def zip_name(member: zipfile.ZipInfo) -> str:
    """The name of a member; one that is marked as no UTF-8 is decoded by evidence, since zipfile takes it for IBM PC letters."""
    if member.flag_bits & UTF8_NAME or member.filename.isascii():
        return member.filename
    try:
        raw = member.filename.encode("cp437")
    except UnicodeEncodeError:
        return member.filename
    for encoding in ("utf-8", detect(raw)):
        try:
            return raw.decode(encoding or "cp437")
        except UnicodeDecodeError:
            continue
    return member.filename


class _Labels:
    """Labels of members, each different: the second of one name is numbered."""

    def __init__(self, archive: str) -> None:
        self._archive, self._seen = archive, Counter[str]()

    def of(self, name: str) -> str:
        """The label of the next member of this name."""
        self._seen[name] += 1
        label = f"{self._archive}/{name}"
        return label if self._seen[name] == 1 else f"{label} ({self._seen[name]})"


def _refused_member(label: str, name: str, encrypted: bool, link: bool) -> Refused | None:
    if UNSAFE.search(name):
        return Refused(source=label, rule="unsafe_name", detail="a name that leads out of the folder or holds control characters")
    if any(is_hidden(part) for part in name.split("/")):
        return Refused(source=label, rule="hidden", detail=HIDDEN)
    if link:
        return Refused(source=label, rule="special_file", detail="neither a file nor a folder")
    if encrypted:
        return Refused(source=label, rule="encrypted", detail="the member asks for a password")
    return None


def _is_link(member: zipfile.ZipInfo) -> bool:
    mode = member.external_attr >> 16
    return bool(stat.S_IFMT(mode)) and not stat.S_ISREG(mode)


def _read_member(
    label: str, name: str, open_member: Callable[[], Opened], guard: Guard, config: ReadConfig, read: ReadContent
) -> Iterator[Text | Refused]:
    """The texts of one member; it is opened once, and its beginning is looked at before it is read."""
    try:
        with open_member() as raw, unpacked(io.BufferedReader(Counted(cast("BinaryIO", raw), guard), HEAD_BYTES), guard) as stream:
            form = find_format(name, stream.peek(HEAD_BYTES)[:HEAD_BYTES])
            if form.kind in ("zip", "tar"):
                yield Refused(source=label, rule="nested_archive", detail="archives are read one level deep: unpack this one")
            else:
                yield from read(Content(label=label, format=form, open=_once(stream), size=guard.packed), config)
    except BombError as error:
        guard.forget()
        yield refusal(label, error)
    except MEMBER_ERRORS as error:
        yield refusal(label, error)
    except (HanmoError, MemoryError):
        raise
    except Exception as error:
        yield fault(label, error)


def _once(stream: S) -> Callable[[], contextlib.AbstractContextManager[S]]:
    """A stream that is open already and is closed by its owner."""
    return lambda: contextlib.nullcontext(stream)
