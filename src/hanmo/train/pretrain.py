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
from hanmo.batches.config import NetworkKind, network_kind
from hanmo.batches.marks import check_marks, marks_of, word_groups
from hanmo.batches.objectives import Objective, make_objective
from hanmo.batches.store import TokenStore
from hanmo.batches.stream import BatchConfig, BatchStream
from hanmo.model.config import DecoderConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.recurrent import Recurrent
from hanmo.model.store import save_model
from hanmo.tokenizer.load import Tokenizer
from hanmo.train.config import FREE_TO_CHANGE, TrainConfig
from hanmo.train.distributed import World, world
from hanmo.train.loop import Loop, Network, as_tensors, compile_network
from hanmo.train.optimizer import Optimizer
from hanmo.train.probe import matrix_flops
from hanmo.train.progress import Meter

NetworkConfig = DecoderConfig | RecurrentConfig | EncoderConfig | EncoderDecoderConfig
KINDS: Mapping[type[NetworkConfig], NetworkKind] = {
    DecoderConfig: "decoder",
    RecurrentConfig: "recurrent",
    EncoderConfig: "encoder",
    EncoderDecoderConfig: "encoder_decoder",
}


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
    objective = objective_of(settings, tokenizer)
    keep_freed_memory()
    started = time.perf_counter()
    with world() as here:
        if (finished := _finished(run)) is not None:
            return finished
        loop = _assemble(settings, stores, objective, run, here, flops_per_token)
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
            "packing": loop_receipt(loop, settings, stores, objective),
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


def objective_of(settings: Settings, tokenizer: Path) -> Objective | None:
    """What the network is asked to say, with the tokenizer's special tokens; None is the next token.

    Raises ConfigError when the network cannot learn it, or the tokenizer lacks what it needs.
    """
    config, kind = settings.train.objective, KINDS[type(settings.model)]
    network_kind(config, kind)
    if config.name == "next_token":
        return None
    if kind == "encoder_decoder" and settings.train.packing == "isolate":
        raise ConfigError(
            "train.packing (=isolate) puts several texts into a row, an encoder-decoder takes one pair a row: set fixed or concatenate"
        )
    words = Tokenizer.load(tokenizer)
    marks, context = marks_of(words), context_of(settings)
    check_marks(marks, config, context)
    start = settings.model.start_token_id if isinstance(settings.model, EncoderDecoderConfig) else marks.eot
    return make_objective(config, marks, word_groups(words), network=kind, start=start, context_length=context)


def context_of(settings: Settings) -> int:
    """Positions in a row.

    Raises ConfigError for a network without a default, and for more than an encoder has.
    """
    model, asked = settings.model, settings.train.context_length
    most = model.context_length if isinstance(model, EncoderConfig) else getattr(model, "max_position_embeddings", 0)
    if not asked and not most:
        raise ConfigError("train.context_length (=0) has no default for this kind of network: set it")
    if isinstance(model, EncoderConfig) and asked > most:
        raise ConfigError(f"train.context_length (={asked}) exceeds the {most} positions of the encoder: raise its max_position_embeddings")
    return asked or most


def _assemble(
    settings: Settings, stores: Mapping[str, TokenStore], objective: Objective | None, run: Run, here: World, flops_per_token: float
) -> Loop:
    config = settings.train
    threads = config.threads or max(1, available_cores() // here.size)
    torch.set_num_threads(threads)
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    network = make_network(settings)
    optimizer = Optimizer(network, config, matrix_blocks(settings.model), precision=dtype)
    compile_network(network, config)
    context = context_of(settings)
    rows = config.batch_size // here.size
    if config.batch_size % here.size:
        raise ConfigError(
            f"train.batch_size (={config.batch_size}) is not a multiple of the number of processes (={here.size}): change one"
        )
    micro_rows = min(config.micro_batch_size or rows, rows)
    stream = BatchStream(stores["train"], _batches(config, context, config.batch_size, micro_rows), objective)
    return Loop(
        network=network,
        optimizer=optimizer,
        batch_of=lambda step, micro: stream.batch(step, micro, here.rank, here.size),
        micro_batches=rows // micro_rows,
        validate=validation(stores["validation"], config, context, objective),
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
    network: Network
    match settings.model:
        case DecoderConfig():
            network = Decoder(settings.model)
        case RecurrentConfig():
            network = Recurrent(settings.model)
        case EncoderConfig():
            network = Encoder(settings.model)
        case EncoderDecoderConfig():
            network = EncoderDecoder(settings.model)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return network.to(device)


def matrix_blocks(config: NetworkConfig) -> dict[str, list[int]]:
    """Rows of each part of the fused projections, which Muon treats as matrices of their own."""
    if isinstance(config, EncoderDecoderConfig) and config.gated_mlp:
        halves = {"encoder": config.num_hidden_layers, "decoder": config.decoder_layers}
        return {f"{half}.layers.{i}.mlp.up.weight": [config.mlp_width] * 2 for half, layers in halves.items() for i in range(layers)}
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


def validation(
    store: TokenStore, config: TrainConfig, context: int, objective: Objective | None = None
) -> Callable[[Network], Mapping[str, float]]:
    """A quick look at validation text in training: rows packed as in training, every token scored once.

    Gives `validation_loss` (nats a token asked for) and, where that is every next token, `validation_bits_per_byte`;
    `hanmo evaluate` measures with sliding windows. What is hidden or cut out is the same in every look.
    """
    rows = min(config.batch_size, 16)
    batches = dataclasses.replace(_batches(config, context, rows, rows), too_long="split", shuffle=False, repeat=False)
    stream = BatchStream(store, batches, objective)
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
        if objective is not None:
            return {"validation_loss": nats / weight}
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


def loop_receipt(loop: Loop, settings: Settings, stores: Mapping[str, TokenStore], objective: Objective | None = None) -> dict[str, object]:
    """What became of every training token."""
    config = settings.train
    batches = _batches(config, context_of(settings), config.batch_size, config.micro_batch_size or config.batch_size)
    stream = BatchStream(stores["train"], batches, objective)
    return stream.receipt(loop.state.step)
