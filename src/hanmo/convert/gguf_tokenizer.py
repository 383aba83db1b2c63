"""The tokenizer inside a GGUF file, as a `Tokenizer`, and ours as metadata.

In: metadata (`tokenizer.ggml.*`). Out: a tokenizer that gives llama.cpp's ids; and back.
Two models are read: `gpt2` is byte-level byte-pair encoding, whose `pre` names the pattern that cuts a text; `llama` is
SentencePiece's byte-pair encoding, whose merges are not in the file but follow from the scores of its pieces.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing

from hanmo.base.errors import ModelError
from hanmo.convert.gguf_patterns import COMPOSED, OPENED, PATTERNS, SAME, WHOLE_FIRST
from hanmo.convert.gguf_reader import Value
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.patterns import pre_tokenizer
from hanmo.tokenizer.piece_merges import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED, merges_of, scores_of
from hanmo.tokenizer.spelling import byte_of

ROLES = {"bos_token": "bos_token_id", "eos_token": "eos_token_id", "unk_token": "unknown_token_id", "pad_token": "padding_token_id"}
SPACE = "\u2581"
OURS = {"smollm": ("gpt2", 1), "llama-bpe": ("gpt4", 3), "qwen2": ("gpt4", 1), "deepseek-v3": ("deepseek", 3)}
"""Patterns of our own tokenizers that engines know under a name."""


def read_tokenizer(metadata: Mapping[str, Value]) -> Tokenizer:
    """The tokenizer that a file's metadata describe.

    Raises ModelError for a kind that is not read, or tables that contradict each other.
    """
    kind = metadata.get("tokenizer.ggml.model")
    tokens = _strings(metadata, "tokenizer.ggml.tokens")
    types = _numbers(metadata, "token_type", len(tokens)) or [NORMAL] * len(tokens)
    if kind == "gpt2":
        backend = _byte_level(metadata, tokens)
    elif kind == "llama":
        tokens = [SPACE * len(token) if token.strip(" ") == "" else token for token in tokens]
        backend = _sentencepiece(metadata, tokens, types)
    else:
        raise ModelError(f"tokenizer.ggml.model (={kind!r}) is not read here: gpt2 and llama are")
    pairs = list(zip(tokens, types, strict=True))
    unknown = [token for token, type_ in pairs if type_ == UNKNOWN and kind == "llama"]
    special = unknown + [token for token, type_ in pairs if type_ == CONTROL]
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    backend.add_tokens([AddedToken(token, special=False, normalized=False) for token, type_ in pairs if type_ == USER_DEFINED])
    roles = {role: tokens[id] for role, key in ROLES.items() if (id := token_id(metadata, key, len(tokens))) is not None}
    add_bos = metadata.get("tokenizer.ggml.add_bos_token", adds_bos(str(kind), str(metadata.get("tokenizer.ggml.pre", ""))))
    if add_bos and "bos_token" in roles:
        opener = roles["bos_token"]
        backend.post_processor = TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
            single=f"{opener} $A", pair=f"{opener} $A {opener} $B:1", special_tokens=[(opener, tokens.index(opener))]
        )
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **roles,
        "add_bos_token": bool(add_bos),
        "clean_up_tokenization_spaces": False,
    }
    return Tokenizer(backend, settings)


def adds_bos(model: str, pre: str) -> bool:
    """Whether a text is opened where a file does not say, by llama.cpp's rule: by the kind of tokenizer and of pre-tokenizer.

    >>> adds_bos("llama", "default"), adds_bos("gpt2", "llama-bpe"), adds_bos("gpt2", "qwen2"), adds_bos("t5", "default")
    (True, True, False, False)
    """
    return model in ("llama", "bert") or (model == "gpt2" and pre in OPENED)


def token_id(metadata: Mapping[str, Value], key: str, size: int) -> int | None:
    """The token that a role has, of `size` tokens; None where the file gives none.

    Raises ModelError for what is no token.
    """
    found = metadata.get(f"tokenizer.ggml.{key}")
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < size:
        raise ModelError(f"tokenizer.ggml.{key} (={found!r}) is none of the {size} tokens")
    return found


def _byte_level(metadata: Mapping[str, Value], tokens: Sequence[str]) -> tokenizers.Tokenizer:
    merges = [tuple(merge.split(" ")) for merge in _strings(metadata, "tokenizer.ggml.merges")]
    name = str(metadata.get("tokenizer.ggml.pre", ""))
    pattern = SAME.get(name, name)
    if pattern not in PATTERNS:
        raise ModelError(f"tokenizer.ggml.pre (={name!r}) cuts texts in a way that is not known here: {', '.join((*PATTERNS, *SAME))} are")
    backend = _pairs(tokens, merges, ignore_merges=name in WHOLE_FIRST)
    if name in COMPOSED:
        backend.normalizer = normalizers.NFC()  # pyright: ignore[reportAttributeAccessIssue]
    backend.pre_tokenizer = PATTERNS[pattern]()  # pyright: ignore[reportAttributeAccessIssue]
    backend.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    return backend


def _sentencepiece(metadata: Mapping[str, Value], tokens: Sequence[str], types: Sequence[int]) -> tokenizers.Tokenizer:
    unknown = token_id(metadata, "unknown_token_id", len(tokens))
    merges = merges_of(tokens, _numbers(metadata, "scores", len(tokens)), types)
    unk_token = None if unknown is None else tokens[unknown]
    backend = _pairs(tokens, merges, unk_token=unk_token, fuse_unk=True, byte_fallback="<0x00>" in tokens)
    prefix = metadata.get("tokenizer.ggml.add_space_prefix", True)
    backend.normalizer = _blanks(prefix=bool(prefix))  # pyright: ignore[reportAttributeAccessIssue]
    parts = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)] if prefix else parts)  # pyright: ignore[reportAttributeAccessIssue]
    return backend


def _pairs(tokens: Sequence[str], merges: Sequence[tuple[str, ...]], **settings: Any) -> tokenizers.Tokenizer:
    vocabulary = {token: id for id, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens):
        twice = next(token for id, token in enumerate(tokens) if vocabulary[token] != id)
        raise ModelError(f"tokenizer.ggml.tokens has {twice!r} twice: no text would say which is meant")
    for pair in merges:
        if len(pair) != 2 or "".join(pair) not in vocabulary:  # the library panics at some of these
            raise ModelError(f"tokenizer.ggml.merges joins {' '.join(pair)[:60]!r}, which tokenizer.ggml.tokens does not have")
    try:
        return tokenizers.Tokenizer(models.BPE(vocabulary, merges, **settings))  # pyright: ignore[reportArgumentType]
    except Exception as error:  # the library raises plain Exception
        words = " ".join(str(error).split())[:160]
        raise ModelError(f"tokenizer.ggml.merges and tokenizer.ggml.tokens do not belong together: {words}") from error


def _strings(metadata: Mapping[str, Value], key: str) -> list[str]:
    found = metadata.get(key)
    if not isinstance(found, list) or not found or not isinstance(found[0], str):
        raise ModelError(f"{key} is {'missing' if found is None else 'no list of strings'}: the file has no tokenizer that can be read")
    return [str(each) for each in found]


def _numbers(metadata: Mapping[str, Value], key: str, count: int) -> list[Any]:
    """A number for each token; none where the file has no such list."""
    found = metadata.get(f"tokenizer.ggml.{key}", [])
    if not isinstance(found, list) or (found and len(found) != count) or not all(isinstance(each, int | float) for each in found):
        raise ModelError(f"tokenizer.ggml.{key} does not have one number for each token")
    return list(found)


def tokenizer_metadata(tokenizer: Tokenizer, vocab_size: int) -> dict[str, Value]:
    """The metadata that make llama.cpp give this tokenizer's ids, for a model of `vocab_size` rows.

    Raises ModelError for a tokenizer that llama.cpp has no rules for.
    """
    form, model = tokenizer.form, tokenizer.form["model"]
    if model["type"] != "BPE":
        raise ModelError(f"a tokenizer of type {model['type']} has no form in GGUF that is written here: byte pairs (BPE) have")
    names = tokenizer.names()
    names = [name or f"[UNUSED{id}]" for id, name in enumerate(names)] + [f"[UNUSED{id}]" for id in range(len(names), vocab_size)]
    types = [UNUSED if name == f"[UNUSED{id}]" else NORMAL for id, name in enumerate(names)]
    for added in form["added_tokens"]:
        types[added["id"]] = CONTROL if added["special"] else USER_DEFINED
    found: dict[str, Value] = {"tokenizer.ggml.tokens": names, "tokenizer.ggml.token_type": types}
    found |= _written_pieces(form, names, types) if not tokenizer.is_byte_level else _written_bytes(form)
    ids = {name: id for id, name in enumerate(names)}
    for role, key in ROLES.items():
        token = tokenizer.settings.get(role)
        token = token.get("content") if isinstance(token, dict) else token
        if token in ids:
            found[f"tokenizer.ggml.{key}"] = ids[token]
    found["tokenizer.ggml.add_bos_token"] = bool(tokenizer.opening)
    return found


def _written_bytes(form: Mapping[str, Any]) -> dict[str, Value]:
    merges = [each if isinstance(each, str) else " ".join(each) for each in form["model"]["merges"]]
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": _pattern_name(form), "tokenizer.ggml.merges": merges}


def _pattern_name(form: Mapping[str, Any]) -> str:
    found = _cutting(form.get("pre_tokenizer"))
    for name, make in PATTERNS.items():
        made = [make()] + ([pre_tokenizer(*OURS[name])] if name in OURS else [])  # pyright: ignore[reportArgumentType]
        if found in [_cutting(_form_of(each)) for each in made]:
            return name
    raise ModelError("this tokenizer cuts texts in a way that llama.cpp has no name for: train one with a pattern that has (gpt2, gpt4)")


def _form_of(made: pre_tokenizers.PreTokenizer) -> dict[str, Any]:
    holder = tokenizers.Tokenizer(models.BPE())
    holder.pre_tokenizer = made  # pyright: ignore[reportAttributeAccessIssue]
    return json.loads(holder.to_str())["pre_tokenizer"]


def _cutting(form: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The steps of a pre-tokenizer without what only moves offsets."""
    return [{key: value for key, value in step.items() if key != "trim_offsets"} for step in _steps(form, "pretokenizers")]


