"""Tokens a second of one stream, of sixteen and of a prompt: our decoder beside llama.cpp and transformers, same weights, in turns.

    make peers-llama                                       # llama.cpp, compiled here, in an environment of its own
    .venv/bin/python benchmarks/decode_speed.py [--models smollm2 1b] [--precisions int4 int8 bfloat16] [--text FILE] --json

SmolLM2-135M-Instruct (hanmo fetch) and a random model of a billion parameters in Llama's shape. Every contestant is a process that
has loaded its model and waits; they work one at a time, task by task, on two threads, and draw greedily. llama.cpp reads what
`hanmo export` wrote (Q4_0 with a Q8_0 output as ours, Q8_0, F16), with flash attention, its weights repacked (its default), as many
sequences as there are rows.
transformers has bf16 and its own cache, eager. Beside each speed stand the bits per byte that these weights need for --text in
windows of 512 tokens, and the bytes of weights read a second beside what this memory can do.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

THREADS = 2
PEERS = Path(__file__).parents[1] / ".venv-llama" / "bin" / "python"
TEXT = Path(__file__).parents[2] / "shared" / "data" / "wikitext2" / "valid.txt"
GGUF = {"int4": "q4_0", "int8": "q8_0", "bfloat16": "f16"}
PROMPT, NEW, LONG, ROWS, WINDOW = 64, 48, 512, 16, 512


class Contestant(Protocol):
    """A loaded model. Ids are lists; every task gives what it measured."""

    def decode(self, prompts: Sequence[Sequence[int]], new: int) -> float:
        """Tokens a second of drawing `new` tokens in every row, the prompts read before."""
        ...

    def prefill(self, prompt: Sequence[int]) -> float:
        """Tokens a second of reading a prompt, up to its first drawn token."""
        ...

    def nats(self, windows: Sequence[Sequence[int]]) -> float:
        """Sum of negative log-likelihoods of all tokens but the first of each window."""
        ...


class _Ours:
    """`bits` of weights in the compiled kernels."""

    def __init__(self, folder: str, precision: str) -> None:
        import torch

        from hanmo.model.quantized import QuantizedDecoder
        from hanmo.model.store import load_model

        torch.set_num_threads(THREADS)
        self.torch = torch
        network = load_model(Path(folder), dtype="bfloat16" if precision == "bfloat16" else None)
        self.network = QuantizedDecoder(network, precision)  # pyright: ignore[reportArgumentType]

    def _cache(self, rows: int, slots: int) -> Any:
        return self.network.new_cache(rows, slots)

    def weights(self) -> int:
        """Bytes of weights that one step reads."""
        return self.network.bytes

    def decode(self, prompts: Sequence[Sequence[int]], new: int) -> float:
        with self.torch.inference_mode():
            cache = self._cache(len(prompts), len(prompts[0]) + new + 1)
            ids = self.network.last_logits(self.torch.tensor(prompts), cache).argmax(-1, keepdim=True)
            started = time.perf_counter()
            for _ in range(new):
                ids = self.network.last_logits(ids, cache).argmax(-1, keepdim=True)
            return len(prompts) * new / (time.perf_counter() - started)

    def prefill(self, prompt: Sequence[int]) -> float:
        with self.torch.inference_mode():
            started = time.perf_counter()
            self.network.last_logits(self.torch.tensor([prompt]), self._cache(1, len(prompt))).argmax(-1)
            return len(prompt) / (time.perf_counter() - started)

    def nats(self, windows: Sequence[Sequence[int]]) -> float:
        total = 0.0
        with self.torch.inference_mode():
            for ids in self.torch.tensor(windows):
                hidden = self.network.hidden(ids[None], cache=self._cache(1, len(ids)))
                logprobs = self.network.logits(hidden)[0, :-1].double().log_softmax(-1)
                total -= float(logprobs.gather(-1, ids[1:, None]).sum())
        return total


class _LlamaCpp:
    """llama.cpp through its C interface; `folder` is a GGUF file."""

    def __init__(self, folder: str, precision: str) -> None:
        import llama_cpp  # pyright: ignore[reportMissingImports]
        import numpy

        self.api, self.numpy = llama_cpp, numpy
        llama_cpp.llama_backend_init()
        silent = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(silent, None)
        self._keep = silent
        self.model = llama_cpp.llama_model_load_from_file(folder.encode(), llama_cpp.llama_model_default_params())
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx, settings.n_batch, settings.n_ubatch, settings.n_seq_max = 4096, 2048, 512, ROWS
        settings.n_threads = settings.n_threads_batch = THREADS
        settings.kv_unified = True
        self.context = llama_cpp.llama_init_from_model(self.model, settings)
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self.model))
        self.batch = llama_cpp.llama_batch_init(2048, 0, 1)

    def _read(self, rows: Sequence[tuple[int, int, int, bool]]) -> None:
        """(id, position, sequence, whether its logits are wanted), all in one call."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for place, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[place], batch.pos[place], batch.n_seq_id[place] = token, position, 1
            batch.seq_id[place][0], batch.logits[place] = sequence, wanted
        if self.api.llama_decode(self.context, batch):
            raise SystemExit("llama_decode failed")

    def _logits(self, place: int) -> Any:
        return self.numpy.ctypeslib.as_array(self.api.llama_get_logits_ith(self.context, place), (self.vocabulary,))

    def _forget(self) -> None:
        self.api.llama_memory_clear(self.api.llama_get_memory(self.context), True)

    def decode(self, prompts: Sequence[Sequence[int]], new: int) -> float:
        self._forget()
        length, ids = len(prompts[0]), []
        for row, prompt in enumerate(prompts):
            self._read([(token, at, row, at == length - 1) for at, token in enumerate(prompt)])
            ids.append(int(self._logits(length - 1).argmax()))
        started = time.perf_counter()
        for step in range(new):
            self._read([(token, length + step, row, True) for row, token in enumerate(ids)])
            ids = [int(self._logits(row).argmax()) for row in range(len(ids))]
        return len(prompts) * new / (time.perf_counter() - started)

    def prefill(self, prompt: Sequence[int]) -> float:
        self._forget()
        started = time.perf_counter()
        self._read([(token, at, 0, at == len(prompt) - 1) for at, token in enumerate(prompt)])
        self._logits(len(prompt) - 1).argmax()
        return len(prompt) / (time.perf_counter() - started)

    def nats(self, windows: Sequence[Sequence[int]]) -> float:
        total = 0.0
        for ids in windows:
            self._forget()
            self._read([(token, at, 0, True) for at, token in enumerate(ids)])
            for at, token in enumerate(ids[1:]):
                logits = self._logits(at).astype(self.numpy.float64)
                total += float(self.numpy.logaddexp.reduce(logits) - logits[token])
        return total


