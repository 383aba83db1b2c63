import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hanmo.model.config import DecoderConfig, RecurrentConfig
from hanmo.model.decoder import Decoder
from hanmo.model.encoder import Encoder
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.kernels.library import attention_usable, switched_off
from hanmo.model.recurrent import Recurrent
from hanmo.plan.memory import (
    HOLES,
    LOGITS_AT_ONCE,
    Step,
    activation_bytes_per_token,
    checkpoint_bytes,
    count_memory,
    loss_bytes,
    optimizer_bytes,
)
from hanmo.plan.parameters import count_parameters
from hanmo.train.checkpoint import write_tensors
from hanmo.train.config import TrainConfig
from hanmo.train.optimizer import Optimizer

ROWS, CONTEXT = 4, 64
SMALL = DecoderConfig(vocab_size=96, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=CONTEXT)
VARIANTS: dict[str, dict[str, object]] = {
    "plain": {},
    "qk_norm": {"qk_norm": True},
    "dropout": {"hidden_dropout": 0.1},
    "grouped": {"num_key_value_heads": 1},
    "narrow heads": {"num_attention_heads": 4, "qk_norm": True},
    "gpt2": {"norm": "layer_norm", "gated_mlp": False, "hidden_act": "gelu", "position_embedding": "learned"},
    "gpt2 with biases": {
        "norm": "layer_norm",
        "gated_mlp": False,
        "position_embedding": "learned",
        "attention_bias": True,
        "mlp_bias": True,
    },
    "qwen2": {"qkv_bias": True, "num_key_value_heads": 1},
    "mistral": {"sliding_window": 16},
    "gemma3": {
        "num_key_value_heads": 1,
        "hidden_act": "gelu_pytorch_tanh",
        "sliding_window": 16,
        "layer_types": ("sliding_attention", "full_attention"),
        "rope_local_base_freq": 1e4,
        "qk_norm": True,
        "sandwich_norm": True,
        "zero_centered_norm": True,
        "scale_embedding": True,
    },
    "attention dropout": {"attention_dropout": 0.1},
}
FUSED = attention_usable(torch.zeros(1, 32, dtype=torch.bfloat16))


def kept_by_autograd(network: torch.nn.Module, vocab_size: int, weights: torch.Tensor | None = None, *more: torch.Tensor | None) -> int:
    """Bytes of all tensors that a forward pass saves, weights and what the loss makes left out."""
    own = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if (place := tensor.untyped_storage().data_ptr()) not in own:
            kept[place] = tensor
        return tensor

    ids = torch.randint(vocab_size, (ROWS, CONTEXT + 1))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network.loss(ids[:, :-1], ids[:, 1:], torch.ones(ROWS, CONTEXT) if weights is None else weights, *more)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", VARIANTS)
def test_planned_activations_are_what_autograd_keeps(name: str, precision: str) -> None:
    torch.set_num_threads(1)
    config = dataclasses.replace(SMALL, **VARIANTS[name])
    low = precision == "bf16"
    network = Decoder(config).to(torch.bfloat16 if low else torch.float32)
    step = Step(rows=ROWS, context_length=CONTEXT, low_precision=low, optimizer="adamw", fused=FUSED)
    planned = step.tokens * activation_bytes_per_token(config, step)
    assert kept_by_autograd(network, config.vocab_size) == pytest.approx(planned, rel=0.02)


@pytest.mark.parametrize("name", VARIANTS)
def test_planned_activations_hold_without_the_kernels(name: str) -> None:
    torch.set_num_threads(1)
    config = dataclasses.replace(SMALL, **VARIANTS[name])
    step = Step(rows=ROWS, context_length=CONTEXT, low_precision=True, optimizer="adamw", fused=False)
    with switched_off():
        kept = kept_by_autograd(Decoder(config).to(torch.bfloat16), config.vocab_size)
    assert kept == pytest.approx(step.tokens * activation_bytes_per_token(config, step), rel=0.02)


