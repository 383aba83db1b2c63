import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base import runtime

names = st.lists(st.text(max_size=5) | st.integers(0, 99), max_size=3)


@given(st.integers(0, 2**40), names, names)
def test_purposes_have_seeds_of_their_own(seed: int, one: list[str | int], other: list[str | int]) -> None:
    first, second = runtime.derive_seed(seed, *one), runtime.derive_seed(seed, *other)
    assert 0 <= first < 2**63 and first == runtime.derive_seed(seed, *one)
    same = [str(each) for each in one] == [str(each) for each in other]
    assert same or first != second or "\x1f" in "".join(str(each) for each in one + other)


def test_seeds_are_the_same_on_every_machine() -> None:
    assert runtime.derive_seed(1, "weights") == 5006824732250768817


ALLOCATE = """
import numpy as np
from hanmo.base.runtime import current_memory_bytes, peak_memory_bytes
before = current_memory_bytes()
block = np.ones(200_000_000, np.uint8)
del block
print(peak_memory_bytes() - before, current_memory_bytes() - before)
"""


def test_peak_remembers_what_has_been_given_back() -> None:
    said = subprocess.run([sys.executable, "-c", ALLOCATE], capture_output=True, text=True, check=True).stdout
    peak, now = map(int, said.split())
    assert peak > 195e6 and now < 100e6


KEEP = """
import numpy as np
from hanmo.base.runtime import current_memory_bytes, keep_freed_memory
kept = keep_freed_memory()
before = current_memory_bytes()
block = np.ones(100_000_000, np.uint8)
del block
print(int(kept), current_memory_bytes() - before)
"""


def test_memory_that_is_kept_stays_with_the_process() -> None:
    said = subprocess.run([sys.executable, "-c", KEEP], capture_output=True, text=True, check=True).stdout
    kept, held = map(int, said.split())
    assert held > 95e6 if kept else held < 100e6


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_memory_is_kept_on_linux_only(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert not runtime.keep_freed_memory()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the peak of one program")
def test_peak_of_a_small_child_is_not_that_of_its_large_parent() -> None:
    parent = bytearray(300_000_000)
    code = "from hanmo.base.runtime import peak_memory_bytes; print(peak_memory_bytes())"
    child = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert len(parent) > child > 1e6


def test_machine_and_versions_say_what_a_timing_needs() -> None:
    facts = runtime.machine()
    assert set(facts) == {"system", "processor", "cores", "memory_bytes", "python"} and all(facts.values())
    assert 1 <= runtime.available_cores() <= (os.cpu_count() or 1)
    assert {"hanmo", "torch", "numpy"} <= set(runtime.versions())


def test_where_linux_tells_nothing_the_system_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    told = runtime.peak_memory_bytes()

    def fail(*words: object, **more: object) -> None:
        raise FileNotFoundError("/proc")

    monkeypatch.setattr(runtime, "open", fail, raising=False)
    assert runtime.peak_memory_bytes() > told / 2
    assert runtime.machine()["processor"]


def test_c_library_without_that_choice_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(runtime.ctypes, "CDLL", lambda name: object())
    assert not runtime.keep_freed_memory()


def test_library_that_is_absent_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "LIBRARIES", ("numpy", "no-such-library"))
    assert set(runtime.versions()) == {"numpy"}


def test_source_commit_is_that_of_this_checkout_or_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commit = runtime.source_commit()
    assert commit == "" or len(commit.rstrip("+")) == 12
    monkeypatch.setattr(runtime, "__file__", str(tmp_path / "runtime.py"))
    assert runtime.source_commit() == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_is_noted_and_the_second_interrupts(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with runtime.watch_for_stop() as stop:
        assert not stop
        os.kill(os.getpid(), number)
        assert stop and stop.signal_name == number.name
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


PARENT = """
import subprocess, sys
from hanmo.base.runtime import end_with_parent
child = subprocess.Popen([sys.executable, "-c", "print(1, flush=True); import time; time.sleep(100)"], preexec_fn=end_with_parent)
print(child.pid, flush=True)
sys.stdin.read()
"""


POOL = """
import multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from hanmo.base.runtime import begin_worker
pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=begin_worker)
print(pool.submit(os.getpid).result(), 1, sep="\\n", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("program", [PARENT, POOL], ids=["child", "worker"])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has ended")
def test_a_child_ends_with_its_killed_parent(program: str) -> None:
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        lines = {parent.stdout.readline(), parent.stdout.readline()}
        (pid,) = (int(line) for line in lines if line != b"1\n")
        parent.kill()
        assert parent.stdout.read() == b""  # the pipe ends when the child, who holds it too, has ended
    with pytest.raises(ProcessLookupError):
        while "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[-1].split()[:1]:
            os.kill(pid, 0)
        raise ProcessLookupError
