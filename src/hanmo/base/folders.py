"""Folders that are whole or as before: built beside their place, synced, exchanged in one step."""

import contextlib
import ctypes
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from hanmo.base.storage import storage_errors, sync

_AT_FDCWD, _EXCHANGE = -100, 2


def write_folder(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a new empty folder beside `path`, then put it in the place of `path`.

    A kill leaves the old folder or the new one, whole. Where the file system cannot exchange two names in one step,
    the old folder waits under `.NAME.previous` for an instant, and `recover_folder` brings it back after a kill.
    """
    path = path.absolute()
    recover_folder(path)
    _sweep(path)
    temporary = _beside(path, f"{os.getpid()}.partial")
    try:
        with storage_errors(path):
            temporary.mkdir(parents=True)
            write(temporary)
            for file in sorted(temporary.rglob("*")):
                sync(file)
            sync(temporary)
            _put(temporary, path)
            sync(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def recover_folder(path: Path) -> None:
    """Bring back the old folder when a kill struck between the two renames of `write_folder`."""
    previous = _beside(path, "previous")
    if previous.is_dir():
        if path.exists():
            shutil.rmtree(previous)
        else:
            previous.rename(path)


def _put(temporary: Path, path: Path) -> None:
    if not path.exists():
        temporary.rename(path)
    elif not exchange(temporary, path):
        previous = _beside(path, "previous")
        path.rename(previous)
        temporary.rename(path)
        shutil.rmtree(previous)


def exchange(one: Path, other: Path) -> bool:
    """Give two paths each other's names in one step; False where the system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    with contextlib.suppress(AttributeError):  # an old C library, another system
        if sys.platform == "darwin":
            return library.renamex_np(*names, _EXCHANGE) == 0
        return library.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE) == 0
    return False


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(f".{path.name}.{ending}")


def _sweep(path: Path) -> None:
    """Remove what killed processes left half-built."""
    for left in path.parent.glob(f".{path.name}.*.partial"):
        owner = left.name.rsplit(".", 2)[1]
        if left.is_dir() and owner.isdigit() and (int(owner) == os.getpid() or not psutil.pid_exists(int(owner))):
            shutil.rmtree(left, ignore_errors=True)
