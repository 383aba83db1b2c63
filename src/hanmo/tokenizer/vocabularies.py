"""Vocabularies of other tools become a tokenizer: BERT's `vocab.txt`, and the byte pairs of GPT-2 in two files.

In: `vocab.txt`, or `vocab.json` (`encoder.json`) with `merges.txt` (`vocab.bpe`) beside it. Out: a `Tokenizer` that gives the
same ids as theirs. `tokenizer.json` needs none of this: `Tokenizer.load` reads it.
"""

from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import TemplateProcessing

from hanmo.base.errors import ModelError
from hanmo.base.storage import read_json
from hanmo.tokenizer.load import EOT, Tokenizer
from hanmo.tokenizer.wordpiece import CLS, ROLES, SEP, SPECIAL, read_vocab, wordpiece_backend

PAIR_FILES = {"vocab.json": "merges.txt", "encoder.json": "vocab.bpe"}


def import_vocabulary(path: Path, *, lowercase: bool = False) -> Tokenizer:
    """The tokenizer that a vocabulary file, or a folder with one, stands for; `lowercase` as BERT's `do_lower_case`.

    Raises ModelError when there is none, or it is not whole.
    """
    if path.is_dir():
        found = next((path / name for name in ("vocab.txt", *PAIR_FILES) if (path / name).is_file()), None)
        if found is None:
            raise ModelError(f"{path} holds no vocabulary: looked for vocab.txt, {', '.join(PAIR_FILES)}")
        path = found
    if path.suffix == ".json":
        return _pairs(path, path.with_name(PAIR_FILES.get(path.name, "merges.txt")))
    return _wordpiece(path, lowercase)


def _wordpiece(path: Path, lowercase: bool) -> Tokenizer:
    vocabulary = read_vocab(path)
    backend = wordpiece_backend(vocabulary, lowercase=lowercase)
    special = [token for token in SPECIAL if token in vocabulary]
    _make_special(backend, special)
    if CLS in vocabulary and SEP in vocabulary:
        backend.post_processor = TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
            single=f"{CLS} $A {SEP}",
            pair=f"{CLS} $A {SEP} $B:1 {SEP}:1",
            special_tokens=[(token, vocabulary[token]) for token in (CLS, SEP)],
        )
    roles = {role: token for role, token in ROLES.items() if token in vocabulary}
    return _tokenizer(backend, "wordpiece", roles, path)


def _pairs(vocab: Path, merges: Path) -> Tokenizer:
    vocabulary = read_json(vocab)
    try:
        lines = merges.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{vocab} needs {merges.name} beside it, which cannot be read: {error}") from error
    pairs = [(left, right) for line in lines if line and not line.startswith("#version") for left, _, right in [line.partition(" ")]]
    try:
        backend = tokenizers.Tokenizer(models.BPE(vocabulary, pairs))
    except Exception as error:  # the library raises plain Exception
        raise ModelError(f"{vocab} and {merges} do not belong together: {error}") from error
    backend.pre_tokenizer = ByteLevel(add_prefix_space=False)  # pyright: ignore[reportAttributeAccessIssue]
    backend.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    special = [EOT] if EOT in vocabulary else []
    _make_special(backend, special)
    return _tokenizer(backend, "bpe", {role: EOT for role in ("bos_token", "eos_token") if special}, vocab)


def _make_special(backend: tokenizers.Tokenizer, tokens: list[str]) -> None:
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens])  # pyright: ignore[reportUnknownMemberType]


def _tokenizer(backend: tokenizers.Tokenizer, kind: str, roles: dict[str, str], path: Path) -> Tokenizer:
    settings: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **roles,
        "clean_up_tokenization_spaces": False,
        "hanmo_kind": kind,
    }
    return Tokenizer(backend, settings, training={"imported_from": path.name})
