"""The tokenizer of a model folder that has no `tokenizer.json`: from the files that its makers left.

In: `vocab.json` with `merges.txt` (GPT-2, RoBERTa, Qwen), `vocab.txt` (BERT), a SentencePiece file (Llama, Gemma, T5, XLM-RoBERTa) or
Marian's pair with its `vocab.json`; and what `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json` say. Out: the
library's tokenizer, which gives the same ids as their makers' own, and settings. Which of them a folder is, its `config.json` says.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import RobertaProcessing, TemplateProcessing

from hanmo.base.errors import ModelError
from hanmo.base.storage import read_json
from hanmo.tokenizer.patterns import GPT4
from hanmo.tokenizer.piece_merges import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, merges_of
from hanmo.tokenizer.sentencepiece import KINDS, PieceVocabulary, read_sentencepiece
from hanmo.tokenizer.special import MOST_SENTINELS, SENTINEL
from hanmo.tokenizer.spelling import BLANK
from hanmo.tokenizer.spoken import SIGN
from hanmo.tokenizer.wordpiece import CLS, MASK, PAD, SEP, UNK, read_vocab

PIECE_FILES = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model", "spm.model")
MARIAN_FILES = ("source.spm", "target.spm", "vocab.json")
ROLES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
TURNS = ("<start_of_turn>", "<end_of_turn>")
"""Gemma's file has these among what a user defined; they are special all the same."""
UNSEEN = 10.0
"""How much worse than the worst piece SentencePiece takes a letter that it does not know."""
Roles = dict[str, Any]


@dataclass(frozen=True)
class _VocabularySettings:
    """What the files beside a vocabulary say."""

    folder: Path
    model_type: str
    settings: Mapping[str, Any]
    roles: Roles

    def named(self, role: str) -> str:
        """The token under a role."""
        return _content(self.roles[role])


def read_vocabulary_files(folder: Path) -> tuple[tokenizers.Tokenizer, dict[str, Any]] | None:
    """The tokenizer and its settings; None for a folder without any such file.

    Raises ModelError for files that are damaged or contradict each other.
    """
    if (make := _reader(folder)) is None:
        return None
    config, settings = _json(folder / "config.json"), _json(folder / "tokenizer_config.json")
    named = {role: each for role, each in (_json(folder / "special_tokens_map.json") | settings).items() if role in ROLES and each}
    model_type = str(config.get("model_type") or settings.get("tokenizer_class") or "").lower().replace("_", "-")
    told = _VocabularySettings(folder, model_type, settings, named)
    try:
        backend, roles = make(told)
        _add_tokens(backend, told, {**roles, **named})
    except ModelError:
        raise
    except BaseException as error:  # the library raises plain Exception, or a panic that is none
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ModelError(f"{folder}: its vocabulary cannot be read: {' '.join(str(error).split())[:160]}") from error
    known = {role: token for role, token in {**roles, **named}.items() if backend.token_to_id(_content(token)) is not None}
    return backend, {"clean_up_tokenization_spaces": False, **settings, **known, "tokenizer_class": "PreTrainedTokenizerFast"}


def has_vocabulary_files(folder: Path) -> bool:
    """Whether a folder has the files of some tokenizer."""
    return _reader(folder) is not None


def _reader(folder: Path) -> "_Reader | None":
    return next((make for files, make in READERS if all((folder / each).is_file() for each in files)), None)


