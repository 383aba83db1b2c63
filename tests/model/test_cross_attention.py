import pytest
import torch

from hanmo.model.attention import multi_head_attention, scaled_dot_product_attention
from hanmo.model.cross_attention import CrossAttention, hidden_as_infinity, same_segment

SEGMENTS = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 0, 1]])


def test_looking_at_itself_it_is_multi_head_attention() -> None:
    attention, x = CrossAttention(12, 3, 4, bias=False), torch.randn(2, 5, 12)
    projections = tuple(layer.weight for layer in (attention.query, attention.key, attention.value, attention.out))
    allowed = same_segment(SEGMENTS)
    expected = multi_head_attention(x, projections, 3, allowed[:, 0])  # pyright: ignore[reportArgumentType]
    assert (attention(x, attention.keys_values(x), allowed) - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("scaled", [True, False])
def test_a_bias_of_scores_and_hidden_keys_are_those_of_the_formula(scaled: bool) -> None:
    attention, x, memory = CrossAttention(12, 3, 5, bias=True, scaled=scaled), torch.randn(2, 4, 12), torch.randn(2, 5, 12)
    bias, seen = torch.randn(1, 3, 4, 5), SEGMENTS[:, None, None] == 0
    keys, values = attention.keys_values(memory)
    queries = attention.query(x).unflatten(-1, (3, 5)).transpose(1, 2)
    mixed = scaled_dot_product_attention(queries, keys, values, seen[:, 0].expand(-1, 4, -1), bias, None if scaled else 1.0)
    expected = attention.out(mixed.transpose(1, 2).flatten(2))
    assert (attention(x, (keys, values), hidden_as_infinity(seen, bias)) - expected).abs().max() <= 1e-5


def test_a_hidden_key_changes_nothing() -> None:
    attention, x, memory = CrossAttention(8, 2, 4, bias=True), torch.randn(1, 3, 8), torch.randn(1, 5, 8)
    seen = torch.tensor([True, True, False, True, True])[None, None, None]
    changed = memory.clone()
    changed[:, 2] = 100.0
    one, other = (attention(x, attention.keys_values(each), seen) for each in (memory, changed))
    assert torch.equal(one, other)
    assert not torch.allclose(attention(x, attention.keys_values(memory)), attention(x, attention.keys_values(changed)))
