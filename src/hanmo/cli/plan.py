"""`hanmo plan RECIPE`: parameters, FLOPs, memory, minutes, disk, money and energy, before anything runs."""

import importlib
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from hanmo.base.errors import ConfigError, HanmoError
from hanmo.base.progress import duration, say, size
from hanmo.base.runs import Run
from hanmo.base.storage import read_json
from hanmo.batches.config import ObjectiveConfig, asked_share
from hanmo.cli.arguments import parse as parse_arguments
from hanmo.cli.pretrain import chosen_network
from hanmo.cli.recipe import Recipe
from hanmo.model.config import DecoderConfig
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.plan.compute import Compute, count_compute, kaplan_flops_per_token
from hanmo.plan.estimate import ASSUMPTIONS, Disk, Estimate, Limits, Prices, Speed, estimate
from hanmo.plan.machine import Machine, disk_bytes_per_second, disk_free_bytes
from hanmo.plan.memory import Memory, Step, checkpoint_bytes, count_memory
from hanmo.plan.parameters import Parameters, count_parameters
from hanmo.train.config import TrainConfig

NetworkConfig = DecoderConfig | EncoderConfig | EncoderDecoderConfig


@dataclass(frozen=True, kw_only=True)
class Options:
    """Forecast what a recipe will take on this machine, from formulas and from ten seconds of the real training step."""

    recipe: Annotated[Recipe, arg(name="")]
    """What would be done; any key can be changed by a dotted flag."""
    out: Path | None = None
    """Run folder whose prepared data and tokenizer are counted, when it exists."""
    price_per_hour: float | None = None
    """Price of this machine for one hour; the recipe's by default."""
    watts: float | None = None
    """Power it draws under load; the recipe's by default."""
    probe_seconds: float | None = None
    """How long the real step is tried, 0 not at all; the recipe's by default."""


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


def parse(words: Sequence[str]) -> Options:
    """The options in the words after the verb."""
    return parse_arguments(Options, words, "plan", whole="recipe")


def run(options: Options) -> dict[str, Any]:
    """Measure and forecast; gives what `plan.json` holds."""
    wishes = {name: value for name in ("price_per_hour", "watts", "probe_seconds") if (value := getattr(options, name)) is not None}
    recipe = replace(options.recipe, plan=replace(options.recipe.plan, **wishes))
    return {"name": recipe.name, **forecast(recipe, Run(options.out) if options.out else None)}


def forecast(recipe: Recipe, folder: Run | None) -> dict[str, Any]:
    """The plan of a recipe as JSON; what `folder` already holds (tokenizer, data) is counted instead of assumed.

    Tokens are those of the text, however few of them the objective asks for.
    Raises HanmoError when the machine has not the memory for one step, ConfigError when network and objective do not go together.
    """
    vocab_size, tokens = vocabulary(recipe, folder), count_tokens(folder)
    model = replace(chosen_network(recipe)[1], vocab_size=vocab_size)
    train, asked = with_context(model, recipe.train), asked_share(recipe.train.objective)
    parameters = count_parameters(model)
    compute = count_compute(model, context_length=train.context_length, batch_size=train.batch_size, optimizer=train.optimizer, asked=asked)
    rough = count_memory(model, _step(train, low_precision=train.precision != "fp32"))
    machine = _machine(folder)
    fits = rough.peak < machine.available_memory_bytes
    measured = measure(model, train, recipe.plan.probe_seconds if fits else 0.0, folder)
    machine = replace(machine, matrix_flops_fp32=measured.matrix_flops_fp32, matrix_flops_bf16=measured.matrix_flops_bf16)
    memory = count_memory(
        model, _step(train, low_precision=measured.low_precision, fused=measured.fused), process_bytes=measured.process_bytes
    )
    id_bytes = 2 if vocab_size <= 1 << 16 else 4
    disk = Disk(
        tokens=sum(tokens.values()) * id_bytes, checkpoint=checkpoint_bytes(parameters, train.optimizer), model=4 * parameters.total
    )
    made = estimate(
        compute=compute,
        memory=memory,
        disk=disk,
        speed=_speed(measured, compute, machine),
        limits=_limits(train, tokens.get("validation", 0)),
        prices=Prices(price_per_hour=recipe.plan.price_per_hour, watts=recipe.plan.watts),
        data_bytes=disk.tokens,
    )
    counts: dict[str, Any] = {**_counts(parameters, compute), "kaplan_flops_per_token": kaplan_flops_per_token(model, train.context_length)}
    return {**counts, **_outcome(made, memory, disk, machine), "measured": asdict(measured)}


def with_context(model: NetworkConfig, train: TrainConfig) -> TrainConfig:
    """The settings with the length of a row that training will take.

    Raises ConfigError for more than an encoder has.
    """
    most = model.context_length if isinstance(model, EncoderConfig) else model.max_position_embeddings
    if isinstance(model, EncoderConfig) and train.context_length > most:
        raise ConfigError(f"train.context_length (={train.context_length}) exceeds the {most} positions of the encoder")
    return replace(train, context_length=train.context_length or most)


