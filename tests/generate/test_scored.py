import math

import pytest
import torch
from tests.generate.conftest import tiny_pair
from tests.generate.test_engine import NETWORKS, TOKENIZER, V

from hanmo.base.errors import UsageError
from hanmo.generate.engine import generate
from hanmo.generate.options import SamplingOptions
from hanmo.generate.scored import Score, prompt_logprobs
from hanmo.generate.worker import Worker
from hanmo.model.encoder_decoder import EncoderDecoder
from hanmo.model.quantized import QuantizedDecoder

PROMPT = "the cat sat"
ASKED = SamplingOptions(max_tokens=6, seed=3, logprobs=True, prompt_logprobs=True, top_logprobs=2)


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if not isinstance(network, EncoderDecoder)])
def test_a_text_read_as_a_prompt_is_as_likely_as_it_was_when_drawn(name: str) -> None:
    network = NETWORKS[name]
    (made,) = generate(network, TOKENIZER, [PROMPT], ASKED)
    assert made.prompt_ids is not None and made.prompt_logprobs is not None and made.logprobs is not None
    assert made.prompt_top_logprobs is not None and made.top_logprobs is not None
    assert len(made.prompt_logprobs) == len(made.prompt_top_logprobs) == len(made.prompt_ids) - 1
    again = prompt_logprobs(network, [*made.prompt_ids, *made.ids], 2)
    close = {"abs": 5e-2 if isinstance(network, QuantizedDecoder) else 1e-4}
    assert [each.logprob for each in again] == pytest.approx([*made.prompt_logprobs, *made.logprobs], **close)
    assert [each.token for each in again] == [*made.prompt_ids[1:], *made.ids]
    tops = [*made.prompt_top_logprobs, *made.top_logprobs]
    assert [list((each.top or {}).values()) for each in again] == [pytest.approx(list(top.values()), **close) for top in tops]


def test_what_is_told_of_a_prompt_changes_nothing_that_is_drawn() -> None:
    (told,) = generate(NETWORKS["decoder"], TOKENIZER, [PROMPT], ASKED)
    (plain,) = generate(NETWORKS["decoder"], TOKENIZER, [PROMPT], SamplingOptions(max_tokens=6, seed=3, logprobs=True, top_logprobs=2))
    assert (told.ids, told.text, told.logprobs, told.top_logprobs) == (plain.ids, plain.text, plain.logprobs, plain.top_logprobs)
    assert plain.prompt_logprobs is None and plain.prompt_ids is None


def test_the_likeliest_may_be_asked_for_of_the_prompt_alone() -> None:
    (made,) = generate(NETWORKS["decoder"], TOKENIZER, [PROMPT], SamplingOptions(max_tokens=3, prompt_logprobs=True, top_logprobs=2))
    assert made.logprobs is None and made.top_logprobs is None
    assert [len(top) for top in made.prompt_top_logprobs or []] == [2] * len(made.prompt_logprobs or [0])


def test_without_tokens_to_draw_only_the_prompt_is_told_alone_in_a_batch_and_from_a_worker() -> None:
    nothing = SamplingOptions(max_tokens=0, seed=3, prompt_logprobs=True)
    made = generate(NETWORKS["decoder"], TOKENIZER, [PROMPT, "a", ""], nothing)
    assert [(each.text, each.finish_reason, each.logprobs) for each in made] == [("", "length", None)] * 3
    assert made[2].prompt_logprobs == [] and made[2].prompt_ids == [TOKENIZER.eot_id]
    worker = Worker(NETWORKS["decoder"], TOKENIZER)
    ticket = worker.submit(PROMPT, nothing)
    events = list(ticket)
    assert ticket.generations() == made[:1] and [each.finish_reason for each in events] == ["length"]
    worker.close()


@pytest.mark.parametrize("method", [{"num_beams": 2}, {"penalty_alpha": 0.5, "top_k": 3}, {"speculate": 2}])
def test_searches_tell_the_prompt_too(method: dict[str, int]) -> None:
    made = generate(NETWORKS["decoder"], TOKENIZER, [PROMPT], SamplingOptions(max_tokens=4, prompt_logprobs=True, **method))  # pyright: ignore[reportArgumentType]
    (plain,) = generate(NETWORKS["decoder"], TOKENIZER, [PROMPT], SamplingOptions(max_tokens=0, prompt_logprobs=True))
    assert made[0].prompt_logprobs == plain.prompt_logprobs


def test_what_an_encoder_reads_has_no_log_probabilities() -> None:
    with pytest.raises(UsageError, match="an encoder-decoder only reads its prompt"):
        generate(tiny_pair(V, "t5"), TOKENIZER, [PROMPT], ASKED)


def test_a_long_prompt_is_told_in_parts_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [int(id) for id in torch.randint(V, (19,))]
    whole = prompt_logprobs(NETWORKS["decoder"], ids, 1)
    monkeypatch.setattr("hanmo.generate.scored.AT_ONCE", 4)
    parts = prompt_logprobs(NETWORKS["decoder"], ids, 1)
    assert [each.token for each in parts] == ids[1:] == [each.token for each in whole]
    assert [each.logprob for each in parts] == pytest.approx([each.logprob for each in whole], abs=1e-5)


def test_bits_per_byte_of_nothing_is_no_number() -> None:
    assert math.isnan(Score(bits=0.0, bytes=0, ids=[], logprobs=[]).bits_per_byte)
    assert Score(bits=16.0, bytes=4, ids=[1], logprobs=[-1.0]).bits_per_byte == 4