def _written_pieces(form: Mapping[str, Any], names: Sequence[str], types: list[int]) -> dict[str, Value]:
    """SentencePiece's form: a score for each piece; only for merges that can be said so."""
    model = form["model"]
    merges = [(left, right) for each in model["merges"] for left, right in [each.split(" ") if isinstance(each, str) else each]]
    for id, name in enumerate(names):
        if types[id] == NORMAL and byte_of(name) is not None:
            types[id] = BYTE
        elif name == model.get("unk_token"):
            types[id] = UNKNOWN
    scores = scores_of(names, types, merges)
    if not model.get("byte_fallback") or scores is None:
        raise ModelError("this tokenizer's merges do not follow from a score for each piece, which is all that a GGUF file can say")
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.add_space_prefix": _has_prefix(form),
    }


def as_engines_read(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer that llama.cpp makes of the metadata: where a text gets a blank, every stretch behind a special token gets one.

    A GGUF file cannot say otherwise, while a Metaspace step (transformers 5 saves Llama's tokenizers so) means only a text itself.
    """
    form = tokenizer.form
    if form.get("normalizer") is not None or (form.get("pre_tokenizer") or {}).get("type") != "Metaspace" or not _has_prefix(form):
        return tokenizer
    backend = tokenizers.Tokenizer.from_str(json.dumps({**form, "pre_tokenizer": None}))
    backend.normalizer = _blanks(prefix=True)  # pyright: ignore[reportAttributeAccessIssue]
    return Tokenizer(backend, tokenizer.settings)


def _blanks(*, prefix: bool) -> normalizers.Normalizer:
    """SentencePiece's mark for blanks, and before a text."""
    return normalizers.Sequence([*([normalizers.Prepend(SPACE)] if prefix else []), normalizers.Replace(" ", SPACE)])


def _has_prefix(form: Mapping[str, Any]) -> bool:
    """Whether a text begins with a blank of its own: a normalizer puts it there (Prepend), or a pre-tokenizer (Metaspace)."""
    steps = [*_steps(form.get("normalizer"), "normalizers"), *_steps(form.get("pre_tokenizer"), "pretokenizers")]
    return any(step["type"] == "Prepend" or step.get("prepend_scheme") in ("always", "first") for step in steps)


def _steps(form: Mapping[str, Any] | None, parts: str) -> list[dict[str, Any]]:
    return [] if form is None else form.get(parts, [form])