def _counts(parameters: Parameters, compute: Compute) -> dict[str, Any]:
    return {
        "parameters": {"total": parameters.total, "non_embedding": parameters.non_embedding, "parts": parameters.parts},
        "flops_per_token": compute.train_per_token,
        "forward_flops_per_token": compute.forward_per_token,
        "flops_per_step": compute.per_step,
        "tokens_per_step": compute.tokens_per_step,
    }


def _outcome(made: Estimate, memory: Memory, disk: Disk, machine: Machine) -> dict[str, Any]:
    return {
        "flops_per_run": made.flops,
        "steps": made.steps,
        "tokens": made.tokens,
        "tokens_per_second": made.tokens_per_second,
        "seconds": dict(made.seconds),
        "memory": {"parts": memory.parts, "moments": memory.moments},
        "disk": {"tokens": disk.tokens, "checkpoint": disk.checkpoint, "model": disk.model, "peak": disk.peak},
        "machine": {**asdict(machine), "bf16_is_fast": machine.bf16_is_fast},
        "fits": made.peak_memory_bytes < machine.available_memory_bytes and disk.peak < machine.disk_free_bytes,
        "forecast": made.forecast,
        "assumptions": dict(made.assumptions),
    }


def vocabulary(recipe: Recipe, folder: Run | None) -> int:
    """The model's own size, the trained tokenizer's, or what the tokenizer is asked for."""
    if size := chosen_network(recipe)[1].vocab_size:
        return size
    if folder is not None and (folder.tokenizer / "tokenizer.json").exists():
        from hanmo.tokenizer.load import Tokenizer

        return Tokenizer.load(folder.tokenizer).vocab_size
    return recipe.tokenizer.vocab_size


SAMPLE_CHARACTERS = 200_000


def count_tokens(folder: Run | None) -> dict[str, int]:
    """Tokens of the training and validation documents: as stored, or from a sample; none where nothing is prepared yet."""
    if folder is None or not _is_prepared(folder):
        return {}
    sums = read_json(folder.data / "manifest.json")["documents"]
    return {split: _count_tokens(folder, split, sums[split]) for split in ("train", "validation")}


def _is_prepared(folder: Run) -> bool:
    return (folder.data / "manifest.json").exists() and (folder.tokenizer / "tokenizer.json").exists()


def _count_tokens(folder: Run, split: str, sums: Mapping[str, int]) -> int:
    stored = folder.tokens / split / "manifest.json"
    if stored.exists():
        return int(read_json(stored)["tokens"])
    from hanmo.data.reading.read import read_dataset
    from hanmo.tokenizer.load import Tokenizer

    tokenizer, sampled, tokens = Tokenizer.load(folder.tokenizer), 0, 0
    for document in read_dataset(folder.data, split):
        part = document.text[:SAMPLE_CHARACTERS]
        sampled, tokens = sampled + len(part.encode()), tokens + len(tokenizer.encode(part))
        if sampled >= SAMPLE_CHARACTERS:
            break
    return sums["documents"] + round(sums["bytes"] * tokens / max(1, sampled))


def _step(train: TrainConfig, *, low_precision: bool, fused: bool = True) -> Step:
    rows = min(train.micro_batch_size or train.batch_size, train.batch_size)
    return Step(
        rows=rows,
        context_length=train.context_length,
        low_precision=low_precision,
        optimizer=train.optimizer,
        accumulates=rows < train.batch_size,
        evaluation_rows=min(train.batch_size, 16),
        fused=fused,
        asked=asked_share(train.objective) if train.objective.name in ("masked", "span_corruption") else 1.0,
    )


def _limits(train: TrainConfig, validation_tokens: int) -> Limits:
    rows = min(train.batch_size, 16) * train.context_length
    wanted = min(each for each in (train.eval_tokens, validation_tokens, math.inf) if each)
    rounded = 0 if wanted == math.inf else max(1, round(wanted / rows)) * rows
    return Limits(
        max_steps=train.max_steps,
        max_tokens=round(train.max_tokens / asked_share(train.objective)),  # training counts what is asked for
        max_minutes=train.max_minutes,
        eval_every=train.eval_every,
        evaluation_tokens=rounded,
        checkpoint_every=train.checkpoint_every,
    )


def _machine(folder: Run | None) -> Machine:
    import psutil

    from hanmo.base.runtime import available_cores

    memory = psutil.virtual_memory()
    place = folder.folder if folder is not None else Path.cwd()
    existing = next(each for each in (place.absolute(), *place.absolute().parents) if each.is_dir())
    return Machine(
        cores=available_cores(),
        memory_bytes=memory.total,
        available_memory_bytes=memory.available,
        disk_free_bytes=disk_free_bytes(place),
        disk_bytes_per_second=disk_bytes_per_second(existing),
    )


