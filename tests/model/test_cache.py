import dataclasses
from pathlib import Path

import pytest
import torch
from tests.model.conftest import GPT2, MODERN, lively

from hanmo.model.cache import KVCache
from hanmo.model.config import DecoderConfig
from hanmo.model.decoder import Decoder

ERROR = {"rtol": 1e-4, "atol": 1e-5}


def test_reading_in_parts_equals_reading_at_once(config: DecoderConfig) -> None:
    network = lively(config)
    ids = torch.randint(config.vocab_size, (3, 20))
    with torch.no_grad():
        cache = KVCache(config, 3, 20)
        parts = [network(part, cache=cache) for part in ids.split([7, 1, 5, 1, 6], dim=1)]
        torch.testing.assert_close(torch.cat(parts, 1), network(ids), **ERROR)
    assert cache.length == 20


def test_a_prompt_in_bf16_leaves_the_same_cache_as_token_by_token(config: DecoderConfig) -> None:
    network = lively(config).bfloat16()
    ids = torch.randint(config.vocab_size, (2, 9))
    with torch.no_grad():
        at_once, one_by_one = (KVCache(config, 2, 9, dtype=torch.bfloat16) for _ in range(2))
        whole = network(ids, cache=at_once)
        parts = torch.cat([network(ids[:, t : t + 1], cache=one_by_one) for t in range(9)], 1)
    assert float((whole - parts).float().norm() / parts.float().norm()) < 0.03
    assert float((at_once.keys - one_by_one.keys).float().norm() / one_by_one.keys.float().norm()) < 0.03
    assert float((at_once.values - one_by_one.values).float().norm() / one_by_one.values.float().norm()) < 0.03


def test_rows_padded_on_the_left_equal_rows_alone(config: DecoderConfig) -> None:
    network = lively(config)
    ids = torch.randint(config.vocab_size, (2, 10))
    starts = torch.tensor([0, 4])
    with torch.no_grad():
        cache = KVCache(config, 2, 10, starts_B=starts)
        logits = torch.cat([network(part, cache=cache) for part in ids.split([8, 1, 1], dim=1)], 1)
        torch.testing.assert_close(logits[0], network(ids[:1])[0], **ERROR)
        torch.testing.assert_close(logits[1, 4:], network(ids[1:, 4:])[0], **ERROR)


def test_rows_padded_on_the_left_equal_rows_alone_in_bf16() -> None:
    network = lively(MODERN).bfloat16()
    ids = torch.randint(MODERN.vocab_size, (2, 12))
    with torch.no_grad():
        cache = KVCache(MODERN, 2, 12, dtype=torch.bfloat16, starts_B=torch.tensor([0, 5]))
        together, alone = network(ids, cache=cache)[1, 5:].float(), network(ids[1:, 5:])[0].float()
    assert float((together - alone).norm() / alone.norm()) < 0.02


def test_rows_are_kept_dropped_and_repeated() -> None:
    network = lively(GPT2)
    ids = torch.randint(GPT2.vocab_size, (3, 6))
    order = [2, 0, 2]
    with torch.no_grad():
        cache = KVCache(GPT2, 3, 7)
        network(ids, cache=cache)
        cache.keep(order)
        new = torch.tensor([[1], [2], [3]])
        logits = network(new, cache=cache)[:, -1]
        torch.testing.assert_close(logits, network(torch.cat([ids[order], new], 1))[:, -1], **ERROR)


def test_the_slots_of_a_cache_are_what_was_asked_for() -> None:
    cache = KVCache(dataclasses.replace(MODERN, num_key_value_heads=1), 2, 11)
    assert cache.slots == 11
    assert cache.keys.shape == (2, 2, 1, 11, 32)


def test_what_is_cut_off_may_be_read_otherwise() -> None:
    network = lively(MODERN)
    ids, others = torch.randint(MODERN.vocab_size, (2, 1, 9))
    with torch.no_grad():
        cache = KVCache(MODERN, 1, 9)
        network(ids, cache=cache)
        cache.truncate(4)
        logits = network(others[:, :5], cache=cache)
        torch.testing.assert_close(logits, network(torch.cat([ids[:, :4], others[:, :5]], 1))[:, 4:], **ERROR)


