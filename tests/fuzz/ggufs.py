"""Mutants of GGUF files: taken apart, one thing changed, put together again; or numbers overwritten where they stand."""

import random
import struct
from dataclasses import dataclass
from typing import Any

FORMS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
LIES = (
    0,
    1,
    2,
    3,
    7,
    31,
    33,
    255,
    1 << 16,
    1 << 24,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    1 << 40,
    (1 << 61),
    (1 << 63),
    (1 << 64) - 1,
)
TEXTS = (
    "",
    "x",
    "gpt2",
    "llama",
    "qwen2",
    "gemma3",
    "bert",
    "linear",
    "yarn",
    "default",
    "smollm",
    "\u2581",
    "<0x00>",
    "a b c",
    "\n",
    "é" * 500,
)
KNOWN = (
    *("general.alignment", "llama.expert_count", "llama.rope.scaling.type", "llama.rope.scaling.factor", "llama.attention.key_length"),
    *("tokenizer.ggml.bos_token_id", "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_space_prefix"),
    *(
        "tokenizer.ggml.pre",
        "tokenizer.ggml.model",
        "tokenizer.chat_template",
        "tokenizer.ggml.token_type",
        "general.name",
        "general.license",
    ),
    *("llama.rope.dimension_count", "llama.attention.head_count_kv", "llama.rope.freq_base", "tokenizer.ggml.eot_token_id"),
)


@dataclass
class Parts:
    """A GGUF file taken apart; an array's value is (kind of its elements, elements)."""

    entries: list[tuple[bytes, int, Any]]
    tensors: list[tuple[bytes, list[int], int, int]]
    data: bytes


