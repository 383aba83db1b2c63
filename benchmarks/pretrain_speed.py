"""Tokens a second of one training step, ours beside transformers and litgpt: same shapes, same batch, bf16, in turns.

    make peers                                          # litgpt, in an environment of its own: it pins older libraries
    .venv/bin/python benchmarks/pretrain_speed.py --json

A step is forward, backward, gradient norm clipped to 1, and AdamW. Every contestant sits in a process of its own and is
called in turn, so that the machine's moods fall on all alike; `ratio` is the median over rounds of a peer's seconds by ours
in the same round, against the peer's best setting (eager or compiled, either attention), which is found first. Peers hold
weights and moments in bf16, their fastest setting; we hold fp32 masters and moments as in `hanmo pretrain`. `share_of_peak`
is our model FLOP/s (causal attention counted once) over the machine's own bf16 matrix-product rate, measured in the same rounds.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from hanmo.base.runtime import keep_freed_memory, machine, versions
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.plan.compute import train_flops_per_token
from hanmo.train.config import TrainConfig
from hanmo.train.optimizer import Optimizer
from hanmo.train.probe import matrix_flops

RATE, BETAS = 3e-4, (0.9, 0.95)
LITGPT = Path(__file__).parents[1] / ".venv-litgpt" / "bin" / "python"
PYTHONS = {"litgpt": str(LITGPT)}


@dataclass(frozen=True)
class Shape:
    """One network and its batch; `modern` is rotary, RMSNorm, SwiGLU and normalised queries and keys, otherwise GPT-2."""

    name: str
    layers: int
    hidden: int
    heads: int
    context: int
    rows: int
    vocabulary: int
    modern: bool = False

    @property
    def config(self) -> DecoderConfig:
        """The same shape in our words."""
        common = {
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "max_position_embeddings": self.context,
        }
        if self.modern:
            return DecoderConfig(**common, qk_norm=True)
        return DecoderConfig(
            **common,
            position_embedding="learned",
            norm="layer_norm",
            norm_eps=1e-5,
            hidden_act="gelu_pytorch_tanh",
            gated_mlp=False,
            attention_bias=True,
            mlp_bias=True,
        )


SHAPES = (
    Shape("gpt2-6x384-v65", 6, 384, 6, 256, 16, 65),
    Shape("gpt2-6x384-v8192", 6, 384, 6, 256, 16, 8192),
    Shape("qwen3-6x384-v65", 6, 384, 6, 256, 16, 65, modern=True),
    Shape("qwen3-6x384-v8192", 6, 384, 6, 256, 16, 8192, modern=True),
    Shape("gpt2-12x768-v50257", 12, 768, 12, 512, 2, 50257),
)
SETTINGS = {
    "transformers": ("eager attention", "eager attention, compiled", "sdpa", "sdpa, compiled"),
    "litgpt": ("eager", "compiled"),
}

Step = Callable[[Tensor, Tensor], None]


def hanmo_step(shape: Shape, _: str) -> Step:
    """Our step, as the training loop does it."""
    keep_freed_memory()
    network = Decoder(shape.config)
    settings = TrainConfig(optimizer="adamw", learning_rate=RATE, weight_decay=0.01, max_grad_norm=1.0)
    optimizer = Optimizer(network, settings, precision=torch.bfloat16)
    weights = torch.ones(shape.rows, shape.context)

    def step(ids: Tensor, targets: Tensor) -> None:
        nats, weight = network.loss(ids, targets, weights)
        (nats / weight).backward()
        float(nats.detach())
        optimizer.collect()
        optimizer.clip()
        optimizer.step(1.0)

    return step


def transformers_step(shape: Shape, setting: str) -> Step:
    """transformers' GPT2LMHeadModel or Qwen3ForCausalLM, with the loss that it computes itself."""
    from transformers import GPT2Config, GPT2LMHeadModel, Qwen3Config, Qwen3ForCausalLM

    attention = "eager" if setting.startswith("eager") else "sdpa"
    common = {"vocab_size": shape.vocabulary, "use_cache": False, "attn_implementation": attention, "bos_token_id": 0, "eos_token_id": 0}
    if shape.modern:
        config = Qwen3Config(
            **common,
            hidden_size=shape.hidden,
            intermediate_size=shape.config.mlp_width,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.heads,
            head_dim=shape.config.head_width,
            max_position_embeddings=shape.context,
            tie_word_embeddings=True,
        )
        network: nn.Module = Qwen3ForCausalLM(config)
    else:
        sizes = {"n_positions": shape.context, "n_embd": shape.hidden, "n_layer": shape.layers, "n_head": shape.heads}
        network = GPT2LMHeadModel(GPT2Config(**common, **sizes, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0))
    return _plain_step(network, lambda model, ids, _: model(input_ids=ids, labels=ids).loss, "compiled" in setting)