def _pairs(told: _VocabularySettings) -> tuple[tokenizers.Tokenizer, Roles]:
    """Byte-level byte pairs: GPT-2's, or those of RoBERTa and Qwen, which frame and cut texts in other ways."""
    vocabulary = _json(told.folder / "vocab.json")
    try:
        lines = (told.folder / "merges.txt").read_text("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise ModelError(f"{told.folder / 'merges.txt'} cannot be read as text: {error}") from error
    if any(piece.endswith("</w>") for piece in vocabulary):
        raise ModelError(f"{told.folder / 'vocab.json'} marks the ends of words (</w>), which is not read here: tokenizer.json would be")
    pairs = [(left, right) for line in lines if line and not line.startswith("#version") for left, _, right in [line.partition(" ")]]
    backend = tokenizers.Tokenizer(models.BPE(vocabulary, pairs))
    space = bool(told.settings.get("add_prefix_space"))
    backend.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space)  # pyright: ignore[reportAttributeAccessIssue]
    if "qwen" in told.model_type:
        cuts = [pre_tokenizers.Split(Regex(GPT4 % ""), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=space, use_regex=False)]
        backend.normalizer = normalizers.NFC()  # pyright: ignore[reportAttributeAccessIssue]
        backend.pre_tokenizer = pre_tokenizers.Sequence(cuts)  # pyright: ignore[reportAttributeAccessIssue]
        return backend, {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    if not any(name in told.model_type for name in ("roberta", "bart", "longformer", "led")):
        return backend, dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    roles = {**_FAIRSEQ, **told.roles}
    ends = [(_content(roles[role]), vocabulary.get(_content(roles[role]), 0)) for role in ("sep_token", "cls_token")]
    backend.post_processor = RobertaProcessing(*ends, trim_offsets=True, add_prefix_space=space)  # pyright: ignore[reportAttributeAccessIssue]
    return backend, dict(_FAIRSEQ)


_FAIRSEQ: Roles = {
    **{"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "unk_token": "<unk>", "pad_token": "<pad>"},
    "mask_token": {"content": "<mask>", "lstrip": True},
}


def _words(told: _VocabularySettings) -> tuple[tokenizers.Tokenizer, Roles]:
    """BERT's word pieces."""
    vocabulary = read_vocab(told.folder / "vocab.txt")
    defaults = {"unk_token": UNK, "sep_token": SEP, "pad_token": PAD, "cls_token": CLS, "mask_token": MASK}
    roles = {**defaults, **told.roles}
    backend = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token=_content(roles["unk_token"])))
    backend.normalizer = normalizers.BertNormalizer(  # pyright: ignore[reportAttributeAccessIssue]
        handle_chinese_chars=bool(told.settings.get("tokenize_chinese_chars", True)),
        strip_accents=told.settings.get("strip_accents"),
        lowercase=bool(told.settings.get("do_lower_case", True)),
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # pyright: ignore[reportAttributeAccessIssue]
    backend.decoder = decoders.WordPiece()  # pyright: ignore[reportAttributeAccessIssue]
    cls, sep = _content(roles["cls_token"]), _content(roles["sep_token"])
    if cls in vocabulary and sep in vocabulary:
        _frame(backend, f"{cls} $A {sep}", f"{cls} $A {sep} $B:1 {sep}:1")
    return backend, cast("Roles", defaults)


def _pieces(told: _VocabularySettings) -> tuple[tokenizers.Tokenizer, Roles]:
    """SentencePiece: Llama, Mistral, Gemma, T5, XLM-RoBERTa."""
    path = next(told.folder / name for name in PIECE_FILES if (told.folder / name).is_file())
    read = read_sentencepiece(path)
    kind = KINDS[read.kind]
    if "xlm-roberta" in told.model_type or "xlmroberta" in told.model_type:
        return _after_fairseq(read), dict(_FAIRSEQ)
    t5 = "t5" in told.model_type
    if t5:
        _add_sentinels(read, told.settings.get("extra_ids", 100))
    backend = _by_score(read, read.unk_id) if kind == "unigram" else _by_merges(read)
    _make_spaces(backend, read, told, "always" if kind == "unigram" else "first")
    _add_special(backend, read)
    if t5:
        _frame(backend, "$A </s>", "$A </s> $B </s>")
        return backend, {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    roles: Roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    if "gemma" in told.model_type:
        roles = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
    bos = _content(told.roles.get("bos_token", roles["bos_token"]))
    if kind == "bpe" and told.settings.get("add_bos_token", True) and backend.token_to_id(bos) is not None:
        _frame(backend, f"{bos} $A", f"{bos} $A {bos} $B:1")
    return backend, roles


def _by_score(read: PieceVocabulary, unk_id: int) -> tokenizers.Tokenizer:
    vocabulary = list(zip(read.pieces, read.scores, strict=True))
    return tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=unk_id, byte_fallback=read.byte_fallback))


