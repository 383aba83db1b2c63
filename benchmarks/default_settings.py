"""What a text is best trained with: one training of a few settings on a text, its length counted in arithmetic, not in minutes.

    python benchmarks/default_settings.py FILE_OR_FOLDER --work DIR --flops 9.4e12 [model.hidden_size=96 train.weight_decay=0.1 ...]

The text is cut at lines into twenty runs of equal length, of which the last is the test part and the one before it validation;
files are put in a fixed order of chance first, and `--share` takes the beginning only. The tokenizer is made once in DIR. A run
ends where its steps have cost `--flops`, or where four looks at validation in a row have not improved; its best weights are then
measured on the test part. Prints one JSON object, with the bits per byte of every look.
"""

import argparse
import hashlib
import json
import math
import time
import tomllib
from pathlib import Path

import torch

from hanmo.base.config import build
from hanmo.base.records import Document
from hanmo.base.runs import Run
from hanmo.batches.store import TokenStore
from hanmo.model.config import DecoderConfig
from hanmo.model.store import load_model
from hanmo.plan.compute import count_compute
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import train_tokenizer
from hanmo.train.config import TrainConfig
from hanmo.train.pretrain import Settings, pretrain, validation

PARTS, PIECE = 20, 20_000


def texts_of(path: Path) -> list[str]:
    """The texts of a file or a folder, in an order of chance that is always the same."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    files.sort(key=lambda file: hashlib.sha256(str(file.relative_to(path)).encode()).digest())
    return [file.read_text("utf-8", "replace") for file in files]


def parts_of(path: Path, share: float) -> dict[str, str]:
    """Contiguous parts of the beginning of a text: eighteen twentieths for training, one for validation, one for the test."""
    text = "\n".join(texts_of(path))
    lines = text[: int(len(text) * share)].splitlines(keepends=True)
    border, borders, held = sum(map(len, lines)) / PARTS, list[int](), 0
    for number, line in enumerate(lines):
        held += len(line)
        if len(borders) < PARTS - 1 and held >= border * (len(borders) + 1):
            borders.append(number + 1)
    cuts = {"train": (0, borders[-2]), "validation": (borders[-2], borders[-1]), "test": (borders[-1], len(lines))}
    return {name: "".join(lines[start:stop]) for name, (start, stop) in cuts.items()}


def prepared(path: Path, folder: Path, share: float, vocab_size: int) -> tuple[Tokenizer, dict[str, TokenStore]]:
    """The tokenizer and the encoded parts, made once."""
    parts = parts_of(path, share)
    if not (folder / "tokenizer" / "tokenizer.json").exists():
        pieces = [parts["train"][start : start + PIECE] for start in range(0, len(parts["train"]), PIECE)]
        train_tokenizer(pieces, TokenizerConfig(vocab_size=vocab_size)).save(folder / "tokenizer")
    tokenizer = Tokenizer.load(folder / "tokenizer")
    return tokenizer, {
        name: TokenStore.build(
            folder / name, [Document(id=name, text=text)], tokenizer.encode_batch, tokenizer.eot_id, tokenizer.vocab_size
        )
        for name, text in parts.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--flops", type=float, default=1.5e14)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--vocab-size", type=int, default=8192)
    options = parser.parse_intermixed_args()
    folder = options.work / f"{options.source.stem}-{options.share:g}-{options.vocab_size}"
    tokenizer, stores = prepared(options.source, folder, options.share, options.vocab_size)
    table = tomllib.loads("\n".join(options.settings))
    model = build(DecoderConfig, {**table.get("model", {}), "vocab_size": tokenizer.vocab_size}, "model")
    train = build(TrainConfig, {"precision": "fp32", "patience": 4, "checkpoint_every": 0, **table.get("train", {})}, "train")
    compute = count_compute(model, context_length=model.max_position_embeddings, batch_size=train.batch_size, optimizer=train.optimizer)
    if not train.max_steps:
        train = build(TrainConfig, {**vars(train), "max_steps": math.ceil(options.flops / compute.per_step)}, "train")
    run = Run(options.work / f"run-{time.time_ns()}")
    started = time.process_time()
    manifest = pretrain(
        Settings(model=model, train=train),
        stores=stores,
        tokenizer=folder / "tokenizer",
        run=run,
        flops_per_token=compute.train_per_token,
    )
    look = validation(stores["test"], build(TrainConfig, {**vars(train), "eval_tokens": 0}, "train"), model.max_position_embeddings)
    with torch.no_grad():
        test = look(load_model(run.model).eval())
    looks = [(row["step"], round(row["validation_bits_per_byte"], 4)) for row in run.read_metrics() if "validation_loss" in row]
    result = {
        "source": options.source.name,
        "settings": options.settings,
        "train_tokens": stores["train"].num_tokens,
        "train_bytes": stores["train"].num_bytes,
        "tokens_per_step": compute.tokens_per_step,
        "flops_per_step": compute.per_step,
        "max_steps": train.max_steps,
        "parameters": manifest["parameters"],
        "steps": manifest["steps"],
        "stopped_by": manifest["stopped_by"],
        "best_step": manifest["best_step"],
        "validation_bits_per_byte": min(bits for _, bits in looks),
        "test_bits_per_byte": round(test["validation_bits_per_byte"], 4),
        "looks": looks,
        "training_seconds": manifest["training_seconds"],
        "processor_seconds": time.process_time() - started,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
