"""Settings of a tokenizer; no library here, so recipes are read cheaply."""

from dataclasses import dataclass
from typing import Literal

from hanmo.base.errors import ConfigError
from hanmo.tokenizer.special import MASKS, MIDDLES, SENTINEL, SENTINELS_TRAINED

TokenizerKind = Literal["bpe", "wordpiece", "unigram", "character", "word"]
PreTokenizerName = Literal["gpt2", "gpt4", "deepseek"]
MarkedObjective = Literal["masked", "span_corruption", "fill_in_the_middle"]

MARKS: dict[MarkedObjective, tuple[str, ...]] = {
    "masked": (MASKS[0],),
    "span_corruption": tuple(SENTINEL.format(number) for number in range(SENTINELS_TRAINED)),
    "fill_in_the_middle": MIDDLES[0],
}
"""Special tokens that an objective needs, named as RoBERTa, T5 and Qwen2.5 name theirs."""


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How text becomes ids."""

    kind: TokenizerKind = "bpe"
    """bpe and unigram can write any text; wordpiece is BERT's and forgets spacing; character and word take those seen."""
    vocab_size: int = 8192
    """Largest number of tokens, special ones and single bytes included."""
    pre_tokenizer: PreTokenizerName = "deepseek"
    """Pattern (bpe, unigram) that no token crosses: gpt2, gpt4, or deepseek, which keeps Chinese apart from punctuation."""
    digits_per_token: int = 3
    """Most digits in one token (bpe, unigram)."""
    min_frequency: int = 2
    """A pair (bpe, wordpiece), a piece (unigram) or a word seen less often gets no token of its own; characters need to be seen once."""
    byte_fallback: bool = True
    """Whether a character not in the vocabulary is written as its bytes (character); otherwise it becomes <unk>."""
    lowercase: bool = False
    """Whether capitals and accents are dropped before a text is cut (wordpiece)."""
    objectives: tuple[MarkedObjective, ...] = ()
    """What a network shall learn beside the next token: masked, span_corruption, fill_in_the_middle; their special tokens are added."""
    max_sample_bytes: int = 0
    """Most text to train on, chosen by hash; 0 sets no limit but that of memory."""
    max_training_memory_bytes: int = 2_000_000_000
    """Memory that training may take, about: some 28 MB of Chinese or 200 MB of English; of more text, a part chosen by hash."""

    @property
    def marks(self) -> tuple[str, ...]:
        """Special tokens of the objectives, each once; word pieces have a mask of their own."""
        named = [mark for objective in dict.fromkeys(self.objectives) for mark in MARKS[objective]]
        return tuple(mark for mark in named if not (self.kind == "wordpiece" and mark in MARKS["masked"]))

    def __post_init__(self) -> None:
        """Check values.

        Raises ConfigError naming the key.
        """
        least = {"bpe": 257, "unigram": 400, "wordpiece": 8, "character": 257 if self.byte_fallback else 3, "word": 3}[self.kind]
        least += len(self.marks)
        if self.vocab_size < least:
            raise ConfigError(f"tokenizer.vocab_size (={self.vocab_size}) should be at least {least} for kind {self.kind!r}")
        for name in ("digits_per_token", "min_frequency", "max_training_memory_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"tokenizer.{name} (={getattr(self, name)}) should be at least 1")
        if self.max_sample_bytes < 0:
            raise ConfigError(f"tokenizer.max_sample_bytes (={self.max_sample_bytes}) should be 0 (no limit) or more")
