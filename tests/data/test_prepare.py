import contextlib
import dataclasses
import json
import os
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import hanmo.data.prepare as prepare_module
from hanmo.base.errors import ConfigError, DataError, StorageError
from hanmo.base.storage import sha256
from hanmo.data.cleaning.filters import FilterConfig
from hanmo.data.duplicates.contamination import ContaminationConfig
from hanmo.data.duplicates.exact import DuplicateConfig
from hanmo.data.mixing.split import SplitConfig
from hanmo.data.prepare import PrepareConfig, prepare, read_manifest
from hanmo.data.reading.read import SPLITS, ReadConfig, read_dataset

WORDS = ["river", "stone", "morning", "light", "letter", "winter", "garden", "road", "bread", "window", "music", "field"]
CHARACTERS = "山水风月人家春秋来去大小天地河边早晚书信花草"


def make_texts(folder: Path, count: int = 60) -> Path:
    """A mixed folder: texts in two languages, rows, repeated ones, short ones, broken ones."""
    dice = random.Random(7)
    folder.mkdir()
    for i in range(count):
        english = " ".join(dice.choices(WORDS, k=dice.randrange(20, 200)))
        chinese = "".join(dice.choices(CHARACTERS, k=dice.randrange(20, 200))) + "。"
        (folder / f"en-{i:03d}.txt").write_text(english)
        (folder / f"zh-{i:03d}.md").write_text(f"# 第{i}篇\n\n{chinese}\n", "utf-8")
        if i % 20 == 5:
            (folder / f"en-{i:03d}-longer.txt").write_text(english.upper() + " and so on")
        if i % 20 == 7:
            (folder / f"zh-{i:03d}-longer.md").write_text(f"# 第{i}篇\n\n{chinese * 3}\n", "utf-8")
            (folder / f"zh-{i:03d}.md").write_text(f"# 第{i}篇\n\n{chinese * 3}"[:-6], "utf-8")
        if i % 10 == 0:
            (folder / f"copy-{i:03d}.txt").write_text(english + " \r\n", newline="")
    rows = [json.dumps({"text": "".join(dice.choices(CHARACTERS, k=60))}, ensure_ascii=False) for _ in range(count)]
    (folder / "rows.jsonl").write_text("\n".join([*rows, '{"text": "短"}', "{broken"]) + "\n", "utf-8")
    (folder / "broken.txt").write_bytes(b"\xff\xfe\xfd")
    (folder / "empty.txt").touch()
    (folder / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_texts(tmp_path_factory.mktemp("in") / "texts")


SMALL = PrepareConfig(shard_bytes=4000, workers=1)


@pytest.fixture(scope="module")
def wanted(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wanted") / "data"
    prepare([texts], out, SMALL)
    return out


def test_every_input_is_a_document_or_a_receipt(wanted: Path) -> None:
    receipts = pq.read_table(wanted / "receipts.parquet").to_pylist()
    assert len(receipts) == 60 + 60 + 6 + 62 + 3 + 6 == len({row["id"] for row in receipts})
    refused = {row["source"]: row["rule"] for row in receipts if not row["kept"]}
    assert {name.removeprefix("texts/"): rule for name, rule in refused.items() if "duplicate" not in rule} == {
        "broken.txt": "undecodable",
        "empty.txt": "empty",
        "picture.txt": "binary",
        "rows.jsonl#61": "min_words",
        "rows.jsonl#62": "malformed",
    }
    # of two equal texts the first by name is kept: copy-000 comes before en-000
    assert [name for name, rule in refused.items() if rule == "exact_duplicate"] == [f"texts/en-{i:03d}.txt" for i in range(0, 60, 10)]
    near = {row["source"]: row for row in receipts if row["rule"] == "near_duplicate"}
    assert list(near) == [f"texts/{name}" for name in ("en-005.txt", "en-025.txt", "en-045.txt", "zh-007.md", "zh-027.md", "zh-047.md")]
    names = {row["id"]: row["source"] for row in receipts if row["kept"]}
    for name, row in near.items():
        assert names[row["duplicate_of"]] == name.replace(".", "-longer.")
        assert row["value"] >= row["threshold"] == 0.65
    documents = {split: list(read_dataset(wanted, split)) for split in SPLITS}
    kept = {row["id"]: row["split"] for row in receipts if row["kept"]}
    assert {d.id: split for split, found in documents.items() for d in found} == kept
    for found in documents.values():
        assert [d.id for d in found] == sorted(d.id for d in found)


def test_the_manifest_counts_and_hashes_what_lies_there(wanted: Path) -> None:
    manifest = read_manifest(wanted)
    assert manifest["receipts"] == {
        "total": 197,
        "kept": 180,
        "refused": {"binary": 1, "empty": 1, "exact_duplicate": 6, "malformed": 1, "min_words": 1, "near_duplicate": 6, "undecodable": 1},
    }
    assert {name: facts["sha256"] for name, facts in manifest["files"].items()} == {
        path.relative_to(wanted).as_posix(): sha256(path) for path in wanted.rglob("*") if path.is_file() and path.name != "manifest.json"
    }
    assert sum(sums["documents"] for sums in manifest["documents"].values()) == 180
    assert str(wanted.parent) not in (wanted / "manifest.json").read_text("utf-8")


def test_any_number_of_workers_and_any_order_of_sources_give_the_same_bytes(texts: Path, wanted: Path, tmp_path: Path) -> None:
    prepare([texts], tmp_path / "two", PrepareConfig(shard_bytes=4000, workers=2))
    assert sha256(tmp_path / "two") == sha256(wanted)
    halves = [tmp_path / "b", tmp_path / "a"]
    for number, half in enumerate(halves):
        half.mkdir()
        for path in list(texts.iterdir())[number::2]:
            shutil.copy(path, half)
    prepare(halves, tmp_path / "one-way", SMALL)
    prepare(halves[::-1], tmp_path / "other-way", SMALL)
    assert sha256(tmp_path / "one-way") == sha256(tmp_path / "other-way")


def test_many_files_hold_the_same_documents_in_the_same_order(
    texts: Path, wanted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_module, "BUCKET_BYTES", 10_000)
    prepare([texts], tmp_path / "many", PrepareConfig(shard_bytes=4000, workers=2))
    assert len(list((tmp_path / "many" / "documents").glob("train-*.parquet"))) > 3
    for split in SPLITS:
        assert list(read_dataset(tmp_path / "many", split)) == list(read_dataset(wanted, split))
    assert (tmp_path / "many" / "receipts.parquet").read_bytes() == (wanted / "receipts.parquet").read_bytes()


def test_near_copies_that_are_kept_share_a_split(texts: Path, tmp_path: Path) -> None:
    keeping = PrepareConfig(duplicates=DuplicateConfig(keep="all"), split=SplitConfig(validation=0.2, test=0.2))
    assert prepare([texts], tmp_path / "data", keeping)["receipts"]["kept"] == 186
    splits = {row["source"]: row["split"] for row in pq.read_table(tmp_path / "data" / "receipts.parquet").to_pylist()}
    pairs = [(name, name.replace("-longer.", ".")) for name in splits if "longer" in name]
    assert len(pairs) == 6 and len({splits[longer] for longer, _ in pairs}) > 1
    assert all(splits[longer] == splits[shorter] for longer, shorter in pairs)


def test_boilerplate_goes_and_evaluation_text_is_kept_out_whatever_the_workers(tmp_path: Path) -> None:
    dice, texts = random.Random(3), tmp_path / "texts"
    texts.mkdir()
    rows = [" ".join(dice.choices(WORDS, k=40)) for _ in range(30)]
    for i, row in enumerate(rows):
        (texts / f"{i:02d}.txt").write_text(f"{row}\nWrite to the editor of this page.")
    (tmp_path / "dev.jsonl").write_text(json.dumps({"question": rows[7].title()}) + "\n")
    chosen = DuplicateConfig(lines=30)
    against = ContaminationConfig(against=(str(tmp_path / "dev.jsonl"),))
    for workers in (1, 2):
        config = PrepareConfig(shard_bytes=1000, workers=workers, duplicates=chosen, contamination=against)
        manifest = prepare([texts], tmp_path / str(workers), config)
    assert manifest["receipts"] == {"total": 30, "kept": 29, "refused": {"contaminated": 1}}
    assert str(tmp_path) not in json.dumps(manifest) and manifest["settings"]["contamination"]["against"] == ["dev.jsonl"]
    assert sha256(tmp_path / "1") == sha256(tmp_path / "2")
    receipts = {row["source"]: row for row in pq.read_table(tmp_path / "1" / "receipts.parquet").to_pylist()}
    assert {row["recurring_lines"] for row in receipts.values()} == {1}
    leaked = receipts["texts/07.txt"]
    assert (leaked["rule"], leaked["detail"], leaked["value"]) == ("contaminated", "dev.jsonl#1:question: 40 of 40 words", 1.0)
    kept = {d.text for split in SPLITS for d in read_dataset(tmp_path / "1", split)}
    assert kept == set(rows) - {rows[7]}
    with pytest.raises(ConfigError, match=r"contamination.against: .* does not exist"):
        prepare([texts], tmp_path / "3", PrepareConfig(contamination=ContaminationConfig(against=("nowhere.jsonl",))))


def command(texts: Path, out: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "hanmo.cli.main", "prepare", str(texts), "--out", str(out)),
        *("--shard-bytes", "4000", "--workers", "2"),
    ]


def files_in(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))  # which does not mind files that vanish


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_random_moments_and_resumed_gives_the_same_bytes(texts: Path, wanted: Path, tmp_path: Path, seed: int) -> None:
    dice, out = random.Random(seed), tmp_path / "data"
    kills = 0
    for target in sorted(dice.sample(range(1, 60), 5)):  # files in the work folder: shards, splits, documents, parts in place
        child = subprocess.Popen(command(texts, out), stderr=subprocess.DEVNULL)
        while child.poll() is None and files_in(out) < target:
            try:
                child.wait(timeout=0.002)
            except subprocess.TimeoutExpired:
                continue
        if child.poll() is None:
            child.kill()
            kills += 1
        child.wait()
    assert kills >= 2
    subprocess.run(command(texts, out), check=True, stderr=subprocess.DEVNULL)
    assert sha256(out) == sha256(wanted)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in wanted.iterdir())


