"""A turn ends at every token that any of a model's files names, and at the usual ones."""

import pytest
import tokenizers
from tokenizers import AddedToken, models

from hanmo.tokenizer.ends import TURN_ENDS, end_ids
from hanmo.tokenizer.load import Tokenizer


def having(*special: str, plain: tuple[str, ...] = (), **settings: object) -> Tokenizer:
    backend = tokenizers.Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    backend.add_special_tokens([AddedToken(each, special=True, normalized=False) for each in special])
    backend.add_tokens([AddedToken(each, special=False, normalized=False) for each in plain])
    return Tokenizer(backend, settings)


def test_ends_are_the_union_of_all_places_in_the_order_of_the_files() -> None:
    tokenizer = having("</s>", "<|im_end|>", "<|eot_id|>", eos_token={"content": "</s>"})
    assert end_ids(tokenizer) == [2, 3, 4]
    assert end_ids(tokenizer, {"eos_token_id": 1}, {"eos_token_id": [0, 1]}) == [1, 0, 2, 3, 4]
    assert end_ids(tokenizer, {"eos_token_id": None}, {}) == [2, 3, 4]


@pytest.mark.parametrize("name", TURN_ENDS)
def test_a_usual_end_counts_where_it_is_a_single_special_token(name: str) -> None:
    assert end_ids(having(name)) == [2]
    assert end_ids(having()) == []


def test_what_is_no_special_token_of_the_model_ends_nothing() -> None:
    assert end_ids(having("<|im_end|>"), {"eos_token_id": [True, "2", -1, 7, 1]}) == [1, 2]
    assert end_ids(having("<|im_end|>"), {"eos_token_id": 1}, rows=2) == [1]
    assert end_ids(having(plain=("<|im_end|>",))) == []
