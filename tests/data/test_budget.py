import fcntl
import threading
from pathlib import Path

import pytest

from hanmo.base.errors import ConfigError
from hanmo.data.budget import LEAST_SPARE, PROCESS_BYTES, MemoryShare, budget, memory_bytes, room_for


def test_what_is_dealt_and_what_processes_take_is_no_more_than_the_setting() -> None:
    for workers in (1, 2, 8):
        allowed = budget("8GB", workers)
        processes = PROCESS_BYTES * (workers + 1 if workers > 1 else 1)
        assert allowed.workers == workers
        assert processes + workers * allowed.share.bytes + allowed.share.turn_bytes <= 8e9
        assert processes + allowed.table_bytes + workers * allowed.share.bytes <= 8e9


def test_fewer_processes_work_where_the_memory_is_for_fewer() -> None:
    two = 3 * PROCESS_BYTES + 2 * LEAST_SPARE
    assert budget(str(two - 1), 0).workers == 1


@pytest.mark.parametrize(("memory", "workers", "says"), [("100MB", 1, "at least"), ("400MB", 2, "or fewer workers"), ("1B", 0, "at least")])
def test_too_little_is_one_line(memory: str, workers: int, says: str) -> None:
    with pytest.raises(ConfigError, match=rf"memory \(={memory}\) is too small: .*{says}") as caught:
        budget(memory, workers)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("memory", ["much", "2 XB", "-1GB", "GB", ""])
def test_what_is_no_size_says_what_one_is(memory: str) -> None:
    with pytest.raises(ConfigError, match="a number and a unit, such as 2GB"):
        memory_bytes(memory)


def test_too_many_documents_or_files_are_one_line() -> None:
    allowed = budget("1GB", 1)
    allowed.check(1000, 260, "documents")
    with pytest.raises(ConfigError, match=r"memory \(=1GB\) is too small for 9,000,000,000 documents: about .* more"):
        allowed.check(9_000_000_000, 260, "documents")


def test_a_long_text_waits_for_another_and_a_short_one_does_not(tmp_path: Path) -> None:
    share = MemoryShare(bytes=1000, turn_bytes=100_000, memory="1GB")
    done = threading.Event()

    def measure() -> None:
        with room_for("山" * 100, "long", share, tmp_path):
            done.set()

    with (tmp_path / "long.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with room_for("short", "short", share, tmp_path):
            pass
        thread = threading.Thread(target=measure)
        thread.start()
        assert not done.wait(0.1)
    thread.join()
    assert done.is_set()


def test_a_text_that_never_fits_is_one_line(tmp_path: Path) -> None:
    narrow = MemoryShare(bytes=10, turn_bytes=10, memory="1GB")
    says = r"memory \(=1GB\) is too small for a.txt with 100 characters: about .* lower read.max_bytes"
    with pytest.raises(ConfigError, match=says), room_for("山" * 100, "a.txt", narrow, tmp_path):
        pytest.fail("there was no room")
