"""What training would take on this machine, found by trying: matrix rates, memory with all libraries loaded, the real step."""

import importlib
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context

from hanmo.base.errors import HanmoError
from hanmo.base.progress import say
from hanmo.base.runs import Run
from hanmo.batches.config import ObjectiveConfig
from hanmo.model.config import DecoderConfig
from hanmo.pipeline.networks import Transformer
from hanmo.plan.machine import Machine
from hanmo.train.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a process of its own has measured."""

    matrix_flops_fp32: float
    matrix_flops_bf16: float
    process_bytes: int
    """Resident memory with all libraries loaded and used once, before the network is made."""
    seconds_to_start: float
    low_precision: bool
    fused: bool
    """Whether the compiled kernels work here."""
    probe: Mapping[str, float] | None = None
    """The fields of `hanmo.train.probe.Probe`."""


def measure_machine(model: Transformer, train: TrainConfig, seconds: float, folder: Run | None = None) -> Measured:
    """Measure in a new process, so that its memory is that of training alone; data in `folder` is read as training reads it.

    Raises HanmoError when the system ends that process, which it does when memory runs out.
    """
    if seconds:
        say(f"probing the real training step for {seconds:g} seconds")
    try:
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
            return pool.submit(measure_here, model, train, seconds, folder).result()
    except BrokenProcessPool:
        raise HanmoError(
            "the system ended the probe, most likely because memory ran out: lower train.micro_batch_size "
            f"(={train.micro_batch_size or train.batch_size}), or say --probe-seconds 0 for the formulas alone"
        ) from None


def measure_here(model: Transformer, train: TrainConfig, seconds: float, folder: Run | None = None) -> Measured:
    """Measure in this process: everything a training process loads, the matrix rates, and `seconds` of the real step."""
    import time

    import psutil
    import torch

    from hanmo.base.runtime import available_cores, current_memory_bytes
    from hanmo.model.kernels.library import status
    from hanmo.train.networks import make_network
    from hanmo.train.probe import matrix_flops, probe

    for module in ("hanmo.pipeline.tokens", "hanmo.data.reading.read", "hanmo.tokenizer.load"):
        importlib.import_module(module)
    torch.set_num_threads(train.threads or available_cores())
    fp32, bf16 = matrix_flops(torch.float32), matrix_flops(torch.bfloat16)
    machine = Machine(cores=1, memory_bytes=0, available_memory_bytes=0, disk_free_bytes=0, matrix_flops_fp32=fp32, matrix_flops_bf16=bf16)
    low_precision = train.precision == "bf16" or (train.precision == "auto" and machine.bf16_is_fast)
    train = replace(train, precision="bf16" if low_precision else "fp32")
    _read_once(folder)
    _use_once(train)
    process_bytes = current_memory_bytes()
    network = make_network(model, train.seed) if seconds else None
    seconds_to_start = time.time() - psutil.Process().create_time()
    found = None
    if network is not None:
        found = probe(network, train, context_length=train.context_length, blocks=model.fused_rows, seconds=seconds)
    return Measured(
        fused=status() == "on",
        matrix_flops_fp32=fp32,
        matrix_flops_bf16=bf16,
        process_bytes=process_bytes,
        seconds_to_start=seconds_to_start,
        low_precision=low_precision,
        probe=None if found is None else {name: float(value) for name, value in asdict(found).items()},
    )


def _read_once(folder: Run | None) -> None:
    """Load the tokenizer and a few megabytes of documents: their libraries keep that memory for good."""
    if folder is None or not is_prepared(folder):
        return
    from hanmo.batches.encode import GROUP_CHARACTERS
    from hanmo.data.reading.read import read_dataset
    from hanmo.tokenizer.load import Tokenizer

    Tokenizer.load(folder.tokenizer)
    held = 0
    for document in read_dataset(folder.data, "train"):
        held += len(document.text)
        if held > 4 * GROUP_CHARACTERS:
            break


def _use_once(train: TrainConfig) -> None:
    """Train a tiny network for a moment: kernels are compiled, and libraries take the memory they never give back."""
    from hanmo.train.networks import make_network
    from hanmo.train.probe import probe

    tiny = DecoderConfig(vocab_size=64, hidden_size=64, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=16)
    train = replace(train, batch_size=1, micro_batch_size=0, objective=ObjectiveConfig())
    probe(make_network(tiny, train.seed), train, context_length=16, blocks=tiny.fused_rows, seconds=0.0)


def is_prepared(folder: Run) -> bool:
    """Whether a run folder has its data set and its tokenizer."""
    return (folder.data / "manifest.json").exists() and (folder.tokenizer / "tokenizer.json").exists()
