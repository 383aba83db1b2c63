"""Special tokens that objectives need, by the names that known models give them: who trains, fills or reads looks here alone.

In: tokens by name. Out: the ids of the mask, of the sentinels, and of the marks around a gap. The first name of each kind is
what a tokenizer gets that is trained here. No library here, so recipes are read cheaply.
"""

from collections.abc import Mapping

MASKS = ("<mask>", "[MASK]")
"""What stands for a hidden token: RoBERTa, BERT."""
SENTINEL = "<extra_id_{}>"
"""What stands for a span that was cut out, by number: T5."""
SENTINELS_TRAINED = 100
MOST_SENTINELS = 10_000
MIDDLES = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    ("<|fim▁begin|>", "<|fim▁hole|>", "<|fim▁end|>"),
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),
    ("<PRE>", "<SUF>", "<MID>"),
)
"""What stands before prefix, suffix and middle: Qwen2.5 and CodeGemma, StarCoder and SmolLM, SantaCoder, DeepSeek (and as it is
often retyped), Code Llama (and without the sign for a space)."""


def mask_id(ids: Mapping[str, int]) -> int | None:
    """The mask among tokens, or None.

    >>> mask_id({"[PAD]": 0, "[MASK]": 1})
    1
    """
    return next((ids[name] for name in MASKS if name in ids), None)


def sentinel_ids(ids: Mapping[str, int]) -> tuple[int, ...]:
    """The sentinels among tokens, from the first without a gap.

    >>> sentinel_ids({"<extra_id_1>": 7, "<extra_id_0>": 8, "<extra_id_3>": 9})
    (8, 7)
    """
    found: list[int] = []
    while (name := SENTINEL.format(len(found))) in ids and len(found) < MOST_SENTINELS:
        found.append(ids[name])
    return tuple(found)


def middle_marks(ids: Mapping[str, int]) -> tuple[int, int, int] | None:
    """The marks before prefix, suffix and middle among tokens, or None.

    >>> middle_marks({"<fim_prefix>": 5, "<fim_suffix>": 6, "<fim_middle>": 7})
    (5, 6, 7)
    """
    for prefix, suffix, middle in MIDDLES:
        if prefix in ids and suffix in ids and middle in ids:
            return ids[prefix], ids[suffix], ids[middle]
    return None
