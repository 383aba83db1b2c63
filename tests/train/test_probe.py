import pytest
import torch

from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.train.config import TrainConfig
from hanmo.train.probe import matrix_flops, probe


def test_the_matrix_rate_is_a_rate():
    rate = matrix_flops(torch.float32, size=128, seconds=0.05)
    assert 1e7 < rate < 1e15


def test_a_probe_times_the_real_step_and_sees_its_memory():
    torch.set_num_threads(1)
    network = Decoder(DecoderConfig(vocab_size=31, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=16))
    before = [p.detach().clone() for p in network.parameters()]
    config = TrainConfig(max_steps=5, warmup_steps=0, batch_size=4, micro_batch_size=2, precision="fp32")
    found = probe(network, config, context_length=16, blocks={}, seconds=0.1)
    assert found.steps >= 2
    assert found.tokens_per_second * found.seconds_per_step == pytest.approx(4 * 16)
    assert found.evaluation_tokens_per_second > 0
    assert found.peak_memory_bytes > 50e6
    assert any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
