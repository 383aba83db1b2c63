"""The tokens at which a model ends its turn, from every place that says so.

In: a tokenizer and what a model's files say (generation_config.json, config.json). Out: ids, those first that the first file names.
One file is often wrong: a chat model that was trained on from a base model keeps the base model's end of text.
"""

from collections.abc import Mapping
from typing import cast

from hanmo.tokenizer.load import Tokenizer

TURN_ENDS = (
    *("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|endofturn|>", "<|end_of_turn|>", "<|END_OF_TURN_TOKEN|>"),
    *("<turn|>", "<|eom_id|>", "<|return|>", "<end_of_utterance>", "<EOT>", "<|endoftext|>", "<|end_of_text|>"),
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
)
"""How the makers of models write the end of a turn or a text."""


def end_ids(tokenizer: Tokenizer, *said: Mapping[str, object], rows: int | None = None) -> list[int]:
    """Every token that ends a turn: the files' eos_token_id, the tokenizer's eos_token, and the usual ends among its special tokens.

    Ids from `rows` on are left out: the model cannot say them.
    """
    special = tokenizer.special()
    named = [id for values in said for id in _ids(values.get("eos_token_id"))]
    own = tokenizer.special_id("eos_token")
    usual = [special[name] for name in TURN_ENDS if name in special]
    found: list[int] = [*named, *([] if own is None else [own]), *usual]
    most = tokenizer.vocab_size if rows is None else rows
    return [id for id in dict.fromkeys(found) if 0 <= id < most]


def _ids(value: object) -> list[int]:
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, int) and not isinstance(each, bool)]
