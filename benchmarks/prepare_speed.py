"""Documents a second from files to a clean, deduplicated data set: hanmo prepare beside datatrove, on the same text, in turns.

    make peers                                                  # datatrove, in an environment of its own
    .venv/bin/python benchmarks/prepare_speed.py PATH... --json  # 200 MB; --megabytes 20 for a look

PATHs hold real text: every text in them that has a page or so is taken (jsonl, json, txt, parquet), cut into sentences, and
dealt anew into documents of the same lengths until there is enough; one in twenty is followed by a copy with a few words
changed. Both repair Unicode, apply Gopher's quality and repetition rules, and remove near-duplicates by MinHash (datatrove: its
defaults, 14 buckets of 8, the layout of its own fineweb.py, one pipeline a language since its words need one), with two
processes. Ours also writes a receipt for every document, splits, and the report. `ratio` is theirs over ours in seconds, the
median over rounds; `peak_memory` the largest sum of proportional set sizes of a contestant's processes, sampled.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from replicated_text import FILES, PeakMemory, make_corpus

PEER = Path(__file__).parents[1] / ".venv-datatrove" / "bin" / "python"
PYTHONS = {"hanmo": sys.executable, "datatrove": str(PEER)}
LANGUAGES = {"en": "eng_Latn", "zh": "zho_Hani"}
LEAST_ALPHABETIC = 0.6  # of words; novels of the Ming dynasty have more punctuation than Gopher allows
CHINESE = {  # with the defaults no Chinese text passes
    "min_avg_word_length": 1,
    "max_non_alpha_words_ratio": LEAST_ALPHABETIC,
    "stop_words": ["的", "了", "是", "在", "不", "之", "有", "人"],
}
WORKERS = 2
SAMPLE = 500


def run_hanmo(source: Path, out: Path) -> dict[str, float]:
    """Seconds of each stage."""
    import hanmo.data.prepare as stages
    from hanmo.data.cleaning.filters import FilterConfig

    seconds: dict[str, float] = {}

    def timed(name: str) -> None:
        function: Callable[..., Any] = getattr(stages, name)

        def call(*words: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*words, **named)
            finally:
                seconds[name.strip("_")] = seconds.get(name.strip("_"), 0) + time.perf_counter() - started

        setattr(stages, name, call)

    for name in ("make_plan", "_clean", "decide", "write_receipts", "count", "_make"):
        timed(name)
    gopher = FilterConfig(preset="gopher", min_alphabetic_word_share=LEAST_ALPHABETIC)
    stages.prepare([source], out, stages.PrepareConfig(filters=gopher, workers=WORKERS))
    seconds["documents and report"] = seconds.pop("make") - sum(seconds[name] for name in ("clean", "decide", "write_receipts", "count"))
    return seconds


def run_datatrove(source: Path, out: Path) -> dict[str, float]:
    """Seconds of each stage."""
    seconds: dict[str, float] = {}
    for language, code in LANGUAGES.items():
        for name, pipeline, tasks in _stages(source, out / language, f"{language}-*.jsonl", code):
            from datatrove.executor import LocalPipelineExecutor  # pyright: ignore[reportMissingImports]

            started = time.perf_counter()
            LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=WORKERS, logging_dir=str(out / language / f"logs-{name}")).run()
            seconds[name] = seconds.get(name, 0) + time.perf_counter() - started
    return seconds


def _stages(source: Path, out: Path, pattern: str, code: str) -> Iterator[tuple[str, list[Any], int]]:
    """datatrove's fineweb.py, shortened to what both do: (name, pipeline, tasks)."""
    from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature  # pyright: ignore[reportMissingImports]
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets  # pyright: ignore[reportMissingImports]
    from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter  # pyright: ignore[reportMissingImports]
    from datatrove.pipeline.formatters import FTFYFormatter  # pyright: ignore[reportMissingImports]
    from datatrove.pipeline.readers import JsonlReader  # pyright: ignore[reportMissingImports]
    from datatrove.pipeline.writers import JsonlWriter  # pyright: ignore[reportMissingImports]

    config = MinhashConfig()
    cleaned, parts = str(out / "cleaned"), {name: str(out / name) for name in ("signatures", "buckets", "removed")}
    yield (
        "repair and filters",
        [
            JsonlReader(str(source), glob_pattern=pattern),
            FTFYFormatter(),
            GopherRepetitionFilter(language=code),
            GopherQualityFilter(language=code, **CHINESE if code == LANGUAGES["zh"] else {}),
            JsonlWriter(cleaned, compression=None),
        ],
        FILES,
    )
    yield "signatures", [JsonlReader(cleaned), MinhashDedupSignature(parts["signatures"], config=config, language=code)], FILES
    yield "buckets", [MinhashDedupBuckets(parts["signatures"], parts["buckets"], config=config)], config.num_buckets
    yield "clusters", [MinhashDedupCluster(parts["buckets"], parts["removed"], config=config)], 1
    yield (
        "writing",
        [JsonlReader(cleaned), MinhashDedupFilter(parts["removed"]), JsonlWriter(str(out / "out"), compression=None)],
        FILES,
    )


