import pytest

from hanmo.base.errors import ConfigError
from hanmo.batches.config import ObjectiveConfig
from hanmo.model.config import DecoderConfig
from hanmo.model.encoder_config import EncoderConfig
from hanmo.pipeline.networks import chosen_network, network_for
from hanmo.pipeline.recipe import Recipe
from hanmo.tokenizer.load import Tokenizer
from hanmo.train.config import TrainConfig


def test_the_objective_chooses_its_network():
    names = {"next_token": "model", "masked": "encoder", "span_corruption": "encoder_decoder"}
    for objective, section in names.items():
        recipe = Recipe(train=TrainConfig(objective=ObjectiveConfig(name=objective)))
        assert chosen_network(recipe)[0] == section


def test_a_network_takes_vocabulary_and_ends_from_the_tokenizer(begun):
    tokenizer = Tokenizer.load(begun.tokenizer)
    network = network_for(Recipe(), tokenizer)
    assert isinstance(network, DecoderConfig)
    assert (network.vocab_size, network.eos_token_id) == (tokenizer.vocab_size, tokenizer.eot_id)
    masked = TrainConfig(objective=ObjectiveConfig(name="masked"))
    encoder = network_for(Recipe(train=masked, encoder=EncoderConfig(pad_token_id=3)), tokenizer)
    assert isinstance(encoder, EncoderConfig) and encoder.pad_token_id == 3
    with pytest.raises(ConfigError, match=r"model.vocab_size \(=9\) is smaller than the tokenizer's"):
        network_for(Recipe(model=DecoderConfig(vocab_size=9)), tokenizer)
