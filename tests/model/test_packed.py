"""Packed matrices stand for what rounding says; of bf16 in 12 bits not a bit is lost, whatever the weights are."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hanmo.base.errors import ModelError
from hanmo.model import packed as packing
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.kernels.library import LANES, load
from hanmo.model.packed import Packed, pack
from hanmo.model.quantized import QuantizedDecoder
from hanmo.model.rounding import round_int4_with_least, rounded

pytestmark = pytest.mark.skipif(load() is None, reason="no C++ compiler here")

WHOLE, ZERO = -1, 15
CONFIG = DecoderConfig(
    vocab_size=77, hidden_size=160, num_hidden_layers=2, num_attention_heads=5, num_key_value_heads=1, head_dim=32,
    intermediate_size=224, max_position_embeddings=64, initializer_range=0.1, attention_bias=True, mlp_bias=True,
)  # fmt: skip


def widened(packed: Packed) -> Tensor:
    """The bits [N, K] of a matrix in 12 bits, read as Narrow in halves.h says."""
    tiles, parts = packed.scales.shape
    words = packed.codes.view(tiles, parts, -1).contiguous().view(torch.int16).view(tiles, parts, 3, 2 * LANES).int() & 0xFFFF
    below, rest = words[:, :, 0], words[:, :, 1:]
    swapped = (rest << 8 | rest >> 8) & 0xFFFF
    rests = torch.stack([rest[:, :, 0], swapped[:, :, 0], rest[:, :, 1], swapped[:, :, 1]], dim=2) & 0x807F
    steps = torch.stack([below >> 4 * pair & 15 for pair in range(4)], dim=2)
    exponents = torch.where(steps == ZERO, 0, packed.scales.int()[..., None, None] - (steps << 7))
    bits = rests | exponents
    assert packed.leasts is not None
    for tile, part in (packed.scales == WHOLE).nonzero().tolist():
        place = int(below[tile, part, 0] | below[tile, part, 1] << 16)
        bits[tile, part] = packed.leasts[place].view(torch.int16).view(4, 2 * LANES).int() & 0xFFFF
    return bits.unflatten(-1, (LANES, 2)).permute(0, 3, 1, 2, 4).flatten(2).flatten(0, 1)[: packed.rows]


def bits_of(weight: Tensor) -> Tensor:
    return weight.bfloat16().view(torch.int16).int() & 0xFFFF


def uneven(rows: int, columns: int, seed: int = 0) -> Tensor:
    """Ordinary weights with zeros of both signs, outliers and numbers far below the others here and there."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator) * 0.02
    chance = torch.rand(rows, columns, generator=generator)
    for at, value in enumerate((0.0, -0.0, 30.0, -1e-9, 1e-40)):
        weight[(chance > at * 1e-3) & (chance < at * 1e-3 + 2e-4)] = value
    weight[:, columns // 2 : columns // 2 + 8], weight[-1, 3] = 0, 1e-30
    return weight.bfloat16()


@pytest.mark.parametrize("rows", [64, 5, 35])
def test_every_bit_is_kept(rows: int) -> None:
    weight = uneven(rows, 320)
    packed = pack(weight, None, "bfloat16")
    assert packed.bits == 12 and torch.equal(widened(packed), bits_of(weight))
    assert packed.leasts is not None and 0 < packed.leasts.size(0) < packed.scales.numel() / 8


@settings(max_examples=30)
@given(
    st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=64), st.integers(1, 40), st.integers(100, 140), st.integers(0, 2**16), st.data()
)
def test_any_pattern_of_bits_comes_back(odd: list[int], rows: int, exponent: int, seed: int, data: st.DataObject) -> None:
    weight = torch.randn(rows, 256, generator=torch.Generator().manual_seed(seed)).clamp(0.01) * 2.0 ** (exponent - 127)
    bits = weight.bfloat16().view(torch.int16)
    for one in odd[: rows * 2]:
        at = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, 15))
        bits[at] = one - 0x10000 if one > 0x7FFF else one
    packed = pack(bits.view(torch.bfloat16), None, "bfloat16")
    if packed.bits == 12:
        assert torch.equal(widened(packed), bits.int() & 0xFFFF)
    else:
        assert len(odd) > 1


def test_a_quarter_of_the_bytes_is_saved() -> None:
    weight = torch.randn(256, 512, generator=torch.Generator().manual_seed(0))
    assert pack(weight, None, "bfloat16").bytes < 0.78 * 2 * weight.numel()


def test_weights_whose_exponents_are_too_far_apart_stay_in_sixteen_bits() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(40, 64, generator=generator) * 2.0 ** torch.randint(-30, 30, (40, 64), generator=generator)
    assert pack(weight, None, "bfloat16").bits == 16


