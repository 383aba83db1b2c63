"""The lowest validation loss that some minutes on this machine can buy, on the characters of tiny Shakespeare.

    python benchmarks/shakespeare_speedrun.py --minutes 20 --seeds 3 [--data FILE] [--json]

nanoGPT's 90/10 split of input.txt; its published figure is 1.4697 nats a character. The clock runs from the first line of
text read to the last weight written; nothing is chosen by looking at the validation part. `loss` cuts the whole validation
part into rows of one context, as nanoGPT does; `loss_sliding` slides the context over it by an eighth, so that no character
is guessed from little.
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch

from hanmo.base.config import build, read_toml
from hanmo.base.progress import say
from hanmo.base.records import Document
from hanmo.base.runs import Run
from hanmo.base.runtime import machine, versions
from hanmo.batches.store import TokenStore
from hanmo.model.config import DecoderConfig
from hanmo.model.scoring import NetworkScorer
from hanmo.model.store import load_model
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer
from hanmo.train.config import TrainConfig
from hanmo.train.pretrain import Settings, pretrain

TARGET = 1.4697
SETTINGS = Path(__file__).with_suffix(".toml")
DATA = Path(__file__).parents[2] / "shared" / "data" / "tinyshakespeare" / "input.txt"


def train(text: str, settings: Settings, folder: Path) -> tuple[float, Run, Tokenizer]:
    """Minutes from text to weights, the run, and its tokenizer."""
    started = time.perf_counter()
    tokenizer = train_tokenizer([text], TokenizerConfig(kind="character", byte_fallback=False))
    tokenizer.save(folder / "tokenizer")
    border = int(len(text) * 0.9)
    parts = {"train": text[:border], "validation": text[border:]}
    stores = {
        name: TokenStore.build(
            folder / name, [Document(id=name, text=part)], tokenizer.encode_batch, tokenizer.eot_id, tokenizer.vocab_size
        )
        for name, part in parts.items()
    }
    run = Run(folder / "run")
    model = dataclasses.replace(settings.model, vocab_size=tokenizer.vocab_size)
    pretrain(dataclasses.replace(settings, model=model), stores=stores, tokenizer=folder / "tokenizer", run=run)
    return (time.perf_counter() - started) / 60, run, tokenizer


def losses(text: str, run: Run, tokenizer: Tokenizer) -> tuple[float, float]:
    """Nats a character over the whole validation part: in rows side by side, and with a sliding context."""
    ids = tokenizer.encode(text[int(len(text) * 0.9) :])
    network = load_model(run.model, dtype="bfloat16")
    scorer = NetworkScorer(network, network.config.max_position_embeddings)
    rows, sliding = (-float(scorer.score([ids], stride)[0].mean()) for stride in (scorer.context_length, scorer.context_length // 8))
    return rows, sliding


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--settings", type=Path, default=SETTINGS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.data.exists():
        raise SystemExit(f"{options.data} is missing: give tiny Shakespeare's input.txt with --data")
    text = options.data.read_text("utf-8")
    table = read_toml(options.settings)
    rows = []
    for seed in range(1, options.seeds + 1):
        # the last seconds are kept for writing the model
        limits = {"max_minutes": options.minutes - 0.15, "seed": seed}
        settings = Settings(
            model=build(DecoderConfig, table["model"], "model"), train=build(TrainConfig, {**table["train"], **limits}, "train")
        )
        with tempfile.TemporaryDirectory() as folder:
            minutes, run, tokenizer = train(text, settings, Path(folder))
            loss, sliding = losses(text, run, tokenizer)
            manifest = run.read_manifest()
        rows.append(
            {
                "seed": seed,
                "loss": loss,
                "loss_sliding": sliding,
                "minutes": minutes,
                "steps": manifest["steps"],
                "tokens": manifest["tokens"],
                "parameters": manifest["parameters"],
            }
        )
        say(f"seed {seed}: {loss:.4f} nats, {sliding:.4f} sliding, {minutes:.1f} minutes, {manifest['steps']} steps")
    found = [row["loss"] for row in rows]
    result = {
        "loss": statistics.mean(found),
        "worst": max(found),
        "target": TARGET,
        "minutes": max(row["minutes"] for row in rows),
        "seeds": rows,
        "settings": table,
        "threads": torch.get_num_threads(),
        "machine": machine(),
        "versions": versions(),
    }
    print(f"mean {result['loss']:.4f}, worst {result['worst']:.4f}, target {TARGET}, at most {result['minutes']:.1f} minutes")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
