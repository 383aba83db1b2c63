"""From token stores to a trained model folder: the network, its optimizer and its batches, handed to the loop."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from hanmo.base.config import build, read_toml, to_toml
from hanmo.base.errors import ConfigError, TrainingError
from hanmo.base.progress import say
from hanmo.base.runs import Run
from hanmo.base.runtime import available_cores, derive_seed, keep_freed_memory, machine, peak_memory_bytes, versions
from hanmo.base.storage import sha256
from hanmo.batches.store import TokenStore
from hanmo.batches.stream import BatchConfig, BatchStream
from hanmo.model.config import DecoderConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.recurrent import Recurrent
from hanmo.model.store import save_model
from hanmo.train.config import TrainConfig
from hanmo.train.distributed import World, world
from hanmo.train.loop import Loop, Network, as_tensors, compile_network
from hanmo.train.optimizer import Optimizer
from hanmo.train.probe import matrix_flops
from hanmo.train.progress import Meter

NetworkConfig = DecoderConfig | RecurrentConfig

FREE_TO_CHANGE = ("checkpoint_every", "log_every", "tensorboard", "threads", "max_minutes")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `config.toml` of a training run holds."""

    model: NetworkConfig
    """The network."""
    train: TrainConfig
    """Its training."""


def pretrain(
    settings: Settings, *, stores: Mapping[str, TokenStore], tokenizer: Path, run: Run, flops_per_token: float = 0.0
) -> dict[str, object]:
    """Train on `stores["train"]`, watch `stores["validation"]`, and write the run folder; gives its manifest.

    The same call goes on from the newest checkpoint, and does nothing when the run is finished. Raises ConfigError when
    the folder holds a run with other settings.
    """
    settings = resolve(settings, run)
    settings.train.check_limits()
    keep_freed_memory()
    started = time.perf_counter()
    with world() as here:
        if (finished := _finished(run)) is not None:
            return finished
        loop = _assemble(settings, stores, run, here, flops_per_token)
        state = loop.run()
        manifest: dict[str, object] = {
            "stage": "pretrain",
            "seed": settings.train.seed,
            "steps": state.step,
            "tokens": state.tokens,
            "stopped_by": state.stopped_by,
            "best_step": state.best_step,
            "validation_loss": state.best_loss if math.isfinite(state.best_loss) else None,
            "training_seconds": state.seconds,
            "wall_seconds": time.perf_counter() - started,
            "peak_memory_bytes": peak_memory_bytes(),
            "parameters": sum(p.numel() for p in loop.network.parameters()),
            "processes": here.size,
            "threads": torch.get_num_threads(),
            "parents": {
                "tokens": {name: store.fingerprint for name, store in stores.items()},
                "tokenizer": sha256(tokenizer / "tokenizer.json"),
            },
            "packing": loop_receipt(loop, settings, stores),
            "machine": machine(),
            "versions": versions(),
        }
        if here.is_first:
            with torch.no_grad():
                save_model(_in_float32(loop), run.model, tokenizer_folder=tokenizer)
            run.write_manifest(manifest)
        here.wait()
    return manifest


def _finished(run: Run) -> dict[str, object] | None:
    manifest = run.read_manifest()
    if manifest.get("stage") == "pretrain" and (run.model / "config.json").exists():
        say(f"{run.folder} is finished at step {manifest['steps']}: nothing to do")
        return manifest
    return None


def resolve(settings: Settings, run: Run) -> Settings:
    """Settings with every choice made; those of an earlier start of the same run win over what is measured now.

    Raises ConfigError when an earlier start had other settings.
    """
    if run.config.exists():
        earlier = read_toml(run.config)
        old = Settings(model=build(type(settings.model), earlier["model"], "model"), train=build(TrainConfig, earlier["train"], "train"))
        settings = _with_precision(settings, old.train.precision)
        _refuse_differences(settings, old, run)
        return settings
    settings = _with_precision(settings, settings.train.precision)
    if settings.train.precision == "auto":
        settings = _with_precision(settings, "bf16" if matrix_flops(torch.bfloat16) > 1.3 * matrix_flops(torch.float32) else "fp32")
    run.create().write_config(to_toml(settings))
    return settings


def _with_precision(settings: Settings, precision: str) -> Settings:
    if settings.train.precision != "auto":
        return settings
    return dataclasses.replace(settings, train=build(TrainConfig, {**vars(settings.train), "precision": precision}))


def _refuse_differences(new: Settings, old: Settings, run: Run) -> None:
    for section in ("model", "train"):
        ours, theirs = vars(getattr(new, section)), vars(getattr(old, section))
        for key, value in ours.items():
            if value != theirs[key] and not (section == "train" and key in FREE_TO_CHANGE):
                raise ConfigError(
                    f"{run.folder} holds a run with {section}.{key} = {theirs[key]!r}, now {value!r}: "
                    "choose another --out, or remove the folder"
                )


