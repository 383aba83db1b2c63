import subprocess
import sys

import pytest
import torch

from hanmo.base.errors import ConfigError
from hanmo.model.config import DecoderConfig, RecurrentConfig
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.train.networks import context_of, make_network

SIZE = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1}
CONFIGS = [DecoderConfig(**SIZE), RecurrentConfig(**SIZE), EncoderConfig(**SIZE), EncoderDecoderConfig(**SIZE)]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_the_seed_alone_decides_the_weights_of_every_kind_of_network(config):
    first, again, other = (make_network(config, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.kind)
def test_fused_rows_are_those_of_the_weights(config):
    weights = make_network(config, 1).state_dict()
    assert all(weights[name].size(0) == sum(rows) for name, rows in config.fused_rows.items())
    assert bool(config.fused_rows) == (config.kind in ("decoder", "encoder_decoder"))


def test_grouped_queries_are_matrices_of_their_own():
    config = DecoderConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1)
    assert config.fused_rows["layers.1.attention.qkv.weight"] == (32, 16, 16)
    plain = DecoderConfig(gated_mlp=False)
    assert not any(name.endswith("up.weight") for name in plain.fused_rows)


def test_a_row_is_as_long_as_asked_or_as_the_network_sees():
    assert context_of(DecoderConfig(max_position_embeddings=64), 0) == 64
    assert context_of(RecurrentConfig(), 32) == 32
    with pytest.raises(ConfigError, match="has no default for this kind of network"):
        context_of(RecurrentConfig(), 0)
    with pytest.raises(ConfigError, match="exceeds the 254 positions of the encoder"):
        context_of(EncoderConfig(position_offset=2), 255)


COMPILED = """
import copy, torch
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.train.config import TrainConfig
from hanmo.train.networks import compile_network

torch.set_num_threads(1)
torch.manual_seed(0)
plain = Decoder(DecoderConfig(vocab_size=31, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=16))
compiled = copy.deepcopy(plain)
compile_network(plain, TrainConfig(max_steps=1, warmup_steps=0))
compile_network(compiled, TrainConfig(max_steps=1, warmup_steps=0, compile="on"))
ids = torch.randint(31, (4, 17))
for network in (plain, compiled):
    nats, weight = network.loss(ids[:, :-1], ids[:, 1:], torch.ones(4, 16))
    nats.backward()
    norm = torch.stack([p.grad.norm() for p in network.parameters()]).norm()
    print("hidden" in vars(network), float(nats), float(norm))
"""


def test_a_compiled_network_has_the_same_loss_and_gradient():
    """In a process of its own: the checks of shapes that tests switch on cannot be compiled."""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=True)
    (plain, *eager), (changed, *compiled) = [line.split() for line in done.stdout.splitlines()]
    assert (plain, changed) == ("False", "True"), "auto leaves the kernels in place on a CPU"
    assert [float(x) for x in compiled] == pytest.approx([float(x) for x in eager], rel=1e-4)
