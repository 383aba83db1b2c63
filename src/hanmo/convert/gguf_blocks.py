"""Blocks of weights: how ggml packs some numbers and a scale into bytes, and back to float32.

In: bytes [N, B], one row a block. Out: float32 [N, K], K numbers a block; and back for the formats we write.
Each format's equation stands with it; d and m are half-precision numbers of the block, q small integers. Nibbles: byte i of a
group holds number i in its low half and number i + half the group in its high half. Layouts after ggml's
`ggml-common.h`, rounding after its reference quantiser (`ggml-quants.c`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hanmo.base.errors import ModelError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
AT_ONCE = 1 << 21
"""Numbers decoded at a time: the intermediate arrays stay in the cache and the memory small."""


WHOLE = np.float32(0.001)
"""Share of a scale by which a multiple of it may be off, more than float32 loses."""


@dataclass(frozen=True, slots=True)
class BlockFormat:
    """One way of storing numbers: `size` numbers in `bytes` bytes, known in files as `code`."""

    name: str
    code: int
    size: int
    bytes: int
    decode: Callable[[Bytes], Floats]
    encode: Callable[[Floats], Bytes] | None = None

    def stored(self, count: int) -> int:
        """Bytes that `count` numbers take.

        Raises ModelError when they are no whole blocks.
        """
        if count % self.size:
            raise ModelError(f"{count} numbers are no whole blocks of {self.size}, which {self.name} stores")
        return count // self.size * self.bytes


def dequantized(raw: Bytes, kind: BlockFormat) -> Floats:
    """The numbers in some whole blocks, in order; not a number where a scale is infinite or none (the model's logits say so later)."""
    blocks = raw.reshape(-1, kind.bytes)
    found = np.empty((len(blocks), kind.size), np.float32)
    step = max(1, AT_ONCE // kind.size)
    with np.errstate(invalid="ignore", over="ignore"):
        for start in range(0, len(blocks), step):
            found[start : start + step] = kind.decode(blocks[start : start + step])
    return found.reshape(-1)


def quantized(values: Floats, kind: BlockFormat) -> Bytes:
    """The bytes that say `values`, whose number is a multiple of the format's.

    Raises ModelError for a format that is read only, and for numbers that are not finite.
    """
    if kind.encode is None:
        raise ModelError(f"{kind.name} is read, not written: write {', '.join(each.name for each in FORMATS.values() if each.encode)}")
    kind.stored(values.size)
    if not np.isfinite(values).all():
        raise ModelError("a weight is no finite number: the model is damaged")
    blocks = values.astype(np.float32, copy=False).reshape(-1, kind.size)
    raw = np.empty((len(blocks), kind.bytes), np.uint8)
    step = max(1, AT_ONCE // kind.size)
    for start in range(0, len(blocks), step):
        raw[start : start + step] = kind.encode(blocks[start : start + step])
    return raw.reshape(-1)


def _half(raw_N2: Bytes) -> Floats:
    """Half-precision numbers as float32, [N, 1]."""
    return np.ascontiguousarray(raw_N2).view("<f2").astype(np.float32)


def _nibbles(raw_NB: Bytes) -> Bytes:
    """Low halves, then high halves: [N, 2B]."""
    return np.concatenate([raw_NB & 15, raw_NB >> 4], axis=1)  # pyright: ignore[reportReturnType]


def _fifth_bits(raw_N4: Bytes) -> Bytes:
    """32 bits, the lowest first, as 0 or 16: [N, 32]."""
    return np.unpackbits(raw_N4, axis=1, bitorder="little") << 4  # pyright: ignore[reportReturnType]


def _decode_f32(raw: Bytes) -> Floats:
    """w = the number itself."""
    return np.ascontiguousarray(raw).view("<f4").astype(np.float32)


def _decode_f16(raw: Bytes) -> Floats:
    """w = a half-precision number (5 bits of exponent)."""
    return _half(raw)


def _decode_bf16(raw: Bytes) -> Floats:
    """w = the float32 whose upper 16 bits these are."""
    return (np.ascontiguousarray(raw).view("<u2").astype(np.uint32) << 16).view(np.float32)


def _decode_q8_0(raw: Bytes) -> Floats:
    """32 numbers, w = d q, q in -128..127. Bytes: d, 32 q."""
    return _half(raw[:, :2]) * raw[:, 2:].view(np.int8).astype(np.float32)


def _decode_q4_0(raw: Bytes) -> Floats:
    """32 numbers, w = d (q - 8), q in 0..15. Bytes: d, 16 of nibbles."""
    return _half(raw[:, :2]) * (_nibbles(raw[:, 2:]).astype(np.float32) - 8)


def _decode_q4_1(raw: Bytes) -> Floats:
    """32 numbers, w = d q + m, q in 0..15. Bytes: d, m, 16 of nibbles."""
    return _half(raw[:, :2]) * _nibbles(raw[:, 4:]).astype(np.float32) + _half(raw[:, 2:4])


def _decode_q5_0(raw: Bytes) -> Floats:
    """32 numbers, w = d (q - 16), q in 0..31. Bytes: d, 4 of fifth bits, 16 of nibbles."""
    q = _nibbles(raw[:, 6:]) | _fifth_bits(raw[:, 2:6])
    return _half(raw[:, :2]) * (q.astype(np.float32) - 16)


def _decode_q5_1(raw: Bytes) -> Floats:
    """32 numbers, w = d q + m, q in 0..31. Bytes: d, m, 4 of fifth bits, 16 of nibbles."""
    q = _nibbles(raw[:, 8:]) | _fifth_bits(raw[:, 4:8])
    return _half(raw[:, :2]) * q.astype(np.float32) + _half(raw[:, 2:4])


def _scales_and_minima(raw_N12: Bytes) -> tuple[Floats, Floats]:
    """Eight scales s_j and eight minima m_j of six bits each, both [N, 8, 1].

    Bytes 0-3 hold s_0..3 in their low six bits, bytes 4-7 m_0..3; the upper two bits of these hold the upper two of s_4..7 and
    m_4..7, whose lower four stand in the low and high halves of bytes 8-11.
    """
    first, second, third = raw_N12[:, :4], raw_N12[:, 4:8], raw_N12[:, 8:]
    scales = np.concatenate([first & 63, (third & 15) | (first >> 6 << 4)], axis=1)
    minima = np.concatenate([second & 63, (third >> 4) | (second >> 6 << 4)], axis=1)
    return scales.astype(np.float32)[..., None], minima.astype(np.float32)[..., None]


def _k_affine(raw: Bytes, q_N8K: Bytes) -> Floats:
    """w = (d s_j) q - (m m_j) for the eight groups j of 32 numbers; d, m and the packed s, m open the block."""
    scales, minima = _scales_and_minima(raw[:, 4:16])
    d, m = _half(raw[:, :2])[..., None], _half(raw[:, 2:4])[..., None]
    return (d * scales * q_N8K.astype(np.float32) - m * minima).reshape(len(raw), 256)  # pyright: ignore[reportReturnType]


def _paired_nibbles(raw_N128: Bytes) -> Bytes:
    """Four runs of 32 bytes; each gives a group of low halves and a group of high halves: [N, 8, 32]."""
    runs = raw_N128.reshape(-1, 4, 1, 32)
    return np.concatenate([runs & 15, runs >> 4], axis=2).reshape(-1, 8, 32)  # pyright: ignore[reportReturnType]


def _decode_q4_k(raw: Bytes) -> Floats:
    """256 numbers in 8 groups of 32, w = (d s_j) q - (m m_j), q in 0..15. Bytes: d, m, 12 of s and m, 128 of nibbles."""
    return _k_affine(raw, _paired_nibbles(raw[:, 16:]))


def _decode_q5_k(raw: Bytes) -> Floats:
    """As Q4_K with q in 0..31; bit j of byte i of the 32 bytes before the nibbles is the fifth bit of number i of group j."""
    shifts = np.arange(8, dtype=np.uint8)[:, None]
    fifth = (raw[:, None, 16:48] >> shifts & 1) << 4
    return _k_affine(raw, _paired_nibbles(raw[:, 48:]) | fifth)  # pyright: ignore[reportArgumentType]


def _decode_q6_k(raw: Bytes) -> Floats:
    """256 numbers in 16 groups of 16, w = (d s_j) (q - 32), q in 0..63, s_j in -128..127.

    Bytes: 128 of low nibbles, 64 of upper bits, 16 s, d. Each half of 128 numbers takes 64 bytes of nibbles (the low halves
    are numbers 0..63) and 32 bytes of upper bits (bits 2k and 2k + 1 of byte i belong to number 32 k + i).
    """
    count = len(raw)
    low = raw[:, :128].reshape(count, 2, 1, 64)
    low = np.concatenate([low & 15, low >> 4], axis=2).reshape(count, 2, 4, 32)
    high = raw[:, 128:192].reshape(count, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    q = (low | high << 4).reshape(count, 16, 16).astype(np.float32) - 32
    scales = _half(raw[:, 208:]) * raw[:, 192:208].view(np.int8).astype(np.float32)
    return (scales[..., None] * q).reshape(count, 256)


def _pairs_of_bits(raw_N64: Bytes) -> Bytes:
    """Two runs of 32 bytes; bits 2k and 2k + 1 of byte i are number 32 k + i of the run: [N, 16, 16]."""
    runs = raw_N64.reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    return runs.reshape(-1, 16, 16)  # pyright: ignore[reportReturnType]


def _decode_q2_k(raw: Bytes) -> Floats:
    """256 numbers in 16 groups of 16, w = (d s_j) q - (m m_j), q in 0..3. Bytes: 16 of s (low) and m (high), 64 of q, d, m."""
    scales = (raw[:, :16] & 15).astype(np.float32) * _half(raw[:, 80:82])
    minima = (raw[:, :16] >> 4).astype(np.float32) * _half(raw[:, 82:])
    q = _pairs_of_bits(raw[:, 16:80]).astype(np.float32)
    return (scales[..., None] * q - minima[..., None]).reshape(len(raw), 256)  # pyright: ignore[reportReturnType]


def _decode_q3_k(raw: Bytes) -> Floats:
    """256 numbers in 16 groups of 16, w = (d (s_j - 32)) (q - 4), q in 0..7, s_j in 0..63. Bytes: 32 of third bits, 64 of q, 12 of s, d.

    Bit j of byte i of the first 32 is the third bit of number 32 j + i. The first 8 bytes of s hold the low four bits of s_0..7
    (low halves) and s_8..15 (high halves); bits 2k and 2k + 1 of the last four are the upper two of s_4k..4k+3.
    """
    count = len(raw)
    third = (raw[:, None, :32] >> np.arange(8, dtype=np.uint8)[:, None] & 1).reshape(count, 16, 16)
    q = (_pairs_of_bits(raw[:, 32:96]) | third << 2).astype(np.float32) - 4
    upper = (raw[:, None, 104:108] >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3).reshape(count, 16)
    scales = _half(raw[:, 108:]) * ((_nibbles(raw[:, 96:104]) | upper << 4).astype(np.float32) - 32)
    return (scales[..., None] * q).reshape(count, 256)


UNEVEN = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
"""Sixteen steps that lie closer near zero, where most weights are (IQ4_NL, IQ4_XS)."""
EIGHTHS = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], np.float32)
"""Numbers of a sign, two bits of exponent and one of fraction, doubled (OCP Microscaling Formats 1.0, E2M1)."""


def _decode_iq4_nl(raw: Bytes) -> Floats:
    """32 numbers, w = d v[q], v the uneven steps, q in 0..15. Bytes: d, 16 of nibbles."""
    return _half(raw[:, :2]) * UNEVEN[_nibbles(raw[:, 2:])]


def _decode_iq4_xs(raw: Bytes) -> Floats:
    """256 numbers in 8 groups of 32, w = (d (s_j - 32)) v[q], v the uneven steps. Bytes: d, 2 and 4 of s, 8 times 16 of nibbles.

    The four bytes hold the low four bits of s, two a byte in order; bits 2j and 2j + 1 of the 16 bits before them its upper two.
    """
    count = len(raw)
    upper = np.ascontiguousarray(raw[:, 2:4]).view("<u2") >> np.arange(0, 16, 2, dtype=np.uint16) & 3
    low = np.stack([raw[:, 4:8] & 15, raw[:, 4:8] >> 4], axis=2).reshape(count, 8)
    scales = _half(raw[:, :2]) * ((low | upper << 4).astype(np.float32) - 32)
    return (scales[..., None] * UNEVEN[_nibbles(raw[:, 8:].reshape(-1, 16))].reshape(count, 8, 32)).reshape(count, 256)


def _decode_mxfp4(raw: Bytes) -> Floats:
    """32 numbers, w = 2^(e - 128) v[q], v the doubled numbers of four bits. Bytes: e, 16 of nibbles."""
    return np.ldexp(np.float32(1), raw[:, :1].astype(np.int32) - 128) * EIGHTHS[_nibbles(raw[:, 1:])]  # pyright: ignore[reportReturnType]


def _encode_f32(values: Floats) -> Bytes:
    return np.ascontiguousarray(values).astype("<f4").view(np.uint8)


def _encode_f16(values: Floats) -> Bytes:
    """The nearest half-precision number.

    Raises ModelError for one beyond 65504, which half precision cannot say.
    """
    with np.errstate(over="ignore"):
        half = values.astype("<f2")
    if np.isinf(half).any():
        raise ModelError("a weight is beyond 65504, which F16 cannot hold: write another precision")
    return half.view(np.uint8)


def _encode_q8_0(values: Floats) -> Bytes:
    """d = max |w| / 127, q = w / d rounded, halves away from zero."""
    scale = np.abs(values).max(axis=1, keepdims=True) / np.float32(127)
    scaled = values * _inverse(scale)
    q = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)).astype(np.int8)
    return np.concatenate([_encode_f16(scale), q.view(np.uint8)], axis=1)


