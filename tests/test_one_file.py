"""One text file is enough: a novel, a Chinese novel, a file of code, made here by a grammar that a network can learn.

What ends a sentence is told by how it began, and what stands between is drawn freely and longer than five tokens, so a table of
five-token counts cannot know it.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hanmo.base.config import read_toml
from hanmo.base.runs import Run
from hanmo.cli.main import run
from hanmo.data.prepare import PrepareConfig, prepare, read_manifest
from hanmo.data.reading.read import SPLITS, ReadConfig, read_dataset
from hanmo.model.config import NgramConfig
from hanmo.model.ngram import Ngram
from hanmo.model.store import save_model
from hanmo.pipeline.measure import MeasureOptions, measure
from hanmo.pipeline.tokens import encode_dataset
from hanmo.tokenizer.load import Tokenizer

NAMES = [
    f"{first}_{second}" for first in ("old", "new", "last", "next", "left", "right") for second in ("row", "key", "page", "cell", "mark")
]


@dataclass(frozen=True)
class Grammar:
    """How a text is made: what opens a sentence and what must then end it, what may stand between, and what a chapter is called."""

    name: str
    pairs: tuple[tuple[str, str], ...]
    between: tuple[str, ...]
    chapter: str
    sentence: str
    paragraph: str = "\n\n"

    def text(self, seed: int = 1, chapters: int = 40, sentences: int = 16) -> str:
        """A whole text, always the same for a seed."""
        dice = random.Random(seed)
        return "".join(self._chapter(dice, number, sentences) for number in range(1, chapters + 1))

    def _chapter(self, dice: random.Random, number: int, sentences: int) -> str:
        made = [self.chapter.format(n=number)]
        for count in range(sentences):
            begin, end = dice.choice(self.pairs)
            middle = [dice.choice(self.between).replace("NAME", dice.choice(NAMES)) for _ in range(4)]
            made.append(self.sentence.format(*middle, begin=begin, end=end, n=count, number=number))
            made.append(self.paragraph if count % 4 == 3 else "")
        return "".join(made)


ENGLISH = Grammar(
    name="novel.txt",
    pairs=tuple(
        (f"The {who}, who was {how},", f"and sold {what} to the {whom}")
        for who, how, what, whom in [
            ("miller", "old", "white flour", "bakers of the town"),
            ("ferryman", "tired", "a long wet rope", "captain of the barge"),
            ("teacher", "patient", "nine blue books", "children of the school"),
            ("smith", "strong", "iron nails", "carpenter and his son"),
            ("doctor", "kind", "bitter herbs", "mother of the twins"),
            ("weaver", "quick", "yards of red cloth", "tailor by the gate"),
            ("fisher", "silent", "silver trout", "cook at the inn"),
            ("singer", "merry", "a new song", "guests at the wedding"),
        ]
    ),
    between=tuple(
        f"{verb} {thing} {where}"
        for verb, thing, where in [
            ("saw", "a grey cloud", "over the hills"),
            ("heard", "the church bell", "across the water"),
            ("found", "some apples", "under the bridge"),
            ("lost", "his way", "in the tall grass"),
            ("left", "the gate", "wide open"),
            ("met", "a stranger", "on the road"),
            ("asked", "for bread", "at every door"),
            ("counted", "the stars", "until morning"),
            ("carried", "a lantern", "through the rain"),
            ("forgot", "the key", "on the table"),
        ]
    ),
    chapter="CHAPTER {n}\n\n",
    sentence="{begin} {0}, {1}, {end}. Then he {2}, {3}, {end}. ",
)
CHINESE = Grammar(
    name="小说.txt",
    pairs=tuple(
        (f"那个{who}", f"最后把{what}卖给了{whom}。")
        for who, what, whom in [
            ("磨坊老人", "一袋白面", "镇上的面包师傅"),
            ("撑船的人", "湿透的长绳", "货船的船长"),
            ("教书先生", "九本蓝皮书", "学堂里的孩子"),
            ("打铁的匠人", "一盒铁钉", "木匠父子"),
            ("乡下郎中", "苦味的草药", "双胞胎的母亲"),
            ("织布的姑娘", "几丈红布", "城门边的裁缝"),
            ("打鱼的兄弟", "两条银鱼", "客栈的厨子"),
            ("唱戏的女子", "一支新曲", "喜宴上的客人"),
        ]
    ),
    between=(
        "看见山上起了乌云，",
        "听见河对岸的钟声，",
        "在桥下拾到几个苹果，",
        "在深草里迷了路，",
        "忘了关上院门，",
        "在路上遇见生人，",
        "挨家挨户讨些干粮，",
        "数着星星直到天亮，",
        "提着灯笼走过雨夜，",
        "把钥匙落在桌上，",
    ),
    chapter="第{n}章 旧事\n",
    sentence="{begin}{0}{1}{end}后来他{2}{3}{end}",
    paragraph="\n",
)
CODE = Grammar(
    name="tools.py",
    pairs=tuple(
        (f"def {verb}_{noun}(", result)
        for verb, noun, result in [
            ("count", "lines", "len(found) + offset"),
            ("join", "names", "separator.join(sorted(names))"),
            ("read", "table", "dict(zip(header, row, strict=True))"),
            ("find", "largest", "max(values, key=measure, default=None)"),
            ("is", "empty", "not any(each.strip() for each in parts)"),
            ("make", "folder", "path.with_suffix('.done')"),
            ("sum", "weights", "math.fsum(weights) / total"),
            ("wait", "until", "deadline - clock()"),
        ]
    ),
    between=(
        "    if not NAME:\n        raise ValueError(NAME)\n",
        "    for key, NAME in items.items():\n        seen[key] = NAME\n",
        "    with lock:\n        state.update(NAME)\n",
        "    while NAME:\n        NAME.pop()\n",
        "    try:\n        check(NAME)\n    except NAME:\n        pass\n",
        "    log.info('begun %s', NAME)\n",
        "    left, right = NAME\n",
        "    step = NAME // 2\n",
    ),
    chapter="",
    sentence="{begin}first, second):\n{0}{1}    result = {end}\n{2}{3}    return {end}\n\n\n",
    paragraph="",
)
GRAMMARS = (ENGLISH, CHINESE, CODE)


def put(folder: Path, grammar: Grammar, **size: int) -> Path:
    path = folder / grammar.name
    path.write_text(grammar.text(**size), "utf-8")
    return path


@pytest.mark.parametrize(("grammar", "border"), [(ENGLISH, "chapters"), (CHINESE, "chapters"), (CODE, "blank lines")])
def test_one_file_fills_train_validation_and_test_and_says_how(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], grammar: Grammar, border: str
) -> None:
    source = put(tmp_path, grammar)
    manifest = prepare([source], tmp_path / "data", PrepareConfig(workers=1))
    assert all(manifest["documents"][split]["documents"] for split in SPLITS)
    assert manifest["documents"]["train"]["bytes"] > 0.7 * source.stat().st_size
    said = [line for line in capsys.readouterr().err.splitlines() if "is one long text" in line]
    assert len(said) == 1 and f"cut at {border}" in said[0] and "--read.split-on none" in said[0]
    receipts = pq.read_table(tmp_path / "data" / "receipts.parquet").to_pylist()
    assert [row["source"] for row in receipts[:2]] == [f"{grammar.name}#1", f"{grammar.name}#2"]
    assert {row["detail"] for row in receipts} == {f"cut at {border}"}


def test_the_cut_is_the_same_whatever_the_workers_and_the_order(tmp_path: Path) -> None:
    sources = [put(tmp_path, grammar) for grammar in (ENGLISH, CHINESE)]
    made = []
    for name, order, workers in (("one", sources, 1), ("many", sources[::-1], 3)):
        prepare(order, tmp_path / name, PrepareConfig(workers=workers, shard_bytes=10_000))
        made.append({path: facts["sha256"] for path, facts in read_manifest(tmp_path / name)["files"].items()})
    assert made[0] == made[1]
    assert {document.source.split("#")[0] for document in read_dataset(tmp_path / "one", "train")} == {ENGLISH.name, CHINESE.name}


def test_what_was_asked_for_is_obeyed_and_three_files_stay_whole(tmp_path: Path) -> None:
    sources = [put(tmp_path, grammar) for grammar in GRAMMARS]
    whole = prepare(sources[:1], tmp_path / "whole", PrepareConfig(workers=1, read=ReadConfig(split_on="none")))
    assert whole["receipts"]["total"] == 1
    three = prepare(sources, tmp_path / "three", PrepareConfig(workers=1))
    assert three["receipts"]["total"] == 3
    cut = prepare(sources, tmp_path / "cut", PrepareConfig(workers=1, read=ReadConfig(split_on="passage")))
    assert cut["receipts"]["total"] > 60


def test_a_table_of_long_rows_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"text": ENGLISH.text(seed, chapters=6)}) + "\n" for seed in range(4)))
    assert prepare([path], tmp_path / "data", PrepareConfig(workers=1))["receipts"]["total"] == 4


def test_a_text_beyond_the_limit_is_cut_block_by_block(tmp_path: Path) -> None:
    source = put(tmp_path, CHINESE)
    config = PrepareConfig(workers=1, read=ReadConfig(max_bytes=source.stat().st_size // 3))
    manifest = prepare([source], tmp_path / "data", config)
    texts = [document.text for split in SPLITS for document in read_dataset(tmp_path / "data", split)]
    assert manifest["receipts"]["refused"] == {}
    assert sorted("".join("".join(texts).split())) == sorted("".join(CHINESE.text().split()))
    receipts = pq.read_table(tmp_path / "data" / "receipts.parquet").to_pylist()
    assert len({row["source"] for row in receipts}) == len(receipts) > 20


def test_a_page_is_cut_as_a_text_is(tmp_path: Path) -> None:
    body = "".join(f"<p>{line}</p>" for line in ENGLISH.text().splitlines() if line)
    (tmp_path / "novel.html").write_text(f"<html><head><title>A novel</title></head><body><article>{body}</article></body></html>")
    manifest = prepare([tmp_path / "novel.html"], tmp_path / "data", PrepareConfig(workers=1))
    assert all(manifest["documents"][split]["documents"] for split in SPLITS)


def walked(folder: Path, source: Path, *flags: str) -> None:
    """The three verbs, one after the other."""
    data, words, out = (str(folder / name) for name in ("data", "tokenizer", "run"))
    assert run(["prepare", str(source), "--out", data, "--workers", "1"]) == 0
    assert run(["tokenizer", "train", data, "--out", words]) == 0
    assert run(["pretrain", "--data", data, "--tokenizer", words, "--out", out, *flags]) == 0


def bits_per_byte(folder: Path) -> tuple[float, float]:
    """Of the trained network and of Kneser-Ney, on the test part of their data."""
    tokenizer = Tokenizer.load(folder / "tokenizer")
    train = encode_dataset(folder / "data", tokenizer, folder / "tokens", ("train",), workers=1)["train"]
    counted = Ngram.fit(train.ids, train.offsets, NgramConfig(vocab_size=tokenizer.vocab_size))
    save_model(counted, folder / "kneser-ney", tokenizer_folder=folder / "tokenizer")
    documents = list(read_dataset(folder / "data", "test"))
    network, table = (measure(folder / name, documents, MeasureOptions(data="")) for name in ("run", "kneser-ney"))
    return network.bits_per_byte, table.bits_per_byte


ONE_CORE = ("--train.threads=1", "--train.precision=fp32")
QUICK = (
    "--model.hidden-size=64",
    "--model.num-hidden-layers=2",
    "--model.num-attention-heads=2",
    "--model.max-position-embeddings=128",
    *ONE_CORE,
    "--train.batch-size=8",
    "--train.max-steps=120",
)


@pytest.mark.parametrize("grammar", GRAMMARS, ids=lambda grammar: grammar.name)
def test_one_file_becomes_a_model_better_than_kneser_ney_on_its_own_test_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], grammar: Grammar
) -> None:
    walked(tmp_path, put(tmp_path, grammar), *QUICK)
    network, table = bits_per_byte(tmp_path)
    assert network < table
    assert "for this text:" in capsys.readouterr().err


def test_no_size_and_no_length_is_needed_and_what_was_chosen_stands_in_the_runs_settings(tmp_path: Path) -> None:
    walked(tmp_path, put(tmp_path, CHINESE, chapters=20, sentences=12), *ONE_CORE, "--train.batch-size=4")
    chosen = read_toml(Run(tmp_path / "run").config)
    assert chosen["model"]["hidden_size"] == 128 and chosen["model"]["hidden_dropout"] == 0.2
    assert chosen["train"]["max_steps"] >= 40 and chosen["train"]["patience"] > 0
