import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from hanmo.model.config import DecoderConfig, RecurrentConfig
from hanmo.model.encoder_config import EncoderConfig, EncoderDecoderConfig
from hanmo.model.families import bert
from hanmo.plan.compute import (
    count_compute,
    forward_flops_per_token,
    kaplan_flops_per_token,
    muon_flops_per_step,
    train_flops_per_token,
    visible_keys,
)
from hanmo.train.updates import orthogonalize

ROWS, CONTEXT = 2, 12
LLAMA = DecoderConfig(
    vocab_size=50,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=CONTEXT,
    tie_word_embeddings=False,
)


def counted(network: torch.nn.Module, *, backward: bool) -> int:
    """FLOPs that torch counts for one batch."""
    ids = torch.zeros(ROWS, CONTEXT, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        loss = network(input_ids=ids).logits.sum()
        if backward:
            loss.backward()
    return counter.get_total_flops()


def without_mask(config: DecoderConfig) -> float:
    """Our FLOPs a token, every query seeing every key: transformers' eager attention computes what the mask hides."""
    per_key = 4.0 * config.num_hidden_layers * config.num_attention_heads * config.head_width
    return forward_flops_per_token(config, CONTEXT) + per_key * (CONTEXT - (CONTEXT + 1) / 2)


def test_forward_flops_of_an_encoder_are_those_torch_counts_for_bert() -> None:
    config = EncoderConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2, max_position_embeddings=CONTEXT, hidden_dropout=0.1
    )
    values = {key: value for key, value in bert.write(config).items() if value is not None}
    network = BertForMaskedLM(BertConfig(**values, attn_implementation="eager")).eval()
    assert ROWS * CONTEXT * forward_flops_per_token(config, CONTEXT) == counted(network, backward=False)


def test_forward_flops_of_an_encoder_decoder_are_those_torch_counts_for_t5() -> None:
    config = EncoderDecoderConfig(vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_decoder_layers=3)
    shape = {"vocab_size": 50, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_decoder_layers": 3, "num_heads": 4}
    network = T5ForConditionalGeneration(T5Config(**shape, feed_forward_proj="gated-gelu", attn_implementation="eager")).eval()
    ids = torch.zeros(ROWS, CONTEXT, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        network(input_ids=ids, decoder_input_ids=ids)
    hidden_by_the_mask = 4.0 * 32 * CONTEXT * 0.5 * config.decoder_layers
    assert ROWS * CONTEXT * (forward_flops_per_token(config, CONTEXT) + hidden_by_the_mask) == counter.get_total_flops()


def test_forward_flops_are_those_torch_counts_for_llama() -> None:
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            attn_implementation="eager",
            tie_word_embeddings=False,
        )
    )
    ours = without_mask(LLAMA) * ROWS * CONTEXT
    assert counted(network, backward=False) == pytest.approx(ours, rel=0.01)


def test_forward_and_backward_flops_are_those_torch_counts_for_gpt2() -> None:
    config = DecoderConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT,
        position_embedding="learned",
        norm="layer_norm",
        gated_mlp=False,
        attention_bias=True,
        mlp_bias=True,
    )
    network = GPT2LMHeadModel(
        GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=4, n_positions=CONTEXT, attn_implementation="eager", use_cache=False)
    )
    assert counted(network, backward=False) == without_mask(config) * ROWS * CONTEXT
    assert counted(network, backward=True) == 3 * without_mask(config) * ROWS * CONTEXT


@given(context=st.integers(1, 40), window=st.integers(1, 50))
def test_visible_keys_are_those_of_the_mask(context: int, window: int) -> None:
    seen = [min(position + 1, window) for position in range(context)]
    assert visible_keys(context, window) == pytest.approx(sum(seen) / context)
    assert visible_keys(context, None) == (context + 1) / 2


def test_only_layers_that_slide_see_less() -> None:
    half = dataclasses.replace(LLAMA, sliding_window=3, layer_types=("sliding_attention", "full_attention"))
    saved = 4 * half.num_attention_heads * half.head_width * (visible_keys(CONTEXT, None) - visible_keys(CONTEXT, 3))
    assert forward_flops_per_token(LLAMA, CONTEXT) - forward_flops_per_token(half, CONTEXT) == saved


@pytest.mark.parametrize("cell, gates", [("lstm", 4), ("gru", 3)])
def test_recurrent_flops_are_two_products_a_gate_and_the_logits(cell: str, gates: int) -> None:
    config = RecurrentConfig(vocab_size=50, cell=cell, hidden_size=16, num_hidden_layers=2)
    assert forward_flops_per_token(config, 5) == forward_flops_per_token(config, 500) == 2 * 2 * gates * 2 * 16 * 16 + 2 * 16 * 50
    assert muon_flops_per_step(config) == 0
    assert kaplan_flops_per_token(config, 5) == 6 * 2 * gates * (2 * 16 * 16 + 2 * 16)


def test_muon_flops_are_those_torch_counts_for_its_update() -> None:
    config = DecoderConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, intermediate_size=48
    )
    with FlopCounterMode(display=False) as counter:
        for shape in [(32, 32), (16, 32), (16, 32), (32, 32), (48, 32), (48, 32), (32, 48)]:
            orthogonalize(torch.randn(1, *shape))
    assert counter.get_total_flops() == muon_flops_per_step(config)


def test_a_run_is_its_steps_and_a_step_its_tokens_and_its_update() -> None:
    plain = count_compute(LLAMA, context_length=CONTEXT, batch_size=3)
    muon = count_compute(LLAMA, context_length=CONTEXT, batch_size=3, optimizer="muon")
    assert plain.train_per_token == train_flops_per_token(LLAMA, CONTEXT) == 3 * plain.forward_per_token
    assert plain.per_step == plain.train_per_token * 3 * CONTEXT and plain.update_per_step == 0
    assert muon.per_run(10) == pytest.approx(10 * (plain.per_step + muon_flops_per_step(LLAMA)))


def test_kaplans_estimate_is_close_once_logits_are_added() -> None:
    config = DecoderConfig(vocab_size=1000, hidden_size=256, num_hidden_layers=6, num_attention_heads=4)
    ours = train_flops_per_token(config, 256)
    assert kaplan_flops_per_token(config, 256) + 6 * 1000 * 256 == pytest.approx(ours, rel=0.01)
