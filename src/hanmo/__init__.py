"""Hanmo (翰墨): a folder of text becomes a language model, with a report that says how good it is.

Rooms, from the ground up:
    base        the common words: errors, recipes, records, run folders
    data        files -> clean documents, and the refused ones with reasons
    tokenizer   text <-> ids
    model       ids -> logits; log-probabilities; the Hugging Face folder
    batches     documents -> arrays, a pure function of (seed, step)
    plan        configuration + machine -> parameters, FLOPs, memory, minutes, money
    generate    prompt -> tokens
    convert     GGUF files and hub models <-> our folder
    train       model + batches -> a better model
    evaluate    model -> numbers with intervals
    pipeline    a recipe -> everything it asks for, stage by stage
    cli         words -> calls

In Python: `hanmo.load("runs/shakespeare").generate("ROMEO:")`, `hanmo.load_encoder("models/minilm").embed(["a text"])`,
and the verbs: `hanmo.prepare`, `train_tokenizer`, `pretrain`, `measure`, `run`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hanmo.api import load, load_encoder, measure, prepare, pretrain, run, train_tokenizer

__all__ = ["load", "load_encoder", "measure", "prepare", "pretrain", "run", "train_tokenizer"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from hanmo import api

        return getattr(api, name)
    raise AttributeError(f"module 'hanmo' has no attribute {name!r}")