@torch.inference_mode()
@pytest.mark.parametrize("rows", [1, 2, 7, 19])
def test_answers_have_the_bits_of_those_in_sixteen_bits(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    network = Decoder(CONFIG).eval()
    for at, parameter in enumerate(network.parameters()):
        parameter.copy_(uneven(*parameter.shape, seed=at) * 4 if parameter.dim() == 2 else parameter + 0.1)
    narrow = QuantizedDecoder(network, "bfloat16")
    monkeypatch.setattr(packing, "_narrowed", lambda *_: None)
    plain = QuantizedDecoder(network, "bfloat16")
    assert {each.bits for each in (*narrow._matrices, narrow._head)} == {12}
    assert {each.bits for each in (*plain._matrices, plain._head)} == {16}
    caches = [each.new_cache(rows, 32) for each in (narrow, plain)]
    for new in (5, 1, 1):
        ids = torch.randint(0, 77, (rows, new))
        mine, theirs = (each.last_logits(ids, cache) for each, cache in zip((narrow, plain), caches, strict=True))
        assert torch.equal(mine, theirs) and mine.isfinite().all()


@torch.inference_mode()
@pytest.mark.parametrize("narrow", [True, False])
def test_long_rows_have_the_same_bits_alone_and_beside_others(narrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """One vector goes through two long tiles at once; the last of an odd number stands alone."""
    if not narrow:
        monkeypatch.setattr(packing, "_narrowed", lambda *_: None)
    for vocabulary in (77, 90, 32):
        config = DecoderConfig(vocab_size=vocabulary, hidden_size=1408, num_hidden_layers=1, num_attention_heads=1, head_dim=32,
                               intermediate_size=32, max_position_embeddings=8)  # fmt: skip
        torch.manual_seed(vocabulary)
        network = QuantizedDecoder(Decoder(config).eval(), "bfloat16")
        assert network._head.bits == (12 if narrow else 16)
        hidden = torch.randn(3, 1408)
        together = network.logits(hidden)
        assert torch.equal(torch.cat([network.logits(row) for row in hidden.split(1)]), together)
        wanted = hidden.bfloat16().float() @ network.embed_tokens.weight.float().T
        assert torch.allclose(together, wanted, atol=1e-3 * wanted.std().item() + 1e-5)


def test_packed_bytes_are_four_and_a_half_bits_a_weight() -> None:
    packed = pack(torch.randn(64, 128), None, "int4")
    assert packed.bytes * 8 / (64 * 128) == 4.5


def test_columns_that_make_no_groups_are_refused() -> None:
    with pytest.raises(ModelError, match="40 columns"):
        pack(torch.randn(16, 40), None, "int8")


def unpacked(packed: Packed) -> Tensor:
    """The matrix [N, K] that a packed one stands for, read as product.h says."""
    tiles, groups = packed.scales.shape[:2]
    if packed.bits == 8:
        codes = packed.codes.view(tiles, groups, 8, 16, 4).float() - 128
    else:
        pairs = packed.codes.view(tiles, groups, 4, 1, 16, 4)
        codes = torch.cat([pairs & 15, pairs >> 4], dim=3).flatten(2, 3).float() - (8 if packed.bits == 4 else 0)
    weight = codes.permute(0, 3, 1, 2, 4).flatten(3) * packed.scales.float().transpose(1, 2)[..., None]
    if packed.leasts is not None:
        weight = weight + packed.leasts.float().transpose(1, 2)[..., None]
    return weight.flatten(2).flatten(0, 1)[: packed.rows]


@pytest.mark.parametrize("rows", [64, 5, 2 * 16 + 3])
def test_what_the_kernel_packs_is_what_rounding_says(rows: int) -> None:
    torch.manual_seed(rows)
    weight = torch.randn(rows, 128) * torch.rand(rows, 1) * 0.1
    weight[1, 32:64] = 0
    weight[2] = weight[2] * 1e-6  # scales below the smallest normal fp16
    assert torch.equal(unpacked(pack(weight, None, "int8")), rounded(weight, "int8"))
    even = round_int4_with_least(weight[:, :96]).weight_NK
    packed = pack(even, None, "int4")
    assert packed.bits == 5 and torch.equal(unpacked(packed), rounded(even, "int4"))
    found, wanted = unpacked(pack(weight, None, "int4")), rounded(weight, "int4")
    assert ((found != wanted).unflatten(1, (-1, 32)).any(-1).float().mean()) < 0.01  # two scales may be equally good
    assert torch.allclose((found - weight).square().sum(1), (wanted - weight).square().sum(1), rtol=1e-5)


@pytest.mark.parametrize(("least", "most"), [(-8, 7), (-8, 4), (-7, 7), (-3, 5), (-1, 1), (0, 0)])
def test_whole_multiples_of_a_scale_are_packed_as_they_are(least: int, most: int) -> None:
    generator = torch.Generator().manual_seed(1)
    codes = torch.randint(least, most + 1, (35, 3, 32), generator=generator)
    weight = (codes * torch.randn(35, 3, 1, generator=generator).half().float()).flatten(1)
    weight[0] = torch.randn(96, generator=generator)  # one row of other numbers, so that even steps do not hold the matrix
    packed = pack(weight, None, "int4")
    assert packed.bits == 4 and torch.equal(unpacked(packed)[1:], weight[1:])


def test_sixteen_even_steps_a_group_are_kept_as_they_are() -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 16, (40, 3, 32), generator=generator).float()
    codes[..., 0], codes[..., 1] = 0, 15
    scale, least = (torch.randn(40, 3, 1, generator=generator).half().float() for _ in range(2))
    weight = (codes * scale.abs() + least).flatten(1)
    packed = pack(weight, None, "int4")
    assert packed.bits == 5 and torch.allclose(rounded(weight, "int4"), weight, atol=1e-2)
    assert pack(weight + 0.1 * torch.randn(weight.shape, generator=generator), None, "int4").bits == 4