@pytest.mark.parametrize("moved", range(6))
def test_killed_between_two_moves_the_next_call_moves_the_rest(
    texts: Path, wanted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    real, moves = Path.replace, []

    def replace(path: Path, target: Path) -> Path:
        if path.parent.name == ".partial" and path.name in prepare_module.PARTS:
            if len(moves) == moved:
                raise KeyboardInterrupt
            moves.append(path.name)
        return real(path, target)

    def rmtree(path: Path) -> None:
        if moved == 5 and Path(path).name == ".partial":
            raise KeyboardInterrupt
        shutil.rmtree(path)

    prepare([texts], tmp_path / "data", PrepareConfig(shard_bytes=4000, workers=1, card_language="zh"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", replace)
        patch.setattr(prepare_module, "shutil", type("shutil", (), {"rmtree": staticmethod(rmtree)}))
        prepare([texts], tmp_path / "data", SMALL)
    prepare([texts], tmp_path / "data", SMALL)
    assert sha256(tmp_path / "data") == sha256(wanted)


def test_the_same_command_again_changes_nothing_and_says_so(
    texts: Path, wanted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data"
    first = prepare([texts], out, SMALL)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert prepare([texts], out, PrepareConfig(shard_bytes=4000, workers=2)) == first
    assert "is up to date" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before


def test_other_settings_or_inputs_or_a_lost_file_make_it_new(texts: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "texts", tmp_path / "data"
    shutil.copytree(texts, folder)
    first = prepare([folder], out, SMALL)
    assert prepare([folder], out, PrepareConfig(shard_bytes=4000, filters=FilterConfig(none=True)))["receipts"]["kept"] == 181
    (folder / "en-001.txt").unlink()
    assert prepare([folder], out, SMALL)["receipts"]["total"] == first["receipts"]["total"] - 1
    (out / "documents" / "test-00000.parquet").unlink()
    prepare([folder], out, SMALL)
    assert (out / "documents" / "test-00000.parquet").exists()


def test_a_split_that_would_be_empty_is_filled_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_texts(tmp_path / "few", count=2)
    (folder / "rows.jsonl").unlink()
    manifest = prepare([folder], tmp_path / "data", PrepareConfig(split=SplitConfig(validation=0.01, test=0.01)))
    assert all(sums["documents"] for sums in manifest["documents"].values())
    assert len(manifest["moved_to_fill_a_split"]) == 2
    assert "moved so that no split stays empty" in capsys.readouterr().err


def test_one_document_trains_and_the_empty_splits_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.txt").write_text("The only letter in the whole house lay on the table.")
    prepare([tmp_path / "one.txt"], tmp_path / "data")
    assert "no document for validation and test" in capsys.readouterr().err
    assert list(read_dataset(tmp_path / "data", "test")) == []
    assert len(list(read_dataset(tmp_path / "data", "train"))) == 1


def test_nothing_kept_is_an_error_and_the_receipts_stay(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hm")
    with pytest.raises(DataError, match=r"none of 1 documents was kept \(min_words 1\): .*receipts.parquet tells"):
        prepare([tmp_path / "a.txt"], tmp_path / "data")
    assert pq.read_table(tmp_path / "data" / "receipts.parquet").num_rows == 1
    assert not (tmp_path / "data" / "manifest.json").exists()
    assert prepare([tmp_path / "a.txt"], tmp_path / "data", PrepareConfig(filters=FilterConfig(none=True)))["receipts"]["kept"] == 1


def test_an_output_folder_inside_the_source_is_not_read(texts: Path, tmp_path: Path) -> None:
    shutil.copytree(texts, tmp_path / "texts")
    out = tmp_path / "texts" / "data"
    first = prepare([tmp_path / "texts"], out, SMALL)
    assert prepare([tmp_path / "texts"], out, SMALL) == first
    assert first["receipts"]["refused"]["hidden"] == 1


def test_kept_columns_become_metadata(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "夜里下了一场大雪，早晨天晴了。", "author": "无名"}\n', "utf-8")
    prepare([tmp_path / "a.jsonl"], tmp_path / "data", PrepareConfig(read=ReadConfig(text_column="body", keep_columns=("author",))))
    assert [dict(d.metadata) for d in read_dataset(tmp_path / "data", "train")] == [{"author": "无名"}]


@pytest.mark.parametrize("place", ["a-file/data", "/proc/hanmo-data"])
def test_a_place_that_cannot_be_written_is_one_line(texts: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "a-file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        prepare([texts], tmp_path / place, SMALL)


def test_another_prepare_at_work_and_foreign_folders_are_left_alone(texts: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    with (
        prepare_module._work_folder(out / ".partial", {"num_parts": 1}),
        pytest.raises(StorageError, match="another hanmo prepare is writing"),
    ):
        prepare([texts], out, SMALL)
    (tmp_path / "mine" / "documents").mkdir(parents=True)
    with pytest.raises(StorageError, match="has a folder 'documents' that is not ours"):
        prepare([texts], tmp_path / "mine", SMALL)


def limit_file_size() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))


def test_a_file_that_may_not_grow_is_one_line_and_the_work_goes_on_later(texts: Path, wanted: Path, tmp_path: Path) -> None:
    words = command(texts, tmp_path / "data")
    failed = subprocess.run(words, preexec_fn=limit_file_size, capture_output=True, text=True, check=False)
    assert failed.returncode == 1
    last = failed.stderr.strip().splitlines()[-1]
    assert last.startswith("hanmo prepare: the disk is full while writing") and "Traceback" not in failed.stderr
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    assert sha256(tmp_path / "data") == sha256(wanted)


def test_a_full_disk_is_one_line_and_the_work_goes_on_with_more_room(texts: Path, wanted: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        failed = subprocess.run(command(texts, disk / "data"), capture_output=True, text=True, check=False)
        assert failed.returncode == 1
        assert failed.stderr.strip().splitlines()[-1].startswith("hanmo prepare: the disk is full while writing")
        assert "Traceback" not in failed.stderr
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        done = subprocess.run(command(texts, disk / "data"), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert sha256(disk / "data") == sha256(wanted)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("wrong", [{"workers": -1}, {"shard_bytes": 0}, {"memory": "much"}])
def test_settings_out_of_range_name_their_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"{next(iter(wrong))} \(="):
        PrepareConfig(**wrong)


def test_no_source_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no source given"):
        prepare([], tmp_path)


def test_a_killed_parent_takes_its_workers_along(texts: Path, tmp_path: Path) -> None:
    child = subprocess.Popen([*command(texts, tmp_path / "data")[:-3], "300", "--workers", "2"], stderr=subprocess.DEVNULL)
    workers: set[int] = set()
    while child.poll() is None and len(workers) < 2:
        with contextlib.suppress(FileNotFoundError):  # a thread may end while we look
            workers = {int(pid) for task in Path(f"/proc/{child.pid}/task").iterdir() for pid in (task / "children").read_text().split()}
        try:
            child.wait(timeout=0.002)
        except subprocess.TimeoutExpired:
            continue
    child.kill()
    child.wait()
    assert workers
    for pid in workers:
        for _ in range(2000):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                break
            if "Z" in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[-1].split()[:1]:
                break
            subprocess.run(["true"], check=True)
        else:
            pytest.fail("a worker outlived its parent")


@pytest.mark.parametrize("older", [False, True])
def test_work_begun_otherwise_is_not_gone_on_with(texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: bool) -> None:
    """With other settings, or by a version whose work folder holds other files."""
    stricter = dataclasses.replace(SMALL, filters=FilterConfig(min_words=60))
    prepare([texts], tmp_path / "wanted", stricter)
    with monkeypatch.context() as broken:
        broken.setattr(prepare_module, "decide", lambda *arguments, **named: (_ for _ in ()).throw(KeyboardInterrupt))
        broken.setattr(prepare_module, "LAYOUT", prepare_module.LAYOUT - older)
        with pytest.raises(KeyboardInterrupt):
            prepare([texts], tmp_path / "data", stricter if older else SMALL)
    for file in (tmp_path / "data" / ".partial").glob("*.documents.*"):
        file.rename(file.with_suffix(".old" if older else file.suffix))
    prepare([texts], tmp_path / "data", stricter)
    assert sha256(tmp_path / "data") == sha256(tmp_path / "wanted")


def test_groups_too_few_for_the_splits_are_told_as_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = make_texts(tmp_path / "texts", 20)
    prepare([texts], tmp_path / "data", dataclasses.replace(SMALL, split=SplitConfig(group_by="source")))
    assert "the groups of split.group_by (='source') are too few" in capsys.readouterr().err
