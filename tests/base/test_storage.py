import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base import storage
from hanmo.base.errors import StorageError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc翰", max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(value=st.dictionaries(st.text("xyz墨", max_size=4), json_values, max_size=4))
def test_json_written_and_read_again_is_the_same(tmp_path_factory: pytest.TempPathFactory, value: dict[str, object]) -> None:
    path = tmp_path_factory.mktemp("json") / "value.json"
    storage.write_json(path, value)
    assert storage.read_json(path) == value


def test_text_is_written_as_it_is(tmp_path: Path) -> None:
    storage.write_text(tmp_path / "deep" / "a.txt", "翰墨\r\nend")
    assert (tmp_path / "deep" / "a.txt").read_bytes() == "翰墨\r\nend".encode()


def test_byte_order_marks_at_the_beginning_of_lines_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("\ufeffone\n\ufefftwo\n", "utf-8")
    assert storage.read_text(path) == "one\ntwo\n"
    path.write_text('\ufeff{"a": "\ufeffb"}', "utf-8")
    assert storage.read_json(path) == {"a": "\ufeffb"}


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    storage.write_text(path, "old")

    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        storage.write_atomically(path, write)
    assert path.read_text() == "old" and [each.name for each in tmp_path.iterdir()] == ["a.txt"]


WRITER = """
import sys
from pathlib import Path
from hanmo.base import storage
def write(path):
    path.write_text("new " * 100_000)
    print("written", flush=True)
    sys.stdin.read()
storage.write_atomically(Path(sys.argv[1]), write)
"""


def test_kill_before_the_rename_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    storage.write_text(path, "old")
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdin is not None
    with child, child.stdin, child.stdout:
        assert child.stdout.readline() == b"written\n"
        child.kill()
    assert path.read_text() == "old"


FULL = """
import resource, signal, sys
from pathlib import Path
from hanmo.base import storage
from hanmo.base.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    storage.write_text(Path(sys.argv[1]), "a" * 5000)
except StorageError as error:
    print(error)
"""


def test_disk_that_takes_no_more_is_told_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    said = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True).stdout
    assert said == f"the disk is full while writing {path}: free some space and run the same command again\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "number, words",
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EACCES, "choose another folder"),
        (errno.EROFS, "choose another folder"),
        (errno.ENOTDIR, "something else has this name"),
        (errno.EISDIR, "something else has this name"),
    ],
)
def test_words_of_the_system_become_one_line(number: int, words: str) -> None:
    with pytest.raises(StorageError, match=words), storage.storage_errors(Path("there")):
        raise OSError(number, os.strerror(number))


def test_other_errors_of_the_system_are_not_hidden() -> None:
    with pytest.raises(OSError, match="Bad file descriptor"), storage.storage_errors(Path("there")):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def test_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="something else has this name"):
        storage.make_folder(tmp_path / "file" / "inner")
    with pytest.raises(StorageError, match="something else has this name"):
        storage.make_folder(tmp_path / "file")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(StorageError, match="choose another folder"):
        storage.make_folder(tmp_path)


def test_json_that_is_no_object_is_refused(tmp_path: Path) -> None:
    cases = {"missing": None, "cannot be read as JSON": "{", "holds list, not one JSON object": "[1]"}
    for words, content in cases.items():
        path = tmp_path / "a.json"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        with pytest.raises(StorageError, match=words):
            storage.read_json(path)


def test_json_keeps_chinese_readable(tmp_path: Path) -> None:
    storage.write_json(tmp_path / "a.json", {"名": 1})
    assert (tmp_path / "a.json").read_text("utf-8") == json.dumps({"名": 1}, ensure_ascii=False, indent=2) + "\n"


def test_hash_of_a_folder_depends_on_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("one")
    before = storage.sha256(tmp_path / "a")
    (tmp_path / "a" / "x").rename(tmp_path / "a" / "y")
    renamed = storage.sha256(tmp_path / "a")
    (tmp_path / "a" / "y").write_text("two")
    assert len({before, renamed, storage.sha256(tmp_path / "a"), storage.sha256(tmp_path / "a" / "y")}) == 4


def test_a_place_below_a_file_is_told_and_not_hidden_by_tidying_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError, match="something else has this name"):
        storage.write_text(tmp_path / "file" / "a.txt", "x")
    assert (tmp_path / "file").read_text() == "mine"


def test_json_deeper_than_anyone_writes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(StorageError, match="cannot be read as JSON"):
        storage.read_json(tmp_path / "a.json")
