import dataclasses
from pathlib import Path

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model.families.conftest import ENCODER_DECODERS, MARIAN, T5, VASWANI, lively

from hanmo.base.errors import ModelError
from hanmo.model.encoder_config import EncoderDecoderConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.likelihood import token_log_probs
from hanmo.model.positions import sinusoidal_positions
from hanmo.model.store import save_model

KINDS = {**ENCODER_DECODERS, "2017": VASWANI}


def network(config: EncoderDecoderConfig) -> EncoderDecoder:
    torch.manual_seed(7)
    made = lively(config)
    assert isinstance(made, EncoderDecoder)
    return made


def greedy(model: EncoderDecoder, source: torch.Tensor, seen: torch.Tensor, steps: int) -> torch.Tensor:
    """The likeliest token again and again; rows that have ended are filled up."""
    memory, end, padding = model.remember(source, seen), model.config.eos_token_id, model.config.pad_token_id
    assert padding is not None
    ids = torch.full((len(source), 1), model.config.start_token_id)
    ended = torch.zeros(len(source), dtype=torch.bool)
    for _ in range(steps):
        best = model.logits(model.decode(ids[:, -1:], memory, keep=True))[:, -1].argmax(-1)
        best = torch.where(ended, padding, best)
        ended |= best == end
        ids = torch.cat([ids, best[:, None]], 1)
        if ended.all():
            break
    return ids


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 9), st.sampled_from(sorted(KINDS)))
@settings(max_examples=20)
def test_decoding_piece_by_piece_gives_the_logits_of_decoding_at_once(pieces: list[int], length: int, name: str) -> None:
    model = network(KINDS[name])
    source, target = torch.randint(0, 61, (2, length)), torch.randint(0, 61, (2, sum(pieces)))
    with torch.no_grad():
        memory = model.remember(source)
        parts = [model.logits(model.decode(part, memory, keep=True)) for part in target.split(pieces, 1)]
        assert (torch.cat(parts, 1) - model(source, target)).abs().max() <= 1e-4
    assert memory.length == sum(pieces)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=4), st.sampled_from(sorted(KINDS)))
@settings(max_examples=15)
def test_a_pair_gives_the_same_logits_alone_and_in_a_padded_batch(lengths: list[int], name: str) -> None:
    model, longest = network(KINDS[name]), max(lengths)
    source, target = torch.randint(0, 61, (len(lengths), longest)), torch.randint(0, 61, (len(lengths), 4))
    seen = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
    with torch.no_grad():
        together = model(source, target, seen)
        for row, length in enumerate(lengths):
            alone = model(source[row : row + 1, :length], target[row : row + 1])
            assert (together[row] - alone[0]).abs().max() <= 1e-4


@pytest.mark.parametrize("name", KINDS)
def test_rows_of_the_memory_can_be_chosen_while_decoding(name: str) -> None:
    model = network(KINDS[name])
    source, target = torch.randint(0, 61, (3, 6)), torch.randint(0, 61, (3, 4))
    seen = torch.arange(6)[None] < torch.tensor([6, 3, 5])[:, None]
    with torch.no_grad():
        memory = model.remember(source, seen)
        model.decode(target[:, :3], memory, keep=True)
        rows = torch.tensor([2, 0])
        memory.keep(rows)
        last = model.logits(model.decode(target[rows, 3:], memory, keep=True))[:, 0]
        assert (last - model(source, target, seen)[rows, -1]).abs().max() <= 1e-4


@pytest.mark.parametrize("name", ENCODER_DECODERS)
def test_greedy_texts_are_those_of_transformers(tmp_path: Path, name: str) -> None:
    model = network(ENCODER_DECODERS[name])
    save_model(model, tmp_path / "m")
    reference = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "m").eval()
    source = torch.randint(2, 60, (6, 11))
    seen = torch.arange(11)[None] < torch.tensor([11, 10, 7, 4, 2, 1])[:, None]
    source = torch.where(seen, source, model.config.pad_token_id or 0)
    plain = transformers.GenerationConfig(
        max_new_tokens=12,
        do_sample=False,
        num_beams=1,
        use_cache=False,  # transformers 5.23 makes room for as many decoder layers as the encoder has
        eos_token_id=model.config.eos_token_id,
        pad_token_id=model.config.pad_token_id,
        decoder_start_token_id=model.config.start_token_id,
    )
    expected = reference.generate(source, attention_mask=seen.long(), generation_config=plain)
    with torch.no_grad():
        ours = greedy(model, source, seen, 12)
    assert ours.tolist() == expected.tolist()


def test_the_transformer_of_2017_scales_its_embedding_and_adds_sines_in_turn() -> None:
    model, ids = network(VASWANI), torch.tensor([[3, 1, 4]])
    expected = model.embed_tokens(ids) * 32**0.5 + sinusoidal_positions(torch.arange(3), 32)
    block = model.encoder.layers[0]
    assert torch.allclose(block(expected), block(model._embed(ids)), atol=1e-6)
    assert model.encoder.final_norm is None
    assert torch.equal(model.output_weight, model.embed_tokens.weight)


def test_the_loss_is_that_of_weighted_targets_and_has_gradients_everywhere() -> None:
    model = network(T5)
    source, ids, targets = torch.randint(0, 61, (2, 7)), torch.randint(0, 61, (2, 5)), torch.randint(0, 61, (2, 5))
    weights, seen = torch.rand(2, 5), torch.arange(7)[None] < torch.tensor([7, 4])[:, None]
    nats, total = model.loss(ids, targets, weights, None, source, seen)
    expected = -(token_log_probs(model(source, ids, seen), targets) * weights).sum()
    assert (nats - expected).abs() <= 1e-3
    assert (total - weights.sum()).abs() <= 1e-5
    nats.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()] == []


def test_what_cannot_be_trained_is_said() -> None:
    ids, weights = torch.zeros(1, 3, dtype=torch.long), torch.ones(1, 3)
    with pytest.raises(ModelError, match="vocab_size"):
        EncoderDecoder(EncoderDecoderConfig())
    with pytest.raises(ModelError, match="pairs of source and target"):
        network(T5).loss(ids, ids, weights)
    with pytest.raises(ModelError, match="fixed numbers"):
        network(MARIAN).loss(ids, ids, weights, None, ids)


@pytest.mark.parametrize("config", [T5, dataclasses.replace(T5, tie_word_embeddings=False, scale_output=False), VASWANI])
def test_fresh_weights_know_nothing(config: EncoderDecoderConfig) -> None:
    torch.manual_seed(1)
    wide = dataclasses.replace(config, hidden_size=64, num_attention_heads=4, head_dim=0)
    logits = EncoderDecoder(wide)(torch.randint(0, 61, (4, 9)), torch.randint(0, 61, (4, 9)))
    entropy = -(logits.log_softmax(-1) * logits.softmax(-1)).sum(-1).mean()
    assert entropy > 0.6 * torch.log(torch.tensor(61.0))