def _encode_q4_0(values: Floats) -> Bytes:
    """d = w* / -8 with w* the number farthest from zero, q = floor(w / d + 8.5), at most 15.

    Numbers that are whole multiples of a scale already, as rounding with care leaves them, keep it: d is that scale.
    """
    farthest = np.take_along_axis(values, np.abs(values).argmax(axis=1, keepdims=True), axis=1)
    scale = _whole_scale(values, farthest)
    q = np.minimum(np.trunc(values * _inverse(scale) + np.float32(8.5)), 15).astype(np.uint8)
    return np.concatenate([_encode_f16(scale), q[:, :16] | q[:, 16:] << 4], axis=1)  # pyright: ignore[reportReturnType]


def _whole_scale(values: Floats, farthest_N1: Floats) -> Floats:
    """farthest / -8, or farthest / c for the whole c with which a block's numbers are -8 ... 7 times it; [N, 1].

    Such a scale is a number of half precision, which farthest / c seldom is otherwise: few blocks are looked at.
    """
    scale, open_N1 = farthest_N1 / np.float32(-8), np.ones_like(farthest_N1, dtype=bool)
    for code in (-8, 7, -7, 6, -6, 5, -5, 4, -4, 3, -3, 2, -2, 1, -1):
        step = farthest_N1 / np.float32(code)
        with np.errstate(over="ignore"):
            [likely] = np.nonzero((open_N1 & (step.astype("<f2") == step))[:, 0])
        codes = values[likely] * _inverse(step[likely])
        found = likely[((np.abs(codes - np.rint(codes)) <= WHOLE) & (codes < 7.5)).all(axis=1)]
        scale[found], open_N1[found] = step[found], False
    return scale


