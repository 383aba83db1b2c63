import math

import pytest
import torch
from tests.model.conftest import GPT2

from hanmo.model.attention import (
    Attention,
    AttentionMask,
    attend_row_by_row,
    causal_mask,
    first_of_segment,
    multi_head_attention,
    scaled_dot_product_attention,
)
from hanmo.model.config import DecoderConfig
from hanmo.model.kernels.library import attention_usable, switched_off
from hanmo.model.positions import rotary_angles


def test_attention_is_the_weighted_mean_that_the_equation_says() -> None:
    q, k, v = (torch.randn(1, 1, n, 4) for n in (2, 3, 3))
    given = scaled_dot_product_attention(q, k, v)
    for t in range(2):
        scores = [math.exp(float(q[0, 0, t] @ k[0, 0, s]) / 2) for s in range(3)]
        expected = sum(score / sum(scores) * v[0, 0, s] for s, score in enumerate(scores))
        torch.testing.assert_close(given[0, 0, t], expected)


def test_what_is_not_allowed_is_not_seen() -> None:
    q, k, v = (torch.randn(2, 2, 5, 4) for _ in range(3))
    before = scaled_dot_product_attention(q, k, v, causal_mask(5, 5))
    v[:, :, 3:] += 100
    after = scaled_dot_product_attention(q, k, v, causal_mask(5, 5))
    assert torch.equal(before[:, :, :3], after[:, :, :3])


def test_heads_attend_apart_and_are_joined() -> None:
    x, (wq, wk, wv, wo) = torch.randn(2, 5, 8), torch.randn(4, 8, 8)
    heads = []
    for h in range(2):
        rows = slice(4 * h, 4 * h + 4)
        heads.append(scaled_dot_product_attention(*((x @ w[rows].T)[:, None] for w in (wq, wk, wv)))[:, 0])
    torch.testing.assert_close(multi_head_attention(x, (wq, wk, wv, wo), 2), torch.cat(heads, -1) @ wo.T)


def test_the_module_equals_the_formula() -> None:
    module = Attention(GPT2, 0)
    for bias in (module.qkv.bias, module.out.bias):
        torch.nn.init.zeros_(bias)
    x = torch.randn(2, 7, 64)
    projections = (*module.qkv.weight.chunk(3), module.out.weight)
    expected = multi_head_attention(x, projections, 2, causal_mask(7, 7))
    torch.testing.assert_close(module(x, None, AttentionMask(7)), expected, rtol=1e-4, atol=1e-5)


