"""A tokenizer twice: once as its makers have it, once so that no text can spell some of its tokens.

In: the library's tokenizer and the tokens that nobody may type. Out: ids, and the characters where they begin, of a text in
which those tokens stand under a sign. Both copies share the model of the first, which may be large, unless the model itself has
a piece under such a name (SentencePiece's unigrams have): then it is renamed there too.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import AddedToken

SIGN = "\ufdd3"
"""A noncharacter around the name of a token that is meant as one."""


def signed(token: str) -> str:
    """The name of a token where it is meant, not spelled."""
    return f"{SIGN}{token}{SIGN}"


@dataclass(frozen=True)
class Copy:
    """A tokenizer of the library, and which of the first one's ids each of its ids is (None: the same)."""

    backend: tokenizers.Tokenizer
    ids: NDArray[np.int32] | None = None

    def of_first(self, ids: list[int]) -> NDArray[np.int32]:
        """The first tokenizer's ids."""
        found = np.array(ids, dtype=np.int32)
        return found if self.ids is None else self.ids[found]

    def encode(self, text: str) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The ids of a text, and the character where each begins."""
        made = self.backend.encode(text, add_special_tokens=False)
        return self.of_first(made.ids), np.array(made.offsets, np.int64).reshape(-1, 2)[:, 0]


def speaking(backend: tokenizers.Tokenizer) -> Copy:
    """The tokenizer as it is, with every special token that a text spells taken for one."""
    return _copy(backend, backend.model, {})


def guarded(backend: tokenizers.Tokenizer, tokens: Iterable[str]) -> Copy:
    """The tokenizer that takes `tokens` for tokens only where they are `signed`; spelled out, they are text."""
    names = {token: signed(token) for token in tokens}
    spelled = _spelled(backend, names)
    return _copy(backend, _renamed(backend, spelled, names) if spelled else backend.model, names)


def plain(backend: tokenizers.Tokenizer, tokens: Collection[str]) -> Copy:
    """The tokenizer for which `tokens` are never more than text: itself where the library sees to that."""
    return guarded(backend, tokens) if _spelled(backend, tokens) else Copy(backend)


def _spelled(backend: tokenizers.Tokenizer, tokens: Iterable[str]) -> set[str]:
    """The tokens that the model itself finds in a text."""
    model = backend.model
    known = [(token, id) for token in tokens if (id := model.token_to_id(token)) is not None]
    return {token for token, id in known if any(each.id == id for each in model.tokenize(token))}


def _renamed(backend: tokenizers.Tokenizer, spelled: Collection[str], names: Mapping[str, str]) -> Any:
    form: dict[str, Any] = json.loads(backend.to_str())
    model = form["model"]
    if isinstance(model["vocab"], dict):
        vocabulary = cast("dict[str, int]", model["vocab"])
        model["vocab"] = {names[piece] if piece in spelled else piece: id for piece, id in vocabulary.items()}
    else:
        scored = cast("list[tuple[str, float]]", model["vocab"])
        model["vocab"] = [[names[piece] if piece in spelled else piece, score] for piece, score in scored]
    if "merges" in model:
        merges = cast("list[str | list[str]]", model["merges"])
        model["merges"] = [each for each in merges if "".join(each.split(" ") if isinstance(each, str) else each) not in spelled]
    if model.get("unk_token") in spelled:
        model["unk_token"] = names[model["unk_token"]]
    return tokenizers.Tokenizer.from_str(json.dumps({**form, "added_tokens": [], "post_processor": None})).model


def _copy(backend: tokenizers.Tokenizer, model: Any, names: Mapping[str, str]) -> Copy:
    copy = tokenizers.Tokenizer(model)
    copy.normalizer = backend.normalizer  # pyright: ignore[reportAttributeAccessIssue]
    copy.pre_tokenizer = backend.pre_tokenizer  # pyright: ignore[reportAttributeAccessIssue]
    added = sorted(backend.get_added_tokens_decoder().items())
    copy.add_tokens([_added(token, names.get(token.content)) for _, token in added])  # pyright: ignore[reportUnknownMemberType]
    table = np.arange(max(copy.get_vocab(with_added_tokens=True).values(), default=-1) + 1, dtype=np.int32)
    for id, token in added:
        table[copy.token_to_id(names.get(token.content, token.content))] = id
    return Copy(copy, None if np.array_equal(table, np.arange(len(table))) else table)


def _added(token: AddedToken, name: str | None) -> AddedToken:
    return AddedToken(
        token.content if name is None else name,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=token.normalized and name is None,
        special=False,
    )
