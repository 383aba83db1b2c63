from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generate.conftest import tiny_decoder, tiny_pair, tiny_recurrent, tiny_regression

from hanmo.generate.reader import CountReader, DecoderReader, FreshReader, PairReader, context_of, make_reader, window_start
from hanmo.model.config import NgramConfig
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.ngram import Ngram

V = 23
NETWORKS = {
    "modern": tiny_decoder(V, 9),
    "gpt2": tiny_decoder(V, 9, "gpt2"),
    "context of one": tiny_decoder(V, 1),
    "context of two": tiny_decoder(V, 2, "gpt2"),
    "recurrent": tiny_recurrent(V),
    "softmax regression": tiny_regression(V),
}

PAIRS = {kind: tiny_pair(V, kind) for kind in ("t5", "marian")}


@given(st.integers(1, 200), st.integers(1, 40))
def test_between_half_a_context_and_a_whole_one_is_seen(length: int, context: int) -> None:
    seen = length - window_start(length, context)
    assert seen <= context
    assert seen >= min(length, context // 2 + 1)


@given(st.integers(1, 40))
def test_the_window_moves_once_in_half_a_context(context: int) -> None:
    starts = [window_start(length, context) for length in range(1, 6 * context)]
    assert starts == sorted(starts)
    assert len(set(starts)) <= 6 * context / (context - context // 2) + 1


rows = st.lists(st.lists(st.integers(0, V - 1), min_size=1, max_size=12), min_size=1, max_size=4)


def longest_fits(name: str, prompts: Sequence[Sequence[int]]) -> list[list[int]]:
    context = context_of(NETWORKS[name])
    return [list(row[:context] if context else row) for row in prompts]


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), prompts=rows)
@torch.inference_mode()
def test_with_memory_as_without_through_slides_and_dropped_rows(name: str, data: st.DataObject, prompts: list[list[int]]) -> None:
    network = NETWORKS[name]
    steps = data.draw(st.integers(1, 25))
    remembering, fresh = make_reader(network, steps), make_reader(network, steps, cache=False)
    assert isinstance(fresh, FreshReader)
    new = longest_fits(name, prompts)
    for step in range(steps):
        assert torch.allclose(remembering.read(new), fresh.read(new), atol=1e-4), step
        if step % 7 == 3:
            kept = data.draw(st.lists(st.integers(0, len(new) - 1), min_size=1, max_size=4))
            remembering.keep(kept)
            fresh.keep(kept)
            new = [new[row] for row in kept]
        new = [[data.draw(st.integers(0, V - 1))] for _ in new]


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=15, deadline=None)
@given(prompts=rows)
@torch.inference_mode()
def test_a_batch_as_each_row_alone(name: str, prompts: list[list[int]]) -> None:
    prompts = longest_fits(name, prompts)
    together = make_reader(NETWORKS[name], 20)
    alone = [make_reader(NETWORKS[name], 20) for _ in prompts]
    new = prompts
    for step in range(20):
        expected = torch.cat([reader.read([row]) for reader, row in zip(alone, new, strict=True)])
        assert torch.allclose(together.read(new), expected, atol=1e-4)
        new = [[(row[-1] * 5 + step) % V] for row in new]


@torch.inference_mode()
def test_several_tokens_at_once_as_one_by_one() -> None:
    for name in ("modern", "gpt2", "recurrent"):
        once, each = make_reader(NETWORKS[name], 5), make_reader(NETWORKS[name], 5)
        once.read([[1, 2], [3, 4]])
        each.read([[1, 2], [3, 4]])
        for column in range(2):
            last = each.read([[[5, 6][column]], [[7, 8][column]]])
        assert torch.allclose(once.read([[5, 6], [7, 8]]), last, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=15, deadline=None)
@given(data=st.data(), prompts=rows)
@torch.inference_mode()
def test_rows_that_join_later_go_on_as_alone(name: str, data: st.DataObject, prompts: list[list[int]]) -> None:
    """Each row joins after some steps of those before it, through slides and with rows dropped in between."""
    prompts = longest_fits(name, prompts)
    together, alone, last = None, [], []
    for prompt in prompts:
        joining, single = make_reader(NETWORKS[name], 3), make_reader(NETWORKS[name], 30)
        assert torch.allclose(joining.read([prompt]), single.read([prompt]), atol=1e-4)
        together = joining if together is None else (together.join(joining), together)[1]  # pyright: ignore[reportArgumentType]
        alone, last = [*alone, single], [*last, prompt[-1]]
        for step in range(data.draw(st.integers(0, 8))):
            last = [(token * 5 + step) % V for token in last]
            expected = torch.cat([reader.read([[token]]) for reader, token in zip(alone, last, strict=True)])
            assert torch.allclose(together.read([[token] for token in last]), expected, atol=1e-4)
        if len(alone) > 1 and data.draw(st.booleans()):
            together.keep(range(1, len(alone)))
            alone, last = alone[1:], last[1:]