def _encode_q4_1(values: Floats) -> Bytes:
    """m = min w, d = (max w - m) / 15, q = floor((w - m) / d + 0.5)."""
    least = values.min(axis=1, keepdims=True)
    scale = (values.max(axis=1, keepdims=True) - least) / np.float32(15)
    q = np.trunc((values - least) * _inverse(scale) + np.float32(0.5)).astype(np.uint8)
    return np.concatenate([_encode_f16(scale), _encode_f16(least), q[:, :16] | q[:, 16:] << 4], axis=1)  # pyright: ignore[reportReturnType]


def _inverse(scale_N1: Floats) -> Floats:
    """1 / d, and 0 where d is 0."""
    return np.divide(np.float32(1), scale_N1, out=np.zeros_like(scale_N1), where=scale_N1 != 0)


REPACKED = (*("Q4_0_4_4", "Q4_0_4_8", "Q4_0_8_8"), *("TQ1_0", "TQ2_0"), *("IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8"))
FORMATS = {
    each.code: each
    for each in (
        BlockFormat("F32", 0, 1, 4, _decode_f32, _encode_f32),
        BlockFormat("F16", 1, 1, 2, _decode_f16, _encode_f16),
        BlockFormat("Q4_0", 2, 32, 18, _decode_q4_0, _encode_q4_0),
        BlockFormat("Q4_1", 3, 32, 20, _decode_q4_1, _encode_q4_1),
        BlockFormat("Q5_0", 6, 32, 22, _decode_q5_0),
        BlockFormat("Q5_1", 7, 32, 24, _decode_q5_1),
        BlockFormat("Q8_0", 8, 32, 34, _decode_q8_0, _encode_q8_0),
        BlockFormat("Q2_K", 10, 256, 84, _decode_q2_k),
        BlockFormat("Q3_K", 11, 256, 110, _decode_q3_k),
        BlockFormat("Q4_K", 12, 256, 144, _decode_q4_k),
        BlockFormat("Q5_K", 13, 256, 176, _decode_q5_k),
        BlockFormat("Q6_K", 14, 256, 210, _decode_q6_k),
        BlockFormat("IQ4_NL", 20, 32, 18, _decode_iq4_nl),
        BlockFormat("IQ4_XS", 23, 256, 136, _decode_iq4_xs),
        BlockFormat("BF16", 30, 1, 2, _decode_bf16),
        BlockFormat("MXFP4", 39, 32, 17, _decode_mxfp4),
    )
}
NOT_READ = {
    **dict(zip((4, 5, 9, 15), ("Q4_2", "Q4_3", "Q8_1", "Q8_K"), strict=True)),
    **dict(zip((16, 17, 18, 19, 21, 22, 29), ("IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ3_S", "IQ2_S", "IQ1_M"), strict=True)),
    **dict(zip(range(24, 29), ("I8", "I16", "I32", "I64", "F64"), strict=True)),
    **dict(zip(range(31, 39), REPACKED, strict=True)),
    **dict(zip((40, 41), ("NVFP4", "Q1_0"), strict=True)),
}
"""Codes of formats that exist and are not read here, with their names."""
BY_NAME = {each.name: each for each in FORMATS.values()}
