"""Sound files that mutants are made of: every form a model, a tokenizer, tokens or a checkpoint has on disk, all tiny.

Weights are drawn from a fixed seed and the tokenizer's texts are ours, so the same seeds come out wherever they are made.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from tests.convert.conftest import TEXTS, model_folder
from tests.fuzz.texts import sound_texts, sound_vocabularies
from tests.model.families.conftest import BERT, CONFIGS, MARIAN, SMALL, T5, lively

from hanmo.base.records import Document
from hanmo.batches.store import TokenStore
from hanmo.convert.gguf_blocks import BY_NAME, BlockFormat
from hanmo.convert.gguf_names import ggml_settings, ggml_tensors
from hanmo.convert.gguf_reader import GgufFile
from hanmo.convert.gguf_tokenizer import tokenizer_metadata
from hanmo.convert.gguf_writer import Outgoing, write_gguf
from hanmo.model import families
from hanmo.model.config import DecoderConfig, NgramConfig, RecurrentConfig, SoftmaxRegressionConfig
from hanmo.model.ngram import Ngram
from hanmo.model.recurrent import Recurrent
from hanmo.model.softmax_regression import SoftmaxRegression
from hanmo.model.store import load_model, save_model
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import train_tokenizer
from hanmo.train.checkpoint import TrainingState, save

Reader = Literal["text", "vectors", "pairs", "file", "tokens", "checkpoint", "template", "states", "data"]
Files = dict[str, bytes]
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m['content'] | trim }}{% if not loop.last %}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
DECODERS = {
    "gpt2": CONFIGS["gpt2"],
    "llama": dataclasses.replace(SMALL, num_key_value_heads=2, tie_word_embeddings=False),
    "llama3 positions": CONFIGS["llama, llama3 positions"],
    "mistral": CONFIGS["mistral"],
    "qwen2": CONFIGS["qwen2, upper layers slide"],
    "qwen3": CONFIGS["qwen3"],
    "gemma3": CONFIGS["gemma3_text"],
    "own": dataclasses.replace(SMALL, gated_mlp=False, hidden_act="relu2"),
}
FORMATS = {
    "F32": 32,
    "F16": 32,
    "BF16": 32,
    "Q8_0": 32,
    "Q4_0": 32,
    "Q4_1": 32,
    "Q5_0": 32,
    "Q5_1": 32,
    "Q4_K": 256,
    "Q5_K": 256,
    "Q6_K": 256,
    "Q2_K": 256,
    "Q3_K": 256,
    "IQ4_NL": 32,
    "IQ4_XS": 256,
    "MXFP4": 32,
}
"""Each format with the width that its blocks need."""


@dataclass(frozen=True)
class Seed:
    """Some files in a folder, and who reads them."""

    name: str
    reader: Reader
    files: Files


def make_seeds(place: Path) -> dict[str, Seed]:
    """All seeds by name; `place` is an empty folder to write into."""
    torch.manual_seed(5)
    seeds: list[Seed] = []

    def keep(name: str, reader: Reader, folder: Path) -> None:
        files = {each.relative_to(folder).as_posix(): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}
        seeds.append(Seed(name, reader, {key: value for key, value in files.items() if key != "README.md"}))

    for name, config in DECODERS.items():
        keep(name, "text", model_folder(place / name, config, TEMPLATE if name in ("llama", "gpt2") else None))
    keep("sharded", "text", _sharded(place / "llama", place / "sharded"))
    for name, write in _others(place / "llama-tokenizer").items():
        write(place / name)
        keep(name, "vectors" if name.startswith("bert") else "pairs" if name in ("t5", "marian") else "text", place / name)
    for kind in ("wordpiece", "unigram", "character", "word"):
        keep(f"{kind} tokens", "text", _with_tokenizer(place / f"{kind} tokens", kind))
    for name, width in FORMATS.items():
        (place / f"gguf {name}").mkdir()
        _gguf(place, name, width, place / f"gguf {name}" / "m.gguf")
        keep(f"gguf {name}", "file", place / f"gguf {name}")
    for name in ("gpt2", "gemma3", "qwen3"):
        (place / f"gguf {name}").mkdir()
        write_as_gguf(place / name, place / f"gguf {name}" / "m.gguf", BY_NAME["F32"])
        keep(f"gguf {name}", "file", place / f"gguf {name}")
    for name, (size, files) in sound_vocabularies().items():
        keep(name, "text", _with_files(place / name, size, files))
    keep("embedder", "states", _embedder(place / "llama", place / "embedder"))
    keep("parts without an index", "text", _unlisted(place / "sharded", place / "unlisted"))
    keep("gguf in two", "file", _in_two(place / "gguf qwen3" / "m.gguf", place / "gguf in two"))
    keep("tokens", "tokens", _tokens(place / "tokens"))
    progress = TrainingState(step=3, tokens=7, seconds=1.0)
    save(place / "checkpoint", "step", {"w": torch.randn(3, 4), "m": torch.zeros(2)}, progress)
    keep("checkpoint", "checkpoint", place / "checkpoint" / "step-00000003")
    seeds += [Seed(name, "data", {file: content}) for name, (file, content) in sound_texts().items()]
    seeds += [Seed("template", "template", {"chat_template.jinja": TEMPLATE.encode()})]
    return {each.name: each for each in seeds}


def _sharded(source: Path, folder: Path) -> Path:
    """The same model in two files under an index."""
    from safetensors.torch import load_file, save_file

    folder.mkdir()
    for each in source.iterdir():
        if each.suffix != ".safetensors":
            (folder / each.name).write_bytes(each.read_bytes())
    tensors = load_file(source / "model.safetensors")
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, members in parts.items():
        save_file({name: tensors[name] for name in members}, folder / file)
    places = {name: file for file, members in parts.items() for name in members}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def _with_files(folder: Path, size: int, files: Files) -> Path:
    save_model(SoftmaxRegression(SoftmaxRegressionConfig(vocab_size=size, hidden_size=4)), folder)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def _embedder(source: Path, folder: Path) -> Path:
    """The same model without its head, with the files of sentence-transformers."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, folder)
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors")
    _write_modules(folder, "lasttoken")
    return folder


