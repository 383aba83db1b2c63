import dataclasses

from tests.model.families.conftest import CONFIGS

from hanmo.model import families
from hanmo.model.families.mistral import LAYOUT


def test_a_window_for_every_layer_comes_back() -> None:
    values = LAYOUT.to_hf(CONFIGS["mistral"])
    assert (values["sliding_window"], "layer_types" in values, "attention_bias" in values) == (5, False, False)
    assert LAYOUT.from_hf({**values, "layer_types": ["sliding_attention"] * 2}) == LAYOUT.from_hf(values)


def test_key_heads_that_are_absent_are_eight_and_null_is_as_many_as_queries() -> None:
    values = {**LAYOUT.to_hf(CONFIGS["mistral"]), "num_attention_heads": 16}
    assert LAYOUT.from_hf({**values, "num_key_value_heads": None}).key_value_heads == 16
    del values["num_key_value_heads"]
    assert LAYOUT.from_hf(values).key_value_heads == 8


def test_without_a_window_it_is_a_llama() -> None:
    config = dataclasses.replace(CONFIGS["mistral"], sliding_window=None)
    assert families.layout_of(config).model_type == "llama"
