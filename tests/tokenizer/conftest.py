"""Small texts of our own in two languages, and the tokenizers trained on them."""

import struct
from collections.abc import Sequence

import pytest

from hanmo.tokenizer.config import TokenizerConfig
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import train_tokenizer

ENGLISH = (
    "The old clock in the hall struck seven, and the cat didn't move.\n"
    "In 1987 the river rose 12 feet; nobody on the hill had seen the like.\n\n"
    'She said: "Bring the lamp, the ladder and the long rope."\n'
)
CHINESE = (
    "清晨的雾还没有散，渔船已经出海了。老人站在码头上，望着远处的灯塔。\n"
    "他说：“今天的风很大，渔船要早一点回来。”孩子们在码头上等着渔船。\n"
    "二〇二四年，灯塔换了新的灯，一共花了3500元。\n"
)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return [ENGLISH * 2, CHINESE * 2, ENGLISH + CHINESE]


CONFIGS = {
    "gpt2": TokenizerConfig(vocab_size=400, pre_tokenizer="gpt2"),
    "gpt2-digits": TokenizerConfig(vocab_size=400, pre_tokenizer="gpt2", digits_per_token=1),
    "gpt4": TokenizerConfig(vocab_size=400, pre_tokenizer="gpt4"),
    "deepseek": TokenizerConfig(vocab_size=400, digits_per_token=1),
    "character": TokenizerConfig(kind="character"),
    "closed": TokenizerConfig(kind="character", byte_fallback=False),
    "wordpiece": TokenizerConfig(kind="wordpiece", vocab_size=300),
    "unigram": TokenizerConfig(kind="unigram", vocab_size=500),
    "word": TokenizerConfig(kind="word", vocab_size=200),
}
LOSSLESS = ["gpt2", "gpt2-digits", "gpt4", "deepseek", "character", "unigram"]


@pytest.fixture(scope="session")
def trained(texts) -> dict[str, Tokenizer]:
    """One tokenizer of each kind and pattern."""
    return {name: train_tokenizer(texts, config) for name, config in CONFIGS.items()}


CHARACTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,?!:;'[]/<>|_=\n雨下"
LONGER = ["th", "the", "in", "ra", "rain", "us", "er", "user", "is", "st", "assistant", "IN", "ST", "INST", "[INST", "[INST]", "[/", "se"]
SPACE = "\u2581"


def pieces() -> dict[str, int]:
    """A vocabulary as SentencePiece's byte pairs have it: special tokens, bytes, letters, words with and without a blank before."""
    blanks = [form for word in ("t", "th", "i", "r", "u", "us", "[", "a", "s") for form in (SPACE + word,)]
    words = [form for word in LONGER for form in (word, SPACE + word)]
    found = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), SPACE, *CHARACTERS, *blanks, *words]
    return {piece: id for id, piece in enumerate(dict.fromkeys(found))}


def pairs() -> list[tuple[str, str]]:
    """Every way to make a piece of two, earlier pieces first."""
    known = pieces()
    return [(piece[:at], piece[at:]) for piece in known for at in range(1, len(piece)) if {piece[:at], piece[at:]} <= known.keys()]


def field(number: int, value: bytes | int | float) -> bytes:
    """One field in the wire format of protocol buffers."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(value) if isinstance(value, int) else varint(number << 3 | 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """A number in groups of seven bits, the lowest first."""
    groups = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def sentencepiece_file(pieces: Sequence[tuple[str, float, int]], kind: int, *, trainer: bytes = b"", rules: bytes = b"") -> bytes:
    """A SentencePiece model: pieces with score and type; kind 1 is unigram, 2 byte pairs."""
    said = [field(1, name.encode()) + field(2, float(score)) + field(3, type_) for name, score, type_ in pieces]
    return b"".join(field(1, each) for each in said) + field(2, field(3, kind) + trainer) + field(3, rules)
