"""`hanmo tokenizer` from the words to the files."""

import json

import pytest

from hanmo.cli import tokenizer
from hanmo.cli.main import run
from hanmo.cli.prepare import prepare_sources
from hanmo.data.prepare import PrepareConfig

TEXT = "The lamp on the hill was lit.\n渔船已经出海了，孩子们在码头上等着渔船。\n" * 20


@pytest.fixture
def text(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")
    return file


def result_of(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_tokenizer_is_trained_from_a_file_and_shown(text, tmp_path, capsys):
    out = tmp_path / "tokenizer"
    assert run(["tokenizer", "train", str(text), "--kind", "bpe", "--vocab-size", "300", "--out", str(out), "--json"]) == 0
    made = result_of(capsys)
    assert (made["kind"], made["vocab_size"], made["folder"]) == ("bpe", 300, str(out))
    assert {file.name for file in out.iterdir()} == {"tokenizer.json", "tokenizer_config.json", "vocabulary.tsv"}
    assert run(["tokenizer", "show", str(out), "--text", "the lamp 渔船", "--data", str(text), "--json"]) == 0
    shown = result_of(capsys)
    assert shown["sha256"] == made["sha256"]
    assert shown["recovered"] is True
    assert len(shown["ids"]) == len(shown["tokens"])
    assert shown["fertility"][""]["not_recovered"] == 0
    assert shown["fertility"][""]["bytes"] == len(TEXT.encode())


def test_what_a_person_reads_says_what_is_lost(text, tmp_path, capsys):
    out = str(tmp_path / "tokenizer")
    assert run(["tokenizer", "train", str(text), "--kind", "word", "--vocab-size", "300", "--out", out]) == 0
    assert run(["tokenizer", "show", out, "--text", "the zebra", "--data", str(text)]) == 0
    page = capsys.readouterr().out
    assert "does NOT give the text back" in page
    assert "tokens_per_word" in page
    assert "渔船" in page


def test_a_recipe_sets_the_tokenizer_and_flags_change_it(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[tokenizer]\nkind = "character"\nvocab_size = 999\n')
    action = tokenizer.parse(["train", str(recipe), "data", "--out", "o", "--vocab-size", "500"]).action
    assert isinstance(action, tokenizer.Train)
    assert (action.tokenizer.kind, action.tokenizer.vocab_size) == ("character", 500)


def test_a_data_set_gives_its_training_split_and_a_run_its_tokenizer(tmp_path, capsys):
    source, folder = tmp_path / "stories.jsonl", tmp_path / "run"
    lamps = [f"In the year {1700 + n} the lamp number {n * 7} on the hill was lit, and {n * 13} boats came home." for n in range(60)]
    source.write_text("".join(json.dumps({"text": lamp}) + "\n" for lamp in lamps), encoding="utf-8")
    prepare_sources([str(source)], folder / "data", PrepareConfig())
    assert run(["tokenizer", "train", str(folder / "data"), "--vocab-size", "280", "--out", str(folder / "tokenizer")]) == 0
    capsys.readouterr()
    assert run(["tokenizer", "show", str(folder), "--json"]) == 0
    assert result_of(capsys)["folder"] == str(folder / "tokenizer")


@pytest.mark.parametrize("words", [[], ["learn"], ["train"], ["show"], ["train", "x", "--kind", "syllable", "--out", "y"]])
def test_wrong_words_end_in_one_line_and_code_2(words, capsys):
    assert run(["tokenizer", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_folder_without_a_tokenizer_ends_in_one_line_and_code_1(tmp_path, capsys):
    assert run(["tokenizer", "show", str(tmp_path)]) == 1
    assert "tokenizer.json is missing" in capsys.readouterr().err


def test_help_comes_without_training(capsys):
    with pytest.raises(SystemExit) as leaving:
        run(["tokenizer", "--help"])
    assert leaving.value.code == 0
    assert "hanmo tokenizer train" in capsys.readouterr().out
