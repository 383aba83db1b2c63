"""The law of the data room: workers, order, memory and kills change no byte, with everything switched on at once."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hanmo.base.config import build, to_toml
from hanmo.base.storage import sha256
from hanmo.data.duplicates.compare import LONGEST_ALIGNED
from hanmo.data.duplicates.letters import letters
from hanmo.data.prepare import PrepareConfig, prepare, read_manifest
from hanmo.data.reading.read import SPLITS, read_dataset

pytestmark = pytest.mark.timeout(900)

PLACES = ["the harbour", "the mill", "the old school", "the bakery", "the station", "the upper farm", "the chapel", "the ferry"]
PEOPLE = ["my sister", "the miller", "his grandmother", "the ferryman", "our teacher", "the baker", "her uncle", "the doctor"]
THINGS = ["a lamp", "two loaves", "the blue jug", "a torn map", "some apples", "her violin", "a broken clock", "seven letters"]
ENGLISH = [
    "In the {n}th week of the year {who} walked to {where} and carried {what} under one arm.",
    "Nobody at {where} could say why {who} had left {what} on the bench before noon.",
    "It rained for {n} hours, and {who} stayed at {where} until the road was dry again.",
    "When {who} opened the door of {where}, {what} had been lying there for {n} days.",
    "There was talk that {who} would sell {what} for {n} coins and never come back to {where}.",
]
地方 = ["码头", "磨坊", "老学堂", "面包铺", "车站", "山上的农庄", "小庙", "渡口"]
人物 = ["我的姐姐", "磨坊主人", "他的祖母", "撑船的人", "我们的先生", "卖面的人", "她的舅舅", "村里的医生"]
东西 = ["一盏灯", "两个馒头", "那只蓝罐子", "半张地图", "几个苹果", "她的胡琴", "一座坏钟", "七封信"]
CHINESE = [
    "那年的第{n}个星期，{who}走到{where}去，手里提着{what}，一路上没有说话。",
    "{where}的人谁也不知道，{who}为什么在中午以前把{what}留在凳子上。",
    "雨一连下了{n}个钟头，{who}就在{where}坐着，等到路面又干了才走。",
    "{who}推开{where}的门，看见{what}已经在那里放了{n}天。",
    "有人说{who}要把{what}卖{n}块钱，以后再也不回{where}来了。",
]
TRADITIONAL = "這是祖父寫給孫女的信：樹葉黃了，學堂裡的鐘聲還是和從前一樣，請妳記得把門關好，{n}點以前回來，外面風大，衣裳多穿一件。"
FRENCH = "Le matin, la rivière était couverte de brume et personne ne voulait encore quitter la maison, car il faisait trop froid dehors. "
NOTICE, 声明 = "Copied by hand for the readers of this valley.", "本文由河谷读书会抄录，欢迎传阅。"
LEAKED = "The keeper of the eastern gate counts nineteen swallows each morning before he dares to turn the great iron key."


def tell(dice: random.Random, sentences: list[str], words: tuple[list[str], list[str], list[str]], count: int) -> str:
    """So many sentences, a new line after every third."""
    who, where, what = words
    parts = [
        dice.choice(sentences).format(n=dice.randrange(2, 60), who=dice.choice(who), where=dice.choice(where), what=dice.choice(what))
        for _ in range(count)
    ]
    return "".join(part + ("\n" if i % 3 == 2 else " " if part.isascii() else "") for i, part in enumerate(parts)).strip()


def english(dice: random.Random, count: int) -> str:
    return tell(dice, ENGLISH, (PEOPLE, PLACES, THINGS), count)


def chinese(dice: random.Random, count: int) -> str:
    return tell(dice, CHINESE, (人物, 地方, 东西), count)


def edited(dice: random.Random, text: str, share: float) -> str:
    return "".join("x一"[not text.isascii()] if dice.random() < share and c.isalpha() else c for c in text)


def rows_of(language: str) -> list[dict[str, str]]:
    """Documents of one source; some are longer versions, edited copies or equal ones of others, also under another author."""
    dice = random.Random(language)
    write, notice = (english, NOTICE) if language == "en" else (chinese, 声明)
    rows = [{"text": f"{write(dice, 6 + i % 5)}\n{notice}", "author": f"{language}{i % 7}"} for i in range(24)]
    for i in range(4):
        rows.append({"text": edited(dice, rows[i]["text"], 0.06), "author": f"{language}{(i + 3) % 7}"})
        rows.append({"text": f"{rows[i + 6]['text']}\n{write(dice, 1)}", "author": f"{language}{(i + 5) % 7}"})
    rows.append(dict(rows[9]))
    long = write(dice, 330 if language == "en" else 950)
    rows += [
        {"text": text, "author": f"{language}-novel"}
        for text in (long, edited(dice, long, 0.08), write(dice, 340 if language == "en" else 960))
    ]
    if language == "en":
        rows += [{"text": f"{write(dice, 5)}\n{LEAKED}\n{write(dice, 3)}", "author": "en1"}, {"text": FRENCH * 3, "author": "fr"}]
        rows += [{"text": f"{write(dice, 4)} Write to anna{i}@valley.se or call (212) 736-50{i:02}.", "author": "en2"} for i in range(3)]
        rows += [{"text": f"{write(dice, 6)}\nWe use cookies to improve your experience. Accept all cookies", "author": "en3"}]
    else:
        rows += [{"text": TRADITIONAL.format(n=i) + chinese(dice, 4), "author": "zh2"} for i in range(3)]
        rows += [{"text": f"{write(dice, 5)}请打电话1380013{i:04}找我。", "author": "zh3"} for i in range(3)]
    return rows


def write_sources(place: Path, order: int) -> list[Path]:
    """Two folders of four files each, made in one order or another."""
    files = [(language, number) for language in ("en", "zh") for number in range(4)]
    for language, number in files[::order]:
        (place / language).mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(row, ensure_ascii=False) for row in rows_of(language)[number::4]]
        (place / language / f"{number}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return [place / "en", place / "zh"][::order]


def everything(place: Path, **more: Any) -> dict[str, Any]:
    """All options at once; `place` has the items to protect."""
    (place / "exam.jsonl").write_text(json.dumps({"question": LEAKED}) + "\n", "utf-8")
    return {
        "shard_bytes": 20_000,
        "workers": 1,
        "memory": "2GB",
        "read": {"keep_columns": ["author"]},
        "clean": {"chinese": "t2s", "boilerplate": True},
        "redact": {"mode": "pseudonymise", "seed": 41},
        "filters": {"preset": "mild", "languages": ["en", "zh"], "min_words": 12},
        "duplicates": {"near": True, "lines": 20, "keep": "all", "threshold": 0.7},
        "contamination": {"against": [str(place / "exam.jsonl")]},
        "mix": {"by": "source", "weights": {"en": 1, "zh": 1}, "max_repeats": 2, "total_documents": 56},
        "split": {"group_by": "author", "folds": 3, "validation": 0.2, "test": 0.2},
        "augment": {"copies": 2, "operations": ["counterfactual", "replace"], "rate": 0.2},
        **more,
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("law")


@pytest.fixture(scope="module")
def wanted(place: Path) -> Path:
    prepare(write_sources(place / "in", 1), place / "wanted", build(PrepareConfig, everything(place)))
    return place / "wanted"


def test_every_option_has_something_to_do(place: Path, wanted: Path) -> None:
    receipts = pq.read_table(wanted / "receipts.parquet").to_pylist()
    rules = {row["rule"] for row in receipts}
    assert {"languages", "contaminated", "exact_duplicate", "mixed_out", None} <= rules
    assert sum(row["recurring_lines"] or 0 for row in receipts) > 20 and sum(row["removed_lines"] or 0 for row in receipts) >= 1
    assert sum(row["pii_phone"] or 0 for row in receipts) >= 6 and {row["fold"] for row in receipts if row["kept"]} <= {0, 1, 2}
    texts = [document.text for split in SPLITS for document in read_dataset(wanted, split)]
    assert not any("祖父寫給" in text or "valley.se" in text or "cookies" in text for text in texts)
    longest = [row for language in ("en", "zh") for row in rows_of(language) if len(letters(row["text"])[0]) > LONGEST_ALIGNED]
    assert len(longest) == 6
    assert read_manifest(wanted)["augmented"]["documents"] > 10
    default = everything(place, duplicates={"threshold": 0.7}, mix={})
    prepare([place / "in" / "en", place / "in" / "zh"], place / "longest", build(PrepareConfig, default))
    near = [row for row in pq.read_table(place / "longest" / "receipts.parquet").to_pylist() if row["rule"] == "near_duplicate"]
    assert sum(row["characters"] > LONGEST_ALIGNED for row in near) == 2 and len(near) >= 8


def test_neither_authors_nor_clusters_straddle(wanted: Path) -> None:
    """Copies kept under other authors join those authors; each author stands in one split and one fold."""
    places: dict[str, set[tuple[str, str]]] = {}
    for split in SPLITS:
        for document in read_dataset(wanted, split):
            places.setdefault(document.metadata["author"], set()).add((split, document.metadata["fold"]))
    assert len(places) > 8 and all(len(found) == 1 for found in places.values())
    ties = [(f"{language}{i}", f"{language}{(i + shift) % 7}") for language in ("en", "zh") for i, shift in ((0, 3), (1, 3))]
    for one, other in ties:
        assert places[one] == places[other]


@pytest.mark.parametrize(
    ("order", "settings"),
    [
        (1, {"workers": 2}),
        (-1, {"workers": 1}),
        (1, {"memory": "310MB"}),
        (-1, {"workers": 2, "memory": "900MB", "shard_bytes": 7_000}),
    ],
    ids=["two workers", "shuffled", "little memory", "all at once"],
)
def test_workers_order_memory_and_shards_change_no_byte(
    place: Path, wanted: Path, tmp_path: Path, order: int, settings: dict[str, Any]
) -> None:
    prepare(write_sources(tmp_path / "in", order), tmp_path / "data", build(PrepareConfig, everything(place, **settings)))
    assert sha256(tmp_path / "data") == sha256(wanted)


def test_killed_anywhere_and_resumed_changes_no_byte(place: Path, wanted: Path, tmp_path: Path) -> None:
    """The last call has another memory setting than those that were killed."""
    sources, out, kills = [str(place / "in" / name) for name in ("en", "zh")], tmp_path / "data", 0
    for number, memory in enumerate(("900MB", "2GB")):
        recipe = to_toml({"prepare": everything(place, workers=2, memory=memory)})
        (tmp_path / f"{number}.toml").write_text(recipe, "utf-8")
    words = [[sys.executable, "-m", "hanmo.cli.main", "prepare", str(tmp_path / f"{n}.toml"), *sources, "--out", str(out)] for n in (0, 1)]
    for target in sorted(random.Random(4).sample(range(2, 60), 4)):  # files in the folder
        child = subprocess.Popen(words[0], stderr=subprocess.DEVNULL)
        while child.poll() is None and sum(path.is_file() for path in out.rglob("*")) < target:
            try:
                child.wait(timeout=0.01)
            except subprocess.TimeoutExpired:
                continue
        kills += child.poll() is None
        child.kill()
        child.wait()
    assert kills >= 2
    done = subprocess.run(words[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sha256(out) == sha256(wanted)
