"""A token without a row in the embedding is refused where a text uses it, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import AddedToken

from hanmo.base.errors import ModelError, UsageError
from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.rows import check_rows, with_rows
from hanmo.tokenizer.train import train_tokenizer


def with_image() -> tuple[Tokenizer, int]:
    """A tokenizer with one token more than its model has rows, and how many these are."""
    tokenizer = train_tokenizer(["the rain in the plain"] * 4, TokenizerConfig(vocab_size=280))
    rows = tokenizer.vocab_size
    tokenizer.backend.add_tokens([AddedToken("<image>", special=False, normalized=False)])
    return Tokenizer(tokenizer.backend, {}), rows


def test_an_added_token_may_be_without_a_row_until_a_text_uses_it() -> None:
    tokenizer, rows = with_image()
    check_rows(tokenizer, rows, Path("m"))
    ids = tokenizer.encode("the rain")
    assert with_rows(tokenizer, ids, rows) is ids and with_rows(tokenizer, [], rows) == []
    with pytest.raises(UsageError, match=rf"uses the token '<image>' \(id {rows}\)"):
        with_rows(tokenizer, tokenizer.encode("the <image>"), rows)
    with pytest.raises(UsageError, match="uses the token '<image>'"):
        with_rows(tokenizer, [1, rows], rows)


def test_a_vocabulary_without_rows_belongs_to_another_model() -> None:
    tokenizer, rows = with_image()
    with pytest.raises(ModelError, match=f"has {rows + 1} ids, the model {rows - 1}: they do not belong together"):
        check_rows(tokenizer, rows - 1, Path("m"))


def test_ids_that_no_token_has_need_no_rows() -> None:
    tokenizer, rows = with_image()
    tokenizer.backend.add_tokens([])
    assert np.array_equal(with_rows(tokenizer, np.array([0, rows - 1], np.int32), rows), [0, rows - 1])