def taken_apart(content: bytes) -> Parts:  # noqa: C901  one pass over a file, field by field
    """The parts of a sound file; struct.error or another ValueError for one that is not."""
    place = 8

    def number(form: str) -> Any:
        nonlocal place
        place += struct.calcsize(form)
        return struct.unpack(form, content[place - struct.calcsize(form) : place])[0]

    def text() -> bytes:
        nonlocal place
        size = number("<Q")
        if size > len(content):
            raise ValueError("too long")
        place += size
        return content[place - size : place]

    def value(kind: int) -> Any:
        if kind == ARRAY:
            inner, count = number("<I"), number("<Q")
            if count > len(content) or inner == ARRAY:
                raise ValueError("too many")
            return inner, [value(inner) for _ in range(count)]
        if kind != STRING and kind not in FORMS:
            raise ValueError("no kind")
        return text() if kind == STRING else number(FORMS[kind])

    tensors, entries = number("<Q"), number("<Q")
    if tensors + entries > len(content):
        raise ValueError("too many")
    metadata = []
    for _ in range(entries):
        key, kind = text(), number("<I")
        metadata.append((key, kind, value(kind)))
    rows = []
    for _ in range(tensors):
        name, dimensions = text(), number("<I")
        if dimensions > 8:
            raise ValueError("too many")
        rows.append((name, [number("<Q") for _ in range(dimensions)], number("<I"), number("<Q")))
    return Parts(metadata, rows, content[-(-place // 32) * 32 :])


def put_together(parts: Parts) -> bytes:
    """The file that these parts make, aligned to 32 bytes."""

    def text(raw: bytes) -> bytes:
        return struct.pack("<Q", len(raw)) + raw

    def value(kind: int, found: Any) -> bytes:
        if kind == ARRAY:
            return struct.pack("<IQ", found[0], len(found[1])) + b"".join(value(found[0], each) for each in found[1])
        return text(found) if kind == STRING else struct.pack(FORMS[kind], found)

    head = b"GGUF" + struct.pack("<IQQ", 3, len(parts.tensors), len(parts.entries))
    head += b"".join(text(key) + struct.pack("<I", kind) + value(kind, found) for key, kind, found in parts.entries)
    for name, shape, code, offset in parts.tensors:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, code, offset)
    return head + bytes(-len(head) % 32) + parts.data


def mutated_gguf(chance: random.Random, content: bytes) -> bytes:
    """The file with something changed that a reader has to notice, or with noise anywhere."""
    kind = chance.randrange(10)
    if kind == 0:
        return content[: chance.randrange(len(content) + 1)]
    try:
        parts = taken_apart(content)
        if kind > 2:
            (_change_entry if kind < 7 else _change_tensor)(chance, parts)
            return put_together(parts)
    except (ValueError, struct.error, IndexError, OverflowError, TypeError):
        pass
    at = chance.randrange(len(content) + 1) if kind == 1 else chance.randrange(min(len(content), 600) + 1)
    lie = chance.choice(LIES)
    new = chance.choice((struct.pack("<Q", lie), struct.pack("<I", lie & 0xFFFFFFFF), chance.randbytes(chance.randint(1, 8))))
    return content[:at] + new + content[at + len(new) :]


def _change_entry(chance: random.Random, parts: Parts) -> None:
    at = chance.randrange(len(parts.entries))
    key, kind, value = parts.entries[at]
    what = chance.randrange(8)
    if what == 0:
        del parts.entries[at]
    elif what == 1:
        parts.entries.append((key, kind, value))
    elif what == 2:
        parts.entries.append((chance.choice(KNOWN).encode(), *_value(chance)))
    elif what == 3:
        parts.entries[at] = (key, *_value(chance))
    elif kind == ARRAY and value[1]:
        parts.entries[at] = (key, kind, (value[0], _changed_list(chance, value)))
    elif kind == STRING:
        parts.entries[at] = (key, kind, chance.choice(TEXTS).encode())
    else:
        parts.entries[at] = (key, kind, _number(chance, kind, value))


def _value(chance: random.Random) -> tuple[int, Any]:
    """A kind and a value of it."""
    kind = chance.choice((*FORMS, STRING, ARRAY))
    if kind == ARRAY:
        inner = chance.choice((4, 5, 6, 7, STRING))
        return kind, (inner, [_one(chance, inner) for _ in range(chance.choice((0, 1, 2, 300)))])
    return kind, _one(chance, kind)


def _one(chance: random.Random, kind: int) -> Any:
    return chance.choice(TEXTS).encode() if kind == STRING else _number(chance, kind, 1)


def _number(chance: random.Random, kind: int, old: Any) -> Any:
    form = FORMS.get(kind, "<I")
    if form in ("<f", "<d"):
        return chance.choice((0.0, -1.0, 1e-30, 1e38, float("inf"), float("nan"), 0.5))
    if form == "<?":
        return chance.random() < 0.5
    bits = 8 * struct.calcsize(form)
    value = (chance.choice((*LIES, old + 1, old - 1, old * 2, old // 2)) if isinstance(old, int) else chance.choice(LIES)) & (
        (1 << bits) - 1
    )
    return value - (1 << bits) if form[1].islower() and value >> (bits - 1) else value


def _changed_list(chance: random.Random, value: tuple[int, list[Any]]) -> list[Any]:
    kind, items = value[0], list(value[1])
    at, what = chance.randrange(len(items)), chance.randrange(5)
    if what == 0:
        del items[at]
    elif what == 1:
        items.insert(at, items[chance.randrange(len(items))])
    elif what == 2:
        items[at] = items[chance.randrange(len(items))]
    elif what == 3:
        items = items[: chance.randrange(len(items))]
    else:
        items[at] = _one(chance, kind)
    return items


def _change_tensor(chance: random.Random, parts: Parts) -> None:
    at = chance.randrange(len(parts.tensors))
    name, shape, code, offset = parts.tensors[at]
    what = chance.randrange(8)
    if what == 0:
        del parts.tensors[at]
    elif what == 1:
        parts.tensors.append(parts.tensors[at])
    elif what == 2:
        shape = chance.choice(
            (shape[::-1], [*shape, 1], shape[:-1], [chance.choice(LIES), *shape[1:]], [1 << 32, 1 << 32], [chance.choice(LIES)] * 4)
        )
    elif what == 3:
        code = chance.choice((*range(32), 0xFFFFFFFF))
    elif what == 4:
        offset = (chance.choice((*LIES, offset + 1, offset + 32, offset - 32))) & ((1 << 64) - 1)
    elif what == 5:
        name = chance.choice(
            (b"rope_freqs.weight", b"output.weight", b"blk.999999.attn_q.weight", b"blk.0.attn_q.bias", b"", b"a\nb", name + b"x")
        )
    elif what == 6:
        other = chance.randrange(len(parts.tensors))
        theirs = parts.tensors[other]
        parts.tensors[other] = (theirs[0], shape, code, offset)
        shape, code, offset = theirs[1], theirs[2], theirs[3]
    else:
        place = chance.randrange(len(parts.data) + 1)
        parts.data = parts.data[:place] + chance.choice((b"\xff" * 8, b"\x00\x7c", b"\x00\x00\xc0\x7f")) + parts.data[place + 8 :]
    if what > 1:
        parts.tensors[at] = (name, shape, code, offset)
