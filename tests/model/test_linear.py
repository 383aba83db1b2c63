import torch
from torch import nn

from hanmo.model.linear import Linear


def test_it_is_torchs_layer_in_fp32() -> None:
    layer = Linear(16, 32)
    x = torch.randn(2, 3, 16)
    assert isinstance(layer, nn.Linear)
    assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, layer.bias))


def test_in_bf16_with_a_bias_it_differs_by_rounding_only() -> None:
    layer = Linear(32, 48)
    x = torch.randn(4, 5, 32).bfloat16()
    expected = nn.functional.linear(x.float(), layer.weight.bfloat16().float(), layer.bias.bfloat16().float())
    torch.testing.assert_close(layer.bfloat16()(x).float(), expected, rtol=0.01, atol=0.01)


def test_frozen_weights_get_no_gradient() -> None:
    layer = Linear(32, 48).bfloat16().requires_grad_(False)
    x = torch.randn(4, 32).bfloat16().requires_grad_()
    layer(x).float().sum().backward()
    assert x.grad is not None
    assert layer.weight.grad is None and layer.bias.grad is None
