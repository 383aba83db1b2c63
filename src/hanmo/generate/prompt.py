"""What a prompt is, and the ids that a network begins with.

In: a text, a gap in one, or a conversation under its template. Out: an `Opening`: for a network that reads another text
first the ids of that text beside those that open its own.
"""

from dataclasses import dataclass

from hanmo.generate.fill import Gap, middle_ids, span_ids
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.store import Writer
from hanmo.tokenizer.chat import Encoded
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.rows import with_rows

Prompt = str | Gap | Encoded
"""A text to go on with, a gap to fill, or a conversation to answer."""


@dataclass(frozen=True)
class Opening:
    """Where a sequence begins."""

    text: str
    """The prompt, for people."""
    ids: list[int]
    """What new tokens follow."""
    source: list[int] | None = None
    """What an encoder reads first; None for a network without one."""
    end_ids: tuple[int, ...] = ()
    """Tokens that end this text beside those that end every one."""


def opening(network: Writer, tokenizer: Tokenizer, prompt: Prompt) -> Opening:
    """The ids of a prompt: a text is opened as the tokenizer's makers have it, a conversation as its template says.

    What an encoder reads stands in the frame that tokenizer.json asks for; its decoder begins with its start token.
    Raises UsageError when the tokenizer has no tokens for a gap, and for a token that the network has no row for.
    """
    found = _opening(network, tokenizer, prompt)
    with_rows(tokenizer, [*(found.source or []), *found.ids], network.config.vocab_size)
    return found


def _opening(network: Writer, tokenizer: Tokenizer, prompt: Prompt) -> Opening:
    text = prompt.before if isinstance(prompt, Gap) else prompt if isinstance(prompt, str) else prompt.text
    if isinstance(network, EncoderDecoder):
        before, after = tokenizer.frame()
        ids, written, end_ids = _read(tokenizer, prompt)
        start = network.config.start_token_id
        return Opening(text, [start, *written], [*before, *ids, *after] or [start], end_ids)
    if isinstance(prompt, Gap):
        return Opening(text, middle_ids(tokenizer, prompt))
    ids = [*tokenizer.opening, *tokenizer.encode(prompt).tolist()] if isinstance(prompt, str) else prompt.ids.tolist()
    return Opening(text, ids or [tokenizer.eot_id])


def spelled(tokenizer: Tokenizer, text: str) -> list[str]:
    """The special tokens that a typed text spells, which are only text there."""
    return [name for name in tokenizer.special() if name and name in text]


def _read(tokenizer: Tokenizer, prompt: Prompt) -> tuple[list[int], list[int], tuple[int, ...]]:
    """For an encoder-decoder: what it reads, what it has written already, what ends that."""
    if isinstance(prompt, Gap):
        ids, first, second = span_ids(tokenizer, prompt)
        return ids, [first], (second,)
    return tokenizer.encode(prompt).tolist() if isinstance(prompt, str) else prompt.ids.tolist(), [], ()
