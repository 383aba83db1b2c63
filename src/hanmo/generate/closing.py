"""How a JSON text that has to end ends soonest.

In: its bytes, one token after another. Out: of the tokens that may come next those that close what is open. V vocabulary.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

QUOTE, ESCAPE = b'"'[0], b"\\"[0]


class Closers:
    """The tokens of a vocabulary that close something, as masks [V]."""

    def __init__(self, tokens: Sequence[bytes], end_ids: Sequence[int]) -> None:
        """`tokens` are the bytes of every id; end_ids end the text."""
        ends = set(end_ids)
        self._ends = torch.tensor([id in ends for id in range(len(tokens))])
        self._brackets = _made_of(tokens, b"]}")
        self._quotes = torch.tensor([text[:1] == b'"' and not text[1:].strip(b'"]}') for text in tokens])
        self._commas = torch.tensor([text in (b",", b',"') for text in tokens])

    def nearest(self, allowed_V: Tensor, in_string: bool) -> Tensor:
        """Of the allowed tokens [V] those that close most; all of them where none closes anything."""
        ranks = (self._quotes,) if in_string else (self._ends, self._brackets, self._commas, self._quotes)
        for rank in ranks:
            near_V = allowed_V.clone()
            near_V[: len(rank)] &= rank[: len(near_V)]
            near_V[len(rank) :] = False
            if bool(near_V.any()):
                return near_V
        return allowed_V


class Strings:
    """Whether a JSON text stands inside a string."""

    def __init__(self) -> None:
        self.is_inside = self._is_escaped = False

    def push(self, text: bytes) -> None:
        """Go on by some bytes."""
        for byte in text:
            if self._is_escaped:
                self._is_escaped = False
            elif self.is_inside and byte == ESCAPE:
                self._is_escaped = True
            elif byte == QUOTE:
                self.is_inside = not self.is_inside


def _made_of(tokens: Sequence[bytes], letters: bytes) -> Tensor:
    return torch.tensor([bool(text) and not text.strip(letters) for text in tokens])
