import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import hanmo.data.prepare as prepare_module
from hanmo.base.config import build, to_toml
from hanmo.base.errors import ConfigError
from hanmo.base.storage import sha256
from hanmo.data.mixing.augment import AugmentConfig
from hanmo.data.mixing.copies import with_copies
from hanmo.data.prepare import PrepareConfig, prepare, read_manifest
from hanmo.data.reading.read import SPLITS, read_dataset
from hanmo.data.shards import DOCUMENT_COLUMNS
from hanmo.data.tables import ArrowTable

ROWS = [
    {"id": "b" * 24, "text": "He saw the king.", "source": "x", "language": "en", "license": "", "metadata": {"fold": "1"}},
    {"id": "a" * 24, "text": "石头和河流。", "source": "y", "language": "zh", "license": "", "metadata": {}},
]


def test_copies_stand_behind_their_originals_and_name_them() -> None:
    config = AugmentConfig(copies=1, operations=("counterfactual",))
    times = np.array([2, 3], dtype=np.int32)
    table, sums = with_copies(ArrowTable.of(ROWS, DOCUMENT_COLUMNS), times, config, DOCUMENT_COLUMNS)
    rows = table.rows()
    assert [str(row["id"])[22:] for row in rows] == ["aa", "aa-r1", "aa-r2", "bb", "bb-a1", "bb-r1"]
    assert rows[4]["text"] == "She saw the queen." and rows[5]["text"] == rows[3]["text"]
    assert rows[4]["metadata"] == {"fold": "1", "augmented_from": "b" * 24, "augmented_by": "counterfactual"}
    assert rows[5]["metadata"] == {"fold": "1", "repeat_of": "b" * 24}
    assert rows[0] == ROWS[1]
    assert sums == {"documents": 1, "characters": 18, "words": 4, "bytes": 18}


def test_where_nothing_is_copied_the_table_stays() -> None:
    table = ArrowTable.of(ROWS, DOCUMENT_COLUMNS)
    same, sums = with_copies(table, np.array([1, 1], dtype=np.int32), AugmentConfig(), DOCUMENT_COLUMNS)
    assert same is table and not any(sums.values())


