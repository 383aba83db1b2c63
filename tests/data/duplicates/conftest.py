"""Texts drawn letter by letter, and what changes a text a little."""

import random

LATIN = "abcdefghijklmnopqrstuvwxyz"


def letters_of(seed: int, length: int) -> str:
    return "".join(random.Random(seed).choices(LATIN, k=length))


def scattered(text: str, share: float, seed: int = 0) -> str:
    dice = random.Random(seed)
    return "".join(dice.choice(LATIN) if dice.random() < share else c for c in text)


def prose(seed: int, words: int) -> str:
    """Letters of words drawn from one small vocabulary, as two books of one author have it: many shingles are shared by chance."""
    dice, vocabulary = random.Random(seed), [letters_of(n, 2 + n % 7) for n in range(600)]
    return "".join(dice.choices(vocabulary, [1 / (n + 1) for n in range(600)], k=words))