class _Transformers:
    """transformers' generate in bf16, eager."""

    def __init__(self, folder: str, precision: str) -> None:
        import torch
        import transformers

        torch.set_num_threads(THREADS)
        self.torch = torch
        self.network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()

    def _generate(self, prompts: Sequence[Sequence[int]], new: int) -> float:
        started = time.perf_counter()
        ids = self.torch.tensor(prompts)
        mask = self.torch.ones_like(ids)
        self.network.generate(ids, attention_mask=mask, max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0)
        return time.perf_counter() - started

    def decode(self, prompts: Sequence[Sequence[int]], new: int) -> float:
        one = self._generate(prompts, 1)
        return len(prompts) * new / (self._generate(prompts, new + 1) - one)

    def prefill(self, prompt: Sequence[int]) -> float:
        return len(prompt) / self._generate([prompt], 1)

    def nats(self, windows: Sequence[Sequence[int]]) -> float:
        total = 0.0
        with self.torch.inference_mode():
            for ids in self.torch.tensor(windows):
                logprobs = self.network(ids[None]).logits[0, :-1].double().log_softmax(-1)
                total -= float(logprobs.gather(-1, ids[1:, None]).sum())
        return total


KINDS = {"hanmo": _Ours, "llama.cpp": _LlamaCpp, "transformers": _Transformers}


