"""Every kernel against its formula in fp32: the values and gradients may differ by the rounding of bf16 and no more."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hanmo.model.attention import AttentionMask, scaled_dot_product_attention
from hanmo.model.kernels import functions, library
from hanmo.model.likelihood import negative_log_likelihood
from hanmo.model.mlp import ACTIVATIONS
from hanmo.model.norms import layer_norm, rms_norm
from hanmo.model.positions import rotary_angles, rotate

pytestmark = pytest.mark.skipif(library.load() is None, reason="no kernels on this machine")
with_attention = pytest.mark.skipif(not library.attention_usable(), reason="this processor has no bf16 dot product")


@pytest.fixture(autouse=True)
def two_threads() -> None:
    torch.set_num_threads(2)
    torch.manual_seed(3)


def rounded(*shape: int, scale: float = 1.0) -> Tensor:
    """Random numbers that bf16 holds exactly, as a leaf in fp32."""
    return (scale * torch.randn(shape)).bfloat16().float().requires_grad_()


def in_bf16(x: Tensor) -> Tensor:
    """The same numbers as a leaf in bf16."""
    return x.detach().bfloat16().requires_grad_()


def assert_close(given: Tensor | None, expected: Tensor | None, error: float = 0.01, slack: float = 1e-4) -> None:
    """Relative error of the whole tensor, beyond an absolute `slack`."""
    assert given is not None and expected is not None
    assert given.dtype == torch.bfloat16
    given, expected = given.detach().float(), expected.detach()
    assert float((given - expected).norm()) <= error * float(expected.norm()) + slack


@pytest.mark.parametrize(("centred", "shift"), [(True, 0.0), (False, 0.0), (False, 1.0)])
@pytest.mark.parametrize("updated", [True, False])
def test_sum_and_norm_equal_their_formulas(centred: bool, shift: float, updated: bool) -> None:
    x, update, weight, bias = rounded(700, 48), rounded(700, 48), rounded(48), rounded(48)
    low = [in_bf16(t) for t in (x, update, weight, bias)]
    total = x + update if updated else x
    expected = layer_norm(total, weight, bias, 1e-5) if centred else rms_norm(total, weight, 1e-5, shift)
    given_sum, given_y = functions.add_norm(low[0], low[1] if updated else None, low[2], low[3] if centred else None, 1e-5, shift)
    assert_close(given_sum, total)
    assert_close(given_y, expected)
    pulls = rounded(700, 48).detach(), rounded(700, 48).detach()
    torch.autograd.backward([total, expected], list(pulls))
    torch.autograd.backward([given_sum, given_y], [pull.bfloat16() for pull in pulls])
    for mine, theirs in zip(low, (x, update, weight, bias), strict=True):
        assert (mine.grad is None) == (theirs.grad is None)
        if theirs.grad is not None:
            assert_close(mine.grad, theirs.grad)


def test_a_sum_whose_norm_is_not_used_passes_its_gradient_on() -> None:
    x, update, weight = in_bf16(rounded(4, 16)), in_bf16(rounded(4, 16)), in_bf16(rounded(16))
    total, _ = functions.add_norm(x, update, weight, None, 1e-6)
    total.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, torch.ones_like(x))


@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations_equal_their_formulas(kind: str, gated: bool) -> None:
    x = rounded(600, 64, scale=2.0)
    low = in_bf16(x)
    gate, up = x.chunk(2, -1) if gated else (x, torch.ones(()))
    expected = ACTIVATIONS[kind](gate) * up
    given = functions.activation(low, kind, gated=gated)
    assert_close(given, expected)
    pull = rounded(*expected.shape).detach()
    expected.backward(pull)
    given.backward(pull.bfloat16())
    assert_close(low.grad, x.grad)


def test_far_values_stay_finite() -> None:
    x = torch.tensor([-1e30, -200.0, -90.0, 0.0, 90.0, 200.0, 1e30, 1.0] * 2, dtype=torch.bfloat16)[None].requires_grad_()
    for kind in ACTIVATIONS:
        y = functions.activation(x, kind, gated=False)
        assert y[0, :3].abs().max() < 1e-6
        y[:, :6].sum().backward()
        assert x.grad is not None and x.grad[:, :6].isfinite().all()


def test_a_bias_is_added_and_its_gradient_summed() -> None:
    x, weight, bias = rounded(3, 300, 32), rounded(48, 32), rounded(48)
    low = [in_bf16(t) for t in (x, weight, bias)]
    expected, given = torch.nn.functional.linear(x, weight, bias), functions.biased_linear(*low)
    assert_close(given, expected)
    pull = rounded(3, 300, 48).detach()
    expected.backward(pull)
    given.backward(pull.bfloat16())
    for mine, theirs in zip(low, (x, weight, bias), strict=True):
        assert_close(mine.grad, theirs.grad)


def test_dropout_keeps_its_share_scales_the_rest_and_goes_back_through_the_same_mask() -> None:
    x = torch.ones(64, 4096, dtype=torch.bfloat16).requires_grad_()
    torch.manual_seed(5)
    y = functions.dropout(x, 0.25)
    kept = y != 0
    assert abs(float(kept.float().mean()) - 0.75) < 0.004
    assert kept.float().mean(0).std() < 0.08 and kept.float().mean(1).std() < 0.02
    assert set(y.detach().float().unique().tolist()) == {0.0, float(torch.tensor(4 / 3).bfloat16())}
    y.backward(torch.full_like(y, 3.0))
    assert x.grad is not None and torch.equal(x.grad != 0, kept)
    again = functions.dropout(x, 0.25)
    assert float(((again != 0) == kept).float().mean()) < 0.7
    torch.manual_seed(5)
    torch.set_num_threads(1)
    assert torch.equal(functions.dropout(x, 0.25), y)


def attention_by_formula(qkv_BTE: Tensor, turn: functions.Turn, sight: AttentionMask, heads: functions.Heads) -> Tensor:
    """The whole path in fp32 and plain operations."""
    sizes = (heads.query, heads.key, heads.key)
    q, k, v = qkv_BTE.unflatten(-1, (-1, heads.width)).split(sizes, dim=2)
    cos, sin, q_weight, k_weight = turn
    if q_weight is not None and k_weight is not None:
        q, k = rms_norm(q, q_weight, heads.eps, heads.shift), rms_norm(k, k_weight, heads.eps, heads.shift)
    if cos is not None and sin is not None:
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    group = heads.query // heads.key
    q, k, v = q.transpose(1, 2), k.transpose(1, 2).repeat_interleave(group, 1), v.transpose(1, 2).repeat_interleave(group, 1)
    allowed = torch.ones(1, sight.queries, sight.queries, dtype=torch.bool).tril() if sight.is_causal else sight.allowed_BTS
    return scaled_dot_product_attention(q, k, v, allowed, scale=heads.score_scale).transpose(1, 2).flatten(2)


@with_attention
@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 3),
    tokens=st.integers(1, 150),
    key_heads=st.integers(1, 2),
    group=st.integers(1, 3),
    width=st.sampled_from([32, 64, 96, 128]),
    rotary=st.booleans(),
    shift=st.sampled_from([None, 0.0, 1.0]),
    cuts=st.integers(0, 4),
)
def test_attention_equals_its_formula(
    rows: int, tokens: int, key_heads: int, group: int, width: int, rotary: bool, shift: float | None, cuts: int
) -> None:
    heads = functions.Heads(key_heads * group, key_heads, width, 1e-6, shift or 0.0, 0.1 if cuts else 0.0)
    qkv = rounded(rows, tokens, heads.projected)
    first = None
    if cuts:
        segments = torch.randint(0, cuts + 1, (rows, tokens)).sort(1).values
        first = (segments[:, :, None] == segments[:, None, :]).int().argmax(2)
    positions = torch.arange(tokens)[None] if first is None else torch.arange(tokens) - first
    cos, sin = rotary_angles(positions, width, 10000.0) if rotary else (None, None)
    weights = [rounded(width), rounded(width)] if shift is not None else [None, None]
    low, low_weights = in_bf16(qkv), [None if w is None else in_bf16(w) for w in weights]
    sight = AttentionMask(tokens, 0, first)
    expected = attention_by_formula(qkv, (cos, sin, weights[0], weights[1]), sight, heads)
    given_out = functions.causal_attention(low, (cos, sin, low_weights[0], low_weights[1]), sight.first_int32_BT, heads)
    assert_close(given_out, expected, 0.02)
    pull = rounded(*expected.shape).detach()
    expected.backward(pull)
    given_out.backward(pull.bfloat16())
    assert_close(low.grad, qkv.grad, 0.03)
    for mine, theirs in zip(low_weights, weights, strict=True):
        if mine is not None and theirs is not None:  # sums of terms that cancel, each rounded by 2^-8: 0.056 was seen
            assert_close(mine.grad, theirs.grad, 0.05, slack=0.1)


@pytest.mark.parametrize("vocabulary", [16, 65, 133])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_and_its_gradient_equal_the_formula(vocabulary: int, smoothing: float) -> None:
    logits = rounded(1, 40, vocabulary, scale=3.0)
    targets, weights = torch.randint(vocabulary, (1, 40)), torch.rand(1, 40)
    summed, _ = negative_log_likelihood(logits, targets, weights, smoothing)
    summed.backward()
    room = torch.full((40, vocabulary + 7), 9.0, dtype=torch.bfloat16)
    low = room[:, :vocabulary]
    low.copy_(logits[0].detach())
    nats = functions.cross_entropy_(low, targets[0], weights[0], smoothing, with_gradient=True)
    assert logits.grad is not None
    torch.testing.assert_close(nats @ weights[0], summed.detach(), rtol=1e-5, atol=1e-4)
    assert_close(low, logits.grad[0], 0.005)
    assert bool((room[:, vocabulary:] == 9).all())


def test_the_gradient_does_not_depend_on_the_run() -> None:
    x, weight, bias = in_bf16(rounded(2000, 64)), in_bf16(rounded(64)), in_bf16(rounded(64))
    seen = []
    for _ in range(3):
        _, y = functions.add_norm(x, None, weight, bias, 1e-5)
        seen.append(torch.autograd.grad(y.float().square().sum(), [x, weight, bias]))
    for other in seen[1:]:
        assert all(torch.equal(a, b) for a, b in zip(seen[0], other, strict=True))