def _unlisted(source: Path, folder: Path) -> Path:
    shutil.copytree(source, folder)
    (folder / "model.safetensors.index.json").unlink()
    return folder


def _in_two(source: Path, folder: Path) -> Path:
    """A GGUF file as a set of two."""
    folder.mkdir()
    file = GgufFile(source)
    names = list(file.tensors)
    for number, mine in enumerate((names[::2], names[1::2])):
        about = {"split.no": number, "split.count": 2, "split.tensors.count": len(names)}
        tensors = {name: Outgoing(file.tensors[name].shape, BY_NAME["F32"], lambda name=name: file.read(name)) for name in mine}
        write_gguf(folder / f"m-0000{number + 1}-of-00002.gguf", {**file.metadata, **about} if number == 0 else about, tensors)
    return folder


def _others(words: Path) -> dict[str, Callable[[Path], None]]:
    tokenizer = Tokenizer.load(words)
    size, rows = tokenizer.vocab_size, [np.array([tokenizer.eot_id, *tokenizer.encode(text)]) for text in TEXTS[:2]]

    def write(model: torch.nn.Module | Ngram) -> Callable[[Path], None]:
        return lambda folder: save_model(model, folder, tokenizer_folder=words)

    return {
        "recurrent": write(Recurrent(RecurrentConfig(vocab_size=size, hidden_size=8))),
        "regression": write(SoftmaxRegression(SoftmaxRegressionConfig(vocab_size=size, hidden_size=4))),
        "ngram": write(Ngram.fit_sequences(rows, NgramConfig(vocab_size=size, order=3))),
        "bert": write(lively(dataclasses.replace(BERT, vocab_size=size))),
        "bert pooled": _pooled(
            write(lively(dataclasses.replace(BERT, vocab_size=size, position_offset=2, pad_token_id=1, type_vocab_size=1)))
        ),
        "t5": write(lively(dataclasses.replace(T5, vocab_size=size))),
        "marian": write(lively(dataclasses.replace(MARIAN, vocab_size=size, pad_token_id=size - 1))),
    }