@pytest.mark.parametrize("name", ["modern", "gpt2", "softmax regression"])
@torch.inference_mode()
def test_tokens_are_asked_about_together_and_taken_back(name: str) -> None:
    network = NETWORKS[name]
    asked, plain = DecoderReader(network, 2) if name != "softmax regression" else FreshReader(network), make_reader(network, 9, cache=False)  # pyright: ignore[reportArgumentType]
    asked.read([[1, 2]])
    plain.read([[1, 2]])
    guessed = asked.read_each([3, 4, 5])
    expected = torch.cat([plain.read([[token]]) for token in (3, 4, 5)])
    assert torch.allclose(guessed, expected, atol=1e-4)
    asked.forget(2)
    plain = make_reader(network, 9, cache=False)
    assert torch.allclose(asked.read_each([7, 8]), torch.cat([plain.read([[1, 2, 3, 7]]), plain.read([[8]])]), atol=1e-4)
    assert torch.allclose(asked.read([[9]]), plain.read([[9]]), atol=1e-4)


@torch.inference_mode()
def test_a_row_goes_on_from_parts_of_another() -> None:
    network = NETWORKS["modern"]
    first = make_reader(network, 4)
    assert isinstance(first, DecoderReader)
    first.read([[1, 2, 3, 4]])
    second = DecoderReader(network, 1)
    second.resume([1, 2, 3], [first.part(0, 2), first.part(2, 3)])
    assert torch.allclose(second.read([[6, 7]]), make_reader(network, 4, cache=False).read([[1, 2, 3, 6, 7]]), atol=1e-4)


def test_counts_give_log_probabilities() -> None:
    for order in (0, 1, 3):
        model = Ngram.fit_sequences([np.array([0, 1, 2, 1, 2, 3, 1])], NgramConfig(vocab_size=5, order=order))
        reader = make_reader(model, 3)
        assert isinstance(reader, CountReader)
        logits = reader.read([[0, 1], [0]])
        assert torch.allclose(logits.exp().sum(-1), torch.ones(2))
        reader.keep([1, 1, 0])
        again = reader.read([[1], [2], [2]])
        assert torch.allclose(again[0].double(), torch.from_numpy(np.log(model.next_probabilities(np.array([0, 1])))))
        assert context_of(model) is None


@pytest.mark.parametrize("kind", ["t5", "marian"])
@settings(max_examples=25, deadline=None)
@given(data=st.data(), sources=rows)
@torch.inference_mode()
def test_pairs_that_join_at_any_time_and_are_reordered_are_read_as_without_memory(
    kind: str, data: st.DataObject, sources: list[list[int]]
) -> None:
    network = PAIRS[kind]
    readers = [[make_reader(network, 9, source=source, cache=cache) for cache in (True, False)] for source in sources]
    running, fresh = readers.pop(0)
    new, count = [[5]], 1
    for step in range(12):
        assert torch.allclose(running.read(new), fresh.read(new), atol=1e-4), step
        if readers and data.draw(st.booleans()):
            later = readers.pop(0)
            assert torch.allclose(*(each.read([[7, 8]]) for each in later), atol=1e-4)
            running.join(later[0])
            fresh.join(later[1])
            count += 1
        if data.draw(st.booleans()):
            kept = data.draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=4))
            running.keep(kept)
            fresh.keep(kept)
            count = len(kept)
        new = [[data.draw(st.integers(0, V - 1))] for _ in range(count)]


@torch.inference_mode()
def test_what_an_encoder_read_is_read_once_and_beams_of_one_text_leave_it_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    network, calls = PAIRS["t5"], []
    monkeypatch.setattr(EncoderDecoder, "read", lambda self, *given, read=EncoderDecoder.read: calls.append(1) or read(self, *given))
    reader = make_reader(network, 9, source=[3, 4, 5])
    assert isinstance(reader, PairReader)
    reader.read([[1]])
    reader.keep([0, 0, 0])
    assert reader._memory is not None
    keys = reader._memory.source[0][0]
    for _ in range(3):
        reader.read([[2], [3], [4]])
        reader.keep([2, 0, 0])
    assert (len(calls), reader._memory.source[0][0] is keys) == (1, True)