def _assemble(settings: Settings, stores: Mapping[str, TokenStore], run: Run, here: World, flops_per_token: float) -> Loop:
    config = settings.train
    threads = config.threads or max(1, available_cores() // here.size)
    torch.set_num_threads(threads)
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    network = make_network(settings)
    optimizer = Optimizer(network, config, matrix_blocks(settings.model), precision=dtype)
    compile_network(network, config)
    context = config.context_length or getattr(settings.model, "max_position_embeddings", 0)
    if not context:
        raise ConfigError("train.context_length (=0) has no default for this kind of network: set it")
    rows = config.batch_size // here.size
    if config.batch_size % here.size:
        raise ConfigError(
            f"train.batch_size (={config.batch_size}) is not a multiple of the number of processes (={here.size}): change one"
        )
    micro_rows = min(config.micro_batch_size or rows, rows)
    stream = BatchStream(stores["train"], _batches(config, context, config.batch_size, micro_rows))
    return Loop(
        network=network,
        optimizer=optimizer,
        batch_of=lambda step, micro: stream.batch(step, micro, here.rank, here.size),
        micro_batches=rows // micro_rows,
        validate=validation(stores["validation"], config, context),
        config=config,
        folder=run,
        meter=Meter(
            flops_per_token=flops_per_token,
            machine_flops=matrix_flops(dtype) if flops_per_token and here.is_first else 0.0,
            quiet=not here.is_first,
        ),
        world=here,
    )


def make_network(settings: Settings) -> Network:
    """The network with its initial fp32 weights, which depend on the seed alone."""
    torch.manual_seed(derive_seed(settings.train.seed, "weights"))
    network = Decoder(settings.model) if isinstance(settings.model, DecoderConfig) else Recurrent(settings.model)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return network.to(device)


def matrix_blocks(config: NetworkConfig) -> dict[str, list[int]]:
    """Rows of each part of the fused projections, which Muon treats as matrices of their own."""
    if not isinstance(config, DecoderConfig):
        return {}
    width, blocks = config.head_width, dict[str, list[int]]()
    for i in range(config.num_hidden_layers):
        blocks[f"layers.{i}.attention.qkv.weight"] = [config.num_attention_heads * width, *[config.key_value_heads * width] * 2]
        if config.gated_mlp:
            blocks[f"layers.{i}.mlp.up.weight"] = [config.mlp_width] * 2
    return blocks


def _batches(config: TrainConfig, context: int, rows: int, micro_rows: int) -> BatchConfig:
    return BatchConfig(
        batch_size=rows,
        micro_batch_size=micro_rows,
        context_length=context,
        packing=config.packing,
        too_long=config.too_long,
        seed=derive_seed(config.seed, "order"),
    )


def validation(store: TokenStore, config: TrainConfig, context: int) -> Callable[[Network], Mapping[str, float]]:
    """A quick look at validation text in training: rows side by side, every token scored once.

    Gives `validation_loss` (nats a token) and `validation_bits_per_byte`; `hanmo evaluate` measures with sliding windows.
    """
    rows = min(config.batch_size, 16)
    batches = dataclasses.replace(_batches(config, context, rows, rows), packing="concatenate", shuffle=False, repeat=False)
    stream = BatchStream(store, batches)
    steps = stream.steps_per_epoch
    if config.eval_tokens:
        steps = max(1, min(steps, config.eval_tokens // (rows * context)))

    def validate(network: Network) -> Mapping[str, float]:
        nats = weight = 0.0
        device = next(network.parameters()).device
        for step in range(steps):
            summed, counted = network.loss(*as_tensors(stream.batch(step), device))
            nats, weight = nats + float(summed), weight + float(counted)
        tokens_per_byte = store.num_tokens / max(1, store.num_bytes)
        return {"validation_loss": nats / weight, "validation_bits_per_byte": nats / weight / math.log(2) * tokens_per_byte}

    return validate


def _in_float32(loop: Loop) -> Network:
    """The network with the fp32 masters in place of its rounded weights."""
    network = loop.network.float()
    for parameter, master in zip(loop.optimizer.parameters, loop.optimizer.masters, strict=True):
        if parameter.shape != master.shape:
            raise TrainingError("a weight changed its shape in training")
        parameter.data = master
    return network


def loop_receipt(loop: Loop, settings: Settings, stores: Mapping[str, TokenStore]) -> dict[str, object]:
    """What became of every training token."""
    config = settings.train
    context = config.context_length or getattr(settings.model, "max_position_embeddings", 0)
    stream = BatchStream(stores["train"], _batches(config, context, config.batch_size, config.micro_batch_size or config.batch_size))
    return stream.receipt(loop.state.step)
