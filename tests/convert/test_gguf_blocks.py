"""Every format against the numbers of the `gguf` package, on random bytes; what we write against its quantiser."""

import gguf
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanmo.base.errors import ModelError
from hanmo.convert.gguf_blocks import AT_ONCE, BY_NAME, FORMATS, NOT_READ, BlockFormat, dequantized, quantized

NAMES = sorted(BY_NAME)
WRITTEN = [name for name in NAMES if BY_NAME[name].encode]


def their(kind: BlockFormat) -> gguf.GGMLQuantizationType:
    return gguf.GGMLQuantizationType(kind.code)


def random_blocks(kind: BlockFormat, count: int, seed: int) -> np.ndarray:
    """Bytes of any value, except that scales are finite numbers: what they are for everybody."""
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 256, (count, kind.bytes), dtype=np.uint8)
    halves = {"Q6_K": [208], "Q4_1": [0, 2], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q4_0": [0], "Q5_0": [0], "Q8_0": [0]}
    halves |= {"Q2_K": [80, 82], "Q3_K": [108], "IQ4_NL": [0], "IQ4_XS": [0]}
    for place in halves.get(kind.name, []):
        raw[:, place : place + 2] = rng.normal(size=count).astype("<f2").view(np.uint8).reshape(count, 2)
    if kind.name in ("F32", "F16", "BF16"):
        values = rng.normal(size=count).astype(np.float32)
        raw = (values.view(np.uint32) >> 16).astype("<u2").view(np.uint8) if kind.name == "BF16" else raw
        raw = values.astype({"F32": "<f4", "F16": "<f2"}.get(kind.name, "<f4")).view(np.uint8) if kind.name != "BF16" else raw
    return raw.reshape(-1)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_and_names_are_those_of_the_format(name: str) -> None:
    kind = BY_NAME[name]
    assert their(kind).name == name and FORMATS[kind.code] is kind
    assert gguf.GGML_QUANT_SIZES[their(kind)] == (kind.size, kind.bytes)
    assert kind.decode.__doc__ and "w =" in kind.decode.__doc__.replace("As Q4_K", "w =")


@pytest.mark.parametrize("name", NAMES)
def test_random_blocks_decode_to_the_reference_numbers(name: str) -> None:
    kind = BY_NAME[name]
    raw = random_blocks(kind, 300, 7)
    with np.errstate(over="ignore"):  # the largest scale of MXFP4 times 12
        assert np.array_equal(dequantized(raw, kind), gguf.dequantize(raw, their(kind)).reshape(-1))


def test_every_scale_of_mxfp4_is_a_power_of_two() -> None:
    """Its exponents from the smallest, which float32 keeps below its normal numbers, to the largest."""
    raw = np.concatenate([np.arange(256, dtype=np.uint8)[:, None], np.full((256, 16), 0x71, np.uint8)], axis=1)
    found = dequantized(raw.reshape(-1), BY_NAME["MXFP4"]).reshape(256, 32)
    assert np.array_equal(found[:, 0], np.exp2(np.arange(-128, 128.0)).astype(np.float32))
    with np.errstate(over="ignore"):
        assert np.array_equal(found, gguf.dequantize(raw.reshape(-1), gguf.GGMLQuantizationType.MXFP4).reshape(256, 32))


def test_formats_that_are_not_read_have_the_names_of_the_reference() -> None:
    theirs = {int(each): each.name for each in gguf.GGMLQuantizationType}
    assert not NOT_READ.keys() & FORMATS.keys() and theirs.keys() <= NOT_READ.keys() | FORMATS.keys()
    assert all(NOT_READ[code] == name for code, name in theirs.items() if code not in FORMATS)


def test_blocks_are_decoded_alike_beyond_one_chunk() -> None:
    kind = BY_NAME["Q4_0"]
    raw = random_blocks(kind, AT_ONCE // 32 + 5, 1)
    assert np.array_equal(dequantized(raw, kind)[-160:], dequantized(raw[-5 * 18 :], kind))


@pytest.mark.parametrize("name", WRITTEN)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([0.0, 1e-6, 0.02, 1.0, 300.0]))
def test_what_is_written_is_what_the_reference_writes(name: str, seed: int, scale: float) -> None:
    kind = BY_NAME[name]
    values = np.random.default_rng(seed).normal(0, scale, 32 * 20).astype(np.float32)
    values[:32] = 0
    values[32:64] = np.arange(-16, 16) / 2
    assert np.array_equal(quantized(values, kind), gguf.quantize(values, their(kind)).view(np.uint8).reshape(-1))


@pytest.mark.parametrize(("name", "steps"), [("Q8_0", 254), ("Q4_0", 15)])
def test_a_written_number_is_off_by_half_a_step(name: str, steps: int) -> None:
    values = np.random.default_rng(0).normal(0, 1, 3200).astype(np.float32)
    back = dequantized(quantized(values, BY_NAME[name]), BY_NAME[name])
    step = 2 * np.abs(values.reshape(-1, 32)).max(axis=1, keepdims=True) / steps
    assert (np.abs(back - values).reshape(-1, 32) <= (0.51 if name == "Q8_0" else 1.01) * step + 1e-3).all()
    assert np.corrcoef(back, values)[0, 1] > 0.99


@pytest.mark.parametrize(("least", "most"), [(-8, 7), (-7, 7), (-3, 5), (-1, 1), (0, 6), (0, 0)])
def test_whole_multiples_of_a_scale_are_written_as_they_are(least: int, most: int) -> None:
    rng = np.random.default_rng(3)
    scale = rng.normal(size=(200, 1)).astype(np.float16).astype(np.float32)
    values = (scale * rng.integers(least, most + 1, (200, 32))).astype(np.float32)
    assert np.array_equal(dequantized(quantized(values, BY_NAME["Q4_0"]), BY_NAME["Q4_0"]).reshape(values.shape), values)


def test_blocks_by_hand() -> None:
    """Q4_0: d = 2, the first byte says 9 below and 7 above; Q8_0: d = 0.5, q = -3."""
    two, half = np.float16(2).tobytes(), np.float16(0.5).tobytes()
    four = dequantized(np.frombuffer(two + bytes([0x79]) + bytes([0x88] * 15), np.uint8), BY_NAME["Q4_0"])
    assert (four[0], four[16]) == (2.0, -2.0) and not four[1:16].any() and not four[17:].any()
    eight = dequantized(np.frombuffer(half + bytes([253]) + bytes(31), np.uint8), BY_NAME["Q8_0"])
    assert eight[0] == -1.5 and not eight[1:].any()


def test_a_scale_without_end_gives_numbers_without_end_or_none_silently() -> None:
    raw = np.frombuffer(np.float16(np.inf).tobytes() + bytes([0x78]) + bytes([0x99] * 15), np.uint8)
    found = dequantized(raw, BY_NAME["Q4_0"])
    assert np.isnan(found[0]) and found[16] == -np.inf and (found[1:16] == np.inf).all()


@pytest.mark.parametrize("name", WRITTEN)
def test_numbers_that_are_not_finite_are_refused(name: str) -> None:
    for bad in (np.nan, np.inf):
        with pytest.raises(ModelError, match="no finite number"):
            quantized(np.full(32, bad, np.float32), BY_NAME[name])


def test_numbers_beyond_half_precision_are_refused() -> None:
    with pytest.raises(ModelError, match="65504"):
        quantized(np.full(32, 1e6, np.float32), BY_NAME["F16"])
    with pytest.raises(ModelError, match="65504"):
        quantized(np.linspace(-1e6, 9e5, 32).astype(np.float32), BY_NAME["Q4_0"])


def test_formats_that_are_only_read_say_so() -> None:
    with pytest.raises(ModelError, match="Q6_K is read, not written: write F32, F16, Q4_0, Q4_1, Q8_0"):
        quantized(np.zeros(256, np.float32), BY_NAME["Q6_K"])
    with pytest.raises(ModelError, match="33 numbers are no whole blocks of 32"):
        quantized(np.zeros(33, np.float32), BY_NAME["Q8_0"])
