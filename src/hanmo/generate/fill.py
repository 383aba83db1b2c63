"""A gap in a text, in the tokens the model was trained with.

In: what stands before and behind it, and a tokenizer. Out: ids whose continuation is the text between.
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

SENTINELS = ("<extra_id_0>", "<extra_id_1>")
"""T5's names of the first span that was cut out, and of what comes behind it."""


@dataclass(frozen=True)
class Gap:
    """A text with a gap to be filled."""

    before: str
    """What stands before it."""
    after: str
    """What stands behind it."""


def middle_ids(tokenizer: Tokenizer, gap: Gap) -> list[int]:
    """What a model that reads from left to right continues with the text between.

    Prefix, suffix, middle, each behind its mark (Bavarian et al. 2022, section 3, PSM).
    Raises UsageError when the tokenizer has no marks for a gap.
    """
    known = {name: id for id, name in enumerate(tokenizer.names())}
    for prefix, suffix, middle in MARKS:
        if prefix in known and suffix in known and middle in known:
            before, after = (tokenizer.encode(text).tolist() for text in (gap.before, gap.after))
            return [tokenizer.eot_id, known[prefix], *before, known[suffix], *after, known[middle]]
    raise UsageError("this model's tokenizer has no tokens for filling a gap (such as <|fim_prefix|>): give a prompt without a suffix")


def span_ids(tokenizer: Tokenizer, gap: Gap) -> tuple[list[int], int, int]:
    """What an encoder-decoder reads, the sentinel behind which it writes the text between, and the one that ends it.

    A span that was cut out, as in span corruption (Raffel et al. 2020, section 3.1.4).
    Raises UsageError when the tokenizer has no sentinels.
    """
    known = {name: id for id, name in enumerate(tokenizer.names())}
    if not all(name in known for name in SENTINELS):
        raise UsageError("this model's tokenizer has no sentinels (<extra_id_0>) for filling a gap: give a prompt without a suffix")
    first, second = (known[name] for name in SENTINELS)
    before, after = (tokenizer.encode(text).tolist() for text in (gap.before, gap.after))
    return [*before, first, *after], first, second