def serve(name: str, model: str, precision: str) -> None:
    """Load, say so, then answer one task a line."""
    one = KINDS[name](model, precision)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        task, arguments = json.loads(line)
        print(json.dumps(getattr(one, task)(*arguments)), flush=True)


class Process:
    """A contestant in a process of its own."""

    def __init__(self, name: str, model: Path, precision: str) -> None:
        python = str(PEERS) if name == "llama.cpp" else sys.executable
        command = [python, __file__, "--contestant", name, "--model", str(model), "--precisions", precision]
        environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS)}
        started = time.perf_counter()
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        if json.loads(self._line()) != "ready":
            raise SystemExit(f"{name} did not start")
        self.ask("decode", [[1, 2, 3, 4]], 1)
        self.first_token = time.perf_counter() - started

    def _line(self) -> str:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit("a contestant ended early: its error stands above")
        return line

    def ask(self, task: str, *arguments: object) -> float:
        """What a task measured."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps([task, arguments]) + "\n")
        self._child.stdin.flush()
        return json.loads(self._line())

    def end(self) -> None:
        """Let the process go."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()


def memory_rate() -> float:
    """Bytes a second that both cores read, the best of several sums over 400 MB."""
    import torch

    torch.set_num_threads(THREADS)
    numbers = torch.ones(100_000_000)
    best = 0.0
    for _ in range(6):
        started = time.perf_counter()
        numbers.sum()
        best = max(best, numbers.numel() * 4 / (time.perf_counter() - started))
    return best