def litgpt_step(shape: Shape, setting: str) -> Step:
    """litgpt's GPT and its cross-entropy; its positions are always rotary (a quarter of each head, as in Pythia)."""
    from litgpt import GPT, Config
    from litgpt.utils import chunked_cross_entropy

    modern = shape.modern
    config = Config(
        name="benchmark",
        block_size=shape.context,
        vocab_size=shape.vocabulary,
        padded_vocab_size=shape.vocabulary,
        n_layer=shape.layers,
        n_head=shape.heads,
        n_embd=shape.hidden,
        rotary_percentage=1.0 if modern else 0.25,
        parallel_residual=False,
        bias=not modern,
        norm_class_name="RMSNorm" if modern else "LayerNorm",
        mlp_class_name="LLaMAMLP" if modern else "GptNeoxMLP",
        intermediate_size=shape.config.mlp_width,
        norm_qk=modern,
    )
    network = GPT(config)
    network.lm_head.weight = network.transformer.wte.weight

    def loss(model: nn.Module, ids: Tensor, targets: Tensor) -> Tensor:
        return chunked_cross_entropy(model(ids), targets, chunk_size=0)

    return _plain_step(network, loss, setting == "compiled")


def _plain_step(network: nn.Module, loss: Callable[[nn.Module, Tensor, Tensor], Tensor], is_compiled: bool) -> Step:
    network = network.to(torch.bfloat16).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, betas=BETAS, weight_decay=0.01, fused=True)
    model = torch.compile(network) if is_compiled else network

    def step(ids: Tensor, targets: Tensor) -> None:
        nats = loss(model, ids, targets)
        nats.backward()
        float(nats.detach())
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


MAKERS = {"hanmo": hanmo_step, "transformers": transformers_step, "litgpt": litgpt_step}


