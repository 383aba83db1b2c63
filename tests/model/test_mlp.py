import dataclasses
import math

import pytest
import torch
from tests.model.conftest import MODERN

from hanmo.model.mlp import ACTIVATIONS, MLP, activate, gelu, gelu_tanh, relu2


def test_gelu_is_x_times_the_normal_distribution_function() -> None:
    x = torch.linspace(-4, 4, 33, dtype=torch.float64)
    torch.testing.assert_close(gelu(x), x * torch.special.ndtr(x))


def test_gelu_tanh_is_gpt2s_equation() -> None:
    x = torch.linspace(-4, 4, 33, dtype=torch.float64)
    expected = 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    torch.testing.assert_close(gelu_tanh(x), expected)


def test_relu2_squares_what_relu_leaves() -> None:
    assert relu2(torch.tensor([-2.0, 0.0, 3.0])).tolist() == [0.0, 0.0, 9.0]


@pytest.mark.parametrize("kind", ACTIVATIONS)
@pytest.mark.parametrize("gated", [True, False])
def test_the_mlp_equals_its_equation(kind: str, gated: bool) -> None:
    mlp = MLP(dataclasses.replace(MODERN, hidden_act=kind, gated_mlp=gated))
    x = torch.randn(2, 3, 64)
    inner = mlp.up(x)
    act = ACTIVATIONS[kind]
    inner = act(inner[..., :96]) * inner[..., 96:] if gated else act(inner)
    torch.testing.assert_close(mlp(x), inner @ mlp.down.weight.T)


def test_widths_that_do_not_fit_the_kernels_are_computed_by_torch() -> None:
    x = torch.randn(3, 48).bfloat16()
    expected = torch.nn.functional.silu(x[:, :24]) * x[:, 24:]
    assert torch.equal(activate(x, "silu", gated=True), expected)
