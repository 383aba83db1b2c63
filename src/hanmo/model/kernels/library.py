"""The compiled kernels: built once with the machine's own C++ compiler, kept in the cache, loaded with ctypes.

No compiler, another type than bf16, or `HANMO_KERNELS=0`: torch computes the same, slower. The interface is plain C
(addresses, 64-bit integers, floats), so that nothing of torch is compiled and one library serves every torch.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

SOURCES = Path(__file__).parent
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-shared", "-fPIC", "-fvisibility=hidden")
LANES = 16
SMALL = 1 << 14
"""Elements below which one thread is faster than waking the others."""

_switch = {"on": True}


@functools.cache
def load() -> ctypes.CDLL | None:
    """The library, compiled now if it is not in the cache; None where that is not possible."""
    compiler = _compiler()
    if os.environ.get("HANMO_KERNELS") == "0" or compiler is None:
        return None
    try:
        library = ctypes.CDLL(str(_compiled(compiler)))
    except (OSError, subprocess.SubprocessError):
        return None
    library.attention_is_supported.restype = ctypes.c_int64
    return library


def status() -> str:
    """One line for `hanmo doctor`: whether the kernels work here, and why not."""
    if os.environ.get("HANMO_KERNELS") == "0":
        return "off (HANMO_KERNELS=0)"
    if _compiler() is None:
        return "off: no C++ compiler (g++ or clang++); torch computes the same, slower"
    library = load()
    if library is None:
        return f"off: {_compiler()} could not compile them; torch computes the same, slower"
    return "on" if library.attention_is_supported() else "on, without attention (the processor has no bf16 dot product)"


@contextmanager
def switched_off() -> Generator[None]:
    """Inside, torch computes everything: to compare, or for transforms that kernels do not know (vmap, second derivatives)."""
    before, _switch["on"] = _switch["on"], False
    try:
        yield
    finally:
        _switch["on"] = before


def available() -> bool:
    """Whether kernels may be called at all."""
    return _switch["on"] and not torch.compiler.is_compiling() and load() is not None


def usable(*tensors: Tensor | None) -> bool:
    """Whether the kernels can work on these: bf16, in main memory, last dimension a multiple of the lanes."""
    given = [t for t in tensors if t is not None]
    return all(t.dtype == torch.bfloat16 and t.device.type == "cpu" and t.size(-1) % LANES == 0 for t in given) and available()


def attention_usable(*tensors: Tensor | None) -> bool:
    """The same for attention, which needs a processor with bf16 dot products."""
    if not usable(*tensors):
        return False
    library = load()
    return library is not None and bool(library.attention_is_supported())


def call(name: str, work: int, *arguments: Tensor | int | float | None) -> None:
    """Run a kernel over `work` elements; tensors are passed by address and have to be dense where the kernel says so."""
    library = load()
    assert library is not None, "call a kernel only where usable() is true"
    threads = 1 if work < SMALL else torch.get_num_threads()
    getattr(library, name)(ctypes.c_int64(threads), *map(_as_c, arguments))


def sizes(*numbers: int) -> Tensor:
    """Integers as a kernel reads them from memory."""
    return torch.tensor(numbers, dtype=torch.int64)


def _as_c(argument: Tensor | int | float | None) -> ctypes.c_void_p | ctypes.c_int64 | ctypes.c_float:
    if argument is None:
        return ctypes.c_void_p(0)
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.c_float(argument) if isinstance(argument, float) else ctypes.c_int64(argument)


def _compiler() -> str | None:
    names = (os.environ.get("CXX", ""), "g++", "clang++", "c++")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def _compiled(compiler: str) -> Path:
    """Path of the library for these sources, this compiler and this processor."""
    texts = sorted(path for path in SOURCES.iterdir() if path.suffix in (".cpp", ".h"))
    version = subprocess.run([compiler, "--version"], capture_output=True, timeout=20, check=True).stdout
    parts = [*(path.read_bytes() for path in texts), " ".join(FLAGS).encode(), version, _processor()]
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    folder = Path(os.environ.get("HANMO_CACHE") or Path.home() / ".cache" / "hanmo") / "kernels"
    target = folder / f"{key}.so"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            fresh = Path(scratch) / "kernels.so"
            command = [compiler, *FLAGS, *(str(path) for path in texts if path.suffix == ".cpp"), "-o", str(fresh)]
            subprocess.run(command, capture_output=True, timeout=120, check=True)
            fresh.replace(target)
    return target


def _processor() -> bytes:
    """What -march=native depends on."""
    try:
        with Path("/proc/cpuinfo").open("rb") as stream:
            return next((line for line in stream if line.startswith((b"flags", b"Features"))), b"")
    except OSError:
        return platform.processor().encode()
