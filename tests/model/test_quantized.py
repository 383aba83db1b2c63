"""Weights in few bits: what is lost is what rounding loses, and a row never sees its batch."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hanmo.base.errors import ModelError
from hanmo.model.cache import KVCache
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.kernels.library import load, switched_off
from hanmo.model.quantized import QuantizedDecoder, head_bits, quantized, runs_here
from hanmo.model.rounding import Bits, round_int4_with_least, rounded

needs_kernels = pytest.mark.skipif(load() is None, reason="no C++ compiler here")
KINDS: tuple[Bits, ...] = ("int4", "int8", "bfloat16")
LOST = {"int4": 0.04, "int8": 0.04, "bfloat16": 0.02}
"""Root mean square error of logits over their spread: vectors are cut to 8 bits (or bf16) at every product."""

MODERN = DecoderConfig(
    vocab_size=301, hidden_size=96, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2, head_dim=32,
    intermediate_size=160, max_position_embeddings=64, initializer_range=0.1, qk_norm=True,
)  # fmt: skip
GPT2 = DecoderConfig(
    vocab_size=96, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=64, initializer_range=0.1,
    position_embedding="learned", norm="layer_norm", hidden_act="gelu_pytorch_tanh", gated_mlp=False, attention_bias=True, mlp_bias=True,
    tie_word_embeddings=False,
)  # fmt: skip
SINUSOIDAL = DecoderConfig(
    vocab_size=64, hidden_size=64, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=64, initializer_range=0.2,
    position_embedding="sinusoidal", hidden_act="relu2", gated_mlp=False,
)  # fmt: skip

GEMMA3 = DecoderConfig(
    vocab_size=80, hidden_size=96, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1, head_dim=64, intermediate_size=128,
    max_position_embeddings=64, initializer_range=0.1, hidden_act="gelu_pytorch_tanh", qk_norm=True, sandwich_norm=True,
    zero_centered_norm=True, scale_embedding=True, query_pre_attn_scalar=48, sliding_window=7,
    layer_types=("sliding_attention", "full_attention"), rope_theta=1e6, rope_local_base_freq=1e4,
)  # fmt: skip


def drawn(config: DecoderConfig) -> Decoder:
    """A decoder whose norms and biases are random too."""
    torch.manual_seed(0)
    network = Decoder(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def with_rounded_weights(network: Decoder, bits: Bits) -> Decoder:
    """The same decoder, its matrices what `bits` can express, its embedding in bf16."""
    copy = Decoder(network.config).eval()
    state = {
        name: rounded(tensor, head_bits(bits) if name.startswith("lm_head") else bits)
        if tensor.dim() == 2 and "embed" not in name
        else tensor
        for name, tensor in network.state_dict().items()
    }
    state["embed_tokens.weight"] = state["embed_tokens.weight"].bfloat16().float()
    copy.load_state_dict(state)
    return copy


def memory(network: QuantizedDecoder, rows: int, starts: list[int] | None = None) -> KVCache:
    return network.new_cache(rows, 64, None if starts is None else torch.tensor(starts))


def logits_of(network: QuantizedDecoder, ids_BT: Tensor, cache: KVCache) -> Tensor:
    return network.logits(network.hidden(ids_BT, cache=cache))


@needs_kernels
@pytest.mark.parametrize("bits", KINDS)
@pytest.mark.parametrize("config", [MODERN, GPT2, SINUSOIDAL, GEMMA3], ids=["modern", "gpt2", "sinusoidal", "gemma3"])
@torch.inference_mode()
def test_logits_are_those_of_the_rounded_weights_up_to_the_rounding_of_vectors(config: DecoderConfig, bits: Bits) -> None:
    network = drawn(config)
    ids = torch.randint(0, config.vocab_size, (3, 20))
    plain = with_rounded_weights(network, bits)
    wanted = plain.hidden(ids) @ rounded(network.output_weight, head_bits(bits)).T
    quantized = QuantizedDecoder(network, bits)
    found = logits_of(quantized, ids, memory(quantized, 3))
    assert ((found - wanted).square().mean().sqrt() / wanted.std()).item() < LOST[bits]


@needs_kernels
@pytest.mark.parametrize("bits", KINDS)
def test_threads_share_out_large_matrices_and_change_no_bit(bits: Bits) -> None:
    network = drawn(dataclasses.replace(MODERN, vocab_size=20_003, hidden_size=64, intermediate_size=8_192, num_hidden_layers=1))
    quantized = QuantizedDecoder(network, bits)
    ids = torch.randint(0, 20_003, (1, 7))
    threads = torch.get_num_threads()

    def answers(count: int) -> list[Tensor]:
        torch.set_num_threads(count)
        cache = memory(quantized, 1)
        return [quantized.last_logits(ids[:, :6], cache), quantized.last_logits(ids[:, 6:], cache)]

    try:
        with torch.inference_mode():
            alone, others = answers(1), [answers(count) for count in (2, 3, 5)]
            plain = with_rounded_weights(network, bits).hidden(ids)[:, -1] @ rounded(network.output_weight, head_bits(bits)).T
    finally:
        torch.set_num_threads(threads)
    assert ((alone[1] - plain).square().mean().sqrt() / plain.std()).item() < LOST[bits]
    assert all(torch.equal(mine, theirs) for other in others for mine, theirs in zip(alone, other, strict=True))


@needs_kernels
@settings(max_examples=10)
@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=9), steps=st.integers(1, 3), bits=st.sampled_from(KINDS))
def test_row_has_the_same_bits_alone_in_a_batch_and_token_by_token(lengths: list[int], steps: int, bits: Bits) -> None:
    network = QuantizedDecoder(drawn(MODERN), bits)
    longest = max(lengths)
    texts = [torch.randint(0, 301, (length + steps,), generator=torch.Generator().manual_seed(length)) for length in lengths]
    padded = torch.stack(
        [torch.cat([torch.zeros(longest - length, dtype=torch.long), text]) for length, text in zip(lengths, texts, strict=True)]
    )
    with torch.inference_mode():
        together = memory(network, len(lengths), [longest - length for length in lengths])
        first = network.last_logits(padded[:, :longest], together)
        later = [network.last_logits(padded[:, at : at + 1], together) for at in range(longest, longest + steps)]
        for row, (length, text) in enumerate(zip(lengths, texts, strict=True)):
            alone = memory(network, 1)
            single = [network.last_logits(text[None, at : at + 1], alone) for at in range(length + steps)]
            assert torch.equal(single[length - 1][0], first[row])
            assert all(torch.equal(mine[0], theirs[row]) for mine, theirs in zip(single[length:], later, strict=True))


@pytest.mark.parametrize("bits, most", [("int8", 0.005), ("int4", 0.09), ("bfloat16", 0.003)])
def test_rounding_keeps_a_weight_within_the_step_of_its_group(bits: Bits, most: float) -> None:
    weight = torch.randn(48, 64, generator=torch.Generator().manual_seed(0))
    groups, restored = weight.unflatten(1, (-1, 32)), rounded(weight, bits).unflatten(1, (-1, 32))
    assert ((groups - restored).square().mean(-1).sqrt() / groups.abs().amax(-1)).max() < most


def test_zeros_stay_zeros_and_single_spikes_survive() -> None:
    weight = torch.zeros(16, 64)
    weight[3, 40] = -5.0
    for bits in KINDS:
        assert torch.allclose(rounded(weight, bits), weight, rtol=2e-3), bits


def test_sizes_that_do_not_fit_are_told_before_anything_is_packed() -> None:
    odd = Decoder(DecoderConfig(vocab_size=10, hidden_size=48, num_attention_heads=2, num_hidden_layers=1))
    assert not runs_here(odd)
    with pytest.raises(ModelError, match="plain decoder"):
        QuantizedDecoder(odd, "int4")


@torch.inference_mode()
def test_without_kernels_a_plain_decoder_has_the_same_rounded_weights() -> None:
    network = drawn(GPT2)
    with switched_off():
        assert not runs_here(network)
        plain = quantized(network, "int4")
    assert isinstance(plain, Decoder)
    ids = torch.randint(0, 96, (2, 9))
    assert torch.allclose(plain(ids), with_rounded_weights(network, "int4")(ids), atol=0.05)
    assert not torch.equal(plain.layers[0].mlp.up.weight, network.layers[0].mlp.up.weight)


@needs_kernels
@torch.inference_mode()
def test_logits_of_kept_steps_are_those_of_the_plain_decoder() -> None:
    network = drawn(MODERN)
    for module in network.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.copy_(round_int4_with_least(module.weight).weight_NK)
    ids = torch.randint(0, MODERN.vocab_size, (2, 12))
    quantized = QuantizedDecoder(network, "int4")
    assert {each.bits for each in quantized._matrices} == {5}
    wanted = network.hidden(ids) @ rounded(network.output_weight, "int8").T
    assert ((logits_of(quantized, ids, memory(quantized, 2)) - wanted).square().mean().sqrt() / wanted.std()).item() < LOST["int4"]
