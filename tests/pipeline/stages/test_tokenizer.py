import dataclasses

from hanmo.pipeline.recipe import read_recipe
from hanmo.pipeline.stages.tokenizer import STAGE
from hanmo.tokenizer.load import Tokenizer


def test_it_makes_the_tokenizer_that_the_recipe_asks_for(begun, recipe):
    wanted = read_recipe(recipe)
    smaller = dataclasses.replace(wanted, tokenizer=dataclasses.replace(wanted.tokenizer, vocab_size=270))
    before = (begun.tokenizer / "tokenizer.json").read_bytes()
    STAGE.do(smaller, begun)
    assert Tokenizer.load(begun.tokenizer).vocab_size == 270
    STAGE.do(wanted, begun)
    assert (begun.tokenizer / "tokenizer.json").read_bytes() == before
    assert all(path.exists() for path in STAGE.made(wanted, begun))
