"""Ten seconds of this machine: its matrix-product rate, and the real training step of a given network."""

import time
from dataclasses import dataclass

import torch

from hanmo.base.runtime import keep_freed_memory, peak_memory_bytes
from hanmo.batches.config import asked_share
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.train.config import TrainConfig
from hanmo.train.losses import TensorBatch
from hanmo.train.networks import Network, compile_network
from hanmo.train.optimizer import Blocks, Optimizer


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a short run of the real training step has shown."""

    steps: int
    """Steps timed, after the first, which also warms up."""
    seconds_per_step: float
    """Mean over the timed steps: a run pays for slow moments too."""
    seconds_of_first_step: float
    """The first step, with everything that is done once."""
    tokens_per_second: float
    """Tokens of one step over its mean time."""
    evaluation_tokens_per_second: float
    """Tokens scored a second without gradients."""
    peak_memory_bytes: int
    """Largest resident memory of this process so far."""


def matrix_flops(dtype: torch.dtype, *, size: int = 1024, seconds: float = 0.3) -> float:
    """FLOP/s of a square matrix product on this machine with the current threads: the best of repeated measurements."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(size, size, generator=generator).to(device, dtype) for _ in range(2))
    _ = left @ right
    best, deadline = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < deadline:
        started = time.perf_counter()
        product = left @ right
        float(product[0, 0])
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def probe(network: Network, config: TrainConfig, *, context_length: int, blocks: Blocks, seconds: float = 10.0) -> Probe:
    """Time the real step (forward, backward, clip, update) on random ids of the real shape for about `seconds`."""
    keep_freed_memory()
    precision = torch.bfloat16 if config.precision == "bf16" else torch.float32
    optimizer = Optimizer(network, config, blocks, precision)
    compile_network(network, config)
    rows = config.micro_batch_size or config.batch_size
    micro_batches = config.batch_size // rows
    generator = torch.Generator().manual_seed(config.seed)
    given = _random_rows(network, config, rows, context_length, generator)
    times: list[float] = []
    deadline = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < deadline:
        started = time.perf_counter()
        for _ in range(micro_batches):
            nats, weight = given.loss(network, config.label_smoothing)
            (nats / (weight * micro_batches)).backward()
            optimizer.collect()
        optimizer.clip()
        optimizer.step(1e-3)
        times.append(time.perf_counter() - started)
    started = time.perf_counter()
    with torch.no_grad():
        network.eval()
        float(given.loss(network)[0])
    evaluated = time.perf_counter() - started
    rest = times[1:]
    mean = sum(rest) / len(rest)
    tokens = config.batch_size * context_length
    return Probe(
        steps=len(rest),
        seconds_per_step=mean,
        seconds_of_first_step=times[0],
        tokens_per_second=tokens / mean,
        evaluation_tokens_per_second=rows * context_length / evaluated,
        peak_memory_bytes=peak_memory_bytes(),
    )


def _random_rows(network: Network, config: TrainConfig, rows: int, context_length: int, generator: torch.Generator) -> TensorBatch:
    """Ids drawn at random, of the shape that the objective makes of full rows: an encoder is asked for some of its tokens, an
    encoder-decoder reads a whole row and writes as many tokens as it is asked for."""
    share, size = asked_share(config.objective), network.config.vocab_size
    length = max(1, round(share * context_length)) if isinstance(network, EncoderDecoder) else context_length
    ids = torch.randint(size, (rows, length + 1), generator=generator)
    weights = torch.ones(rows, length)
    if isinstance(network, Encoder):
        weights[:, max(1, round(share * context_length)) :] = 0
    if not isinstance(network, EncoderDecoder):
        return TensorBatch(ids[:, :-1], ids[:, 1:], weights)
    source = torch.randint(size, (rows, context_length), generator=generator)
    seen = torch.ones_like(source, dtype=torch.bool)
    return TensorBatch(ids[:, :-1], ids[:, 1:], weights, source=source, source_seen=seen)
