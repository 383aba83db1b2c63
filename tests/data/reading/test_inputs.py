import os
from pathlib import Path

import pytest

from hanmo.base.errors import DataError
from hanmo.data.reading.inputs import InputFile, Source, is_hidden, list_files, name_sources, place, printable


def make(root: Path, *names: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def labels(*paths: Path, without: Path | None = None) -> tuple[list[str], list[tuple[str, str]]]:
    files, refused = list_files(name_sources([Source(path=path) for path in paths]), without)
    return [file.label for file in files], [(entry.source, entry.rule) for entry in refused]


def test_labels_are_sorted_and_do_not_depend_on_the_place_or_the_order(tmp_path: Path) -> None:
    one, two = make(tmp_path / "x" / "b", "2.txt", "sub/1.txt"), make(tmp_path / "a", "z.txt")
    wanted = ["a/z.txt", "b/2.txt", "b/sub/1.txt"]
    assert labels(one, two)[0] == labels(two, one)[0] == labels(two, one, two)[0] == wanted


def test_sources_of_one_name_are_told_apart_by_their_parents(tmp_path: Path) -> None:
    one, two = make(tmp_path / "x" / "data", "t.txt"), make(tmp_path / "y" / "data", "t.txt")
    assert labels(one, two)[0] == ["x/data/t.txt", "y/data/t.txt"]


def test_nested_sources_give_each_file_once(tmp_path: Path) -> None:
    root = make(tmp_path / "r", "sub/t.txt", "u.txt")
    assert labels(root, root / "sub", root / "u.txt")[0] == ["r/sub/t.txt", "r/u.txt"]


def test_links_pipes_and_hidden_things_have_their_receipts(tmp_path: Path) -> None:
    root = make(tmp_path / "r", "t.txt", ".git/config", "__pycache__/m.pyc", "sub/u.txt")
    (root / "sub" / "up").symlink_to(root)
    (root / "gone").symlink_to(root / "nothing")
    (root / "same").symlink_to(root / "t.txt")
    os.mkfifo(root / "pipe")
    files, refused = labels(root)
    assert files == ["r/same", "r/sub/u.txt", "r/t.txt"]
    assert refused == [
        ("r/.git", "hidden"),
        ("r/__pycache__", "hidden"),
        ("r/gone", "broken_link"),
        ("r/pipe", "special_file"),
        ("r/sub/up", "link_loop"),
    ]


def test_the_output_folder_is_not_read_again(tmp_path: Path) -> None:
    root = make(tmp_path / "r", "t.txt", "out/old.txt")
    assert labels(root, without=root / "out") == (["r/t.txt"], [("r/out", "hidden")])


def test_a_missing_source_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist: give a file, a folder, or a name"):
        labels(tmp_path / "nothing")


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "r", "t.txt", "locked/u.txt")
    real = os.listdir

    def listdir(path: Path) -> list[str]:  # tests may run as root, whom no permission stops
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert labels(root) == (["r/t.txt"], [("r/locked", "unreadable")])


def test_a_name_that_is_no_utf8_can_be_written() -> None:
    printable(os.fsdecode(b"\xe9t\xe9.txt")).encode()
    assert printable("中文.txt") == "中文.txt"


def test_a_file_knows_its_name_under_a_path_and_under_a_url() -> None:
    assert InputFile(path=Path("/a/b.txt.gz"), label="x").name == "b.txt.gz"
    assert InputFile(url="s3://me:secret@bucket/a/c.txt?key=1", label="x").name == "c.txt"


def test_urls_and_paths_are_named_by_their_last_parts(tmp_path: Path) -> None:
    sources = [Source(url="s3://me:secret@bucket/one/texts/"), Source(url="memory://two/texts"), Source(path=make(tmp_path / "texts"))]
    names = [source.name for source in name_sources([*sources, *sources])]
    assert names[0] == "one/texts" and names[2] == "two/texts" and names[1].endswith("/texts")
    assert "secret" not in "".join(names)


def test_names_that_are_hidden_everywhere() -> None:
    assert [is_hidden(name) for name in (".git", "__pycache__", "__MACOSX", "a.txt")] == [True, True, True, False]


def test_an_empty_source_is_never_the_folder_we_stand_in() -> None:
    with pytest.raises(DataError, match="a source is empty"):
        place("")
    assert place("a.txt") == Source(path=Path("a.txt")) and place("https://a.example/b") == Source(url="https://a.example/b")
