import json
from pathlib import Path

import pytest

from hanmo.cli.main import run as hanmo

LEAK = "The harbour lay quiet under the first snow while the candles burned low."


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "train.txt").write_text(f"A diary.\nIn January: {LEAK.upper()}\n")
    (tmp_path / "dev.jsonl").write_text(json.dumps({"text": LEAK}) + '\n{"text": "Nobody wrote this sentence down before."}\n')
    return str(tmp_path / "train.txt"), str(tmp_path / "dev.jsonl")


def test_a_leak_is_shown_with_both_texts(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert hanmo(["contamination", *files]) == 0
    shown = capsys.readouterr().out
    assert (
        "1 of 2 items" in shown
        and "1 of them have 13 words or more" in shown
        and f"evaluation: {LEAK}" in shown
        and LEAK.upper() in shown
        and "train.txt#2" in shown
    )


def test_json_lists_all_and_the_page_only_the_first(files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert hanmo(["contamination", *files, "--most", "0", "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert result["hit_items"] == 1 and result["hits"][0]["item"] == "dev.jsonl#1:text" and result["hits"][0]["covered"] == 13
    assert "... and 1 more" in captured.err


@pytest.mark.parametrize(
    ("paths", "code", "message"), [(["only-one"], 2, "takes two paths, 1 given"), (["nothing", "nowhere"], 1, "does not exist")]
)
def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str], paths: list[str], code: int, message: str) -> None:
    assert hanmo(["contamination", *paths]) == code
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_what_was_not_read_is_named_and_never_no_items(tmp_path: Path, files: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with (tmp_path / "dev.jsonl").open("a") as stream:
        stream.write("{broken\n")
    assert hanmo(["contamination", *files, "--json"]) == 0
    captured = capsys.readouterr()
    assert [(entry["source"], entry["rule"]) for entry in json.loads(captured.out)["unread"]] == [("dev.jsonl#3", "malformed")]
    assert "not read, so nothing is known of it: dev.jsonl#3: malformed (" in captured.err
    (tmp_path / "broken.jsonl").write_text('{"q": "one\n{"q": two}\n')
    assert hanmo(["contamination", files[0], str(tmp_path / "broken.jsonl")]) == 1
    assert "cannot be read: broken.jsonl#1: malformed" in capsys.readouterr().err
