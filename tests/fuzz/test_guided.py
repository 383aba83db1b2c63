"""Bytes that choose: the same bytes give the same mutant, and other bytes another."""

import random

from tests.fuzz.guided import Choices
from tests.fuzz.mutants import mutate

FILES = {"config.json": b'{"hidden_size": 7, "model_type": "llama"}', "tokenizer.json": b'{"model": {"type": "BPE"}}'}


def test_bytes_decide_everything() -> None:
    contents = [random.Random(number).randbytes(64) for number in range(256)]
    mutants = [mutate(Choices(content), FILES) for content in contents]
    assert mutants == [mutate(Choices(content), FILES) for content in contents]
    assert len({str(sorted(each.items())) for each in mutants}) > 100


def test_zeros_stand_behind_the_end() -> None:
    chance = Choices(b"\xff")
    assert (chance.getrandbits(8), chance.getrandbits(40), chance.random()) == (255, 0, 0.0)
    assert 0 <= Choices(b"\xff" * 64).random() < 1 and Choices(b"\xff" * 64).randrange(10) < 10
    assert mutate(Choices(b""), FILES) == mutate(Choices(bytes(99)), FILES)