def test_joined_rows_of_any_lengths_go_on_as_alone() -> None:
    """The first cache has padding in front that its only row left does not need."""
    network = lively(MODERN)
    ids = torch.randint(MODERN.vocab_size, (3, 9))
    with torch.no_grad():
        padded = KVCache(MODERN, 2, 12, starts_B=torch.tensor([0, 3]))
        network(ids[:2, :7], cache=padded)
        padded.keep([1])
        longer = KVCache(MODERN, 1, 8)
        network(ids[2:, :8], cache=longer)
        assert (padded.length, padded.starts_B.tolist()) == (4, [0])
        padded.join(longer, 10, 20)
        assert (padded.length, padded.slots, padded.starts_B.tolist()) == (8, 10, [4, 0])
        logits = network(torch.tensor([[1], [2]]), cache=padded)[:, -1]
        alone = [network(torch.cat([ids[1, 3:7], torch.tensor([1])])[None]), network(torch.cat([ids[2, :8], torch.tensor([2])])[None])]
        torch.testing.assert_close(logits, torch.cat([each[:, -1] for each in alone]), **ERROR)


def one_row(network: Decoder, ids: list[int], slots: int = 40) -> KVCache:
    cache = network.new_cache(1, slots)
    network(torch.tensor([ids]), cache=cache)
    return cache


def places_of(cache: KVCache) -> tuple[int, int]:
    """Where in memory keys and values lie."""
    return cache.keys.untyped_storage().data_ptr(), cache.values.untyped_storage().data_ptr()


@torch.no_grad()
def test_rows_come_and_go_without_moving_the_others() -> None:
    network = lively(MODERN)
    texts = [[1, 2, 3, 4, 5], [6, 7], [8, 9, 10], [11, 12, 13, 14]]
    cache = one_row(network, texts[0])
    cache.join(one_row(network, texts[1]), 40, 64)
    before = places_of(cache)
    first = cache.keys[:, 0].clone()
    for text in texts[2:]:
        cache.join(one_row(network, text), 40, 64)
    assert places_of(cache) == before and torch.equal(cache.keys[:, 0, :, : first.size(2)], first)
    cache.keep([0, 3, 2])  # the last one takes the place of the second
    cache.keep([0, 1])
    assert places_of(cache) == before and cache.starts_B.tolist() == [0, 1]
    longer = [[15, 16, 17, 18, 19, 20, 21, 22, 23], texts[1]]
    for text in longer:
        cache.join(one_row(network, text), 40, 64)
    assert places_of(cache) == before
    rows = [texts[0], texts[3], *longer]
    assert (cache.length, cache.starts_B.tolist()) == (9, [4, 5, 0, 7])
    logits = network(torch.tensor([[5], [6], [7], [8]]), cache=cache)[:, -1]
    alone = [network(torch.tensor([[*row, new]]))[0, -1] for row, new in zip(rows, (5, 6, 7, 8), strict=True)]
    torch.testing.assert_close(logits, torch.stack(alone), **ERROR)


@torch.no_grad()
def test_making_everything_anew_gets_rarer_the_more_rows_and_the_longer_they_are() -> None:
    network = lively(MODERN)
    cache = one_row(network, [1], 4)
    moves = 0
    for number in range(2, 33):
        before = places_of(cache)
        cache.join(one_row(network, [number % 90] * number), 80, 64)
        moves += places_of(cache) != before
    assert len(cache.starts_B) == 32 and cache.length == 32
    assert moves <= 10


@torch.no_grad()
def test_room_is_made_behind_and_what_is_shown_stays() -> None:
    network = lively(MODERN)
    cache = one_row(network, [1, 2, 3], 3)
    cache.join(one_row(network, [4, 5], 2), 4, 64)
    shown = cache.keys[..., : cache.length, :].clone()
    cache.make_room(9)
    assert (cache.slots, cache.length) == (9, 3)
    assert torch.equal(cache.keys[..., :3, :], shown)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="a system that does not say how much memory is taken")
def test_room_that_nobody_uses_takes_no_memory() -> None:
    def taken() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    before = taken()
    cache = KVCache(MODERN, 64, 20_000)
    assert cache.keys.nbytes + cache.values.nbytes > 500_000_000
    cache.keys[:, :2, :, :30] = 1.0
    assert taken() - before < 100_000_000
    assert float(cache.keys[:, 2:, :, :30].abs().sum()) == 0