EVERYTHING: dict[str, Any] = {
    "shard_bytes": 2000,
    "workers": 1,
    "read": {"keep_columns": ["author"]},
    "duplicates": {"near": False},  # its texts differ by a name
    "redact": {"mode": "pseudonymise", "seed": 20261126},
    "mix": {"by": "source", "weights": {"letters": 1, "verses": 1}, "total_documents": 120, "max_repeats": 3},
    "split": {"group_by": "author", "folds": 4, "validation": 0.15, "test": 0.15},
    "augment": {"copies": 2, "operations": ["counterfactual", "replace"], "rate": 0.3},
}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A hundred English letters and twenty Chinese verses, of thirty authors, with personal data in them."""
    place, dice = tmp_path_factory.mktemp("in"), random.Random(3)
    letters = [
        {
            "text": f"Letter {i}: the king wrote to his happy mother, mail m{i % 7}@hanmo.se or call (212) 736-50{i:02}.",
            "author": f"a{i % 23}",
        }
        for i in range(100)
    ]
    verses = [{"text": f"第{i}首：他的女儿非常高兴，电话1380013{i:04}。", "author": f"b{i % 7}"} for i in range(20)]
    for name, rows in (("letters", letters), ("verses", verses)):
        (place / name).mkdir()
        dice.shuffle(rows)
        for number in range(4):
            lines = [json.dumps(row, ensure_ascii=False) for row in rows[number::4]]
            (place / name / f"{number}.jsonl").write_text("\n".join(lines), "utf-8")
    return [place / "letters", place / "verses"]


@pytest.fixture(scope="module")
def wanted(texts: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wanted") / "data"
    prepare(texts, out, build(PrepareConfig, EVERYTHING))
    return out


def receipts_of(folder: Path) -> list[dict[str, object]]:
    return pq.read_table(folder / "receipts.parquet").to_pylist()


def test_receipts_stay_one_row_an_input_and_say_what_became_of_it(wanted: Path) -> None:
    receipts = receipts_of(wanted)
    assert len(receipts) == 120 == len({row["id"] for row in receipts})
    out = [row for row in receipts if not row["kept"]]
    assert {row["rule"] for row in out} == {"mixed_out"} and all(float(str(row["value"])) > float(str(row["threshold"])) for row in out)
    assert all(row["repeats"] is None and row["split"] is None for row in out)
    kept = [row for row in receipts if row["kept"]]
    assert {row["repeats"] for row in kept if row["split"] != "train"} == {1}
    verses = [row for row in kept if str(row["source"]).startswith("verses")]
    assert len(verses) == 20 and {row["repeats"] for row in verses if row["split"] == "train"} == {3}
    assert all(row["pii_phone"] == 1 and row["pii_email"] == int(str(row["source"]).startswith("letters")) for row in receipts)
    assert {row["fold"] for row in kept} <= {0, 1, 2, 3}


def test_documents_repeat_as_often_as_receipts_say_and_only_training_has_copies(wanted: Path) -> None:
    receipts = {row["id"]: row for row in receipts_of(wanted) if row["kept"]}
    ids: list[str] = []
    for split in SPLITS:
        found = list(read_dataset(wanted, split))
        assert [d.id for d in found] == sorted(d.id for d in found)
        plain = [d for d in found if "augmented_from" not in d.metadata]
        for document in plain:
            receipt = receipts[document.metadata.get("repeat_of", document.id)]
            assert (receipt["split"], str(receipt["fold"])) == (split, document.metadata["fold"])
        assert len(plain) == sum(int(str(row["repeats"])) for row in receipts.values() if row["split"] == split)
        if split != "train":
            assert not any({"repeat_of", "augmented_from"} & d.metadata.keys() for d in found)
        ids += [d.id for d in found]
    assert len(set(ids)) == len(ids)


def test_the_manifest_counts_repeats_and_copies(wanted: Path) -> None:
    manifest = read_manifest(wanted)
    for split in SPLITS:
        found = list(read_dataset(wanted, split))
        sums = manifest["documents"][split]
        assert (sums["documents"], sums["bytes"]) == (len(found), sum(len(d.text.encode()) for d in found))
    copies = [d for d in read_dataset(wanted, "train") if "augmented_from" in d.metadata]
    assert manifest["augmented"]["documents"] == len(copies) > 50
    assert {d.metadata["augmented_by"] for d in copies} == {"counterfactual", "replace"}
    assert [(share["group"], share["documents"], share["taken_documents"]) for share in manifest["mixture"]] == [
        ("letters", 100, 60),
        ("verses", 20, 60),
    ]


def test_no_value_of_a_person_is_left_and_the_seed_is_not_told(wanted: Path) -> None:
    text = "\n".join(d.text for split in SPLITS for d in read_dataset(wanted, split))
    assert "hanmo.se" not in text and "736-50" not in text and "1380013" not in text
    assert len({word for word in text.split() if word.endswith("@example.com")}) == 7
    assert read_manifest(wanted)["settings"]["redact"]["seed"].startswith("sha256:")
    assert str(EVERYTHING["redact"]["seed"]) not in (wanted / "card.md").read_text("utf-8").split("redact.seed")[1].split("\n")[0]


def test_authors_never_straddle(wanted: Path) -> None:
    places: dict[str, set[tuple[str, str]]] = {}
    for split in SPLITS:
        for document in read_dataset(wanted, split):
            places.setdefault(document.metadata["author"], set()).add((split, document.metadata["fold"]))
    assert len(places) > 20 and all(len(found) == 1 for found in places.values())


def test_workers_order_and_number_of_files_change_no_byte(
    texts: list[Path], wanted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(texts[::-1], tmp_path / "two", build(PrepareConfig, {**EVERYTHING, "workers": 2}))
    assert sha256(tmp_path / "two") == sha256(wanted)
    monkeypatch.setattr(prepare_module, "BUCKET_BYTES", 3000)
    prepare(texts, tmp_path / "many", build(PrepareConfig, EVERYTHING))
    assert len(list((tmp_path / "many" / "documents").glob("train-*.parquet"))) > 3
    for split in SPLITS:
        assert list(read_dataset(tmp_path / "many", split)) == list(read_dataset(wanted, split))
    assert read_manifest(tmp_path / "many")["augmented"] == read_manifest(wanted)["augmented"]


def test_killed_and_resumed_gives_the_same_bytes(texts: list[Path], wanted: Path, tmp_path: Path) -> None:
    out, recipe = tmp_path / "data", tmp_path / "recipe.toml"
    recipe.write_text(to_toml({"prepare": {**EVERYTHING, "workers": 2}}), "utf-8")
    words = [sys.executable, "-m", "hanmo.cli.main", "prepare", str(recipe), *map(str, texts), "--out", str(out)]
    for target in (3, 9, 15, 25):
        child = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        while child.poll() is None and sum(path.is_file() for path in out.rglob("*")) < target:
            try:
                child.wait(timeout=0.002)
            except subprocess.TimeoutExpired:
                continue
        child.kill()
        child.wait()
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    assert sha256(out) == sha256(wanted)


def test_a_changed_list_of_names_makes_the_data_set_new(texts: list[Path], tmp_path: Path) -> None:
    names = tmp_path / "names.tsv"
    names.write_text("Letter\tVerse\n")
    settings = {**EVERYTHING, "augment": {"copies": 1, "operations": ["counterfactual"], "pairs": str(names)}}
    first = prepare(texts, tmp_path / "data", build(PrepareConfig, settings))
    assert first["settings"]["augment"]["pairs"].startswith("names.tsv sha256:")
    assert any(d.text.startswith("Verse") for d in read_dataset(tmp_path / "data", "train"))
    names.write_text("Letter\tPaper\n")
    assert prepare(texts, tmp_path / "data", build(PrepareConfig, settings))["fingerprint"] != first["fingerprint"]
    assert any(d.text.startswith("Paper") for d in read_dataset(tmp_path / "data", "train"))


def test_masks_are_set_before_anything_is_measured(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, mail in enumerate(("anna@hanmo.se", "bo@hanmo.se")):
        (folder / f"{number}.txt").write_text(f"Please write a long letter to {mail} before the winter.")
    prepare([folder], tmp_path / "data", build(PrepareConfig, {"redact": {"mode": "mask"}, "workers": 1}))
    receipts = receipts_of(tmp_path / "data")
    assert [row["rule"] for row in receipts] == [None, "exact_duplicate"]  # the masked texts are equal
    assert receipts[0]["characters"] == len("Please write a long letter to [EMAIL] before the winter.")
    prepare([folder], tmp_path / "data", build(PrepareConfig, {"redact": {"mode": "off"}, "workers": 1}))
    assert [(row["kept"], row["pii_email"]) for row in receipts_of(tmp_path / "data")] == [(True, None)] * 2


def test_settings_that_need_a_column_say_so() -> None:
    for wrong in (
        {"mix": {"by": "domain"}},
        {"split": {"group_by": "author"}},
        {"split": {"folds": 3}, "read": {"keep_columns": ["fold"]}},
        {"read": {"keep_columns": ["repeat_of"]}},
    ):
        with pytest.raises(ConfigError, match=r"read\.keep_columns"):
            build(PrepareConfig, wrong)
