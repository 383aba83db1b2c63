"""Laws that join rooms, and holes in the net that breaking the code on purpose has shown.

Where the laws of the house are tested:
    decode(encode(text)) = text             tokenizer/test_load, and cli/test_tokenizer from the command line
    packing conserves tokens, isolation     batches/test_pack, batches/test_stream, model/test_decoder, train/test_pretrain
    cache = none, batched = alone           model/test_cache, generate/test_reader, generate/test_engine
    streamed = whole, seeds                 generate/test_engine, generate/test_loaded, tokenizer/test_load
    k micro-batches = one batch             train/test_loop, train/test_optimizer, batches/test_stream
    killed and resumed = never interrupted  cli/test_pretrain, cli/test_run, train/test_loop, data/test_prepare, batches/test_store
    our logits = transformers' logits       model/test_store, model/test_decoder, model/families, train/test_pretrain
    one worker = many, any order            data/test_prepare
    planned = real                          plan/test_parameters, plan/test_memory, cli/test_plan
    two processes = one                     train/test_distributed; the whole verb here
"""

import dataclasses
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hanmo.base.errors import ConfigError
from hanmo.base.records import Batch
from hanmo.base.runs import Run
from hanmo.batches.store import TokenStore
from hanmo.cli.main import run
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.scoring import language_model
from hanmo.model.store import load_model
from hanmo.train.config import TrainConfig
from hanmo.train.loop import Loop
from hanmo.train.losses import TokenLoss
from hanmo.train.networks import Network, make_network
from hanmo.train.optimizer import Optimizer
from hanmo.train.progress import Meter
from hanmo.train.schedule import decay
from hanmo.train.updates import orthogonalize

CONFIG = TrainConfig(
    max_steps=4, warmup_steps=0, batch_size=4, optimizer="muon", precision="fp32", eval_every=2, max_grad_norm=0.0, weight_decay=0.0
)
SHAPE = DecoderConfig(vocab_size=17, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=8)


def batch_of(step: int, micro: int) -> Batch:
    ids = np.random.default_rng([step, micro]).integers(0, 17, (4, 9))
    return Batch(ids=ids[:, :-1], targets=ids[:, 1:], weights=np.ones((4, 8), np.float32))


def loop(folder: Path, config: TrainConfig = CONFIG, **changes: float) -> Loop:
    """A training run over random ids, whose validation loss is that of one fixed batch."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = Decoder(dataclasses.replace(SHAPE, **changes))
    fixed = batch_of(99, 0)

    def validate(network: Network) -> Mapping[str, float]:
        nats, weight = network.loss(*(torch.from_numpy(each) for each in (fixed.ids, fixed.targets, fixed.weights)))
        return {"validation_loss": float(nats / weight)}

    return Loop(
        network=network,
        optimizer=Optimizer(network, config),
        batch_of=batch_of,
        loss=TokenLoss(config.label_smoothing),
        micro_batches=1,
        validate=validate,
        config=config,
        folder=Run(folder).create(),
        meter=Meter(flops_per_token=0.0, machine_flops=0.0, quiet=True),
    )


def test_validation_in_training_is_without_dropout(tmp_path: Path) -> None:
    made = loop(tmp_path, hidden_dropout=0.5)
    made.run()
    made.network.eval()
    with torch.no_grad():
        assert made.validate(made.network)["validation_loss"] == pytest.approx(made.state.best_loss, abs=1e-5)


def test_a_network_is_scored_without_dropout_and_left_in_its_mode() -> None:
    torch.manual_seed(0)
    network = Decoder(dataclasses.replace(SHAPE, hidden_dropout=0.5)).train()
    ids = [batch_of(0, 0).ids[0]]
    first, second = (language_model(network).score(ids)[0] for _ in range(2))
    assert np.array_equal(first, second)
    assert network.training


def test_training_on_isolated_documents_sees_each_alone(tmp_path: Path) -> None:
    """The loss of the first step is that of the pieces of its rows, each read by itself."""
    segments = np.array([[0, 0, 0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 2, 2, 2], [0] * 8, [0] * 7 + [1]], np.int32)
    made = loop(tmp_path, dataclasses.replace(CONFIG, max_steps=1, log_every=1))
    batch = dataclasses.replace(batch_of(0, 0), segments=segments)
    made.batch_of = lambda step, micro: batch
    nats = 0.0
    with torch.no_grad():
        for row, marks in enumerate(segments):
            for mark in np.unique(marks):
                piece = [torch.from_numpy(each[row, marks == mark])[None] for each in (batch.ids, batch.targets, batch.weights)]
                nats += float(made.network.loss(*piece)[0])
    made.run()
    assert made.folder.read_metrics()[0]["loss"] == pytest.approx(nats / 32, rel=1e-5)


def test_the_seed_decides_the_initial_weights() -> None:
    one, again, other = (make_network(SHAPE, seed).state_dict()["embed_tokens.weight"] for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)


class Tall(torch.nn.Module):
    """One matrix inside a layer, with more rows than columns, and a vector."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([torch.nn.Linear(3, 12)])
        torch.nn.init.normal_(self.layers[0].weight, generator=torch.Generator().manual_seed(1))


