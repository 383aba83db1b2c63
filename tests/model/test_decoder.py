import dataclasses

import pytest
import torch
from tests.model.conftest import GPT2, MODERN, lively
from torch import Tensor

from hanmo.base.errors import ModelError
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.kernels.library import switched_off
from hanmo.model.likelihood import negative_log_likelihood


def gradients(network: Decoder, ids: Tensor, segments: Tensor | None) -> tuple[float, dict[str, Tensor]]:
    network.zero_grad()
    nats, weight = network.loss(ids[:, :-1], ids[:, 1:], torch.ones(2, 32), segments)
    (nats / weight).backward()
    return float((nats / weight).detach()), {n: p.grad.float().clone() for n, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("isolated", [True, False])
def test_in_bf16_kernels_and_torch_differ_from_fp32_by_rounding_only(config: DecoderConfig, isolated: bool) -> None:
    network = lively(config).train()
    ids = torch.randint(config.vocab_size, (2, 33))
    segments = torch.arange(32).div(9, rounding_mode="floor").expand(2, -1) if isolated else None
    expected, exact = gradients(network, ids, segments)
    network.bfloat16()
    fast, of_fast = gradients(network, ids, segments)
    with switched_off():
        plain, of_plain = gradients(network, ids, segments)
    assert fast == pytest.approx(expected, rel=5e-3) and plain == pytest.approx(expected, rel=5e-3)
    for name, gradient in exact.items():
        scale = float(gradient.norm())
        plain_error = float((of_plain[name] - gradient).norm())
        assert float((of_fast[name] - gradient).norm()) <= max(0.05 * scale, 1.5 * plain_error), name


def test_the_loss_equals_the_loss_of_the_logits(config: DecoderConfig) -> None:
    network = lively(config)
    ids, weights = torch.randint(config.vocab_size, (2, 13)), torch.rand(2, 12)
    expected = negative_log_likelihood(network(ids[:, :-1]), ids[:, 1:], weights, 0.1)
    torch.testing.assert_close(network.loss(ids[:, :-1], ids[:, 1:], weights, label_smoothing=0.1), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_segments_are_as_if_each_stood_alone(config: DecoderConfig, dtype: torch.dtype) -> None:
    network = lively(config).to(dtype)
    ids = torch.randint(config.vocab_size, (1, 30))
    segments = torch.tensor([[3] * 11 + [1] * 4 + [7] * 15])
    with torch.no_grad():
        together = network(ids, segments).float()
        alone = torch.cat([network(part) for part in ids.split([11, 4, 15], 1)], 1).float()
    assert float((together - alone).norm()) <= (1e-5 if dtype == torch.float32 else 0.02) * float(alone.norm())


def test_a_token_sees_nothing_behind_it(config: DecoderConfig) -> None:
    network = lively(config)
    ids = torch.randint(config.vocab_size, (1, 12))
    before = network(ids)
    ids[0, 7] = (ids[0, 7] + 1) % config.vocab_size
    after = network(ids)
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])


def test_what_lies_beyond_all_windows_has_no_influence() -> None:
    network = lively(dataclasses.replace(MODERN, sliding_window=4))  # two layers: 2 x 3 tokens back
    ids = torch.randint(67, (1, 20))
    before = network(ids)
    ids[0, 5] = (ids[0, 5] + 1) % 67
    after = network(ids)
    assert torch.equal(before[:, 12:], after[:, 12:])
    assert not torch.allclose(before[:, 11], after[:, 11], atol=1e-5)


def test_embeddings_are_scaled_by_a_number_that_their_type_holds() -> None:
    network = lively(dataclasses.replace(MODERN, hidden_size=96, scale_embedding=True))
    ids = torch.zeros(1, 1, dtype=torch.long)
    positions = torch.zeros(1, 1, dtype=torch.long)
    given = network._embed(ids, positions) / network.embed_tokens(ids)
    torch.testing.assert_close(given, torch.full_like(given, 96**0.5))
    network.bfloat16()
    assert torch.equal(network._embed(ids, positions), network.embed_tokens(ids) * torch.tensor(96**0.5).bfloat16())


def test_dropout_acts_in_training_only() -> None:
    for name in ("embedding_dropout", "attention_dropout", "hidden_dropout"):
        network = Decoder(dataclasses.replace(MODERN, **{name: 0.3}))
        ids = torch.randint(67, (1, 9))
        assert not torch.equal(network(ids), network(ids))
        network.eval()
        assert torch.equal(network(ids), network(ids))


def test_frozen_weights_do_not_stop_the_others() -> None:
    network = lively(MODERN).bfloat16()
    network.requires_grad_(False)
    network.layers[0].attention.qkv.weight.requires_grad_()
    ids = torch.randint(67, (2, 33))
    _, found = gradients(network, ids, None)
    assert list(found) == ["layers.0.attention.qkv.weight"]


def test_output_projections_start_smaller() -> None:
    network = Decoder(dataclasses.replace(MODERN, hidden_size=256, num_hidden_layers=8))
    layer = network.layers[0]
    assert float(layer.attention.out.weight.detach().std()) == pytest.approx(0.02 / 4, rel=0.1)
    assert float(layer.attention.qkv.weight.detach().std()) == pytest.approx(0.02, rel=0.1)


def test_a_vocabulary_is_asked_for() -> None:
    with pytest.raises(ModelError, match="vocab_size"):
        Decoder(DecoderConfig())


def test_learned_positions_have_an_end() -> None:
    with pytest.raises(ModelError, match="max_position_embeddings"):
        Decoder(GPT2)(torch.zeros(1, 41, dtype=torch.long))
