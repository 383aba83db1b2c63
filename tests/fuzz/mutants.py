"""Mutants of sound files: lengths, counts, offsets, types, shapes, names and numbers that lie, made by the structure of each form.

In: the files of a seed and a source of chance. Out: the files with one to three things changed.
"""

import json
import random
import struct
from collections.abc import Callable
from typing import Any

from tests.fuzz.ggufs import mutated_gguf
from tests.fuzz.programs import program

Files = dict[str, bytes]
NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    31,
    255,
    1 << 16,
    (1 << 24) - 1,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    1 << 32,
    1 << 40,
    (1 << 63) - 1,
    1 << 63,
    1 << 64,
)
ODD: tuple[Any, ...] = (
    *(None, True, False, "", "x", "\n\x1b[31m", "\ud800", "é" * 3000, [], {}, [[]], [None], [1, "a"], {"a": {"b": []}}, 0.0, -0.0, 1.5),
    *(-1.5, 1e-320, 1e308, float("inf"), float("-inf"), float("nan"), 10**40, -(10**25)),
)
KEYS = (
    *("rope_scaling", "rope_parameters", "layer_types", "sliding_window", "quantization_config", "head_dim", "num_key_value_heads"),
    *("tie_word_embeddings", "eos_token_id", "bos_token_id", "model_type", "temperature", "top_k", "num_beams", "max_new_tokens", "dtype"),
    *("chat_template", "bos_token", "unk_token", "byte_fallback", "normalizer", "pre_tokenizer", "decoder", "post_processor", "truncation"),
    *("padding", "added_tokens", "hanmo_kind", "max_window_layers", "use_sliding_window", "pad_token_id", "penalty_alpha", "max_length"),
)
WORDS = (
    "llama",
    "gpt2",
    "bert",
    "t5",
    "marian",
    "hanmo_ngram",
    "hanmo_decoder",
    "yarn",
    "llama3",
    "BPE",
    "WordPiece",
    "Unigram",
    "WordLevel",
)
WORDS += ("ByteLevel", "Metaspace", "Sequence", "Replace", "BF16", "F64", "I64", "F8_E4M3", "U8", "../config.json", "/etc/passwd", "<0x00>")
DEEP, LONG, TWICE = "@deep@", "@long@", "@twice@"


def mutate(chance: random.Random, files: Files) -> Files:
    """The files with one to three changes."""
    changed = dict(files)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        name = chance.choice(sorted(changed))
        made = _whole(chance, changed, name) if chance.random() < 0.06 else _mutator(name)(chance, changed[name])
        if made is None:
            del changed[name]
        else:
            changed[name] = made
        if not changed:
            return dict(files)
    return changed


def _mutator(name: str) -> Callable[[random.Random, bytes], bytes]:
    if name.endswith(".json"):
        return mutated_json
    if name.endswith(".safetensors"):
        return mutated_safetensors
    if name.endswith(".gguf"):
        return mutated_gguf
    if name.endswith(".jinja"):
        return lambda chance, content: program(chance).encode() if chance.random() < 0.8 else mutated_bytes(chance, content)
    return mutated_bytes


def _whole(chance: random.Random, files: Files, name: str) -> bytes | None:
    """A file gone, empty, cut short, doubled, or with another's content."""
    content = files[name]
    return chance.choice(
        (
            None,
            b"",
            content[: chance.randrange(len(content) + 1)],
            content + content,
            files[chance.choice(sorted(files))],
            b"\x80\x02}q\x00.",
        )
    )


def mutated_bytes(chance: random.Random, content: bytes) -> bytes:
    """Some bytes overwritten by noise or by numbers that lie, put in, or taken out."""
    if not content:
        return chance.randbytes(9)
    at = chance.randrange(len(content))
    kind = chance.randrange(5)
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + chance.randbytes(chance.randint(1, 9)) + content[at:]
    if kind == 2:
        return content[:at] + content[at + chance.randint(1, 40) :]
    new = chance.randbytes(chance.randint(1, 8)) if kind == 3 else packed(chance)
    return content[:at] + new + content[at + len(new) :]


def packed(chance: random.Random) -> bytes:
    """A number that lies, as 2, 4 or 8 bytes; also infinities and no-numbers."""
    if chance.random() < 0.3:
        return chance.choice((b"\x00\x7c", b"\x00\x7e", struct.pack("<f", float("inf")), struct.pack("<f", float("nan")), b"\x80\x7f"))
    form, mask = chance.choice((("<I", (1 << 32) - 1), ("<Q", (1 << 64) - 1), ("<H", (1 << 16) - 1)))
    return struct.pack(form, (chance.choice(NUMBERS) + chance.choice((0, 0, -1, 1))) & mask)


