"""Files that are whole or absent: written to a temporary name, synced, renamed."""

import contextlib
import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from hanmo.base.errors import StorageError

MARKS = re.compile("^\ufeff", re.MULTILINE)


@contextlib.contextmanager
def storage_errors(path: Path) -> Generator[None]:
    """Turn the system's words about a disk into one line about `path`."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(f"the disk is full while writing {path}: free some space and run the same command again") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT):
            raise StorageError(f"cannot write {path} ({os.strerror(error.errno)}): choose another folder") from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            raise StorageError(f"cannot write {path} ({os.strerror(error.errno)}): something else has this name") from error
        raise


def make_folder(path: Path) -> Path:
    """`path`, existing and writable.

    Raises StorageError where that cannot be.
    """
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return path


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a temporary name beside `path`, sync it, and rename it into place."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write(temporary)
            sync(temporary)
            temporary.replace(path)
            sync(path.parent)
    finally:
        with contextlib.suppress(OSError):  # the reason why it could not be written is told above
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all; numpy's own `tofile` says nothing of a disk that is full."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, write)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write one JSON object, indented, keys in their order."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_text(path: Path) -> str:
    """The text of a file that a user wrote, its lines without byte order marks.

    Raises OSError or UnicodeDecodeError.
    """
    return without_marks(path.read_text("utf-8"))


def without_marks(text: str) -> str:
    """The text without byte order marks at the beginning of lines: editors write one, and joined files have one in the middle.

    >>> without_marks("\\ufeffone\\n\\ufefftwo")
    'one\\ntwo'
    """
    return MARKS.sub("", text) if "\ufeff" in text else text


def read_json(path: Path) -> dict[str, Any]:
    """One JSON object.

    Raises StorageError when the file is missing, broken, or holds something else.
    """
    try:
        value = json.loads(read_text(path))
    except FileNotFoundError:
        raise StorageError(f"{path} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise StorageError(f"{path} holds {type(value).__name__}, not one JSON object")
    return value  # pyright: ignore[reportUnknownVariableType]


def sync(path: Path) -> None:
    """Force a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """SHA-256 of a file, or of a folder's files with their relative names in order, hex."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file()):
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
