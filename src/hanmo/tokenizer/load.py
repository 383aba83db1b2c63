"""Text to ids and back, for every tokenizer that a `tokenizer.json` can hold.

In: a folder with `tokenizer.json` (ours, or a model's from elsewhere), or with the files that its makers left. Out: ids as int32,
text, the vocabulary.
Text is only ever text: a special token written out in a document is encoded as the characters it is made of.
"""

import codecs
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers.decoders import DecodeStream

from hanmo.base.errors import DataError, ModelError
from hanmo.base.storage import read_json, write_json, write_text
from hanmo.tokenizer.patterns import cut
from hanmo.tokenizer.spelling import decoder_types, piece_bytes, token_bytes, visible
from hanmo.tokenizer.spoken import plain
from hanmo.tokenizer.vocabulary_files import read_vocabulary_files
from hanmo.tokenizer.wordpiece import VOCAB_FILE, vocab_text

EOT = "<|endoftext|>"
VOCABULARY_FILE, TRAINING_FILE = "vocabulary.tsv", "tokenizer_training.json"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()
LONGEST_PIECE = 100_000
LARGEST_ID = 1 << 22
REMEMBERED = 8
"""Tokens that decide what the next one adds: spaces depend on two characters, and all but special tokens have one."""


class Tokenizer:
    """One vocabulary with its rules.

    `settings` is the content of `tokenizer_config.json`; `counts[id]` how often each token occurs in the text it was
    trained on, or None when nobody knows; `training` what it was made from, with which settings.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        settings: Mapping[str, Any],
        counts: NDArray[np.int64] | None = None,
        training: Mapping[str, Any] | None = None,
    ) -> None:
        backend.encode_special_tokens = True
        backend.no_padding()
        backend.no_truncation()
        self._backend = backend
        self._settings = dict(settings)
        self._counts = counts
        self._training = dict(training or {})
        self._tokens = _tokens_by_id(backend)  # before the form, for which the library walks through all numbers up to the largest id
        self._form: dict[str, Any] = json.loads(backend.to_str())
        self._ours = "hanmo_kind" in settings
        added = cast("list[dict[str, Any]]", self._form["added_tokens"])
        self._silent = {int(each["id"]) for each in added if each["special"]} - {self.unk_id}
        adds_bytes = self._ours and self.kind != "wordpiece"
        byte_level = decoder_types(self._form) == ["ByteLevel"]
        words = self.kind == "word"
        self._bytes = token_bytes(self._form, self._tokens, self._silent, words=words) if adds_bytes or byte_level else None
        self._plain = plain(backend, [self._tokens[id] for id in self._silent])

    @property
    def kind(self) -> str:
        """bpe, wordpiece, unigram, character or word; for tokenizers from elsewhere the model's name in lower case."""
        return str(self._settings.get("hanmo_kind") or self._form["model"]["type"].lower())

    @property
    def vocab_size(self) -> int:
        """One more than the largest id."""
        return len(self._tokens)

    @property
    def eot_id(self) -> int:
        """The token that opens every document: the tokenizer's own first token, or its end token when it has none.

        Raises ModelError when it has neither.
        """
        for key in ("bos_token", "eos_token"):
            if (found := self.special_id(key)) is not None:
                return found
        if (found := self._backend.token_to_id(EOT)) is not None:
            return found
        raise ModelError("this tokenizer names neither a bos_token nor an eos_token in tokenizer_config.json, so no document can be opened")

    @property
    def opening(self) -> list[int]:
        """What its makers put before a text that stands alone: ours the token that opens every document, others often nothing."""
        if self._ours:
            return [self.eot_id]
        before, _ = self.frame()
        bos = self.special_id("bos_token")
        return before or ([bos] if self._settings.get("add_bos_token") and bos is not None else [])

    def special_id(self, role: str) -> int | None:
        """The token that `tokenizer_config.json` names under a role (cls_token, sep_token, mask_token, pad_token ...), or None."""
        token = self._settings.get(role)
        name: object = cast("dict[str, object]", token).get("content") if isinstance(token, dict) else token
        return self._backend.token_to_id(name) if isinstance(name, str) else None

    def special_ids(self) -> frozenset[int]:
        """Every special token, the unknown one included."""
        return frozenset(self._silent | ({self.unk_id} if self.unk_id is not None else set()))

    @property
    def unk_id(self) -> int | None:
        """The token that stands for what the vocabulary lacks; None when every text can be written."""
        model: dict[str, Any] = self._form["model"]
        if model.get("byte_fallback") and self._backend.token_to_id("<0x00>") is not None:
            return None
        name, id = model.get("unk_token"), model.get("unk_id")
        return id if isinstance(id, int) else None if name is None else self._backend.token_to_id(str(name))

    def names(self) -> list[str]:
        """Every token as the library writes it, by id."""
        return list(self._tokens)

    def special(self) -> dict[str, int]:
        """The special tokens by their text."""
        return {self._tokens[id]: id for id in sorted(self._silent)}

    def added(self) -> dict[str, int]:
        """Every token by its text that was added beside the model's own, special or not."""
        return {str(each["content"]): int(each["id"]) for each in self._form["added_tokens"]}

    @property
    def backend(self) -> tokenizers.Tokenizer:
        """The library's tokenizer, to make another from; nobody changes it."""
        return self._backend

    @property
    def is_byte_level(self) -> bool:
        """Whether tokens are written with one character for each byte."""
        return "ByteLevel" in decoder_types(self._form)

    @property
    def form(self) -> dict[str, Any]:
        """The content of `tokenizer.json`, to change and build another from."""
        return json.loads(self._backend.to_str())

    @property
    def settings(self) -> dict[str, Any]:
        """The content of `tokenizer_config.json`."""
        return dict(self._settings)

    def pre_tokens(self, text: str) -> list[str]:
        """The parts of a normalized text that no token crosses, as the model is given them."""
        normal = self._backend.normalizer.normalize_str(text) if self._backend.normalizer else text
        return [part for part, _ in self._backend.pre_tokenizer.pre_tokenize_str(normal)] if self._backend.pre_tokenizer else [normal]

    def pieces(self, pre_token: str) -> list[tuple[str, int]]:
        """Name and id of the tokens that one pre-token becomes."""
        return [(each.value, each.id) for each in self._backend.model.tokenize(pre_token)]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all rules and the vocabulary."""
        return hashlib.sha256(self._backend.to_str().encode()).hexdigest()

    def encode(self, text: str) -> NDArray[np.int32]:
        """The ids of a text, nothing added.

        Raises DataError for a text that is not valid Unicode (a lone surrogate).
        """
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        """The ids of each text, on all cores; a long text is worked on in pieces, with the same ids as in one."""
        pieces = self._cut(texts)
        encoded = self._encoded(pieces, self._plain.backend.encode_batch_fast)
        arrays = iter([self._plain.of_first(each.ids) for each in encoded])
        return [next(arrays) if len(group) == 1 else np.concatenate([next(arrays) for _ in group]) for group in pieces]

    def frame(self) -> tuple[list[int], list[int]]:
        """The tokens that tokenizer.json itself wants before and behind a text (its post_processor), often none.

        Raises ModelError when it wants ids that are no tokens.
        """
        made = self._backend.encode("a")
        if (most := max(made.ids, default=0)) >= self.vocab_size:
            raise ModelError(f"tokenizer.json: its post_processor adds the id {most} to a text, of {self.vocab_size} tokens")
        inside = [place for place, added in enumerate(made.special_tokens_mask) if not added] or [0, -1]
        return made.ids[: inside[0]], made.ids[inside[-1] + 1 :]

    def encode_spans(self, texts: Sequence[str]) -> list[tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]]:
        """The ids of each text, and the characters where each token begins and ends; slower than `encode_batch`."""
        pieces = self._cut(texts)
        encoded = iter(self._encoded(pieces, self._plain.backend.encode_batch))
        found: list[tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]] = []
        for group in pieces:
            ids, spans, start = list[int](), list[NDArray[np.int64]](), 0
            for piece in group:
                part = next(encoded)
                ids += part.ids
                spans.append(np.array(part.offsets, dtype=np.int64).reshape(-1, 2) + start)
                start += len(piece)
            both = np.concatenate(spans)
            found.append((self._plain.of_first(ids), both[:, 0], both[:, 1]))
        return found

    def _cut(self, texts: Sequence[str]) -> list[list[str]]:
        return [cut(text, LONGEST_PIECE) if self._ours else [text] for text in texts]

    def _encoded(self, pieces: Sequence[Sequence[str]], encode: Callable[..., list[tokenizers.Encoding]]) -> list[tokenizers.Encoding]:
        try:
            return encode([piece for group in pieces for piece in group], add_special_tokens=False)
        except (TypeError, UnicodeEncodeError) as error:
            raise DataError(f"a text is not valid Unicode and cannot be encoded: {error}") from error

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids; special tokens give no text except <unk>.

        Bytes that are no UTF-8, and ids outside the vocabulary, give U+FFFD.
        """
        if self._bytes is None:
            return self._backend.decode([int(i) for i in ids if i not in self._silent], skip_special_tokens=False)
        return b"".join(self.bytes_of(int(i)) for i in ids).decode("utf-8", "replace")

    def bytes_of(self, id: int) -> bytes:
        """The bytes one token adds to a text; for tokenizers that build text in another way, those of its name."""
        if not 0 <= id < self.vocab_size:
            return REPLACEMENT
        return self._tokens[id].encode() if self._bytes is None else self._bytes[id]

    def piece_bytes(self) -> list[bytes] | None:
        """What each token adds in the middle of a text, special ones nothing; None where that depends on its neighbours."""
        return self._bytes if self._bytes is not None else piece_bytes(self._form, self._tokens, self._silent)

    @property
    def adds_bytes(self) -> bool:
        """Whether a text is its tokens' bytes one after another."""
        return self._bytes is not None

    def stream(self) -> "DecodeStream | list[int]":
        """An incremental decoder, for tokenizers that build text in another way: the library's, or for word pieces the last ids."""
        return [] if self._ours else DecodeStream(skip_special_tokens=False)

    def step(self, stream: "DecodeStream | list[int]", id: int) -> str:
        """What one more id adds to `stream`."""
        if id in self._silent:
            return ""
        if isinstance(stream, DecodeStream):
            return stream.step(self._backend, id) or ""
        before, after = self.decode(stream), self.decode([*stream, id])
        stream[:] = [*stream, id][-REMEMBERED:]
        return after[len(before) :]

    @property
    def has_counts(self) -> bool:
        """Whether it is known how often each token occurs."""
        return self._counts is not None

    def vocabulary(self) -> list[tuple[str, int, int]]:
        """Every token as (visible text, id, count), most frequent first, then by id; counts are 0 when not known."""
        counts = np.zeros(self.vocab_size, dtype=np.int64) if self._counts is None else self._counts
        order = np.argsort(-counts, kind="stable")
        return [(self.visible(int(id)), int(id), int(counts[id])) for id in order]

    def visible(self, id: int) -> str:
        """A token for the eye: bytes that are no whole character as \\xNN, line ends and tabs as \\n and \\t."""
        own = self._bytes[id] if self._bytes is not None else b""
        text = own.decode("utf-8", "surrogateescape") if own else self._tokens[id]
        return visible(text)

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`, `tokenizer_config.json` and what else is known.

        `vocabulary.tsv` holds counts, `tokenizer_training.json` the settings and the sample, `vocab.txt` word pieces.
        """
        if self._counts is not None:
            rows = (f"{token}\t{id}\t{count}\n" for token, id, count in self.vocabulary())
            write_text(folder / VOCABULARY_FILE, "token\tid\tcount\n" + "".join(rows))
        if self._training:
            write_json(folder / TRAINING_FILE, self._training)
        if self._form["model"]["type"] == "WordPiece" and "" not in self._tokens:
            write_text(folder / VOCAB_FILE, vocab_text(self._tokens))
        write_json(folder / "tokenizer_config.json", self._settings)
        write_text(folder / "tokenizer.json", self._backend.to_str(pretty=True))

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """The tokenizer in a folder.

        Raises ModelError when there is none or it cannot be read.
        """
        file = folder / "tokenizer.json"
        if not file.is_file():
            return cls._of_other_files(folder)
        try:
            backend = tokenizers.Tokenizer.from_file(str(file))
        except BaseException as error:  # the library raises plain Exception, or a panic that is none
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            raise ModelError(f"{file} cannot be read as a tokenizer: {error}") from error
        settings = folder / "tokenizer_config.json"
        counts, training = folder / VOCABULARY_FILE, folder / TRAINING_FILE
        return cls(
            backend,
            read_json(settings) if settings.exists() else {},
            _read_counts(counts, backend.get_vocab_size()) if counts.exists() else None,
            read_json(training) if training.exists() else None,
        )

    @classmethod
    def _of_other_files(cls, folder: Path) -> "Tokenizer":
        found = read_vocabulary_files(folder)
        if found is None:
            others = "vocab.json with merges.txt, vocab.txt, a SentencePiece file"
            raise ModelError(f"{folder} holds no tokenizer: tokenizer.json is missing, and so are {others}")
        return cls(*found)


class StreamDecoder:
    """Text as it grows, in whole characters only; all pushes and the finish joined are `decode` of all ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._stream = None if tokenizer.adds_bytes else tokenizer.stream()
        self._ids: list[int] = []
        self._sent = ""

    def push(self, id: int) -> str:
        """The characters that this id completes, often none in the middle of a Chinese character."""
        if self._stream is None:
            return self._utf8.decode(self._tokenizer.bytes_of(id))
        self._ids.append(id)
        text = self._tokenizer.step(self._stream, id)
        self._sent += text
        return text

    def finish(self) -> str:
        """What is left at the end: U+FFFD for a character that was never completed."""
        if self._stream is None:
            return self._utf8.decode(b"", final=True)
        whole = self._tokenizer.decode(self._ids)
        return whole[len(self._sent) :] if whole.startswith(self._sent) else ""


def _tokens_by_id(backend: tokenizers.Tokenizer) -> list[str]:
    vocabulary = backend.get_vocab(with_added_tokens=True)
    largest = max(vocabulary.values(), default=-1)
    if largest >= LARGEST_ID:
        raise ModelError(f"the tokenizer has a token with the id {largest}: no vocabulary comes near it, the file is damaged")
    tokens = [""] * (largest + 1)
    for token, id in vocabulary.items():
        tokens[id] = token
    return tokens


def _read_counts(path: Path, size: int) -> NDArray[np.int64]:
    """Counts by id from `vocabulary.tsv`.

    Raises ModelError when a line is not one of ours.
    """
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read as text: {error}; remove it or train again") from error
    counts = np.zeros(size, dtype=np.int64)
    for number, line in enumerate(lines[1:-1], 2):
        try:
            _, id, count = line.rsplit("\t", 2)
            counts[int(id) if int(id) >= 0 else size] = int(count)
        except (ValueError, IndexError, OverflowError):
            raise ModelError(
                f"{path}, line {number}: {line[:60]!r} should be token, id below {size}, count: remove the file or train again"
            ) from None
    return counts