def _by_merges(read: PieceVocabulary) -> tokenizers.Tokenizer:
    merges = merges_of(read.pieces, read.scores, read.types)
    vocabulary = {piece: id for id, piece in enumerate(read.pieces)}
    unknown = next((piece for piece, type_ in zip(read.pieces, read.types, strict=True) if type_ == UNKNOWN), None)
    model = models.BPE(vocabulary, merges, unk_token=unknown, fuse_unk=True, byte_fallback=read.byte_fallback)
    return tokenizers.Tokenizer(model)


def _add_sentinels(read: PieceVocabulary, count: object) -> None:
    """T5's marks of gaps, behind the pieces, the last one first.

    Raises ModelError for more of them than any tokenizer has.
    """
    if not isinstance(count, int) or not 0 <= count <= MOST_SENTINELS:
        raise ModelError(f"tokenizer_config.json: extra_ids (={count!r}) should be a number from 0 to {MOST_SENTINELS}")
    known = set(read.pieces)
    names = [SENTINEL.format(number) for number in range(count)][::-1]
    missing = [name for name in names if name not in known]
    read.pieces += missing
    read.scores += [0.0] * len(missing)
    read.types += [CONTROL] * len(missing)


def _after_fairseq(read: PieceVocabulary) -> tokenizers.Tokenizer:
    """XLM-RoBERTa's ids: four tokens of its own first, then the pieces without their three, then the mask."""
    first = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = [*zip(first, [0.0] * 4, strict=True), *zip(read.pieces[3:], read.scores[3:], strict=True), ("<mask>", 0.0)]
    backend = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=3, byte_fallback=False))
    _normalize(backend, read)
    _cut_at_blanks(backend, "always", split=True)
    for token in (*first, _FAIRSEQ["mask_token"]):
        _add(backend, _token(token, special=True))
    _frame(backend, "<s> $A </s>", "<s> $A </s> </s> $B </s>")
    return backend


def _marian(told: _VocabularySettings) -> tuple[tokenizers.Tokenizer, Roles]:
    """Marian's: the source's pieces cut a text, ids are those of `vocab.json`.

    What only the target's file has stands under a sign, so that no text is cut into it; the decoder takes the sign away. But a letter
    that the source's file lacks has its id, as in Marian.
    """
    read, ids = read_sentencepiece(told.folder / "source.spm"), _json(told.folder / "vocab.json")
    if KINDS[read.kind] != "unigram" or sorted(ids.values()) != list(range(len(ids))) or "<unk>" not in ids:
        raise ModelError(f"{told.folder / 'vocab.json'} does not number its pieces from 0 on, or {read.kind=} is not Marian's")
    scores = {piece: score for piece, score, type_ in zip(read.pieces, read.scores, read.types, strict=True) if type_ == NORMAL}
    special = [piece for piece in ("<unk>", "</s>", "<pad>") if piece in ids]
    codes = [piece for piece in ids if piece.startswith(">>") and piece.endswith("<<")]
    spoken, lowest = {*scores, *special, *codes}, min(scores.values(), default=0.0)
    in_order = sorted(ids, key=lambda piece: ids[piece])
    vocabulary = [(piece if piece in spoken or len(piece) == 1 else SIGN + piece, scores.get(piece, lowest - UNSEEN)) for piece in in_order]
    backend = tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=ids["<unk>"]))
    _normalize(backend, read)
    _cut_at_blanks(backend, "always", split=not read.crosses_blanks)
    backend.decoder = decoders.Sequence([decoders.Replace(SIGN, ""), backend.decoder])  # pyright: ignore[reportAttributeAccessIssue]
    for piece in (*special, *codes):
        _add(backend, AddedToken(piece, special=piece in special, normalized=False))
    _frame(backend, "$A </s>", "$A $B </s>")
    return backend, {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def _make_spaces(backend: tokenizers.Tokenizer, read: PieceVocabulary, told: _VocabularySettings, scheme: str) -> None:
    """Blanks as the file and the settings have them."""
    said = told.settings.get("add_prefix_space")
    if not (read.add_dummy_prefix if said is None else said):
        scheme = "never"
    elif told.settings.get("legacy") is True or read.remove_extra_whitespaces:
        scheme = "always"
    _normalize(backend, read)
    _cut_at_blanks(backend, scheme, split=KINDS[read.kind] == "unigram" and not read.crosses_blanks)
    if read.byte_fallback:
        steps = [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse()]
        steps += [] if scheme == "never" else [decoders.Strip(" ", 1, 0)]
        backend.decoder = decoders.Sequence(steps)  # pyright: ignore[reportAttributeAccessIssue]


def _normalize(backend: tokenizers.Tokenizer, read: PieceVocabulary) -> None:
    steps: list[normalizers.Normalizer] = [normalizers.Precompiled(read.charsmap)] if read.charsmap else []
    if read.remove_extra_whitespaces:
        steps += [normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]
    if steps:
        backend.normalizer = normalizers.Sequence(steps)  # pyright: ignore[reportAttributeAccessIssue]


def _cut_at_blanks(backend: tokenizers.Tokenizer, scheme: str, *, split: bool) -> None:
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
    backend.decoder = decoders.Metaspace(prepend_scheme=scheme)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]


