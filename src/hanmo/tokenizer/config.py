"""Settings of a tokenizer; no library here, so recipes are read cheaply."""

from dataclasses import dataclass
from typing import Literal

from hanmo.base.errors import ConfigError

TokenizerKind = Literal["bpe", "character", "word"]
PreTokenizerName = Literal["gpt2", "gpt4", "deepseek"]


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """How text becomes ids."""

    kind: TokenizerKind = "bpe"
    """bpe merges frequent byte pairs and can write any text; character and word take those seen."""
    vocab_size: int = 8192
    """Largest number of tokens, special ones and single bytes included."""
    pre_tokenizer: PreTokenizerName = "deepseek"
    """Pattern (bpe) that no token crosses: gpt2, gpt4, or deepseek, which keeps Chinese apart from punctuation."""
    digits_per_token: int = 3
    """Most digits in one token (bpe)."""
    min_frequency: int = 2
    """A pair (bpe) or a word seen less often gets no token of its own; characters need to be seen once."""
    byte_fallback: bool = True
    """Whether a character not in the vocabulary is written as its bytes (character); otherwise it becomes <unk>."""
    max_training_memory_bytes: int = 2_000_000_000
    """Memory that training may take, about: some 28 MB of Chinese or 200 MB of English; of more text, a part chosen by hash."""

    def __post_init__(self) -> None:
        """Check values.

        Raises ConfigError naming the key.
        """
        least = 257 if self.kind == "bpe" or (self.kind == "character" and self.byte_fallback) else 3
        if self.vocab_size < least:
            raise ConfigError(f"tokenizer.vocab_size (={self.vocab_size}) should be at least {least} for kind {self.kind!r}")
        for name in ("digits_per_token", "min_frequency", "max_training_memory_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"tokenizer.{name} (={getattr(self, name)}) should be at least 1")
