"""A recipe becomes its forecast: formulas, ten seconds of the real step, and what a run folder already holds."""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hanmo.base.errors import ConfigError
from hanmo.base.runs import Run
from hanmo.base.storage import read_json
from hanmo.batches.config import asked_share
from hanmo.model.config import DecoderConfig
from hanmo.pipeline.fitting import fitted_to_text
from hanmo.pipeline.networks import Transformer, chosen_network
from hanmo.pipeline.probing import Measured, is_prepared, measure_machine
from hanmo.pipeline.recipe import Recipe
from hanmo.plan.compute import Compute, count_compute, kaplan_flops_per_token
from hanmo.plan.defaults import effective_tokens, most_epochs, worth_of_reading
from hanmo.plan.estimate import Disk, Estimate, Prices, RunLimits, Speed, estimate
from hanmo.plan.machine import Machine, disk_bytes_per_second, disk_free_bytes
from hanmo.plan.memory import MemoryEstimate, Step, checkpoint_bytes, count_memory
from hanmo.plan.parameters import Parameters, count_parameters
from hanmo.train.config import TrainConfig


def forecast(recipe: Recipe, folder: Run | None) -> dict[str, Any]:
    """The plan of a recipe as JSON; what `folder` already holds (tokenizer, data) is counted instead of assumed.

    Tokens are those of the text, however few of them the objective asks for.
    Raises HanmoError when the machine has not the memory for one step, ConfigError when network and objective do not go together.
    """
    vocab_size, tokens = vocabulary(recipe, folder), count_tokens(folder)
    model = replace(chosen_network(recipe)[1], vocab_size=vocab_size)
    train = recipe.train
    if isinstance(model, DecoderConfig):
        model, train, _ = fitted_to_text(model, train, recipe.fitted, tokens.get("train", 0), folder)
    train, asked = with_context(model, train), asked_share(train.objective)
    parameters = count_parameters(model)
    compute = count_compute(model, context_length=train.context_length, batch_size=train.batch_size, optimizer=train.optimizer, asked=asked)
    rough = count_memory(model, _step(train, low_precision=train.precision != "fp32"))
    machine = _machine(folder)
    fits = rough.peak < machine.available_memory_bytes
    measured = measure_machine(model, train, recipe.plan.probe_seconds if fits else 0.0, folder)
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
    readings = _readings(tokens.get("train", 0), made.tokens)
    return {**counts, "readings": readings, **_outcome(made, memory, disk, machine), "measured": asdict(measured)}


def _readings(train_tokens: int, read: int | None) -> dict[str, float | None]:
    """How often the text will be read, and what that is worth; None where it is not known."""
    epochs = read / train_tokens if train_tokens and read else None
    return {
        "train_tokens": train_tokens or None,
        "epochs": epochs,
        "worth_new_tokens": None if epochs is None else effective_tokens(train_tokens, epochs),
        "worth_of_next_reading": None if epochs is None else worth_of_reading(epochs),
        "epochs_that_pay": most_epochs(),
    }


def with_context(model: Transformer, train: TrainConfig) -> TrainConfig:
    """The settings with the length of a row that training will take.

    Raises ConfigError for more than an encoder has.
    """
    if model.kind == "encoder" and train.context_length > model.context_length:
        raise ConfigError(f"train.context_length (={train.context_length}) exceeds the {model.context_length} positions of the encoder")
    return replace(train, context_length=train.context_length or model.context_length)


def _counts(parameters: Parameters, compute: Compute) -> dict[str, Any]:
    return {
        "parameters": {"total": parameters.total, "non_embedding": parameters.non_embedding, "parts": parameters.parts},
        "flops_per_token": compute.train_per_token,
        "forward_flops_per_token": compute.forward_per_token,
        "flops_per_step": compute.per_step,
        "tokens_per_step": compute.tokens_per_step,
    }


def _outcome(made: Estimate, memory: MemoryEstimate, disk: Disk, machine: Machine) -> dict[str, Any]:
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
    if folder is None or not is_prepared(folder):
        return {}
    sums = read_json(folder.data / "manifest.json")["documents"]
    return {split: _count_tokens(folder, split, sums[split]) for split in ("train", "validation")}


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


def _limits(train: TrainConfig, validation_tokens: int) -> RunLimits:
    rows = min(train.batch_size, 16) * train.context_length
    wanted = min(each for each in (train.eval_tokens, validation_tokens, math.inf) if each)
    rounded = 0 if wanted == math.inf else max(1, round(wanted / rows)) * rows
    return RunLimits(
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