def mutated_json(chance: random.Random, content: bytes) -> bytes:
    """A value, key or element changed somewhere in the tree; at times the text itself."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return mutated_bytes(chance, content)
    if chance.random() < 0.08:
        return mutated_bytes(chance, content)
    holder = {"": value}
    place, key = _place(chance, holder)
    _change(chance, place, key)
    text = json.dumps(holder.get(""), ensure_ascii=False)
    text = text.replace(f'"{DEEP}"', "[" * 100_000 + "]" * 100_000, 1).replace(f'"{LONG}"', "9" * 5000, 1)
    return text.replace(TWICE, "").encode("utf-8", "surrogatepass")


def _place(chance: random.Random, holder: dict[str, Any]) -> tuple[Any, Any]:
    """A container somewhere in the tree, and one of its keys; shallow ones are as likely as deep ones."""
    place, key = holder, ""
    while isinstance(place[key], dict | list) and place[key] and (place is holder or chance.random() < 0.75):
        place = place[key]
        key = chance.choice(list(place)) if isinstance(place, dict) else chance.randrange(len(place))
    return place, key


def _change(chance: random.Random, place: Any, key: Any) -> None:
    kind = chance.randrange(10)
    old = place[key]
    if kind < 4 and isinstance(old, int | float) and not isinstance(old, bool):
        place[key] = chance.choice(
            (*NUMBERS, old + 1, old - 1, old * 2, old // 2 if isinstance(old, int) else old / 2, -old, str(old), float(old))
        )
    elif kind < 6:
        place[key] = chance.choice((*ODD, *NUMBERS, *WORDS, DEEP, LONG))
    elif kind == 6:
        del place[key]
        place = {} if place == {} else place
    elif kind == 7 and isinstance(place, dict):
        place[chance.choice(KEYS)] = chance.choice((*ODD, *NUMBERS, *WORDS, old))
    elif kind == 8 and isinstance(place, dict):
        place[f"{key}{TWICE}"] = chance.choice((*ODD, *NUMBERS, old))
    elif isinstance(place, list):
        place.insert(key, chance.choice((old, *ODD, *NUMBERS)))
    else:
        place[chance.choice((*KEYS, f"{key}x", ""))] = place.pop(key)


def mutated_safetensors(chance: random.Random, content: bytes) -> bytes:
    """The header's length, its JSON, the bytes behind it."""
    try:
        size = struct.unpack("<Q", content[:8])[0]
        header, data = content[8 : 8 + size], content[8 + size :]
        json.loads(header)
    except (ValueError, struct.error, OverflowError, RecursionError):
        return mutated_bytes(chance, content)
    kind = chance.randrange(10)
    if kind < 6:
        header = _mutated_header(chance, header)
        return struct.pack("<Q", len(header)) + header + data
    if kind == 6:
        return struct.pack("<Q", (chance.choice(NUMBERS) + chance.choice((0, size))) & ((1 << 64) - 1)) + content[8:]
    if kind == 7:
        return content[: chance.randrange(len(content))]
    if kind == 8:
        return struct.pack("<Q", size) + header + mutated_bytes(chance, data)
    return mutated_bytes(chance, content)


def _mutated_header(chance: random.Random, header: bytes) -> bytes:
    """Tensors renamed, dropped, of another shape or type with the same bytes; or any change of the JSON."""
    tensors = json.loads(header)
    names = [name for name in tensors if name != "__metadata__"] if isinstance(tensors, dict) else []
    if chance.random() < 0.4 or len(names) < 2 or not all(isinstance(tensors[name], dict) for name in names):
        return mutated_json(chance, header)
    one, other = chance.sample(names, 2)
    kind = chance.randrange(5)
    if kind == 0:
        tensors[one], tensors[other] = tensors[other], tensors[one]
    elif kind == 1:
        own = tensors[one].get("shape")  # anything, in a mutant of a mutant
        turned = own[::-1] if isinstance(own, list) else []
        tensors[one]["shape"] = chance.choice(([], [1], turned, tensors[other].get("shape"), [chance.choice(NUMBERS)] * 2))
    elif kind == 2:
        tensors[one]["dtype"] = chance.choice(("F16", "BF16", "F64", "I32", "I64", "U8", "BOOL", "F8_E5M2", "F4", "C64"))
    elif kind == 3:
        tensors[one]["data_offsets"] = tensors[other].get("data_offsets")
    else:
        tensors[f"{one}{chance.choice(('x', '.bias', chr(10), ''))}"] = tensors.pop(one)
    return json.dumps(tensors).encode()
