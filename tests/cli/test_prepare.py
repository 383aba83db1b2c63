import json
import re
from pathlib import Path

import pytest

from hanmo.cli.main import run as hanmo
from hanmo.cli.prepare import USED_MOST, Options, parse
from hanmo.data.reading.read import SPLITS, read_dataset
from hanmo.data.tables import read_rows

TEXTS = ["河边的柳树绿了，孩子们在树下唱歌。", "The children sang below the willows by the river.", "好"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "texts"
    place.mkdir()
    for number, text in enumerate(TEXTS):
        (place / f"{number}.txt").write_text(text, "utf-8")
    return place


def test_flags_reach_every_room_of_the_settings() -> None:
    options = parse(
        [
            "a",
            "b",
            "--out",
            "d",
            "--filters.none",
            "--read.split-on",
            "chapter",
            "--split.test",
            "0.2",
            "--workers",
            "1",
            "--card-language",
            "zh",
        ]
    )
    assert (options.sources, options.out) == (("a", "b"), Path("d"))
    settings = options.prepare
    assert settings.filters.none and settings.read.split_on == "chapter" and settings.split.test == 0.2 and settings.card_language == "zh"


def test_a_recipe_gives_sources_and_settings_and_flags_change_them(tmp_path: Path) -> None:
    recipe = tmp_path / "r.toml"
    recipe.write_text('sources = ["texts"]\n[prepare.filters]\nmin_words = 7\nmin_characters = 9\n')
    options = parse([str(recipe), "--out", "d", "--filters.min-words", "8"])
    assert options == Options(sources=("texts",), out=Path("d"), prepare=options.prepare)
    assert (options.prepare.filters.min_words, options.prepare.filters.min_characters) == (8, 9)


def test_from_the_command_line_to_a_data_set(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hanmo(["prepare", str(folder), "--out", str(tmp_path / "data"), "--json"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out.splitlines()[-1])
    assert result["receipts"] == {"total": 3, "kept": 2, "refused": {"min_words": 1}}
    assert "kept 2 of 3 documents" in captured.err and "refused by min_words: 1" in captured.err
    assert hanmo(["prepare", str(folder), "--out", str(tmp_path / "all"), "--filters.none"]) == 0
    assert "kept 3 of 3 documents" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["prepare", "FOLDER"], 2, "--out"),
        (["prepare", "nothing-here", "--out", "OUT"], 1, "does not exist"),
        (["prepare", "--out", "OUT"], 2, "no source given"),
        (["prepare", "FOLDER", "--out", "OUT", "--filters.min-wrods", "3"], 2, "min-wor"),
        (["prepare", "FOLDER", "--out", "OUT", "--filters.min-words", "-3"], 2, "filters.min_words (=-3)"),
        (["prepare", "FOLDER", "--out", "OUT", "--read.id-column", "repeat_of"], 2, "read.id_column names 'repeat_of'"),
        (["prepare", "FOLDER/0.txt", "--out", "FOLDER/1.txt"], 1, "something else has this name"),
    ],
)
def test_mistakes_are_one_line_and_an_exit_code(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    filled = [word.replace("FOLDER", str(folder)).replace("OUT", str(tmp_path / "out")) for word in words]
    assert hanmo(filled) == code
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("hanmo prepare: ") and message in last


def test_shares_reached_stand_beside_those_asked_and_what_holds_them_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, count in (("large", 30), ("small", 1)):
        (tmp_path / name).mkdir()
        rows = [json.dumps({"text": f"Letter {number} of the {name} bundle, from the river."}) for number in range(count)]
        (tmp_path / name / "rows.jsonl").write_text("\n".join(rows))
    words = ["prepare", str(tmp_path / "large"), str(tmp_path / "small"), "--duplicates.no-near", "--mix.by", "source", "--mix.weights"]
    assert hanmo([*words, "large", "3", "small", "1", "--out", str(tmp_path / "a")]) == 0
    shown = capsys.readouterr().out
    assert "mixture: large 75.0%, asked 75.0%" in shown and "27 documents stay out because small has no more" in shown
    assert hanmo([*words, "large", "1", "small", "1", "--mix.total-documents", "20", "--out", str(tmp_path / "b")]) == 0
    shown = capsys.readouterr().out
    assert "mixture: small 5.0%, asked 50.0%" in shown and "stay out because" not in shown


def test_a_replay_tells_what_would_change_and_makes_nothing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "data"
    assert hanmo(["prepare", str(folder), "--out", str(out)]) == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert hanmo(["prepare", "--out", str(out), "--replay", "filters.min_words=11,filters.preset=mild"]) == 0
    shown = capsys.readouterr().out
    assert "kept: 2 -> 1" in shown and "refused by min_words: 1 -> 2" in shown and "texts/1.txt: min_words (9 against 11)" in shown
    assert hanmo(["prepare", "--out", str(out), "--replay", "filters.min_words=1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["kept"] == {"before": 2, "after": 3} and result["uncompared"] == 1
    assert hanmo(["prepare", "--out", str(out), "--replay", "filters.min_wrods=1"]) == 2
    assert "did you mean 'min_words'" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_where_nothing_is_kept_the_first_reasons_and_all_receipts_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": "first", "text": "Too short."}, {"id": "second", "text": 5}, {"id": "third", "words": "x"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = str(tmp_path / "out")
    assert hanmo(["prepare", str(tmp_path / "a.jsonl"), "--out", out]) == 1
    told = capsys.readouterr().err
    lines = [
        "a.jsonl#1: min_words (2 against 3)",
        "a.jsonl#2: not_text (column 'text' holds int)",
        "a.jsonl#3: no_column (columns found: id, words)",
    ]
    assert all(f"\n  {line}\n" in told for line in lines) and f"hanmo prepare --show-receipts --out {out}" in told
    assert hanmo(["prepare", "--show-receipts", "--out", out]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [f"  {line}" for line in lines]
    assert hanmo(["prepare", "--show-receipts", "--out", out, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["receipts"]
    assert [(row["source"], row["own_id"], row["rule"]) for row in shown] == [
        ("a.jsonl#1", "first", "min_words"),
        ("a.jsonl#2", "second", "not_text"),
        ("a.jsonl#3", "third", "no_column"),
    ]
    assert hanmo(["prepare", "--show-receipts", "--out", str(tmp_path / "nowhere")]) == 1
    assert "receipts.parquet does not exist" in capsys.readouterr().err


def test_kept_text_that_looks_like_something_else_is_told_in_both_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = "Вчера мы пошли в парк посмотреть на старые дубы и лебедей".encode("cp1251").decode("latin-1")
    texts = [
        '{"a": "a row that was taken for a text"}',
        "<html><body>a page that was kept as it is",
        wrong,
        "An honest sentence of some words.",
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    assert hanmo(["prepare", str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "data"), "--filters.none"]) == 0
    told = capsys.readouterr().err
    page = (tmp_path / "data" / "report.html").read_text("utf-8")
    for words in ("1 of 4 kept documents begin like JSON", "begin like a web page", "the letters of a wrong decoding"):
        assert words in told and words in page
    looks = [row["looks_like"] for row in read_rows(tmp_path / "data" / "receipts.parquet")]
    assert looks == ["begins_like_json", "begins_like_page", "wrong_decoding", None]


def test_receipts_are_shown_after_preparing_where_sources_are_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("A text of some words that is kept as it stands.")
    (tmp_path / "b.txt").write_text("Short.")
    assert hanmo(["prepare", str(tmp_path), "--out", str(tmp_path / "data"), "--show-receipts"]) == 0
    assert "/b.txt: min_words" in capsys.readouterr().out
    assert (tmp_path / "data" / "manifest.json").exists()


def test_a_rows_own_id_stays_in_its_metadata_and_its_receipt(tmp_path: Path) -> None:
    rows = [{"id": f"row-{number}", "text": text * 2} for number, text in enumerate(TEXTS[:2])]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert hanmo(["prepare", str(tmp_path / "a.jsonl"), "--out", str(tmp_path / "data")]) == 0
    documents = [document for split in SPLITS for document in read_dataset(tmp_path / "data", split)]
    assert {document.metadata["id"] for document in documents} == {"row-0", "row-1"}
    assert {row["own_id"] for row in read_rows(tmp_path / "data" / "receipts.parquet")} == {"row-0", "row-1"}


def test_help_begins_with_the_ten_flags_that_people_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"])
    told = re.findall(r"^  (--[a-z][\w.-]+)", capsys.readouterr().out, re.MULTILINE)
    assert len(USED_MOST) == 10 and tuple(told[:10]) == USED_MOST and len(set(told)) == len(told)