def test_grouped_queries_share_a_key_head() -> None:
    config = DecoderConfig(vocab_size=5, hidden_size=64, num_attention_heads=4, num_key_value_heads=2)
    module, x = Attention(config, 0), torch.randn(1, 6, 64)
    q, k, v = module.qkv.weight.split([64, 32, 32])
    repeated = [w.unflatten(0, (2, 16)).repeat_interleave(2, 0).flatten(0, 1) for w in (k, v)]
    expected = multi_head_attention(x, (q, *repeated, module.out.weight), 4, causal_mask(6, 6))
    torch.testing.assert_close(module(x, None, AttentionMask(6)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize("segmented", [True, False])
def test_the_fast_path_equals_the_plain_one(config: DecoderConfig, segmented: bool, window: int | None) -> None:
    module = Attention(config, 0).bfloat16()
    x = torch.randn(2, 33, 64).bfloat16()
    if not attention_usable(x):
        pytest.skip("no attention kernel on this machine")
    first = first_of_segment(torch.arange(33).div(10, rounding_mode="floor").expand(2, -1)) if segmented else None
    sight = AttentionMask(33, 0, first, rows=2).within(window)
    angles = rotary_angles(torch.arange(33)[None], config.head_width, 10000.0)
    fast = module(x, angles, sight).detach().float()
    with switched_off():
        plain = module(x, angles, sight).detach().float()
    assert float((fast - plain).norm()) < 0.02 * float(plain.norm())


def test_dropout_acts_in_training_only() -> None:
    config = DecoderConfig(vocab_size=5, hidden_size=64, num_attention_heads=2, attention_dropout=0.5)
    for dtype in (torch.float32, torch.bfloat16):
        module, x = Attention(config, 0).to(dtype), torch.randn(1, 20, 64).to(dtype)
        assert not torch.equal(module(x, None, AttentionMask(20)), module(x, None, AttentionMask(20)))
        module.eval()
        assert torch.equal(module(x, None, AttentionMask(20)), module(x, None, AttentionMask(20)))


def test_first_of_segment_is_where_its_run_began() -> None:
    assert first_of_segment(torch.tensor([[4, 4, 9, 9, 9, 4], [1, 1, 1, 1, 1, 1]])).tolist() == [[0, 0, 2, 2, 2, 5], [0] * 6]


def test_sight_is_a_mask_of_first_to_own() -> None:
    sight = AttentionMask(2, 3, torch.tensor([[1, 1], [4, 5]]).clamp(max=torch.tensor([3, 4])))
    assert sight.allowed_BTS is not None
    assert sight.allowed_BTS.int().tolist() == [[[0, 1, 1, 1, 0], [0, 1, 1, 1, 1]], [[0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]]
    assert AttentionMask(1, 9).allowed_BTS is None
    assert AttentionMask(4).is_causal and not AttentionMask(2, 3).is_causal


def test_a_window_is_a_mask_of_the_last_tokens_of_which_slots_before_are_left_out() -> None:
    sight = AttentionMask(2, 3).within(2)
    assert (sight.skipped, sight.allowed_BTS is not None) == (2, True)
    assert sight.allowed_BTS is not None and sight.allowed_BTS.int().tolist() == [[[1, 1, 0], [0, 1, 1]]]
    padded = AttentionMask(2, 3, torch.tensor([[1, 1], [4, 4]]).clamp(max=torch.tensor([3, 4]))).within(3)
    assert padded.allowed_BTS is not None
    assert padded.allowed_BTS.int().tolist() == [[[1, 1, 1, 0], [0, 1, 1, 1]], [[0, 0, 1, 0], [0, 0, 0, 1]]]
    one = AttentionMask(1, 9).within(4)
    assert (one.skipped, one.allowed_BTS) == (6, None)
    assert AttentionMask(5).within(5).is_causal
    first = AttentionMask(3, rows=2).within(2).first_int32_BT
    assert first is not None and first.tolist() == [[0, 0, 1]] * 2


def test_scores_are_divided_by_what_the_configuration_says() -> None:
    config = DecoderConfig(vocab_size=5, hidden_size=64, num_attention_heads=2, query_pre_attn_scalar=8)
    module, x = Attention(config, 0), torch.randn(1, 6, 64)
    q, k, v = (module.qkv(x).unflatten(-1, (6, 32)).transpose(1, 2)).split(2, 1)
    mixed = scaled_dot_product_attention(q, k, v, causal_mask(6, 6), scale=8**-0.5).transpose(1, 2).flatten(2)
    torch.testing.assert_close(module(x, None, AttentionMask(6)), module.out(mixed), rtol=1e-4, atol=1e-5)


def test_biases_stand_where_the_configuration_says() -> None:
    for keys, expected in (({}, (False, False)), ({"qkv_bias": True}, (True, False)), ({"attention_bias": True}, (True, True))):
        module = Attention(DecoderConfig(vocab_size=5, hidden_size=64, num_attention_heads=2, **keys), 0)
        assert (module.qkv.bias is not None, module.out.bias is not None) == expected


def test_a_row_of_a_batch_attends_as_it_does_alone_to_the_last_bit() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(3, heads, length, 32, generator=generator) for heads, length in ((4, 1), (2, 40), (2, 40)))
    mixed = attend_row_by_row(q, k, v, [0, 7, 39], grouped=True)
    for row, first in enumerate((0, 7, 39)):
        own = slice(row, row + 1)
        alone = torch.nn.functional.scaled_dot_product_attention(q[own], k[own, :, first:], v[own, :, first:], enable_gqa=True)
        assert torch.equal(mixed[own], alone)
        repeated = scaled_dot_product_attention(
            q[own], k[own, :, first:].repeat_interleave(2, 1), v[own, :, first:].repeat_interleave(2, 1)
        )
        torch.testing.assert_close(mixed[own], repeated)
