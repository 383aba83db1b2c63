"""`hanmo doctor`: what this machine can do, as a block to paste into a bug report; `--parity A B`: whether two forms of a model agree."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hanmo.base.progress import size
from hanmo.cli.arguments import parse as parse_arguments


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure this machine for a few seconds: matrix products, memory, disk; nothing leaves it."""

    folder: Path = Path()
    """Where the disk is measured; a file is written there and removed."""
    seconds: float = 0.5
    """How long each kind of matrix product is measured."""
    parity: tuple[Path, Path] | None = None
    """Instead, compare two forms of a model on the same text: tokens, template, logits, greedy text."""


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    return parse_arguments(Options, words, "doctor")


def run(options: Options) -> dict[str, Any]:
    """Measure; gives machine, versions, rates, and whether bf16 pays here; or compare two models."""
    return _measure(options) if options.parity is None else _compare(*options.parity)


def _compare(first: Path, second: Path) -> dict[str, Any]:
    from hanmo.convert.parity import compare
    from hanmo.convert.sources import local_model

    rows = [asdict(row) for row in compare(local_model(first), local_model(second))]
    return {"first": str(first), "second": str(second), "equal": all(row["equal"] for row in rows), "parity": rows}


def _measure(options: Options) -> dict[str, Any]:
    import psutil
    import torch

    from hanmo.base.runtime import available_cores, machine, source_commit, versions
    from hanmo.plan.machine import Machine, cuda_bytes, disk_bytes_per_second, disk_free_bytes, memory_bytes_per_second
    from hanmo.train.probe import matrix_flops

    torch.set_num_threads(available_cores())
    memory = psutil.virtual_memory()
    rates = Machine(
        cores=available_cores(),
        memory_bytes=memory.total,
        available_memory_bytes=memory.available,
        disk_free_bytes=disk_free_bytes(options.folder),
        matrix_flops_fp32=matrix_flops(torch.float32, seconds=options.seconds),
        matrix_flops_bf16=matrix_flops(torch.bfloat16, seconds=options.seconds),
        memory_bytes_per_second=memory_bytes_per_second(),
        disk_bytes_per_second=disk_bytes_per_second(options.folder),
    )
    return {
        "machine": machine(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "unused_cuda_bytes": 0 if torch.cuda.is_available() else cuda_bytes(Path(torch.__file__).parents[1]),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "versions": versions(),
        "commit": source_commit() or None,
        **asdict(rates),
        "bf16_is_fast": rates.bf16_is_fast,
        "threads": torch.get_num_threads(),
        "load": psutil.getloadavg()[0],
    }


def show(result: dict[str, Any]) -> str:
    """The block for a bug report, or the table of a comparison."""
    if "parity" in result:
        table = [f"{row['what']:<12} {'equal' if row['equal'] else 'differs':<8} {row['figure']}" for row in result["parity"]]
        return "\n".join([f"{result['first']} and {result['second']}", *table])
    where, fp32, bf16 = result["machine"], result["matrix_flops_fp32"] / 1e9, result["matrix_flops_bf16"] / 1e9
    advice = "train.precision = auto takes bf16" if result["bf16_is_fast"] else "train.precision = auto takes fp32"
    rows = {
        "system": f"{where['system']}, Python {where['python']}",
        "processor": f"{where['processor']}, {result['cores']} cores, {result['vector_instructions']}",
        "gpu": (result["gpu"] or "none") + _unused(result["unused_cuda_bytes"]),
        "load": f"{result['load']:.1f} processes want to run"
        + (" (busy: rates below are too low)" if result["load"] > result["cores"] else ""),
        "memory": f"{size(result['memory_bytes'])}, {size(result['available_memory_bytes'])} available, "
        f"{size(result['memory_bytes_per_second'])}/s copied by one thread",
        "disk": f"{size(result['disk_free_bytes'])} free, {size(result['disk_bytes_per_second'])}/s written",
        "matrix products": f"fp32 {fp32:,.0f} GFLOP/s, bf16 {bf16:,.0f} GFLOP/s ({bf16 / fp32:.1f}x): {advice}",
        "versions": ", ".join(f"{name} {version}" for name, version in result["versions"].items()),
        "commit": result["commit"] or "not a checkout",
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows.items())


def _unused(cuda: int) -> str:
    """A word about libraries for a GPU that is not there."""
    return f", and {size(cuda)} of CUDA libraries that nothing uses: README's Install tells how to be without" if cuda else ""
