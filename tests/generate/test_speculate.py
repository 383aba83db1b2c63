import dataclasses
import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generate.conftest import tiny_decoder, tiny_recurrent
from tests.generate.test_engine import NETWORKS, PROMPTS, TOKENIZER, V, any_options, same

from hanmo.base.errors import UsageError
from hanmo.generate.continuation import Continuation
from hanmo.generate.engine import continuations, generate, limits_of
from hanmo.generate.options import SamplingOptions
from hanmo.generate.speculate import PRICES, AcceptanceCounts, Draft, Lookup, Price, price_of, speculate
from hanmo.model.config import NgramConfig
from hanmo.model.decoder import Decoder
from hanmo.model.ngram import Ngram
from hanmo.model.quantized import QuantizedDecoder, quantized
from hanmo.model.rounding import Bits
from hanmo.model.store import Model

BITS: tuple[Bits, ...] = ("int4", "int8", "bfloat16")
DRAFTS = {
    "none": None,
    "another decoder": tiny_decoder(V, 40, "gpt2"),
    "the network itself": NETWORKS["decoder"],
    "n-gram": NETWORKS["n-gram"],
    "softmax regression": NETWORKS["softmax regression"],
}


@pytest.mark.parametrize("name", DRAFTS)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(options=any_options, prompt=st.sampled_from(PROMPTS), ahead=st.integers(1, 6))
def test_the_text_is_that_of_plain_decoding(name: str, options: SamplingOptions, prompt: str, ahead: int) -> None:
    """Drawn or greedy, through penalties, stop strings, slides: guesses only save passes."""
    plain = generate(NETWORKS["decoder"], TOKENIZER, [prompt], options)
    guessing = generate(NETWORKS["decoder"], TOKENIZER, [prompt], dataclasses.replace(options, speculate=ahead), draft=DRAFTS[name])
    assert same(plain, guessing)


def counted(network: Model, guesser: Draft | Lookup, options: SamplingOptions, prompt: str) -> tuple[list[int], AcceptanceCounts]:
    one = continuations(network, prompt, options.seed or 0, TOKENIZER, limits_of(network, TOKENIZER, options))[0]
    counts = AcceptanceCounts()
    list(speculate(network, one, guesser, V, counts))
    return one.ids, counts


def test_a_perfect_draft_is_always_accepted() -> None:
    network = tiny_decoder(V, 64)
    options = SamplingOptions(max_tokens=40, seed=5, speculate=4, logit_bias={TOKENIZER.eot_id: float("-inf")})
    ids, counts = counted(network, Draft(network, V, 40), options, "the cat")
    assert len(ids) == 40
    assert counts.accepted == counts.guessed
    assert counts.passes == 9  # the prompt's own token, then five at a time, the last pass shorter


def test_a_text_that_repeats_itself_is_guessed_from_itself() -> None:
    """Greedy text of random weights soon goes round in a circle."""
    ids, counts = counted(tiny_decoder(V, 64), Lookup(), SamplingOptions(max_tokens=40, greedy=True, speculate=5, seed=0), "the")
    assert counts.accepted > 0
    assert counts.passes + counts.accepted == len(ids)
    one = continuations(
        NETWORKS["decoder"], "the cat sat on the mat the cat", 0, TOKENIZER, limits_of(NETWORKS["decoder"], TOKENIZER, SamplingOptions())
    )[0]
    assert TOKENIZER.decode(Lookup().guess(one, 4)).startswith(" s")


FREE = Price(0.0, 0.0)


def test_lookup_takes_the_longest_end_and_of_its_places_the_last() -> None:
    """A copy that reaches the end goes on with itself."""
    limits = limits_of(NETWORKS["decoder"], TOKENIZER, SamplingOptions())
    one = continuations(NETWORKS["decoder"], "", 0, TOKENIZER, limits)[0]
    for ids, expected in (([1, 2, 3, 7, 2, 3, 8, 9, 2, 3], [8, 9, 2]), ([5, 1, 5, 2, 5], [2, 5, 2]), ([1, 2, 3], []), ([4, 4], [4] * 3)):
        one.prompt_ids = ids
        assert list(Lookup(FREE).guess(one, 3)) == expected


def test_lookup_guesses_as_far_as_it_pays_and_learns_from_what_came() -> None:
    """Short copies are trusted for little, long ones for more; after guesses that did not come, for nothing."""
    one = continuations(NETWORKS["decoder"], "", 0, TOKENIZER, limits_of(NETWORKS["decoder"], TOKENIZER, SamplingOptions()))[0]
    price = Price(0.0, 0.25)
    counts = []
    for size in (1, 4, 12):
        one.prompt_ids = [*range(100, 100 + size), *range(1, 30), 200, *range(100, 100 + size)]
        counts.append(len(Lookup(price).guess(one, 16)))
    assert 0 < counts[0] < counts[1] < counts[2] < 16
    assert not Lookup(Price(1.0, 0.25)).guess(_with_row(one, [5, 1, 2, 5]), 16)
    assert len(Lookup(Price(-0.75, 0.25)).guess(_with_row(one, [5, 1, 2, 5]), 16)) >= 3, "three that cost nothing are always worth it"
    lookup, row, tried = Lookup(price), [7, 1], []
    for other in range(20, 40):
        row += [7]
        tried.append(len(lookup.guess(_with_row(one, row), 16)))
        row += [other]
    assert tried[0] > 0
    assert tried[-1] == 0