def _pooled(write: Callable[[Path], None]) -> Callable[[Path], None]:
    def with_modules(folder: Path) -> None:
        write(folder)
        _write_modules(folder, "mean_tokens")
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 16}))

    return with_modules


def _write_modules(folder: Path, kind: str) -> None:
    (folder / "1_Pooling").mkdir()
    modules = [{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"}, {"type": "x.Normalize", "path": ""}]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{kind}": True, "word_embedding_dimension": 32}))


def _with_tokenizer(folder: Path, kind: str) -> Path:
    words = folder.with_name(f"{folder.name} words")
    tokenizer = train_tokenizer(TEXTS, TokenizerConfig(kind=kind, vocab_size=400))  # pyright: ignore[reportArgumentType]
    tokenizer.save(words)
    save_model(SoftmaxRegression(SoftmaxRegressionConfig(vocab_size=tokenizer.vocab_size, hidden_size=4)), folder, tokenizer_folder=words)
    return folder


def noise(kind: BlockFormat) -> BlockFormat:
    """A format that we only read, written as noise; scales are kept small, so that numbers are finite."""
    if kind.encode is not None:
        return kind

    def encode(values: np.ndarray) -> np.ndarray:
        raw = np.random.default_rng(7).integers(0, 56, (values.size // kind.size, kind.bytes)).astype(np.uint8)
        return raw

    return dataclasses.replace(kind, encode=encode)


def _gguf(place: Path, name: str, width: int, path: Path) -> None:
    config: DecoderConfig = dataclasses.replace(SMALL, num_hidden_layers=1, hidden_size=width, intermediate_size=width)
    write_as_gguf(model_folder(place / f"source of {name}", config, TEMPLATE), path, noise(BY_NAME[name]))


def write_as_gguf(folder: Path, path: Path, kind: BlockFormat) -> None:
    """A model folder as a GGUF file whose matrices have this format where their rows allow it."""
    network, tokenizer = load_model(folder), Tokenizer.load(folder)
    layout = families.layout_of(network.config)  # pyright: ignore[reportArgumentType]
    values = {"rope_scaling": None, **layout.to_hf(network.config)}  # pyright: ignore[reportArgumentType]
    state = {name: each.detach() for name, each in network.state_dict().items()}  # pyright: ignore[reportAttributeAccessIssue]
    arrays = {name: each.float().numpy() for name, each in layout.to_hf_weights(state, network.config).items()}  # pyright: ignore[reportArgumentType]
    tensors = {}
    for name, numbers in ggml_tensors(layout.model_type, arrays, values):
        fits = numbers.ndim > 1 and numbers.shape[-1] % kind.size == 0
        tensors[name] = Outgoing(numbers.shape, kind if fits else BY_NAME["F32"], lambda numbers=numbers: numbers)
    size = network.config.vocab_size
    write_gguf(path, {**ggml_settings(values), **tokenizer_metadata(tokenizer, size), "tokenizer.chat_template": TEMPLATE}, tensors)


def _tokens(folder: Path) -> Path:
    tokenizer = train_tokenizer(TEXTS, TokenizerConfig(kind="bpe", vocab_size=300))
    documents = [Document(id=f"{number:064x}", text=text) for number, text in enumerate(TEXTS[:3])]
    TokenStore.build(folder, documents, tokenizer.encode_batch, tokenizer.eot_id, tokenizer.vocab_size)
    for each in folder.glob(".*"):
        each.unlink()
    return folder
