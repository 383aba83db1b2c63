"""The bytes that each token of a vocabulary adds to a text.

In: the content of `tokenizer.json`, its tokens by id. Out: bytes by id: of tokenizers whose text is their tokens' bytes one after
another, and of SentencePiece's, whose text is that but for the blank at its beginning. Word pieces have none: spaces between them
depend on their neighbours.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from hanmo.tokenizer.patterns import FIRST, LAST

UNKNOWN = "<unk>"
BLANK = "\u2581"
"""What SentencePiece writes for a blank."""
PIECES = {"ByteFallback", "Fuse", "Metaspace", "Replace", "Strip"}


def decoder_types(form: Mapping[str, Any]) -> list[str]:
    """The steps by which tokens become text."""
    return [each["type"] for each in _decoders(form)]


def token_bytes(form: Mapping[str, Any], tokens: Sequence[str], silent: Collection[int], *, words: bool) -> list[bytes]:
    """What each token adds; `words` where tokens carry marks of a word's ends. `silent` ids add nothing."""
    byte_level = "ByteLevel" in decoder_types(form)
    fallback = bool(form["model"].get("byte_fallback"))
    of_character = {character: byte for byte, character in enumerate(byte_characters())}
    table: list[bytes] = []
    for id, token in enumerate(tokens):
        if id in silent and token != UNKNOWN:
            table.append(b"")
        elif byte_level and all(character in of_character for character in token):
            table.append(bytes(of_character[character] for character in token))
        elif fallback and (byte := byte_of(token)) is not None:
            table.append(bytes([byte]))
        else:
            table.append((token.replace(FIRST, "").replace(LAST, "") if words else token).encode())
    return table


def piece_bytes(form: Mapping[str, Any], tokens: Sequence[str], silent: Collection[int]) -> list[bytes] | None:
    """What each piece adds in the middle of a text, where the decoder is SentencePiece's; None where it is another.

    Silent and unknown tokens add nothing.
    """
    steps = _decoders(form)
    blanks = [_blank_of(step) for step in steps if step["type"] in ("Metaspace", "Replace")]
    if not steps or blanks != [BLANK] or not {step["type"] for step in steps} <= PIECES:
        return None
    fallback = any(step["type"] == "ByteFallback" for step in steps)
    added = {int(each["id"]) for each in form["added_tokens"]}
    table: list[bytes] = []
    for id, token in enumerate(tokens):
        byte = byte_of(token) if fallback else None
        if id in silent or id == _unknown(form, tokens):
            table.append(b"")
        elif byte is not None and id not in added:
            table.append(bytes([byte]))
        else:
            table.append(token.replace(BLANK, " ").encode())
    return table


def byte_of(token: str) -> int | None:
    """The byte that a piece like <0x0A> stands for.

    >>> byte_of("<0x0A>"), byte_of("<0xZZ>"), byte_of("a")
    (10, None, None)
    """
    if len(token) != 6 or not token.startswith("<0x") or not token.endswith(">"):
        return None
    try:
        return int(token[3:5], 16)
    except ValueError:
        return None


def byte_characters() -> str:
    """The character that stands for each byte 0..255 in a byte-level vocabulary: itself where printable (GPT-2, 2019)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in printable else next(others)) for byte in range(256))


def visible(text: str) -> str:
    """A text for the eye: bytes that are no whole character (surrogates here) as \\xNN, line ends and tabs as \\n and \\t."""
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}
    if character in named:
        return named[character]
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _decoders(form: Mapping[str, Any]) -> list[dict[str, Any]]:
    decoder = cast("dict[str, Any]", form.get("decoder") or {})
    return [each for each in decoder.get("decoders", [decoder]) if each]


def _blank_of(step: Mapping[str, Any]) -> object:
    """What a step takes for a blank."""
    if step["type"] == "Metaspace":
        return step.get("replacement")
    return step.get("pattern", {}).get("String") if step.get("content") == " " else None


def _unknown(form: Mapping[str, Any], tokens: Sequence[str]) -> int | None:
    model = cast("dict[str, Any]", form["model"])
    if isinstance(model.get("unk_id"), int):
        return model["unk_id"]
    name = model.get("unk_token")
    return tokens.index(name) if name in tokens else None
