import json
from pathlib import Path

import pytest

from hanmo.cli.main import run as hanmo
from hanmo.data.catalogue import ENTRIES


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANMO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HANMO_CORPORA", str(tmp_path / "corpora"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def test_the_list_names_every_corpus_with_its_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert hanmo(["fetch", "--list", "--json"]) == 0
    captured = capsys.readouterr()
    listed = json.loads(captured.out)
    corpora = [*listed["corpora"], *listed["models"]]
    assert [corpus["name"] for corpus in corpora] == list(ENTRIES)
    assert all(corpus["license"] and corpus["citation"] and corpus["path"] == "" for corpus in corpora)
    assert "shakespeare" in captured.err


def test_a_corpus_of_mine_is_found_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "corpora" / "shakespeare"
    place.mkdir(parents=True)
    (place / "play.md").write_text("# A Play\n")
    assert hanmo(["fetch", "shakespeare"]) == 0
    assert f"shakespeare: 1 files, 9 bytes in {place}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [([], 2, "needs a name"), (["a", "--list"], 2, "needs a name"), (["moby"], 2, "unknown name"), (["shakespeare"], 1, "cannot fetch")],
)
def test_mistakes_and_a_missing_network_are_one_line(words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert hanmo(["fetch", *words]) == code
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("hanmo fetch: ") and message in last
