"""A tokenizer learns the words of a domain: new tokens behind all old ones, whose ids stay.

In: a tokenizer of ours or of a model, and words or domain texts. Out: the extended one, and which words became a token.
The idea: no list of added tokens that are looked for anywhere in a text, even inside other words, but new entries of the
model itself. Byte pairs get further merges behind the old ones; unigram models and word pieces get further entries; a
character tokenizer gets characters. So what round-tripped before still does, and other tools read it from `tokenizer.json`.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import rjieba
import tokenizers

from hanmo.base.errors import DataError, ModelError
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.merges import Pair, Ranks, grow
from hanmo.tokenizer.sample import sample
from hanmo.tokenizer.spelling import byte_characters
from hanmo.tokenizer.unigram import BYTE_SCORE
from hanmo.tokenizer.words import LAST

MEMORY_BYTES = 1_000_000_000
LEAST = 2
LONGEST_SEQUENCE = 64
LONGEST_WIDE, LONGEST_ASCII = 24, 48
SPACE = "▁"
_HAN = re.compile("([\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+)")
_SPACED = re.compile(r"[^\W\d_\u3040-\u30ff\u3400-\u9fff]")
_BYTES = {character: byte for byte, character in enumerate(byte_characters())}


@dataclass(frozen=True)
class Extension:
    """An extended tokenizer and how it came about."""

    tokenizer: Tokenizer
    added: list[str]
    """The new tokens for the eye, by id."""
    not_single: list[str]
    """Words asked for that are still more than one token: the tokenizer cuts text inside them, or `add` left no room."""


def extend(tokenizer: Tokenizer, *, words: Sequence[str] = (), texts: Iterable[str] = (), add: int = 0) -> Extension:
    """Give `words` tokens of their own, then as many further ones, up to `add` new tokens, as save most in `texts`.

    `add` of 0 takes all words and nothing from the texts. Raises DataError when nothing is asked for or can be added, and
    ModelError for a tokenizer that cannot grow.
    """
    words = list(dict.fromkeys(word for word in (each.strip() for each in words) if word))
    if not words and not add:
        raise DataError("nothing to extend the tokenizer by: give words, or texts and how many tokens to add")
    room = add or 10**9
    new = _with_words(tokenizer, words, room) if words else tokenizer
    room -= new.vocab_size - tokenizer.vocab_size
    if add and room and (pieces := sample(texts, MEMORY_BYTES).pieces):
        new = _with_texts(new, pieces, room)
    if new.vocab_size == tokenizer.vocab_size:
        raise DataError(
            "no token could be added: the words are single tokens already or cannot be, and the texts offer nothing that repeats"
        )
    if new.names()[: tokenizer.vocab_size] != tokenizer.names():
        raise ModelError("this tokenizer keeps special tokens in a place that new ones would take: it cannot be extended")
    origin = {"extended_from": tokenizer.fingerprint, "words": len(words), "add": add}
    settings = {**tokenizer.settings, "hanmo_extended_from": tokenizer.fingerprint}
    new = Tokenizer(_backend(new.form), settings, training=origin)
    added = [new.visible(id) for id in range(tokenizer.vocab_size, new.vocab_size)]
    return Extension(new, added, [word for word in words if min(len(new.encode(form)) for form in _forms(word)) > 1])


def _forms(word: str) -> list[str]:
    """A word as it follows a space where its language has them, and as it begins a text."""
    return [" " + word, word] if _SPACED.match(word) else [word]


def _with_words(old: Tokenizer, words: Sequence[str], room: int) -> Tokenizer:
    """Both forms of each word; of byte pairs, which need a token for every step, only the one that running text has."""
    model = old.form["model"]
    merged = model["type"] == "BPE"
    texts = [form for word in words for form in (_forms(word)[:1] if merged else _forms(word))]
    forms = [parts[0] for text in texts if len(parts := old.pre_tokens(text)) == 1]
    if old.kind == "character":
        return _with_entries(old, _new(old, (character for word in words for character in word))[:room])
    if not merged:
        return _with_entries(old, _new(old, forms)[:room])
    ranks, known, before = Ranks([_pair(each) for each in model["merges"]]), set(old.names()), len(model["merges"])
    for form in forms:
        # a pre-token is merged from its characters; one that has a character without a token cannot be
        wanting = ranks.chain(form) if all(character in model["vocab"] for character in form) else []
        tokens = {left + right for left, right in wanting} - known
        if len(tokens) <= room:
            ranks.add(wanting)
            known |= tokens
            room -= len(tokens)
    return _with_merges(old, ranks.merges[before:])


def _with_texts(old: Tokenizer, pieces: Sequence[str], room: int) -> Tokenizer:
    """What saves most tokens in some texts."""
    if old.kind == "character":
        counted = Counter[str]()
        for piece in pieces:
            counted.update(piece)
        return _with_entries(old, _new(old, _by_gain({each: count for each, count in counted.items() if count >= LEAST}))[:room])
    model, counted = old.form["model"], Counter[str]()
    for piece in pieces:
        counted.update(old.pre_tokens(piece))
    if model["type"] != "BPE":
        gains = {word: count * _cost(old, word) for word, count in _words(counted).items() if count >= LEAST}
        return _with_entries(old, _new(old, _by_gain(gains))[:room])
    sequences = Counter[tuple[str, ...]]()
    for part, count in counted.items():
        for sequence in _sequences([name for name, _ in old.pieces(part)], bool(model.get("byte_fallback"))):
            sequences[sequence] += count
    ordered = dict(sorted(sequences.items()))
    return _with_merges(old, [pair for pair, _ in grow(ordered, set(old.names()), room, LEAST, _fits(old.is_byte_level))])


def _by_gain(gains: dict[str, int]) -> list[str]:
    return [word for word, gain in sorted(gains.items(), key=lambda each: (-each[1], each[0])) if gain > 0]


def _new(old: Tokenizer, entries: Iterable[str]) -> list[str]:
    known = set(old.names())
    return [entry for entry in dict.fromkeys(entries) if entry not in known]


def _cost(old: Tokenizer, word: str) -> int:
    """Tokens that one token for a word saves, an unknown one counted as two."""
    pieces = old.pieces(word)
    return len(pieces) - 1 + sum(id == old.unk_id for _, id in pieces)


def _words(counted: Counter[str]) -> Counter[str]:
    """Pre-tokens with Chinese runs segmented into words."""
    found = Counter[str]()
    for part, count in counted.items():
        if LAST in part or not _HAN.search(part):
            found[part] += count
            continue
        for run in _HAN.findall(part):
            for word in rjieba.cut(run):
                found[word] += count
    return found


def _sequences(pieces: Sequence[str], has_bytes: bool) -> list[tuple[str, ...]]:
    """Runs of tokens of bounded length; tokens that stand for a byte by its name cannot be merged."""
    runs: list[list[str]] = [[]]
    for piece in pieces:
        if has_bytes and len(piece) == 6 and piece.startswith("<0x"):
            runs.append([])
            continue
        if len(runs[-1]) == LONGEST_SEQUENCE:
            runs.append([])
        runs[-1].append(piece)
    return [tuple(run) for run in runs if len(run) > 1]


def _fits(byte_level: bool) -> Callable[[str], bool]:
    """Whether a token is short enough and one word: longer runs of Chinese are hardly ever seen again."""

    def fits(token: str) -> bool:
        data = bytes(_BYTES[each] for each in token) if byte_level and all(each in _BYTES for each in token) else token.encode()
        return len(data) <= (LONGEST_ASCII if data.isascii() else LONGEST_WIDE) and SPACE not in token[1:]

    return fits


def _pair(merge: object) -> Pair:
    left, right = merge.split(" ") if isinstance(merge, str) else cast("list[str]", merge)
    return left, right


def _with_merges(old: Tokenizer, merges: Sequence[Pair]) -> Tokenizer:
    form = old.form
    model = form["model"]
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise ModelError("a tokenizer that marks the inside or the end of words in its byte pairs cannot be extended")
    vocabulary: dict[str, int] = model["vocab"]
    _settle(form, vocabulary)
    free = old.vocab_size
    for pair in merges:
        if pair[0] + pair[1] not in vocabulary:
            vocabulary[pair[0] + pair[1]] = free
            free += 1
    model["merges"] = [*model["merges"], *(list(pair) if not _as_text(model) else " ".join(pair) for pair in merges)]
    return Tokenizer(_backend(form), old.settings)


def _as_text(model: dict[str, Any]) -> bool:
    return bool(model["merges"]) and isinstance(model["merges"][0], str)


def _settle(form: dict[str, Any], vocabulary: dict[str, int]) -> None:
    """Write special tokens into the vocabulary: the library numbers those outside it from its size on, which will change."""
    for token in form["added_tokens"]:
        vocabulary.setdefault(token["content"], token["id"])


def _with_entries(old: Tokenizer, entries: Sequence[str]) -> Tokenizer:
    form = old.form
    model = form["model"]
    if model["type"] == "Unigram":
        if len(model["vocab"]) != old.vocab_size:
            raise ModelError("this tokenizer keeps special tokens behind its vocabulary, where new ones would stand: it cannot be extended")
        scores: dict[str, float] = dict(model["vocab"])
        least = min((score for score in scores.values() if score > BYTE_SCORE), default=0.0)
        model["vocab"] = [*model["vocab"], *([entry, _score(old, entry, scores, least)] for entry in entries)]
    elif model["type"] in ("BPE", "WordPiece"):
        _settle(form, model["vocab"])
        model["vocab"] |= {entry: old.vocab_size + number for number, entry in enumerate(entries)}
    else:
        raise ModelError(f"a tokenizer of kind {model['type']} cannot be extended: only BPE, Unigram and WordPiece can")
    return Tokenizer(_backend(form), old.settings)


def _score(old: Tokenizer, entry: str, scores: dict[str, float], least: float) -> float:
    """A little more than what the pieces score that a word is made of now, so that it takes their place."""
    return round(max(least, sum(scores.get(piece, least) for piece, _ in old.pieces(entry)) + 0.1), 4)


def _backend(form: dict[str, Any]) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(json.dumps(form, ensure_ascii=False))