def billion(folder: Path, tokenizer_of: Path) -> Path:
    """A random model of Llama's shape with a billion parameters and the tokenizer of another."""
    import shutil

    import torch

    from hanmo.model.config import DecoderConfig
    from hanmo.model.decoder import Decoder
    from hanmo.model.store import save_model

    torch.manual_seed(0)
    config = DecoderConfig(
        vocab_size=49152, hidden_size=2048, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8,
        intermediate_size=8192, max_position_embeddings=4096, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    save_model(Decoder(config).bfloat16(), folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (tokenizer_of / name).exists():
            shutil.copy(tokenizer_of / name, folder / name)
    return folder


def windows_of(text: Path, folder: Path, count: int) -> tuple[list[list[int]], int]:
    """The first windows of a text, and the bytes that their tokens but the first of each stand for."""
    from hanmo.tokenizer.load import Tokenizer

    tokenizer = Tokenizer.load(folder)
    ids = [int(each) for each in tokenizer.encode(text.read_text("utf-8")[: count * WINDOW * 8])]
    windows = [ids[start : start + WINDOW] for start in range(0, count * WINDOW, WINDOW)]
    return windows, sum(len(tokenizer.decode(window[1:]).encode()) for window in windows)


def contest(folder: Path, gguf: Path, precision: str, rounds: int, text: Path | None) -> dict[str, Any]:
    """All contestants in turns on one model in one precision."""
    places = {"hanmo": folder, "llama.cpp": gguf, "transformers": folder}
    names = [name for name in places if name != "llama.cpp" or PEERS.exists()]
    running = {name: Process(name, places[name], precision) for name in names}
    found: dict[str, dict[str, list[float]]] = {name: {"batch1": [], "batch16": [], "prefill": []} for name in names}
    for turn in range(rounds):
        prompts = [[(7 * row + 13 * at + 31 * turn) % 40000 + 100 for at in range(LONG)] for row in range(ROWS)]
        starts = [prompt[:PROMPT] for prompt in prompts]
        tasks = {"batch1": ("decode", starts[:1], NEW), "batch16": ("decode", starts, NEW), "prefill": ("prefill", prompts[0])}
        for task, asked in tasks.items():  # one right after another, in changing order: the memory's speed changes within minutes
            for name in names if turn % 2 else reversed(names):
                if task != "batch16" or name != "transformers":
                    found[name][task].append(running[name].ask(*asked))
    result: dict[str, Any] = {"precision": precision, "first_token_seconds": {name: one.first_token for name, one in running.items()}}
    if text is not None:
        windows, size = windows_of(text, folder, 8)
        result["bits_per_byte"] = {name: one.ask("nats", windows) / size * 1.442695041 for name, one in running.items()}
    result["bytes_of_weights"] = running["hanmo"].ask("weights")
    for one in running.values():
        one.end()
    result["tokens_per_second"] = {
        name: {task: statistics.median(each) for task, each in tasks.items() if each} for name, tasks in found.items()
    }
    for task in ("batch1", "batch16", "prefill"):
        for peer in names[1:]:
            ratios = [ours / theirs for ours, theirs in zip(found["hanmo"][task], found[peer][task], strict=False)]
            if ratios:
                label = f"{task}_vs_{peer.replace('.', '')}"
                result[label], result[f"{label}_spread"] = statistics.median(ratios), [min(ratios), max(ratios)]
    return result


def show(name: str, result: dict[str, Any], rate: float) -> None:
    """A block of the table."""
    print(f"\n{name}, {result['precision']}")
    for who, speeds in result["tokens_per_second"].items():
        cells = "".join(f"{task} {speed:8.1f}   " for task, speed in speeds.items())
        bits = result.get("bits_per_byte", {}).get(who)
        quality = "" if bits is None else f"{bits:.4f} bits/byte   "
        print(f"  {who:13} {cells}{quality}first token {result['first_token_seconds'][who]:.1f} s")
    ratios = {key: value for key, value in result.items() if "_vs_" in key and not key.endswith("spread")}
    print("  " + ", ".join(f"{key} {value:.2f}" for key, value in ratios.items()))
    read = result["bytes_of_weights"] * result["tokens_per_second"]["hanmo"]["batch1"]
    print(f"  one stream reads {read / 1e9:.1f} GB/s of weights; a plain sum reads {rate / 1e9:.1f} GB/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["smollm2", "1b"], choices=["smollm2", "1b"])
    parser.add_argument("--precisions", nargs="+", default=["int4", "int8", "bfloat16"], choices=list(GGUF))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--text", type=Path, default=TEXT)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--contestant", choices=list(KINDS), help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.contestant:
        return serve(options.contestant, options.model, options.precisions[0])
    compare(options)


def compare(options: argparse.Namespace) -> None:
    """Make the files, run the contests, print."""
    from hanmo.base.runtime import machine, versions
    from hanmo.convert.gguf import export_gguf
    from hanmo.convert.sources import local_model

    smollm2 = local_model("smollm2-135m-instruct")
    rate, rows = memory_rate(), []
    if not PEERS.exists():
        print("llama.cpp is not here: make peers-llama")
    with tempfile.TemporaryDirectory() as place:
        for name in options.models:
            folder = smollm2 if name == "smollm2" else billion(Path(place) / name, smollm2)
            for precision in options.precisions:
                gguf = Path(place) / f"{name}-{precision}.gguf"
                export_gguf(folder, gguf, GGUF[precision])  # pyright: ignore[reportArgumentType]
                text = options.text if name == "smollm2" and options.text.exists() else None
                result = contest(folder, gguf, precision, options.rounds, text)
                rows.append({"name": f"{name} {precision}", **result})
                show(name, result, rate)
                gguf.unlink()
    if options.json:
        print(json.dumps({"models": rows, "memory_bytes_per_second": rate, "machine": machine(), "versions": versions()}))


if __name__ == "__main__":
    main()
