"""A gap in a text, in the tokens the model was trained with.

In: what stands before and behind it, and a tokenizer. Out: ids whose continuation is the text between.
"""

from dataclasses import dataclass

from hanmo.base.errors import UsageError
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.special import middle_marks, sentinel_ids


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
    marks = middle_marks(_ids(tokenizer))
    if marks is None:
        raise UsageError("this model's tokenizer has no tokens for filling a gap (such as <|fim_prefix|>): give a prompt without a suffix")
    prefix, suffix, middle = marks
    before, after = (tokenizer.encode(text).tolist() for text in (gap.before, gap.after))
    return [tokenizer.eot_id, prefix, *before, suffix, *after, middle]


def span_ids(tokenizer: Tokenizer, gap: Gap) -> tuple[list[int], int, int]:
    """What an encoder-decoder reads, the sentinel behind which it writes the text between, and the one that ends it.

    A span that was cut out, as in span corruption (Raffel et al. 2020, section 3.1.4).
    Raises UsageError when the tokenizer has no sentinels.
    """
    sentinels = sentinel_ids(_ids(tokenizer))
    if len(sentinels) < 2:
        raise UsageError("this model's tokenizer has no sentinels (<extra_id_0>) for filling a gap: give a prompt without a suffix")
    first, second = sentinels[:2]
    before, after = (tokenizer.encode(text).tolist() for text in (gap.before, gap.after))
    return [*before, first, *after], first, second


def _ids(tokenizer: Tokenizer) -> dict[str, int]:
    return {name: id for id, name in enumerate(tokenizer.names())}
