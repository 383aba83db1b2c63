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


def test_behind_the_end_it_goes_on() -> None:
    chance = Choices(b"\xff")
    assert chance.getrandbits(8) == 255 and len({chance.getrandbits(40) for _ in range(9)}) == 9
    assert 0 <= Choices(b"\xff" * 64).random() < 1 and Choices(b"\xff" * 64).randrange(10) < 10
    assert sorted(Choices(bytes(4)).sample("abc", 3)) == ["a", "b", "c"]
