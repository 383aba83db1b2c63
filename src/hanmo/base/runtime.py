"""The process we run in: memory, machine, versions, seeds and requests to stop."""

import ctypes
import hashlib
import importlib.metadata
import multiprocessing
import os
import platform
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path
from types import FrameType

import psutil

LIBRARIES = ("hanmo", "torch", "tokenizers", "safetensors", "pyarrow", "numpy")


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for one purpose, independent of all others.

    SHA-256 of the main seed and the purpose's names, so that adding a purpose changes no other.

    >>> derive_seed(1, "order", 0) != derive_seed(1, "order", 1)
    True
    """
    text = "\x1f".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def peak_memory_bytes() -> int:
    """The largest resident memory this process has had.

    Linux tells it for this program alone; elsewhere, and in ru_maxrss, a process may begin with the peak of its parent.
    """
    try:
        with open("/proc/self/status", "rb") as stream:  # noqa: PTH123
            lines = [line for line in stream if line.startswith(b"VmHWM:")]
    except OSError:
        lines = []
    if lines:
        return int(lines[0].split()[1]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def current_memory_bytes() -> int:
    """Resident memory now."""
    return psutil.Process().memory_info().rss


def keep_freed_memory() -> bool:
    """Let this process keep large blocks that it frees, for the next that it asks for; gives whether that worked.

    A training step frees and asks for hundreds of megabytes. The C library returns each large block to the system at
    once, and the system clears every page again: 5 % of a step on small networks. Only for processes that train.
    """
    if sys.platform != "linux":
        return False
    threshold, trim, never = -3, -1, 2**31 - 1  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD of malloc.h
    try:
        library = ctypes.CDLL(None)
        return bool(library.mallopt(threshold, never)) and bool(library.mallopt(trim, never))
    except (OSError, AttributeError):
        return False


def end_with_parent() -> None:
    """Let the system send SIGTERM to this process when its parent ends, however that ends; on Linux only."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG of linux/prctl.h


def begin_worker() -> None:
    """For a process of a pool: leave Ctrl-C to the parent, and end when the parent is gone; a killed parent cannot tell us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_outlive_nobody, daemon=True).start()


def _outlive_nobody() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def available_cores() -> int:
    """Cores this process may use, which a container may have lowered."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, str | int]:
    """What a reader needs to judge a timing."""
    return {
        "system": platform.system(),
        "processor": _processor_name(),
        "cores": available_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "python": platform.python_version(),
    }


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:  # noqa: PTH123
            names = [line.split(":", 1)[1].strip() for line in stream if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Installed versions of the libraries that decide a result."""
    found: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def source_commit() -> str:
    """The commit this program runs from, `+` when files have changed since; empty when it was installed without its history."""
    here = Path(__file__)
    answers: list[str] = []
    for words in (("ls-files", "--error-unmatch", here.name), ("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "-uno")):
        try:
            done = subprocess.run(["git", "-C", str(here.parent), *words], capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return ""
        answers.append(done.stdout.strip())
    return answers[1] + ("+" if answers[2] else "")


class StopRequest:
    """Whether SIGTERM or Ctrl-C has asked this process to save and leave."""

    def __init__(self) -> None:
        self.signal_name = ""

    def __bool__(self) -> bool:
        return bool(self.signal_name)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal_name:
            raise KeyboardInterrupt
        self.signal_name = signal.Signals(number).name


@contextmanager
def watch_for_stop() -> Generator[StopRequest]:
    """While inside, the first SIGTERM or SIGINT is only noted; a second one interrupts at once."""
    request = StopRequest()
    previous = {number: signal.signal(number, request._receive) for number in (signal.SIGTERM, signal.SIGINT)}  # pyright: ignore[reportPrivateUsage]
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
