"""Whether a tokenizer's ids have rows in a model's embedding.

In: a tokenizer and a number of rows. A few added tokens may have none (Gemma 3 keeps one for images, which its text model never
sees); a text that uses one is refused. A vocabulary of which more is missing belongs to another model.
"""

from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ModelError, UsageError
from hanmo.tokenizer.load import Tokenizer

Ids = TypeVar("Ids", list[int], NDArray[np.int32])


def check_rows(tokenizer: Tokenizer, rows: int, folder: Path) -> None:
    """Nothing for a tokenizer whose own vocabulary has a row each.

    Raises ModelError for one that belongs to another model.
    """
    added = set(tokenizer.added().values())
    names = tokenizer.names()
    if any(names[id] and id not in added for id in range(rows, tokenizer.vocab_size)):
        raise ModelError(f"the tokenizer of {folder} has {tokenizer.vocab_size} ids, the model {rows}: they do not belong together")


def with_rows(tokenizer: Tokenizer, ids: Ids, rows: int) -> Ids:
    """The ids as they are, when each has a row.

    Raises UsageError that names the first one without.
    """
    missing = next((int(id) for id in list(ids) if id >= rows), None)
    if missing is not None:
        raise UsageError(
            f"the text uses the token {tokenizer.visible(missing)!r} (id {missing}), for which this model of {rows} rows has none: "
            "leave it out"
        )
    return ids
