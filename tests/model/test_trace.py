import dataclasses

import pytest
import torch
from tests.model.conftest import GPT2, KINDS, MODERN, lively
from torch import Tensor

from hanmo.base.errors import ModelError
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.kernels.library import switched_off
from hanmo.model.trace import Trace, trace

SEGMENTS = torch.tensor([[0] * 11 + [1] * 9, [4] * 3 + [2] * 17])


@pytest.fixture(params=[False, True], ids=["one text a row", "segments"])
def segments(request: pytest.FixtureRequest) -> Tensor | None:
    return SEGMENTS if request.param else None


def traced(network: Decoder, segments: Tensor | None = None) -> tuple[Tensor, Trace]:
    ids = torch.randint(network.config.vocab_size, (2, 20), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return ids, trace(network, ids, segments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kernels", [True, False])
def test_logits_are_those_of_the_fast_path_to_the_last_bit(
    config: DecoderConfig, segments: Tensor | None, dtype: torch.dtype, kernels: bool
) -> None:
    network = lively(config).eval().to(dtype)
    if kernels:
        ids, found = traced(network, segments)
        with torch.no_grad():
            expected = network(ids, segments)
    else:
        with switched_off(), torch.no_grad():
            ids, found = traced(network, segments)
            expected = network(ids, segments)
    assert torch.equal(found.logits, expected)


def test_embedding_and_contributions_sum_to_the_stream_after_every_block(config: DecoderConfig, segments: Tensor | None) -> None:
    _, found = traced(lively(config).eval(), segments)
    for layer in range(config.num_hidden_layers):
        total = found.embedding + found.attended[: layer + 1].sum(0) + found.transformed[: layer + 1].sum(0)
        torch.testing.assert_close(found.stream[layer], total, atol=1e-4, rtol=1e-5)


def test_weights_mix_the_values_into_what_attention_adds(config: DecoderConfig, segments: Tensor | None) -> None:
    network = lively(config).eval()
    _, found = traced(network, segments)
    before = torch.cat([found.embedding[None], found.stream[:-1]])
    with torch.no_grad():
        for block, x, weights, added in zip(network.blocks(), before, found.weights, found.attended, strict=True):
            heads = block.attention.heads
            values = block.attention.qkv(block.attention_norm(x)).unflatten(-1, (-1, heads.width))[:, :, heads.query + heads.key :]
            mixed = torch.einsum("bhts,bshw->bthw", weights, values.repeat_interleave(heads.query // heads.key, 2))
            expected = block.attention.out(mixed.flatten(2))
            if block.attention_post_norm is not None:
                expected = block.attention_post_norm(expected)
            torch.testing.assert_close(added, expected, atol=1e-4, rtol=1e-4)


def test_weights_sum_to_one_and_never_look_ahead_into_a_neighbour_or_beyond_the_window(config: DecoderConfig) -> None:
    _, found = traced(lively(config).eval(), SEGMENTS)
    assert found.weights.shape == (config.num_hidden_layers, 2, config.num_attention_heads, 20, 20)
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(found.weights.shape[:-1]))
    behind = torch.arange(20)[:, None] - torch.arange(20)
    same = SEGMENTS[:, :, None] == SEGMENTS[:, None]
    for layer, weights in enumerate(found.weights):
        window = config.window_of(config.layer_type(layer)) or 20
        seen = (same & (behind >= 0) & (behind < window))[:, None].expand_as(weights)
        assert bool((weights[seen] > 0).all()) and not bool(weights[~seen].any())


def test_a_trace_changes_nothing_of_what_it_looked_at() -> None:
    network = lively(MODERN).eval()
    ids, found = traced(network)
    with torch.no_grad():
        embedding, _ = network.begin(ids)
    assert torch.equal(found.embedding, embedding)


def test_gradients_reach_the_embedding_through_a_trace() -> None:
    found = trace(lively(MODERN).eval(), torch.tensor([[1, 2, 3]]))
    (gradient,) = torch.autograd.grad(found.logits[0, -1, 5], found.embedding)
    assert bool(gradient.any())


def test_a_network_in_training_is_not_traced() -> None:
    with pytest.raises(ModelError, match="eval"):
        trace(Decoder(dataclasses.replace(MODERN, hidden_dropout=0.1)), torch.tensor([[1, 2]]))


def test_a_context_beyond_the_positions_is_refused() -> None:
    with pytest.raises(ModelError, match="max_position_embeddings"):
        trace(lively(GPT2).eval(), torch.zeros((1, 41), dtype=torch.long))


def test_every_layout_of_the_house_is_traced() -> None:
    kinds = {config.position_embedding for config in KINDS.values()}
    assert kinds == {"learned", "rotary", "sinusoidal", "none"} and any(config.sandwich_norm for config in KINDS.values())
