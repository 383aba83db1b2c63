import dataclasses

import pytest
import torch
import transformers

from hanmo.base.errors import ModelError
from hanmo.model import families
from hanmo.model.cache import KVCache
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.families.layout import Layout

ERROR = 1e-4
"""Largest difference between two logits; contexts here are longer than any window."""


def shaken(network: torch.nn.Module) -> torch.nn.Module:
    """Weights far from their initial values, norms and biases included, so that a mix-up shows."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return network.eval()


def theirs(layout: Layout, config: DecoderConfig) -> torch.nn.Module:
    """transformers' own model of the family, built from what we would write into config.json."""
    values = layout.to_hf(config)
    kind = getattr(transformers, str(values["architectures"][0]))  # pyright: ignore[reportIndexIssue]
    return shaken(kind(kind.config_class(**{key: value for key, value in values.items() if key != "architectures"})))


def pair(config: DecoderConfig) -> tuple[Decoder, torch.nn.Module]:
    """Our decoder and transformers' model with the same weights, which were drawn by us."""
    layout = families.layout_of(config)
    decoder, reference = shaken(Decoder(config)), theirs(layout, config)
    missing, unexpected = reference.load_state_dict(layout.to_hf_weights(decoder.state_dict(), config), strict=False)
    assert not unexpected
    assert missing in ([], ["lm_head.weight"])
    reference.tie_weights()
    return decoder, reference


def resolved(config: DecoderConfig) -> DecoderConfig:
    """Sizes that follow from others written out."""
    return dataclasses.replace(
        config,
        intermediate_size=config.mlp_width,
        num_key_value_heads=config.key_value_heads,
        head_dim=config.head_width,
        layer_types=tuple(config.layer_type(layer) for layer in range(config.num_hidden_layers)),
        rope_scaling=config.rotary_of("full_attention")[1],
    )


def test_weights_of_transformers_give_our_decoder_its_logits(config: DecoderConfig) -> None:
    layout = families.layout_of(config)
    reference = theirs(layout, config)
    decoder = Decoder(config).eval()
    tensors = {name: tensor for name, tensor in reference.state_dict().items() if not (config.tie_word_embeddings and "lm_head" in name)}
    decoder.load_state_dict(layout.from_hf_weights(tensors, config))
    ids = torch.randint(0, config.vocab_size, (3, 20))
    with torch.no_grad():
        assert (decoder(ids) - reference(ids).logits).abs().max() <= ERROR


def test_our_weights_give_transformers_our_logits(config: DecoderConfig) -> None:
    decoder, reference = pair(config)
    ids = torch.randint(0, config.vocab_size, (3, 20))
    with torch.no_grad():
        assert (decoder(ids) - reference(ids).logits).abs().max() <= ERROR


@pytest.mark.parametrize("parts", [[1] * 20, [7, 1, 6, 1, 5]], ids=["token by token", "in chunks"])
def test_decoding_with_a_cache_gives_the_logits_of_transformers(config: DecoderConfig, parts: list[int]) -> None:
    decoder, reference = pair(config)
    ids = torch.randint(0, config.vocab_size, (2, 20))
    cache = KVCache(config, 2, 20)
    with torch.no_grad():
        given = torch.cat([decoder(part, cache=cache) for part in ids.split(parts, dim=1)], 1)
        assert (given - reference(ids).logits).abs().max() <= ERROR


def test_rows_padded_on_the_left_have_the_logits_of_transformers(config: DecoderConfig) -> None:
    decoder, reference = pair(config)
    ids, padding = torch.randint(0, config.vocab_size, (3, 20)), torch.tensor([0, 11, 3])
    real = torch.arange(20) >= padding[:, None]
    cache = KVCache(config, 3, 20, starts_B=padding)
    with torch.no_grad():
        expected = reference(ids, attention_mask=real.long(), position_ids=(real.cumsum(1) - 1).clamp(min=0)).logits
        given = torch.cat([decoder(part, cache=cache) for part in ids.split([14, 1, 5], dim=1)], 1)
    assert (given - expected)[real].abs().max() <= ERROR


def test_rows_padded_on_the_right_have_the_logits_of_transformers(config: DecoderConfig) -> None:
    decoder, reference = pair(config)
    ids = torch.randint(0, config.vocab_size, (3, 20))
    real = torch.arange(20) < torch.tensor([20, 9, 1])[:, None]
    with torch.no_grad():
        expected = reference(ids, attention_mask=real.long()).logits
        assert (decoder(ids) - expected)[real].abs().max() <= ERROR


@pytest.mark.parametrize("lengths", [[20, 20], [20, 7]], ids=["full rows", "padded rows"])
def test_every_gradient_of_the_loss_is_that_of_transformers(config: DecoderConfig, lengths: list[int]) -> None:
    decoder, reference = pair(config)
    ids = torch.randint(0, config.vocab_size, (2, 20))
    ids[0, 0] = 0  # a token that some families take for padding unless they are told otherwise
    real = torch.arange(20) < torch.tensor(lengths)[:, None]
    nats, weight = decoder.loss(ids[:, :-1], ids[:, 1:], real[:, 1:].float())
    (nats / weight).backward()
    loss = reference(ids, attention_mask=real.long(), labels=torch.where(real, ids, -100)).loss
    loss.backward()
    torch.testing.assert_close(nats / weight, loss, rtol=1e-5, atol=1e-5)
    mine = families.layout_of(config).to_hf_weights({name: p.grad for name, p in decoder.named_parameters()}, config)
    expected = {name: p.grad for name, p in reference.named_parameters()}
    assert mine.keys() == expected.keys()
    for name, gradient in mine.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


def test_writing_and_reading_a_configuration_gives_it_back(any_config: DecoderConfig) -> None:
    layout = families.layout_of(any_config)
    assert resolved(layout.from_hf(layout.to_hf(any_config))) == resolved(any_config)
    assert layout.unused(layout.to_hf(any_config)) == []
    assert families.layout_named(layout.to_hf(any_config)) is layout


def test_writing_and_reading_weights_gives_them_back(any_config: DecoderConfig) -> None:
    layout = families.layout_of(any_config)
    state = Decoder(any_config).state_dict()
    back = layout.from_hf_weights(layout.to_hf_weights(state, any_config), any_config)
    assert list(back) == list(state)
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_each_configuration_takes_the_layout_that_others_know() -> None:
    from tests.model.families.conftest import CONFIGS, MIXTURES

    assert {name: families.layout_of(config).model_type for name, config in CONFIGS.items()} == {
        name: name.split()[0].strip(",") for name in CONFIGS
    }
    assert {families.layout_of(config).model_type for config in MIXTURES.values()} == {"hanmo_decoder"}


def test_an_unknown_model_type_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match=r"model_type \(='mamba'\).*gpt2, llama, mistral, qwen2, qwen3, gemma3_text"):
        families.layout_named({"model_type": "mamba"})
