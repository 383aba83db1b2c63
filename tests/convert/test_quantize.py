"""What is fitted is what a file holds, and nearer to the model than what is not; on small decoders of other shapes."""

import dataclasses
from pathlib import Path

import pytest
import torch
from tests.convert.conftest import model_folder
from tests.model.families.conftest import GEMMA3, GPT2, SMALL
from torch import nn

from hanmo.base.errors import DataError
from hanmo.convert.gguf import export_gguf, read_decoder
from hanmo.convert.gguf_reader import GgufFile
from hanmo.convert.quantize import HELD_OUT, Fit, FitConfig, fit_q4_0, importances, windows_of
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder
from hanmo.model.likelihood import divergence
from hanmo.model.rounding import rounded

WIDE = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "head_dim": 32, "num_key_value_heads": 4}
CONFIGS = {
    "llama": dataclasses.replace(SMALL, **WIDE, tie_word_embeddings=False),
    "qwen2": dataclasses.replace(SMALL, **WIDE, qkv_bias=True),
    "gemma3": dataclasses.replace(GEMMA3, **WIDE),
    "gpt2": dataclasses.replace(GPT2, **{**WIDE, "num_attention_heads": 2, "num_key_value_heads": 2}),
}
FEW = FitConfig(steps=30, rows=4, window=16, learning_rate=5e-3)


def uneven_network(config: DecoderConfig) -> Decoder:
    """A decoder with a few large weights, as trained ones have them, which coarse scales serve badly."""
    torch.manual_seed(2)
    network = Decoder(config).eval()
    for parameter in network.parameters():
        if parameter.dim() == 2:
            parameter.data *= 3 * (1 + 4 * (torch.rand_like(parameter) > 0.98))
        elif parameter.dim() == 1:
            parameter.data += 0.3 * torch.randn_like(parameter)
    return network


def some_windows(config: DecoderConfig) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(config.vocab_size, (FEW.windows, FEW.window), generator=generator)


@pytest.mark.parametrize("name", CONFIGS)
def test_fitted_scales_lose_less_than_plain_ones_on_text_that_was_not_seen(name: str) -> None:
    network = uneven_network(CONFIGS[name])
    full, ids_RT = [each.clone() for each in network.state_dict().values()], some_windows(CONFIGS[name])
    with torch.no_grad():
        wanted = network(ids_RT[-HELD_OUT:])
    fit = fit_q4_0(network, ids_RT, FEW)
    with torch.no_grad():
        distance = divergence(wanted, network(ids_RT[-HELD_OUT:])).mean().item()
    assert fit.learned < 0.9 * min(fit.weighted, fit.plain), fit
    assert distance == pytest.approx(fit.learned, rel=1e-3), "the network that is given is the one that was measured"
    changed = [not torch.equal(one, other) for one, other in zip(full, network.state_dict().values(), strict=True)]
    assert any(changed) and not all(changed), "embeddings stay as they are"


@pytest.mark.parametrize("name", CONFIGS)
def test_the_file_and_the_engine_hold_exactly_what_was_fitted(tmp_path: Path, name: str) -> None:
    config = CONFIGS[name]
    folder, fitted = model_folder(tmp_path / "m", config), list[Decoder]()

    def prepare(network: Decoder) -> None:
        fit_q4_0(network, some_windows(network.config), dataclasses.replace(FEW, steps=3))
        fitted.append(network)

    export_gguf(folder, tmp_path / "m.gguf", "q4_0", prepare)
    back = read_decoder(GgufFile(tmp_path / "m.gguf"))
    for (where, one), other in zip(fitted[0].layers.named_parameters(), back.layers.parameters(), strict=True):
        assert torch.equal(one, other) if one.dim() == 2 else torch.allclose(one, other, atol=1e-6), where
        assert one.dim() < 2 or torch.equal(rounded(one, "int4"), one), f"our engine rounds {where} once more"


def test_importances_are_mean_squares_of_what_enters() -> None:
    network = uneven_network(CONFIGS["llama"])
    ids_RT, seen = some_windows(network.config)[:6], list[torch.Tensor]()
    first = next(module for module in network.layers.modules() if isinstance(module, nn.Linear))
    hook = first.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    found = importances(network, ids_RT)
    hook.remove()
    assert set(found) == {
        f"layers.{layer}.{name}" for layer in range(2) for name in ("attention.qkv", "attention.out", "mlp.up", "mlp.down")
    }
    torch.testing.assert_close(next(iter(found.values())), torch.cat(seen).square().flatten(0, 1).mean(0))
    assert not any(module._forward_hooks for module in network.modules())


def test_the_same_text_gives_the_same_scales() -> None:
    made = []
    for _ in range(2):
        network = uneven_network(CONFIGS["llama"])
        made.append((fit_q4_0(network, some_windows(network.config), dataclasses.replace(FEW, steps=2)), network.state_dict()))
    assert made[0][0] == made[1][0]
    assert all(torch.equal(one, other) for one, other in zip(made[0][1].values(), made[1][1].values(), strict=True))


def test_too_little_text_is_refused_with_what_is_needed() -> None:
    assert windows_of(torch.arange(9 * 16 + 5), 16).shape == (9, 16)
    with pytest.raises(DataError, match="143 tokens are too little to fit scales to: give a text of at least 144"):
        windows_of(torch.arange(143), 16)


def test_a_fit_in_bf16_is_nearly_that_in_fp32() -> None:
    fits: list[Fit] = []
    for precision in (torch.float32, torch.bfloat16):
        network = uneven_network(CONFIGS["llama"])
        fits.append(fit_q4_0(network, some_windows(network.config), FEW, precision))
    assert fits[1].learned == pytest.approx(fits[0].learned, rel=0.3)
    assert fits[1].learned < fits[1].plain
