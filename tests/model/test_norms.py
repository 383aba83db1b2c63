import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.model.norms import Norm, layer_norm, rms_norm


@settings(deadline=None)
@given(rows=st.integers(1, 4), width=st.integers(2, 40))
def test_norms_equal_their_equations(rows: int, width: int) -> None:
    x, weight, bias = torch.randn(rows, width, dtype=torch.float64), torch.randn(width).double(), torch.randn(width).double()
    centred = x - x.mean(-1, keepdim=True)
    torch.testing.assert_close(rms_norm(x, weight, 1e-5), x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight)
    expected = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight + bias
    torch.testing.assert_close(layer_norm(x, weight, bias, 1e-5), expected)


def test_a_zero_centred_scale_is_its_distance_from_one_and_loses_nothing_in_bf16() -> None:
    x, weight = torch.randn(3, 8).bfloat16(), torch.full((8,), 2.0**-10).bfloat16()
    exact = rms_norm(x.float(), 1 + weight.float(), 1e-6)
    assert torch.equal(rms_norm(x, weight, 1e-6, 1.0), exact.bfloat16())
    norm = Norm("rms_norm", 8, 1e-6, zero_centered=True)
    assert torch.equal(norm.weight, torch.zeros(8))
    assert torch.equal(norm(x.float()), rms_norm(x.float(), torch.ones(8), 1e-6))


def test_a_norm_adds_before_it_normalises() -> None:
    x, update = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    for kind in ("rms_norm", "layer_norm"):
        norm = Norm(kind, 8, 1e-6)
        total, y = norm.add(x, update)
        assert torch.equal(total, x + update)
        assert torch.equal(y, norm(x + update))


def test_only_layer_norm_has_a_shift() -> None:
    assert [name for name, _ in Norm("rms_norm", 4, 1e-6).named_parameters()] == ["weight"]
    assert [name for name, _ in Norm("layer_norm", 4, 1e-6).named_parameters()] == ["weight", "bias"]