def _add_special(backend: tokenizers.Tokenizer, read: PieceVocabulary) -> None:
    for piece, type_ in zip(read.pieces, read.types, strict=True):
        if type_ in (CONTROL, UNKNOWN, USER_DEFINED):
            special = type_ != USER_DEFINED or piece in TURNS
            _add(backend, AddedToken(piece, special=special, normalized=False))


def _add(backend: tokenizers.Tokenizer, token: AddedToken) -> None:
    backend.add_tokens([token])  # pyright: ignore[reportUnknownMemberType]


def _frame(backend: tokenizers.Tokenizer, single: str, pair: str) -> None:
    names = dict.fromkeys(word.partition(":")[0] for word in pair.split() if not word.startswith("$"))
    tokens = [(name, id) for name in names if (id := backend.token_to_id(name)) is not None]
    backend.post_processor = TemplateProcessing(single=single, pair=pair, special_tokens=tokens)  # pyright: ignore[reportAttributeAccessIssue]


def _add_tokens(backend: tokenizers.Tokenizer, told: _VocabularySettings, roles: Roles) -> None:
    """The tokens that the files add, in the order of their ids; then those that only a role names.

    Raises ModelError for an id that another token has.
    """
    entries = _added(told, {_content(token) for token in roles.values()})
    for id, token in sorted(entries, key=lambda entry: entry[0]):
        _add(backend, token)
        if backend.token_to_id(token.content) != id:
            given = backend.token_to_id(token.content)
            raise ModelError(f"{told.folder}: the added token {token.content!r} should have the id {id}, its vocabulary gives it {given}")
    done = {token.content for _, token in entries}
    for role, token in roles.items():
        if (name := _content(token)) not in done and (role in told.roles or backend.token_to_id(name) is not None):
            _add(backend, _token(token, special=True))


def _added(told: _VocabularySettings, special: set[str]) -> list[tuple[int, AddedToken]]:
    found: Mapping[str, Any] = told.settings.get("added_tokens_decoder") or {}
    if found:
        return [(int(id), _token(token, special=bool(token.get("special")))) for id, token in found.items()]
    for key in ("additional_special_tokens", "extra_special_tokens"):
        more = told.settings.get(key)
        special |= {_content(each) for each in cast("list[Any]", more)} if isinstance(more, list) else set()
    added = _json(told.folder / "added_tokens.json")
    return [(int(id), _token(name, special=name in special)) for name, id in added.items()]


def _token(token: Any, *, special: bool) -> AddedToken:
    flags = cast("dict[str, Any]", token) if isinstance(token, dict) else {}
    names: Sequence[str] = ("single_word", "lstrip", "rstrip")
    given = {name: bool(flags.get(name)) for name in names}
    return AddedToken(_content(token), normalized=bool(flags.get("normalized", not special)), special=special, **given)


def _content(token: Any) -> str:
    return str(cast("dict[str, Any]", token).get("content") if isinstance(token, dict) else token)


def _json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


_Reader = Callable[[_VocabularySettings], tuple[tokenizers.Tokenizer, Roles]]
READERS: list[tuple[tuple[str, ...], _Reader]] = [
    (MARIAN_FILES, _marian),
    (("vocab.json", "merges.txt"), _pairs),
    *(((name,), _pieces) for name in PIECE_FILES),
    (("vocab.txt",), _words),
]
"""The files that each kind needs, and what reads them."""