def test_muon_looks_ahead_scales_tall_matrices_and_follows_the_schedule() -> None:
    """Two steps: only the second tells momentum from its look ahead (Nesterov)."""
    network = Tall()
    optimizer = Optimizer(network, CONFIG)
    generator = torch.Generator().manual_seed(2)
    weight, velocity = network.layers[0].weight.detach().clone(), torch.zeros(12, 3)
    for factor in (1.0, 0.25):
        gradient = torch.randn(12, 3, generator=generator)
        network.layers[0].weight.grad = gradient.clone()
        optimizer.collect()
        optimizer.clip()
        optimizer.step(factor)
        velocity = CONFIG.momentum * velocity + gradient
        moved = orthogonalize((gradient + CONFIG.momentum * velocity)[None])[0]
        weight -= factor * CONFIG.muon_learning_rate * (12 / 3) ** 0.5 * moved
        torch.testing.assert_close(optimizer.masters[0], weight, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name, halfway", [("linear", 0.55), ("cosine", 0.55), ("wsd", 0.55)])
def test_a_schedule_is_lifted_to_its_floor_as_a_whole(name: str, halfway: float) -> None:
    share = 0.75 if name == "wsd" else 0.5
    assert decay(name, share, decay_share=0.5, floor=0.1) == pytest.approx(halfway)


TEXTS = [f"{n} lamps were lit on bridge {m} before the rain; 第{n}盏灯照着{m}号桥。" for n in range(9) for m in range(6)]
SMALL = [
    "--model.hidden-size=32",
    "--model.num-hidden-layers=1",
    "--model.num-attention-heads=2",
    "--model.max-position-embeddings=32",
    "--train.batch-size=4",
    "--train.warmup-steps=1",
    "--train.eval-every=4",
    "--train.precision=fp32",
    "--train.threads=1",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set and a tokenizer."""
    folder = tmp_path_factory.mktemp("laws")
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), "utf-8")
    assert run(["prepare", str(folder / "texts.jsonl"), "--out", str(folder / "data"), "--split.validation", "0.1"]) == 0
    assert run(["tokenizer", "train", str(folder / "data"), "--vocab-size", "300", "--out", str(folder / "tokenizer")]) == 0
    return folder


def pretrain(house: Path, out: Path, processes: int, *more: str) -> dict[str, torch.Tensor]:
    """The weights that the verb trains, as README tells to start it on several processes."""
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"] if processes > 1 else []
    words = ["pretrain", "--data", str(house / "data"), "--tokenizer", str(house / "tokenizer"), "--out", str(out), *SMALL, *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(
        [sys.executable, "-m", *torchrun, "hanmo.cli.main", *words],
        capture_output=True,
        text=True,
        env=environment,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return load_file(out / "model" / "model.safetensors")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("packing", ["concatenate", "isolate"])
def test_the_verb_on_two_processes_trains_what_it_trains_on_one(house: Path, tmp_path: Path, packing: str) -> None:
    more = ("--train.max-steps=6", f"--train.packing={packing}", "--train.micro-batch-size=1")
    alone, together = (pretrain(house, tmp_path / str(processes), processes, *more) for processes in (1, 2))
    for name, weight in alone.items():
        torch.testing.assert_close(together[name], weight, atol=2e-5, rtol=1e-4)
    manifests = [json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("1", "2")]
    assert [each["processes"] for each in manifests] == [1, 2]
    assert manifests[0]["tokens"] == manifests[1]["tokens"] and manifests[0]["packing"] == manifests[1]["packing"]


def trained(house: Path, out: Path, *more: str) -> Path:
    """A run folder made by the verb in this process."""
    words = ["pretrain", "--data", str(house / "data"), "--tokenizer", str(house / "tokenizer"), "--out", str(out), *SMALL]
    assert run([*words, "--train.max-steps=8", "--train.eval-tokens=0", *more]) == 0
    return out


def test_the_model_that_is_kept_has_the_best_weights_in_full_precision(house: Path, tmp_path: Path) -> None:
    out = trained(house, tmp_path, "--train.precision=bf16")
    (best,) = out.glob("checkpoints/best-*")
    masters, kept = load_file(best / "tensors.safetensors"), load_model(out / "model", dtype=None).state_dict()
    assert masters.keys() == kept.keys()
    assert all(torch.equal(masters[name], kept[name]) for name in masters)
    assert any(not torch.equal(weight, weight.bfloat16().float()) for weight in kept.values())


def test_validation_loss_is_that_of_the_validation_documents(house: Path, tmp_path: Path) -> None:
    """By hand: the tokens in a circle, cut into rows, each predicting its follower."""
    out = trained(house, tmp_path)
    row = [row for row in Run(out).read_metrics() if "validation_loss" in row][-1]
    store, network = TokenStore.open(out / "tokens" / "validation"), load_model(out / "model")
    assert row["step"] == Run(out).read_manifest()["best_step"]
    ids = torch.from_numpy(store.ids.astype(np.int64))
    nats = 0.0
    with torch.no_grad():
        for inputs, targets in zip(ids.split(32), ids.roll(-1).split(32), strict=True):
            nats -= float(network(inputs[None]).log_softmax(-1)[0].gather(1, targets[:, None]).sum())
    assert row["validation_loss"] == pytest.approx(nats / store.num_tokens, rel=1e-4)
    assert row["validation_bits_per_byte"] == pytest.approx(nats / math.log(2) / store.num_bytes, rel=1e-4)


CLOCKS = """
import sys, time
sys.path.insert(0, sys.argv[1])
import test_laws, torch
from dataclasses import replace
from pathlib import Path
from safetensors.torch import save_file
from hanmo.base.runtime import StopRequest
from hanmo.train.distributed import world

real, speed = time.perf_counter, {0: 1.0, 1: 1000.0}
with world() as here:
    config = replace(test_laws.CONFIG, max_steps=0, max_minutes=10.0, schedule="linear", eval_every=0, checkpoint_every=0)
    made = test_laws.loop(Path(sys.argv[2]) / "run", config)
    made.world = here
    time.perf_counter = lambda: speed[here.rank] * real()
    for _ in range(4):
        made.advance(StopRequest())
    save_file(made.weights(), f"{sys.argv[2]}/{here.rank}.safetensors")
"""


@pytest.mark.timeout(300)
def test_processes_whose_clocks_differ_keep_the_same_weights(tmp_path: Path) -> None:
    (tmp_path / "clocks.py").write_text(CLOCKS)
    words = [
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        str(tmp_path / "clocks.py"),
        str(Path(__file__).parent),
        str(tmp_path),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True, env=environment, timeout=200)
    first, second = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "values",
    [
        {"threads": -1},
        {"beta1": 1.5},
        {"beta2": 1.0},
        {"epsilon": -1.0},
        {"momentum": 2.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"muon_learning_rate": -0.1},
        {"min_learning_rate_ratio": 5.0},
        {"max_grad_norm": -1.0},
        {"spike_factor": -1.0},
        {"eval_every": -1},
        {"eval_tokens": -1},
        {"checkpoint_every": -1},
        {"patience": -1},
    ],
    ids=str,
)
def test_training_values_that_cannot_be_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=rf"train.{next(iter(values))} "):
        TrainConfig(**values)  # pyright: ignore[reportArgumentType]


def test_patience_without_evaluations_ends_no_run() -> None:
    with pytest.raises(ConfigError, match="nothing ends this run"):
        TrainConfig(patience=2, eval_every=0).check_limits()
