"""Peak memory of hanmo prepare against its one setting, on 1 GB of text.

    .venv/bin/python benchmarks/prepare_memory.py PATH... --json                          # 1 GB
    .venv/bin/python benchmarks/prepare_memory.py PATH... --megabytes 50 --memory 600MB 1GB

PATHs hold real text, dealt anew into documents until there is enough, one in twenty with a changed copy (as in prepare_speed.py).
Near-duplicates and recurring lines are looked for. Peak memory is the largest sum of proportional set sizes of the command and its
children, looked at five times a second. `within` says whether every peak lies within its setting, `equal` whether all
settings gave the same bytes.
"""

import argparse
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from replicated_text import PeakMemory, make_corpus

from hanmo.base.runtime import source_commit
from hanmo.base.storage import sha256
from hanmo.data.budget import memory_bytes


def prepare(corpus: Path, out: Path, memory: str, workers: int) -> dict[str, Any]:
    """Make the data set in processes of its own; gives seconds, peak memory, documents and the hash of what was made."""
    shutil.rmtree(out, ignore_errors=True)
    words = ["prepare", str(corpus), "--out", str(out), "--memory", memory, "--workers", str(workers), "--duplicates.lines", "1000"]
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "hanmo.cli.main", *words], stdout=subprocess.DEVNULL)
    watched = PeakMemory(child.pid)
    code = child.wait()
    seconds, peak = time.perf_counter() - started, watched.stop()
    if code:
        raise SystemExit(f"hanmo prepare with --memory {memory} failed: its last line says why")
    receipts = json.loads((out / "manifest.json").read_text("utf-8"))["receipts"]
    setting = memory_bytes(memory)
    facts = {"memory": setting, "peak_memory": peak, "share": peak / setting, "seconds": seconds}
    return {**facts, "documents": receipts["total"], "kept": receipts["kept"], "sha256": sha256(out)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--memory", nargs="+", default=["800MB", "1GB", "2GB"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        size = make_corpus(options.paths, Path(place) / "corpus", options.megabytes)
        print(f"{size['documents']:,.0f} documents, {size['megabytes']:.1f} MB, {options.workers} workers")
        print(f"{'setting':>10} {'peak MB':>10} {'share':>7} {'seconds':>9} {'kept':>10}")
        found: dict[str, dict[str, Any]] = {}
        for memory in options.memory:
            row = found[memory] = prepare(Path(place) / "corpus", Path(place) / "data", memory, options.workers)
            print(
                f"{memory:>10} {row['peak_memory'] / 1e6:10,.0f} {row['share']:7.0%} {row['seconds']:9,.0f} {row['kept']:10,}", flush=True
            )
    within = all(row["share"] <= 1 for row in found.values())
    equal = len({row["sha256"] for row in found.values()}) == 1
    print(f"every peak within its setting: {within}; the same bytes: {equal}")
    if options.json:
        versions = {name: importlib.metadata.version(name) for name in ("hanmo", "numpy", "pyarrow", "rapidfuzz")}
        facts = {"within": within, "equal": equal, "workers": options.workers, "commit": source_commit(), "versions": versions}
        print(json.dumps({**size, "settings": found, **facts}))


if __name__ == "__main__":
    main()