def _speed(measured: Measured, compute: Compute, machine: Machine) -> Speed:
    if measured.probe is None:
        rate = measured.matrix_flops_bf16 if measured.low_precision else measured.matrix_flops_fp32
        return Speed.assumed(
            compute,
            matrix_flops=rate,
            disk_bytes_per_second=machine.disk_bytes_per_second,
            seconds_to_start=measured.seconds_to_start,
        )
    seen = measured.probe
    return Speed(
        seconds_per_step=seen["seconds_per_step"],
        seconds_of_first_step=seen["seconds_of_first_step"],
        evaluation_tokens_per_second=seen["evaluation_tokens_per_second"],
        disk_bytes_per_second=machine.disk_bytes_per_second,
        seconds_to_start=measured.seconds_to_start,
        peak_memory_bytes=int(seen["peak_memory_bytes"]),
    )


def measure(model: NetworkConfig, train: TrainConfig, seconds: float, folder: Run | None = None) -> Measured:
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


def measure_here(model: NetworkConfig, train: TrainConfig, seconds: float, folder: Run | None = None) -> Measured:
    """Measure in this process: everything a training process loads, the matrix rates, and `seconds` of the real step."""
    import time

    import psutil
    import torch

    from hanmo.base.runtime import available_cores, current_memory_bytes
    from hanmo.model.kernels.library import status
    from hanmo.train.pretrain import Settings, make_network, matrix_blocks
    from hanmo.train.probe import matrix_flops, probe

    for module in ("hanmo.cli.pretrain", "hanmo.data.reading.read", "hanmo.tokenizer.load"):
        importlib.import_module(module)
    torch.set_num_threads(train.threads or available_cores())
    fp32, bf16 = matrix_flops(torch.float32), matrix_flops(torch.bfloat16)
    machine = Machine(cores=1, memory_bytes=0, available_memory_bytes=0, disk_free_bytes=0, matrix_flops_fp32=fp32, matrix_flops_bf16=bf16)
    low_precision = train.precision == "bf16" or (train.precision == "auto" and machine.bf16_is_fast)
    train = replace(train, precision="bf16" if low_precision else "fp32")
    _read_once(folder)
    _use_once(train)
    process_bytes = current_memory_bytes()
    network = make_network(Settings(model=model, train=train)) if seconds else None
    seconds_to_start = time.time() - psutil.Process().create_time()
    found = None
    if network is not None:
        found = probe(network, train, context_length=train.context_length, blocks=matrix_blocks(model), seconds=seconds)
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
    if folder is None or not _is_prepared(folder):
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
    from hanmo.train.pretrain import Settings, make_network, matrix_blocks
    from hanmo.train.probe import probe

    tiny = DecoderConfig(vocab_size=64, hidden_size=64, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=16)
    train = replace(train, batch_size=1, micro_batch_size=0, objective=ObjectiveConfig())
    probe(make_network(Settings(model=tiny, train=train)), train, context_length=16, blocks=matrix_blocks(tiny), seconds=0.0)


def show(result: dict[str, Any]) -> str:
    """The plan as a table for people."""
    said = result["forecast"]
    minutes = said["minutes"]
    rows = [
        ("parameters", f"{result['parameters']['total']:,}"),
        *((f"  {name}", f"{count:,}") for name, count in result["parameters"]["parts"].items()),
        ("FLOPs a token", f"{result['flops_per_token']:.3g} (forward {result['forward_flops_per_token']:.3g})"),
        ("FLOPs a step", f"{result['flops_per_step']:.3g} ({result['tokens_per_step']:,} tokens)"),
        ("FLOPs in all", "not known" if result["flops_per_run"] is None else f"{result['flops_per_run']:.3g} ({result['steps']:,} steps)"),
        ("speed", f"{result['tokens_per_second']:,.0f} tokens/s"),
        ("time", "not known" if minutes is None else duration(60 * minutes)),
        *((f"  {name}", duration(seconds)) for name, seconds in result["seconds"].items()),
        ("peak memory", f"{size(said['peak_memory_bytes'])} of {size(result['machine']['available_memory_bytes'])} available"),
        *((f"  {name}", size(held)) for name, held in result["memory"]["parts"].items()),
        ("disk", f"{size(said['disk_bytes'])} of {size(result['machine']['disk_free_bytes'])} free"),
        *([("money", f"{said['money']:.4g}")] if said["money"] is not None else []),
        *([("energy", f"{said['energy_kwh']:.4g} kWh")] if said["energy_kwh"] is not None else []),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    if not result["fits"]:
        lines.append("this does not fit into the memory or the disk of this machine: lower train.micro_batch_size or the model's size")
    return "\n".join([*lines, *(f"- {ASSUMPTIONS[key][0].format(value=value)}" for key, value in result["assumptions"].items())])