BERT = EncoderConfig(vocab_size=96, hidden_size=64, num_hidden_layers=3, num_attention_heads=2, max_position_embeddings=CONTEXT)
PAIR = EncoderDecoderConfig(vocab_size=96, hidden_size=64, num_hidden_layers=2, num_decoder_layers=3, num_attention_heads=2)
PLAIN_2017 = dataclasses.replace(PAIR, position_embedding="sinusoidal", norm="layer_norm", post_norm=True, gated_mlp=False)
BOTH_WAYS = {
    "bert": BERT,
    "bert, dropout": dataclasses.replace(BERT, hidden_dropout=0.1),
    "bert, dropout of weights": dataclasses.replace(BERT, attention_dropout=0.1),
    "t5": PAIR,
    "2017": PLAIN_2017,
}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", BOTH_WAYS)
def test_planned_activations_of_encoders_are_what_autograd_keeps(name: str, precision: str) -> None:
    torch.set_num_threads(1)
    config, low = BOTH_WAYS[name], precision == "bf16"
    network = Encoder(config) if isinstance(config, EncoderConfig) else EncoderDecoder(config)
    weights, source = torch.ones(ROWS, CONTEXT), ()
    asked = 0.25 if isinstance(config, EncoderConfig) else 1.0
    if isinstance(config, EncoderDecoderConfig):
        source = (None, torch.randint(96, (ROWS, CONTEXT)), torch.ones(ROWS, CONTEXT, dtype=torch.bool))
    weights[:, round(asked * CONTEXT) :] = 0
    step = Step(rows=ROWS, context_length=CONTEXT, low_precision=low, optimizer="adamw", fused=FUSED, asked=asked)
    kept = kept_by_autograd(network.to(torch.bfloat16 if low else torch.float32), 96, weights, *source)
    assert kept == pytest.approx(step.tokens * activation_bytes_per_token(config, step), rel=0.08)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_planned_activations_of_a_recurrent_network_are_what_autograd_keeps(cell: str, precision: str, dropout: float) -> None:
    torch.set_num_threads(1)
    low = precision == "bf16"
    config = RecurrentConfig(vocab_size=96, cell=cell, hidden_size=64, num_hidden_layers=3, hidden_dropout=dropout)
    network = Recurrent(config).to(torch.bfloat16 if low else torch.float32)
    step = Step(rows=ROWS, context_length=CONTEXT, low_precision=low, optimizer="adamw")
    planned = step.tokens * activation_bytes_per_token(config, step)
    assert kept_by_autograd(network, config.vocab_size) == pytest.approx(planned, rel=0.1)


@pytest.mark.parametrize("rule", ["sgd", "adagrad", "adam", "adamw", "muon"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_planned_weights_masters_and_state_are_the_real_ones(rule: str, precision: torch.dtype, tmp_path) -> None:
    network = Decoder(SMALL)
    optimizer = Optimizer(network, TrainConfig(max_steps=50, optimizer=rule), {}, precision)
    low = precision == torch.bfloat16
    ids = torch.zeros(1, 9, dtype=torch.long)
    network.loss(ids[:, :-1], ids[:, 1:], torch.ones(1, 8))[0].backward()
    optimizer.collect()
    memory = count_memory(SMALL, Step(rows=1, context_length=8, low_precision=low, optimizer=rule))
    assert memory.gradients == sum(g.nbytes for g in optimizer.gradients())
    optimizer.step(1.0)
    state = {name: tensor for name, tensor in optimizer.state().items() if tensor.numel() > 1}
    assert memory.weights == sum(p.nbytes for p in network.parameters())
    assert memory.masters == (sum(m.nbytes for m in optimizer.masters) if low else 0)
    assert memory.optimizer == sum(t.nbytes for name, t in state.items() if not name.startswith("master."))
    planned = checkpoint_bytes(count_parameters(SMALL), rule)
    write_tensors(tmp_path / "tensors.safetensors", optimizer.state())
    assert (tmp_path / "tensors.safetensors").stat().st_size == pytest.approx(planned, rel=0.02)


@given(st.integers(1, 200_000), st.integers(1, 100_000), st.booleans())
@settings(max_examples=50)
def test_logits_never_exceed_their_budget_by_more_than_a_row(tokens: int, vocab_size: int, low: bool) -> None:
    config = dataclasses.replace(SMALL, vocab_size=vocab_size)
    step = Step(rows=1, context_length=tokens, low_precision=low, optimizer="adamw")
    row = (vocab_size + 31) * step.width
    copies = 0 if low else 8 * 1024 * (vocab_size + 31)
    assert 0 < loss_bytes(config, step, tokens) <= max(LOGITS_AT_ONCE, row) + copies


def test_peak_is_the_fullest_moment_and_parts_are_named() -> None:
    memory = count_memory(SMALL, Step(rows=64, context_length=64, low_precision=False, optimizer="muon"), process_bytes=1000)
    assert memory.peak == memory.moments["loss"] == max(memory.moments.values())
    assert memory.parts["process"] == 1000 and "masters" not in memory.parts and "accumulates" not in memory.parts
    assert memory.holes == round(HOLES * memory.activations)


def test_large_network_with_few_tokens_peaks_at_its_update() -> None:
    large = DecoderConfig(vocab_size=1000, hidden_size=512, num_hidden_layers=8, num_attention_heads=8)
    memory = count_memory(large, Step(rows=1, context_length=8, low_precision=True, optimizer="muon"))
    assert memory.peak == memory.moments["update"]


def test_waiting_gradients_count_only_while_accumulating() -> None:
    step = Step(rows=4, context_length=64, low_precision=True, optimizer="adamw")
    alone = count_memory(SMALL, step)
    several = count_memory(SMALL, dataclasses.replace(step, accumulates=True))
    assert several.moments["loss"] - alone.moments["loss"] == alone.gradients


def test_more_rows_never_take_less() -> None:
    peaks = [count_memory(SMALL, Step(rows=n, context_length=64, low_precision=True, optimizer="adamw")).peak for n in (1, 2, 8, 32)]
    assert peaks == sorted(peaks)


def test_muon_keeps_one_moment_of_matrices_and_two_of_the_rest() -> None:
    parameters = count_parameters(SMALL)
    rest = parameters.total - parameters.layer_matrices
    assert optimizer_bytes(parameters, "muon") == 4 * parameters.layer_matrices + 8 * rest
