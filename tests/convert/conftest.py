"""Small GGUF files, made by our own writer."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from hanmo.convert.gguf import export_gguf
from hanmo.convert.gguf_blocks import BY_NAME
from hanmo.convert.gguf_reader import GgufFile, Value
from hanmo.convert.gguf_writer import Outgoing, write_gguf
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.store import save_model
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import train_tokenizer

TEXTS = ["the rain in the plain is mainly rain, 1234 drops", "雨下在山上，山上有雨。"] * 4

METADATA: dict[str, Value] = {
    "general.architecture": "llama",
    "general.name": "a small 模型",
    "llama.block_count": 2,
    "llama.rope.freq_base": 10000.0,
    "tokenizer.ggml.add_bos_token": False,
    "tokenizer.ggml.tokens": ["a", "b", "山"],
    "tokenizer.ggml.token_type": [1, 1, 3],
    "tokenizer.ggml.scores": [0.0, -1.0, -2.5],
    "below.zero": -7,
    "nothing": [],
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def outgoing(values: np.ndarray, name: str = "F32") -> Outgoing:
    return Outgoing(values.shape, BY_NAME[name], lambda: values)


def small_file(path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """Three tensors of different shapes and formats."""
    rng = np.random.default_rng(0)
    values = {
        "token_embd.weight": rng.normal(size=(3, 32)).astype(np.float32),
        "norm.weight": rng.normal(size=5).astype(np.float32),
        "blk.0.ffn_up.weight": rng.normal(size=(2, 3, 64)).astype(np.float32),
    }
    formats = {"token_embd.weight": "F16", "norm.weight": "F32", "blk.0.ffn_up.weight": "Q8_0"}
    write_gguf(path, METADATA, {name: outgoing(array, formats[name]) for name, array in values.items()})
    return path, values


def model_folder(place: Path, config: DecoderConfig, template: str | None = None) -> Path:
    """A random decoder with a byte-level tokenizer of its own, as a folder; `vocab_size` is the tokenizer's."""
    torch.manual_seed(5)
    words = place.parent / f"{place.name}-tokenizer"
    train_tokenizer(TEXTS, TokenizerConfig(kind="bpe", vocab_size=300)).save(words)
    if template:
        (words / "chat_template.jinja").write_text(template)
    tokenizer = Tokenizer.load(words)
    size, end = tokenizer.vocab_size + 3, tokenizer.eot_id
    network = Decoder(dataclasses.replace(config, vocab_size=size, bos_token_id=end, eos_token_id=end, initializer_range=0.2)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    save_model(network, place, tokenizer_folder=words, generation={"temperature": 0.5})
    return place


def in_two(folder: Path, path: Path) -> list[Path]:
    """A model folder as two parts."""
    export_gguf(folder, path, "f32")
    file = GgufFile(path)
    names = list(file.tensors)
    parts = [path.with_name(f"m-0000{number}-of-00002.gguf") for number in (1, 2)]
    for number, mine in enumerate((names[::2], names[1::2])):
        about: dict[str, Value] = {"split.no": number, "split.count": 2, "split.tensors.count": len(names)}
        write_gguf(parts[number], {**file.metadata, **about}, {name: outgoing(file.read(name)) for name in mine})
    path.unlink()
    return parts
