import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.data.cleaning.test_filters import LETTER_EN, LETTER_ZH
from tests.data.test_prepare import make_texts

from hanmo.base.errors import ConfigError, DataError
from hanmo.data.cleaning.filters import FilterConfig, judge
from hanmo.data.prepare import PrepareConfig, prepare
from hanmo.data.replay import FILTER_RULES, config_with, failing, read_assignments, replay
from hanmo.data.tables import ArrowTable

ASSIGNMENTS = [
    "filters.min_words=60",
    "filters.min_words=1",
    "filters.preset=web",
    "filters.preset=gopher, filters.min_words=30",
    'filters.languages=["en"]',
    "filters.none=true",
    "filters.max_characters=300,filters.min_han_share=0.5",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = make_texts(tmp_path_factory.mktemp("in") / "texts", count=20)
    (texts / "letters.txt").write_text(LETTER_EN)
    (texts / "letters-zh.txt").write_text(LETTER_ZH)
    prepare([texts], texts.parent / "data", PrepareConfig(workers=1))
    return texts.parent


@pytest.mark.parametrize("assignments", ASSIGNMENTS)
def test_a_replay_tells_what_preparing_again_gives(folder: Path, tmp_path: Path, assignments: str) -> None:
    told = replay(folder / "data", assignments)
    filters = config_with({"preset": "mild"}, read_assignments(assignments))
    made = prepare([folder / "texts"], tmp_path / "again", PrepareConfig(filters=filters, workers=1))
    assert told["kept"]["after"] == made["receipts"]["kept"] and told["total"] == made["receipts"]["total"]
    assert {rule: pair["after"] for rule, pair in told["refused"].items() if pair["after"]} == made["receipts"]["refused"]
    assert told["characters"]["after"] == sum(sums["characters"] for sums in made["documents"].values())
    before = json.loads((folder / "data" / "manifest.json").read_text("utf-8"))["receipts"]
    assert told["kept"]["before"] == before["kept"] and told["kept"]["after"] - told["kept"]["before"] == told["gained"] - told["lost"]
    assert {rule: pair["before"] for rule, pair in told["refused"].items() if pair["before"]} == before["refused"]


def test_nothing_but_receipts_and_settings_is_read(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "receipts.parquet").write_bytes((folder / "data" / "receipts.parquet").read_bytes())
    wanted = replay(folder / "data", "filters.min_words=60")
    assert replay(tmp_path, "filters.min_words=60") == wanted  # without a manifest the defaults are assumed
    assert wanted["lost"] and wanted["examples"]["lost"][0]["rule"] == "min_words" and wanted["examples"]["lost"][0]["threshold"] == 60


@pytest.mark.parametrize("preset", ["mild", "gopher", "c4", "fineweb", "web"])
def test_whole_columns_are_judged_as_single_documents_are(folder: Path, preset: str) -> None:
    config = FilterConfig(preset=preset, languages=("en", "zh-Hans"), min_language_score=0.3)
    path = folder / "data" / "receipts.parquet"
    places = failing(ArrowTable.read(path), config)
    for row, place in zip(pq.read_table(path).to_pylist(), places.tolist(), strict=True):
        if row["characters"] is not None:
            assert judge(row, config).rule == (FILTER_RULES[place] if place >= 0 else "")
    assert len(np.unique(places)) > 1


def test_where_the_kept_copy_is_lost_another_takes_its_place_and_others_are_uncompared(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("He left the house.\x01\x01", "utf-8")  # 0.09 of its characters as found are controls
    (tmp_path / "in" / "b.txt").write_text("He left the house.", "utf-8")
    (tmp_path / "in" / "c.txt").write_text("Gone.", "utf-8")
    prepare([tmp_path / "in"], tmp_path / "out", PrepareConfig(filters=FilterConfig(max_control_share=0.5), workers=1))
    told = replay(tmp_path / "out", "filters.max_control_share=0.01")
    assert (told["gained"], told["lost"], told["uncompared"]) == (1, 1, 0) and told["kept"] == {"before": 1, "after": 1}
    assert told["refused"]["exact_duplicate"] == {"before": 1, "after": 0} and told["examples"]["gained"][0]["source"] == "in/b.txt"
    told = replay(tmp_path / "out", "filters.min_words=1")
    assert (told["gained"], told["uncompared"]) == (1, 1)


def test_assignments_are_read_as_toml_writes_values_or_as_words() -> None:
    assert read_assignments('filters.languages=["en", "zh"],filters.max-top-2gram-share = 0.3 , filters.preset=web') == {
        "languages": ["en", "zh"],
        "max_top_2gram_share": 0.3,
        "preset": "web",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filters.min_wrods=3", "did you mean 'min_words'"),
        ("filtres.min_words=3", "did you mean 'filters.min_words'"),
        ("split.test=0.3", "cannot be told from receipts"),
        ("min_words=3", "did you mean 'filters.min_words'"),
        ("filters.min_words", "is no assignment"),
        ("filters.min_words=many", "should be of type int"),
        ("filters.min_words=-3", r"filters.min_words \(=-3\)"),
    ],
)
def test_mistakes_name_the_key_and_what_to_write(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replay(folder / "data", text)


def test_receipts_that_lack_a_column_or_are_not_there_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no receipts\.parquet"):
        replay(tmp_path, "filters.min_words=3")
    table = pq.read_table(folder / "data" / "receipts.parquet")
    pq.write_table(table.drop_columns(["stop_words", "script"]), tmp_path / "receipts.parquet")
    with pytest.raises(DataError, match=r"no column 'stop_words', which filters.min_stop_words judges"):
        replay(tmp_path, "filters.preset=web")
    assert replay(tmp_path, "filters.min_words=60")["lost"]


def test_thresholds_written_before_there_were_presets_give_way_to_one() -> None:
    old = {"none": False, "min_characters": 0, "max_characters": 0, "min_words": 3, "max_replacement_share": 0.01, "min_letter_share": 0.4}
    config = config_with(old, {"preset": "web"})
    assert config == FilterConfig(preset="web", min_letter_share=0.4)
    assert config_with({"preset": "web", "min_words": 3}, {}) == FilterConfig(preset="web", min_words=3)
