import dataclasses

from tests.model.families.conftest import BERT, ENCODERS

from hanmo.model.families import bert
from hanmo.model.families.encoders import encoder_layout
from hanmo.model.families.fields import Fields
from hanmo.model.families.roberta import LAYOUT, XLM


def test_the_row_of_the_first_token_follows_the_padding_id() -> None:
    values = LAYOUT.write(ENCODERS["roberta"])
    assert LAYOUT.from_hf(values, []).position_offset == 2
    assert LAYOUT.from_hf({**values, "pad_token_id": 5}, []).position_offset == 6
    assert LAYOUT.from_hf({**values, "pad_token_id": None}, []).position_offset == 2


def test_an_offset_that_is_not_the_padding_ids_is_nobodys_layout() -> None:
    assert not LAYOUT.expresses(dataclasses.replace(BERT, position_offset=3, pad_token_id=1))
    assert not LAYOUT.expresses(dataclasses.replace(ENCODERS["roberta"], hidden_act="relu"))
    assert encoder_layout(dataclasses.replace(BERT, position_offset=3, pad_token_id=1)).model_type == "hanmo_encoder"


def test_many_languages_are_read_under_their_own_word_and_written_as_roberta() -> None:
    config = ENCODERS["roberta"]
    assert XLM.from_hf(LAYOUT.write(config), ["roberta.embeddings.LayerNorm.bias", "lm_head.bias"]) == config
    assert encoder_layout(config).model_type == "roberta"


def test_keys_are_berts() -> None:
    assert LAYOUT.write(ENCODERS["roberta"]) == bert.write(ENCODERS["roberta"])
    assert Fields(LAYOUT.write(BERT), "roberta").integer("hidden_size") == 32
