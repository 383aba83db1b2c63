"""Fill in the middle: the text before and after a gap as one prompt, in the tokens the model was trained with.

In: two texts and a tokenizer that has the three tokens. Out: ids whose continuation is the text between.
"""

from dataclasses import dataclass

from hanmo.base.errors import UsageError
from hanmo.tokenizer.load import Tokenizer

MARKS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    ("<|fim▁begin|>", "<|fim▁hole|>", "<|fim▁end|>"),
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),
)
"""Names of the marks before prefix, suffix and middle: Qwen, StarCoder and SmolLM, SantaCoder, DeepSeek, Code Llama."""


@dataclass(frozen=True)
class Gap:
    """A text with a gap to be filled."""

    before: str
    """What stands before it."""
    after: str
    """What stands behind it."""


def prompt_ids(tokenizer: Tokenizer, prompt: str | Gap) -> list[int]:
    """The ids that open a text and say what is to be continued or filled.

    Prefix, suffix, middle, each behind its mark (Bavarian et al. 2022, section 3, PSM).
    Raises UsageError when the tokenizer has no marks for a gap.
    """
    if isinstance(prompt, str):
        return [tokenizer.eot_id, *map(int, tokenizer.encode(prompt))]
    prefix, suffix, middle = _marks(tokenizer)
    before, after = (tokenizer.encode(text).tolist() for text in (prompt.before, prompt.after))
    return [tokenizer.eot_id, prefix, *before, suffix, *after, middle]


def _marks(tokenizer: Tokenizer) -> tuple[int, int, int]:
    known = {name: id for id, name in enumerate(tokenizer.names())}
    for prefix, suffix, middle in MARKS:
        if prefix in known and suffix in known and middle in known:
            return known[prefix], known[suffix], known[middle]
    raise UsageError("this model's tokenizer has no tokens for filling a gap (such as <|fim_prefix|>): give a prompt without a suffix")
