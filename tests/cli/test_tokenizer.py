"""`hanmo tokenizer` from the words to the files."""

import json

import pytest

from hanmo.base.storage import sha256
from hanmo.batches.counts import read_counts
from hanmo.batches.store import TokenStore
from hanmo.cli import tokenizer
from hanmo.cli.main import run
from hanmo.data.duplicates.exact import DuplicateConfig
from hanmo.data.prepare import PrepareConfig, prepare
from hanmo.data.tables import read_rows

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
    assert {file.name for file in out.iterdir()} == {
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer_training.json",
        "vocabulary.tsv",
    }
    assert run(["tokenizer", "show", str(out), "--text", "the lamp 渔船", "--data", str(text), "--json"]) == 0
    shown = result_of(capsys)
    assert shown["sha256"] == made["sha256"]
    assert shown["recovered"] is True
    assert len(shown["ids"]) == len(shown["tokens"])
    assert shown["fertility"][""]["not_recovered"] == 0
    assert shown["fertility"][""]["bytes"] == len(TEXT.encode())


def test_text_behind_a_url_is_read_like_a_file(text, tmp_path, capsys):
    import fsspec

    fsspec.filesystem("memory").pipe("/tokenizer-text/text.txt", text.read_bytes())
    for number, source in enumerate([str(text), "memory://tokenizer-text", f"file://{text}"]):
        assert (
            run(["tokenizer", "train", source, "--kind", "bpe", "--vocab-size", "300", "--out", str(tmp_path / str(number)), "--json"]) == 0
        )
        assert run(["tokenizer", "show", str(tmp_path / str(number)), "--data", source, "--json"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")][1::2]
    assert len(shown) == 3 and len({one["sha256"] for one in shown}) == 1 and len({str(one["fertility"]) for one in shown}) == 1


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
    prepare([str(source)], folder / "data", PrepareConfig())
    assert run(["tokenizer", "train", str(folder / "data"), "--vocab-size", "280", "--out", str(folder / "tokenizer")]) == 0
    capsys.readouterr()
    assert run(["tokenizer", "show", str(folder), "--json"]) == 0
    assert result_of(capsys)["folder"] == str(folder / "tokenizer")


@pytest.fixture
def dataset(tmp_path):
    source, folder = tmp_path / "stories.jsonl", tmp_path / "data"
    boats = [f"In the year {1700 + n} cardiomyopathy was rare on hill {n * 7}. 码头上第{n}位老人得了心肌病变。" for n in range(60)]
    source.write_text("".join(json.dumps({"text": boat}) + "\n" for boat in boats), encoding="utf-8")
    prepare([str(source)], folder, PrepareConfig(duplicates=DuplicateConfig(near=False)))
    return folder


@pytest.mark.parametrize("kind", ["bpe", "wordpiece", "unigram", "character", "word"])
def test_a_tokenizer_of_every_kind_learns_the_words_of_a_domain(kind, text, dataset, tmp_path, capsys):
    old, new, words = str(tmp_path / "old"), str(tmp_path / "new"), tmp_path / "words.txt"
    words.write_text("\ufeffcardiomyopathy\n\ufeff心肌病变\n\n", encoding="utf-8")
    assert run(["tokenizer", "train", str(text), "--kind", kind, "--vocab-size", "420", "--out", old]) == 0
    (tmp_path / "old" / "chat_template.jinja").write_text("{{ messages }}")
    command = ["tokenizer", "extend", old, "--words", str(words), "--data", str(dataset), "--add", "60", "--out", new]
    assert run(command) == 0
    page = capsys.readouterr().out
    assert "tokens added to those of" in page
    assert run([*command, "--json"]) == 0
    made = result_of(capsys)
    assert 0 < len(made["added"]) <= 60
    assert made["tokens_after"] < made["tokens_before"] or made["unknown_after"] < made["unknown_before"]
    assert made["saved_share"] == pytest.approx(1 - made["tokens_after"] / made["tokens_before"])
    assert (tmp_path / "new" / "chat_template.jinja").exists()


def test_a_vocabulary_of_another_tool_is_imported(text, tmp_path, capsys):
    assert run(["tokenizer", "train", str(text), "--kind", "wordpiece", "--vocab-size", "300", "--out", str(tmp_path / "made")]) == 0
    capsys.readouterr()
    assert run(["tokenizer", "import", str(tmp_path / "made" / "vocab.txt"), "--out", str(tmp_path / "out"), "--json"]) == 0
    assert result_of(capsys)["kind"] == "wordpiece"
    assert run(["tokenizer", "import", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "holds no vocabulary" in capsys.readouterr().err


def test_a_data_set_is_encoded_and_each_documents_tokens_stand_beside_its_receipt(text, dataset, tmp_path, capsys):
    tokenizer_folder, out = str(tmp_path / "tokenizer"), tmp_path / "tokens"
    assert run(["tokenizer", "train", str(text), "--vocab-size", "300", "--out", tokenizer_folder]) == 0
    capsys.readouterr()
    before = sha256(dataset)
    assert run(["tokenizer", "encode", str(dataset), "--tokenizer", tokenizer_folder, "--out", str(out), "--workers", "1", "--json"]) == 0
    made = result_of(capsys)
    counts = read_counts(dataset, made["sha256"])
    kept = {str(row["id"]): row["split"] for row in read_rows(dataset / "receipts.parquet", ("id", "kept", "split")) if row["kept"]}
    assert set(counts) == set(kept)
    for split, sums in made["splits"].items():
        ours = [count for id, count in counts.items() if kept[id] == split]
        assert (len(ours), sum(ours)) == (sums["documents"], sums["tokens"] - sums["documents"])
        assert TokenStore.open(out / split).num_tokens == sums["tokens"]
    for file in (dataset / "tokens").iterdir():
        file.unlink()
    (dataset / "tokens").rmdir()
    assert sha256(dataset) == before
    assert run(["tokenizer", "encode", str(dataset), "--tokenizer", tokenizer_folder, "--out", str(out)]) == 0
    assert "documents" in capsys.readouterr().out


def test_fertility_is_told_by_language_and_by_source(text, dataset, tmp_path, capsys):
    out = str(tmp_path / "tokenizer")
    assert run(["tokenizer", "train", str(text), "--vocab-size", "300", "--out", out]) == 0
    assert run(["tokenizer", "show", out, "--data", str(dataset)]) == 0
    page = capsys.readouterr().out
    assert "continued_share" in page and "source" in page
    assert run(["tokenizer", "show", out, "--data", str(dataset), "--json"]) == 0
    shown = result_of(capsys)
    by = [shown[name] for name in ("fertility", "fertility_by_source")]
    assert len({sum(rates["tokens"] for rates in each.values()) for each in by}) == 1
    assert all("stories.jsonl" in name and "#" not in name for name in by[1])


def test_many_sources_are_cut_short_for_the_eye_only():
    rates = {"documents": 1, "tokens": 2, "not_recovered": 0} | dict.fromkeys(
        ("tokens_per_byte", "tokens_per_character", "tokens_per_word", "continued_share", "unknown_share"), 0.5
    )
    lines = tokenizer._table({f"source {n}": rates for n in range(50)}, "source")
    assert "20 more" in lines[-1]
    assert len({len(line) for line in lines[:-1]}) == 1


@pytest.mark.parametrize("more", [[], ["--data", "x"], ["--words", "absent.txt"]])
def test_extending_by_nothing_is_wrong_use(text, tmp_path, capsys, more):
    out = str(tmp_path / "tokenizer")
    assert run(["tokenizer", "train", str(text), "--vocab-size", "300", "--out", out]) == 0
    capsys.readouterr()
    assert run(["tokenizer", "extend", out, "--out", str(tmp_path / "new"), *more]) == 2
    assert capsys.readouterr().err.count("\n") == 1


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