def _with_row(one: Continuation, row: list[int]) -> Continuation:
    one.prompt_ids = list(row)
    return one


def test_drawn_shares_are_the_models_own_whatever_the_draft_guesses() -> None:
    """Chi-square of the second and third token, which guesses decide about, against exact probabilities: five tokens, 500 seeds."""
    five = [0, 65, 66, 67, 68]
    only = {token: float("-inf") for token in range(V) if token not in five}
    network, draft = tiny_decoder(V, 40), tiny_decoder(V, 40, "gpt2")
    options = SamplingOptions(max_tokens=3, speculate=2, temperature=2.0, logit_bias=only)
    limits = limits_of(network, TOKENIZER, options)
    limits = type(limits)(options, limits.context, dataclasses.replace(limits.words, end_ids=()))
    seen: Counter[tuple[int, ...]] = Counter()
    draws, accepted = 500, 0
    for seed in range(draws):
        one, counts = continuations(network, "the", seed, TOKENIZER, limits)[0], AcceptanceCounts()
        list(speculate(network, one, Draft(draft, V, 3), V, counts))
        seen[tuple(one.ids[1:])] += 1
        accepted += counts.accepted
    expected: Counter[tuple[int, ...]] = Counter()
    start = [TOKENIZER.eot_id, *TOKENIZER.encode("the").tolist()]
    texts = [(a, b, c) for a in five for b in five for c in five]
    with torch.no_grad():
        logits = network(torch.tensor([[*start, *text[:2]] for text in texts]))[:, -3:][..., five] / 2
    for text, log_probs in zip(texts, logits.log_softmax(-1), strict=True):
        expected[text[1:]] += float(log_probs[range(3), [five.index(each) for each in text]].sum().exp()) * draws  # pyright: ignore[reportArgumentType]
    chi_square = sum((seen[pair] - wanted) ** 2 / wanted for pair, wanted in expected.items())
    assert chi_square < 24 + 4 * (2 * 24) ** 0.5
    assert 0 < accepted < draws


def test_a_form_holds_with_guesses_too() -> None:
    pytest.importorskip("llguidance")
    schema = json.dumps({"type": "array", "items": {"enum": ["the cat", "the mat"]}, "minItems": 4, "maxItems": 6})
    options = SamplingOptions(max_tokens=200, json_schema=schema, seed=4)
    for draft in (None, DRAFTS["another decoder"]):
        plain = generate(NETWORKS["decoder"], TOKENIZER, ["the"], options)
        guessing = generate(NETWORKS["decoder"], TOKENIZER, ["the"], dataclasses.replace(options, speculate=4), draft=draft)
        assert plain == guessing
        assert 4 <= len(json.loads(plain[0].text)) <= 6


def test_networks_that_cannot_read_ahead_or_take_back_are_one_line() -> None:
    options = SamplingOptions(speculate=3, max_tokens=4)
    for network in (NETWORKS["recurrent"], NETWORKS["n-gram"]):
        with pytest.raises(UsageError, match="only a decoder can"):
            generate(network, TOKENIZER, ["the"], options)
    with pytest.raises(UsageError, match="draft with a decoder"):
        generate(NETWORKS["decoder"], TOKENIZER, ["the"], options, draft=tiny_recurrent(V))


def test_an_n_gram_model_drafts_what_it_has_seen() -> None:
    counts = Ngram.fit_sequences([np.array([TOKENIZER.eot_id, 5, 6, 7, 8])] * 5, NgramConfig(vocab_size=V, order=3))
    one = continuations(counts, "", 0, TOKENIZER, limits_of(counts, TOKENIZER, SamplingOptions(greedy=True)))[0]
    draft = Draft(counts, V, 10)
    assert draft.guess(one, 3) == [5, 6, 7]
    one.imagine(9)
    assert len(draft.guess(one, 2)) == 2


def test_the_price_is_that_of_the_weights_bits_and_in_few_bits_the_text_is_that_of_plain_decoding_too() -> None:
    big = Decoder(dataclasses.replace(tiny_decoder(V, 64).config, hidden_size=64, num_attention_heads=2, intermediate_size=64)).eval()
    assert price_of(big) == PRICES[None]
    for bits in BITS:
        network = quantized(big, bits)
        assert price_of(network) == PRICES[bits if isinstance(network, QuantizedDecoder) else None]
        for options in (SamplingOptions(max_tokens=40, greedy=True, seed=1), SamplingOptions(max_tokens=40, temperature=0.3, seed=2)):
            plain = generate(network, TOKENIZER, ["the cat sat on the cat sat"], options)
            assert generate(network, TOKENIZER, ["the cat sat on the cat sat"], dataclasses.replace(options, speculate=7)) == plain
