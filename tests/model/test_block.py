import dataclasses

import pytest
import torch

from hanmo.model.block import EncoderBlock
from hanmo.model.encoder_config import EncoderDecoderConfig

CONFIG = EncoderDecoderConfig(hidden_size=16, num_attention_heads=2, intermediate_size=24)


@pytest.fixture(params=[True, False], ids=["norms after", "norms before"])
def block(request: pytest.FixtureRequest) -> EncoderBlock:
    torch.manual_seed(3)
    return EncoderBlock(dataclasses.replace(CONFIG, post_norm=request.param), with_memory=True).eval()


def test_norms_stand_after_the_sums_or_before_the_sub_layers() -> None:
    x = torch.randn(2, 3, 16)
    after = EncoderBlock(dataclasses.replace(CONFIG, post_norm=True))
    mixed = after.attention_norm(x + after.attention(x, after.attention.keys_values(x)))
    assert torch.equal(after(x), after.mlp_norm(mixed + after.mlp(mixed)))
    before = EncoderBlock(CONFIG)
    normed = before.attention_norm(x)
    mixed = x + before.attention(normed, before.attention.keys_values(normed))
    assert torch.equal(before(x), mixed + before.mlp(before.mlp_norm(mixed)))


def test_the_memory_is_attended_to_between_both(block: EncoderBlock) -> None:
    x, memory = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    with_memory = block(x, memory=block.remember(memory))
    assert not torch.allclose(with_memory, block(x))
    assert not torch.allclose(with_memory, block(x, memory=block.remember(memory + 1)))


def test_kept_keys_and_values_are_handed_out_once_a_pass(block: EncoderBlock) -> None:
    asked: list[int] = []

    def keep(new: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        asked.append(new[0].size(2))
        return new

    x = torch.randn(2, 3, 16)
    assert torch.equal(block(x, keep=keep), block(x))
    assert asked == [3]


def test_dropout_works_in_training_only() -> None:
    block, x = EncoderBlock(dataclasses.replace(CONFIG, hidden_dropout=0.5, attention_dropout=0.2)), torch.randn(2, 3, 16)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))
