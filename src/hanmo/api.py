"""The Python interface: `hanmo.load(path)` gives a model that writes, scores and embeds text, `hanmo.load_encoder` an encoder."""

from pathlib import Path

from hanmo.convert.sources import local_model
from hanmo.generate.embed import TextEncoder
from hanmo.generate.loaded import TextModel
from hanmo.model.rounding import Bits
from hanmo.model.store import Precision

LoadedModel = TextModel


def load(path: str | Path, *, dtype: Precision | Bits | None = "float32") -> LoadedModel:
    """The model in a model folder, a run, a GGUF file, or behind a fetched name or a hub name.

    dtype: float32, or bfloat16, int8, int4 for speed; None takes that of the file. Raises ModelError when there is no model.
    """
    return LoadedModel(local_model(path), dtype=dtype)


def load_encoder(path: str | Path, *, dtype: Precision | None = "float32") -> TextEncoder:
    """The encoder in a model folder or a run folder, or a fetched name, which turns texts into vectors.

    Raises ModelError when there is none.
    """
    return TextEncoder(local_model(path), dtype=dtype)
