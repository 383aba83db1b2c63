"""A model of any form written as a folder of its own, for `hanmo import` and `hanmo export --to hf`.

In: what a user calls a model. Out: a folder that this tool, transformers and vLLM read. Weights are written anew from what was
read and checked, never copied as bytes. An export is read back before it has its name, and kept only where it is the same model.
"""

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch

from hanmo.base.storage import write_text
from hanmo.convert.parity import ParityCheck, compare, refuse_difference
from hanmo.convert.sources import local_model
from hanmo.model.decoder import Decoder
from hanmo.model.embedder import Embedder
from hanmo.model.ngram import Ngram
from hanmo.model.store import AnyModel, load_model, read_generation, save_model
from hanmo.tokenizer.chat import TEMPLATE_FILE, read_template
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.vocabulary_files import has_vocabulary_files


def write_folder_of(source: str | Path, out: Path) -> dict[str, object]:
    """Write the model behind `source` to `out`; gives its path, layout and bytes.

    Raises ModelError for what is no model.
    """
    folder = local_model(source)
    _write(folder, load_model(folder, dtype=None), out, Path(source).name)
    return {"path": str(out), "bytes": sum(each.stat().st_size for each in out.rglob("*") if each.is_file())}


def export_folder(source: str | Path, out: Path) -> dict[str, object]:
    """The same, first under another name and read back from there; gives the table of that proof too.

    Raises ModelError where what was written is not the same model: then `out` is as it was.
    """
    folder = local_model(source)
    unproven = out.absolute().parent / f".{out.name}.unproven"
    shutil.rmtree(unproven, ignore_errors=True)
    try:
        _write(folder, load_model(folder, dtype=None), unproven, Path(source).name)
        rows = _proof(folder, unproven)
    finally:
        shutil.rmtree(unproven, ignore_errors=True)
    refuse_difference(rows, str(out))
    return {**write_folder_of(source, out), "parity": [dataclasses.asdict(row) for row in rows]}


def _write(folder: Path, network: AnyModel, out: Path, name: str) -> None:
    facts = {"imported from": name}
    with tempfile.TemporaryDirectory() as temporary:
        tokenizer = _tokenizer_of(folder, Path(temporary))
        save_model(network, out, tokenizer_folder=tokenizer, generation=read_generation(folder), facts=facts)
    if tokenizer and (template := read_template(folder)) and not (out / TEMPLATE_FILE).exists():
        write_text(out / TEMPLATE_FILE, template)


def _has_tokenizer(folder: Path) -> bool:
    return (folder / "tokenizer.json").is_file() or has_vocabulary_files(folder)


def _tokenizer_of(folder: Path, temporary: Path) -> Path | None:
    """Where the tokenizer of a model stands as tokenizer.json, written into `temporary` where it came in other files."""
    if (folder / "tokenizer.json").is_file():
        return folder
    if not has_vocabulary_files(folder):
        return None
    Tokenizer.load(folder).save(temporary)
    return temporary


def _proof(folder: Path, written: Path) -> list[ParityCheck]:
    """Whether two folders hold one model: a decoder with its tokenizer by what it says, others by their numbers."""
    first, second = load_model(folder), load_model(written)
    if isinstance(first, Decoder) and not isinstance(first, Embedder) and _has_tokenizer(folder):
        return compare(folder, written, tokens=4)
    one, other = _numbers(first), _numbers(second)
    wrong = sorted(name for name in one.keys() | other.keys() if not _same(one.get(name), other.get(name)))
    figure = f"{len(one) - len(wrong)} of {len(one)} tensors are the same"
    return [ParityCheck(what="weights", equal=type(first) is type(second) and not wrong, figure=figure)]


def _numbers(model: AnyModel) -> Mapping[str, object]:
    return model.state() if isinstance(model, Ngram) else model.state_dict()


def _same(one: object, other: object) -> bool:
    return one is not None and other is not None and torch.equal(torch.as_tensor(one), torch.as_tensor(other))