def step_times(corpus: Path) -> dict[str, float]:
    """Microseconds a document of each step of ours in one process, on a sample from all files."""
    from hanmo.data.cleaning.measures import measure
    from hanmo.data.duplicates.exact import text_digest
    from hanmo.data.duplicates.signatures import signature
    from hanmo.data.reading.normalize import normalize

    lines = [line for path in sorted(corpus.iterdir()) for line in path.open(encoding="utf-8")]
    texts = [json.loads(line)["text"] for line in lines[:: max(1, len(lines) // SAMPLE)]]
    steps: dict[str, Callable[[str], object]] = {
        "normalize": normalize,
        "measure": lambda text: measure(text, text),
        "digest": text_digest,
        "signature": lambda text: signature(text, 50),
    }
    found: dict[str, float] = {}
    for name, step in steps.items():
        step(texts[0])
        started = time.process_time()
        for text in texts:
            step(text)
        found[name] = round(1e6 * (time.process_time() - started) / len(texts), 1)
    return found


def contest(name: str, corpus: Path, out: Path) -> dict[str, Any]:
    """Run one contestant in a process of its own; gives seconds, stages, peak memory and what it kept."""
    shutil.rmtree(out, ignore_errors=True)
    started = time.perf_counter()
    child = subprocess.Popen(
        [PYTHONS[name], __file__, str(corpus), "--contestant", name, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    memory = PeakMemory(child.pid)
    output, _ = child.communicate()
    seconds = time.perf_counter() - started
    if child.returncode:
        raise SystemExit(f"{name} failed: run it by hand with --contestant {name} --out DIR")
    stages = json.loads(output.splitlines()[-1])
    return {"seconds": seconds, "peak_memory": memory.stop(), "stages": stages, "kept": _kept(name, out)}


def _kept(name: str, out: Path) -> int:
    if name == "hanmo":
        return json.loads((out / "manifest.json").read_text("utf-8"))["receipts"]["kept"]
    return sum(1 for path in out.glob("*/out/*.jsonl") for _ in path.open(encoding="utf-8"))


def report(options: argparse.Namespace) -> None:
    names = [name for name, python in PYTHONS.items() if Path(python).exists()]
    if "datatrove" not in names:
        print("datatrove is not here: make peers")
    with tempfile.TemporaryDirectory() as place:
        corpus = Path(place) / "corpus"
        size = make_corpus(options.paths, corpus, options.megabytes)
        print(f"{size['documents']:,.0f} documents, {size['megabytes']:.1f} MB, {WORKERS} processes each, {options.rounds} rounds")
        rounds = [{name: contest(name, corpus, Path(place) / name) for name in names} for _ in range(options.rounds)]
        steps = step_times(corpus)
    for name in names:
        middle = statistics.median(each[name]["seconds"] for each in rounds)
        last = rounds[-1][name]
        shown = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in last["stages"].items())
        print(
            f"{name:10} {size['documents'] / middle:8,.0f} documents/s {last['peak_memory'] / 1e6:8,.0f} MB, kept {last['kept']:,}: {shown}"
        )
    print("ours, microseconds a document: " + ", ".join(f"{name} {value}" for name, value in steps.items()))
    if options.json:
        print(json.dumps(_summary(names, rounds, size) | {"steps": steps}))


def _summary(names: list[str], rounds: list[dict[str, dict[str, Any]]], size: dict[str, float]) -> dict[str, Any]:
    import importlib.metadata

    ratios = [each["datatrove"]["seconds"] / each["hanmo"]["seconds"] for each in rounds if "datatrove" in each]
    rates = {name: size["documents"] / statistics.median(each[name]["seconds"] for each in rounds) for name in names}
    peer = [PYTHONS["datatrove"], "-c", "import importlib.metadata as m; print(m.version('datatrove'))"]
    versions = {name: importlib.metadata.version(name) for name in ("hanmo", "numpy", "pyarrow", "rapidfuzz")}
    if "datatrove" in names:
        versions["datatrove"] = subprocess.run(peer, capture_output=True, text=True, check=True).stdout.strip()
    return {
        **size,
        "ratio": statistics.median(ratios) if ratios else None,
        "ratios": ratios,
        "documents_per_second": rates,
        "peak_memory": {name: max(each[name]["peak_memory"] for each in rounds) for name in names},
        "stages": {name: rounds[-1][name]["stages"] for name in names},
        "kept": {name: rounds[-1][name]["kept"] for name in names},
        "versions": versions,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--megabytes", type=float, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--contestant", choices=sorted(PYTHONS), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        stages = {"hanmo": run_hanmo, "datatrove": run_datatrove}[options.contestant](options.paths[0], options.out)
        print("\n" + json.dumps(stages))
    else:
        report(options)


if __name__ == "__main__":
    main()
