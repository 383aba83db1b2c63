import subprocess
import sys
from pathlib import Path

import pytest

from hanmo.base import folders
from hanmo.base.errors import StorageError


def fill(text: str):
    def write(folder: Path) -> None:
        (folder / "a.txt").write_text(text)
        (folder / "inner").mkdir()
        (folder / "inner" / "b.txt").write_text(text)

    return write


def content(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in sorted(folder.rglob("*.txt"))}


def test_a_folder_is_made_and_replaced_whole(tmp_path: Path) -> None:
    for text in ("old", "new"):
        folders.write_folder(tmp_path / "deep" / "model", fill(text))
        assert content(tmp_path / "deep" / "model") == {"a.txt": text, "inner/b.txt": text}
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["model"]


def test_a_failure_while_writing_leaves_the_old_folder(tmp_path: Path) -> None:
    folders.write_folder(tmp_path / "model", fill("old"))

    def fail(folder: Path) -> None:
        (folder / "a.txt").write_text("half")
        raise OSError(28, "no space")

    with pytest.raises(StorageError, match="disk is full"):
        folders.write_folder(tmp_path / "model", fail)
    assert content(tmp_path / "model")["a.txt"] == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


KILL = """
import os, signal, sys
from pathlib import Path
from hanmo.base import folders, storage
from tests.base.test_folders import fill

syncs = int(sys.argv[2])
def sync(path):
    global syncs
    syncs -= 1
    if syncs == 0:
        os.kill(os.getpid(), signal.SIGKILL)
folders.sync = sync
folders.write_folder(Path(sys.argv[1]), fill("new"))
"""


@pytest.mark.parametrize("syncs", [1, 3, 4, 5])
def test_a_kill_leaves_the_old_folder_or_the_new_one(tmp_path: Path, syncs: int) -> None:
    model = tmp_path / "model"
    folders.write_folder(model, fill("old"))
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", KILL, str(model), str(syncs)], cwd=root, check=False)
    assert killed.returncode == -9
    assert content(model) in ({"a.txt": "old", "inner/b.txt": "old"}, {"a.txt": "new", "inner/b.txt": "new"})
    folders.write_folder(model, fill("newest"))
    assert content(model)["a.txt"] == "newest"
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


def test_without_exchange_two_renames_do_and_a_kill_between_them_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "exchange", lambda *paths: False)
    for text in ("old", "new"):
        folders.write_folder(tmp_path / "model", fill(text))
    assert content(tmp_path / "model")["a.txt"] == "new"
    (tmp_path / "model").rename(tmp_path / ".model.previous")
    folders.recover_folder(tmp_path / "model")
    assert content(tmp_path / "model")["a.txt"] == "new"
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


def test_exchange_swaps_two_names_or_says_no(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.write_text("x")
    swapped = folders.exchange(one, other)
    assert one.is_file() is swapped
    assert not folders.exchange(tmp_path / "absent", one)


def test_the_folder_that_appears_is_the_one_that_was_written_and_no_copy(tmp_path: Path) -> None:
    """A copy could be killed half way; a name cannot."""
    for _ in range(2):
        written: list[int] = []
        folders.write_folder(tmp_path / "model", lambda new, seen=written: seen.append(new.stat().st_ino))
        assert (tmp_path / "model").stat().st_ino == written[0]