def work(shape: Shape, name: str, setting: str) -> None:
    """A contestant's process: build, warm up, then one timed step for each line read."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not stand among the answers
    torch.manual_seed(0)
    ids = torch.randint(shape.vocabulary, (shape.rows, shape.context + 1))
    ids, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
    step = MAKERS[name](shape, setting)
    for _ in range(3):
        step(ids, targets)
    print(json.dumps({library: importlib.metadata.version(library) for library in {"torch", name}}), file=answers)
    for _ in sys.stdin:
        started = time.perf_counter()
        step(ids, targets)
        print(time.perf_counter() - started, file=answers)


class Contestant:
    """One name and setting in a process of its own, with the environment that has the library."""

    def __init__(self, shape: Shape, name: str, setting: str = "") -> None:
        self.name, self.setting, self.seconds = name, setting, list[float]()
        command = [PYTHONS.get(name, sys.executable), __file__, "--contestant", shape.name, name, setting]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.versions: dict[str, str] = json.loads(self._answer())

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.name} ({self.setting}) ended with code {self.process.wait()}")
        return line

    def step(self) -> None:
        """One timed step."""
        assert self.process.stdin is not None
        self.process.stdin.write("step\n")
        self.seconds.append(float(self._answer()))

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def best_setting(shape: Shape, name: str, steps: int = 4) -> Contestant:
    """The fastest of a peer's settings, by the median of a few steps; the others' processes are ended."""
    best: Contestant | None = None
    for setting in SETTINGS[name]:
        contestant = Contestant(shape, name, setting)
        for _ in range(steps):
            contestant.step()
        say(f"  {name}, {setting}: {shape.rows * shape.context / statistics.median(contestant.seconds):.0f} tokens/s")
        slower = contestant if best and statistics.median(best.seconds) <= statistics.median(contestant.seconds) else best
        best = best if slower is contestant else contestant
        if slower is not None:
            slower.close()
    assert best is not None
    return best


def compare(shape: Shape, peers: Sequence[str], rounds: int) -> dict[str, object]:
    """One shape: all contestants in turn, `rounds` times."""
    say(shape.name)
    contestants = [Contestant(shape, "hanmo"), *(best_setting(shape, name) for name in peers)]
    peak: list[float] = []
    for contestant in contestants:
        contestant.seconds.clear()
    for _ in range(rounds):
        for contestant in contestants:
            contestant.step()
        peak.append(matrix_flops(torch.bfloat16, seconds=0.2))
    for contestant in contestants:
        contestant.close()
    ours, tokens = contestants[0], shape.rows * shape.context
    ratios = {c.name: [theirs / mine for mine, theirs in zip(ours.seconds, c.seconds, strict=True)] for c in contestants[1:]}
    closest = min(ratios.values(), key=statistics.median)
    flops = train_flops_per_token(shape.config, shape.context) * tokens
    shares = [flops / seconds / rate for seconds, rate in zip(ours.seconds, peak, strict=True)]
    return {
        "name": shape.name,
        "ratio": statistics.median(closest),
        "spread": quartiles(closest),
        "tokens_per_second": tokens / statistics.median(ours.seconds),
        "peers": {
            c.name: {
                "setting": c.setting,
                "versions": c.versions,
                "tokens_per_second": tokens / statistics.median(c.seconds),
                "ratio": statistics.median(ratios[c.name]),
                "spread": quartiles(ratios[c.name]),
            }
            for c in contestants[1:]
        },
        "share_of_peak": statistics.median(shares),
        "peak_flops": statistics.median(peak),
    }


def quartiles(values: Sequence[float]) -> list[float]:
    """First and third quartile."""
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return [first, third]


def say(text: str) -> None:
    """A line of progress on standard error."""
    print(text, file=sys.stderr, flush=True)


def show(result: Mapping[str, object]) -> None:
    """One block of the table."""
    low, high = result["spread"]
    print(
        f"{result['name']:20} hanmo {result['tokens_per_second']:6.0f} tokens/s, {result['share_of_peak']:.0%} of the matrix-product rate"
    )
    print(f"{'':20} {result['ratio']:.2f} x the better peer (quartiles {low:.2f} ... {high:.2f})")
    for name, peer in result["peers"].items():
        print(f"{'':20} {name} {peer['tokens_per_second']:6.0f} tokens/s ({peer['setting']}), ratio {peer['ratio']:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.add_argument("--rounds", type=int, default=15, help="timed steps of each contestant")
    parser.add_argument("--shapes", nargs="*", default=[shape.name for shape in SHAPES], help="which shapes")
    parser.add_argument("--contestant", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        named, name, setting = arguments.contestant
        work(next(shape for shape in SHAPES if shape.name == named), name, setting)
        return
    if not LITGPT.exists():
        sys.exit("litgpt is not installed: make peers")
    peers = list(SETTINGS)
    results = [compare(shape, peers, arguments.rounds) for shape in SHAPES if shape.name in arguments.shapes]
    for result in results:
        show(result)
    if arguments.json:
        print(json.dumps({"shapes": results, "machine": machine(), "versions": versions()}))


if __name__ == "__main__":
    main()
