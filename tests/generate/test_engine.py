import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generate.conftest import (
    LAYOUTS,
    as_transformers,
    fifty_prompts,
    their_answers,
    tiny_decoder,
    tiny_pair,
    tiny_recurrent,
    tiny_regression,
)

from hanmo.base.errors import ModelError, UsageError
from hanmo.generate.continuation import Generation
from hanmo.generate.engine import generate, stream
from hanmo.generate.options import SamplingOptions
from hanmo.generate.scheduler import ROWS
from hanmo.model.config import NgramConfig
from hanmo.model.ngram import Ngram
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer

TEXTS = ["the cat sat on the mat and the dog sat on the log", "山上有一只猫，猫在看月亮。", "a naïve café — 🙂 smiles"] * 3
TOKENIZER: Tokenizer = train_tokenizer(TEXTS, TokenizerConfig(kind="bpe", vocab_size=300))
V = TOKENIZER.vocab_size
DOCUMENTS = [np.array([TOKENIZER.eot_id, *TOKENIZER.encode(text)]) for text in TEXTS]
NETWORKS = {
    "decoder": tiny_decoder(V, 24),
    "gpt2": tiny_decoder(V, 24, "gpt2"),
    "t5": tiny_pair(V, "t5"),
    "marian": tiny_pair(V, "marian"),
    "recurrent": tiny_recurrent(V),
    "softmax regression": tiny_regression(V),
    "n-gram": Ngram.fit_sequences(
        [np.array([TOKENIZER.eot_id, *TOKENIZER.encode(text)]) for text in TEXTS], NgramConfig(vocab_size=V, order=3)
    ),
}
PROMPTS = ["", "the cat", "猫", "on the mat and the", "🙂 a", "t"]

any_options = st.builds(
    SamplingOptions,
    max_tokens=st.integers(1, 30),
    temperature=st.floats(0.3, 2.0),
    top_k=st.integers(0, 50),
    top_p=st.floats(0.3, 1.0),
    min_p=st.sampled_from([0.0, 0.05]),
    repetition_penalty=st.sampled_from([1.0, 1.2]),
    frequency_penalty=st.sampled_from([0.0, 0.5]),
    no_repeat_ngram_size=st.integers(0, 3),
    greedy=st.booleans(),
    seed=st.integers(0, 2**64 - 1),
    num_return_sequences=st.integers(1, 2),
    stop=st.sampled_from([(), ("e",), ("猫", " the")]),
    overflow=st.sampled_from(["slide", "stop"]),
    presence_penalty=st.sampled_from([0.0, 0.3]),
    typical_p=st.sampled_from([1.0, 0.9]),
    dry_multiplier=st.sampled_from([0.0, 0.8]),
    bad_words=st.sampled_from([(), ("a",)]),
    logprobs=st.just(True),
    top_logprobs=st.integers(0, 2),
)
some_prompts = st.lists(st.sampled_from(PROMPTS), min_size=1, max_size=4)
law = settings(max_examples=20, deadline=None, derandomize=True)  # rounding may move a draw once in a million: the same cases each time


def same(some: list[Generation], others: list[Generation]) -> bool:
    close = all(np.allclose(a.logprobs or [], b.logprobs or [], atol=1e-3) for a, b in zip(some, others, strict=True))
    bare = [[dataclasses.replace(each, logprobs=None, top_logprobs=None) for each in group] for group in (some, others)]
    return close and bare[0] == bare[1]


@pytest.mark.parametrize("name", NETWORKS)
@law
@given(options=any_options, prompts=some_prompts)
def test_with_the_cache_as_without(name: str, options: SamplingOptions, prompts: list[str]) -> None:
    with_cache, without = (generate(NETWORKS[name], TOKENIZER, prompts, options, cache=cache) for cache in (True, False))
    assert same(with_cache, without)


@pytest.mark.parametrize("name", NETWORKS)
@law
@given(options=any_options, prompts=some_prompts)
def test_a_seed_gives_the_same_text_whatever_shares_the_batch(name: str, options: SamplingOptions, prompts: list[str]) -> None:
    together = generate(NETWORKS[name], TOKENIZER, prompts, options)
    alone = [each for prompt in prompts for each in generate(NETWORKS[name], TOKENIZER, [prompt], options)]
    assert same(together, alone)


@pytest.mark.parametrize("name", NETWORKS)
@law
@given(options=any_options, prompts=some_prompts)
def test_streamed_as_whole(name: str, options: SamplingOptions, prompts: list[str]) -> None:
    heard: dict[int, str] = {}
    made = generate(
        NETWORKS[name], TOKENIZER, prompts, options, on_text=lambda number, piece: heard.update({number: heard.get(number, "") + piece})
    )
    assert [heard.get(number, "") for number in range(len(made))] == [each.text for each in made]


@law
@given(options=any_options, prompts=some_prompts)
def test_every_text_is_whole_characters_of_its_ids_up_to_the_stop(options: SamplingOptions, prompts: list[str]) -> None:
    for each in generate(NETWORKS["decoder"], TOKENIZER, prompts, options):
        assert TOKENIZER.decode(np.array(each.ids, np.int32)).startswith(each.text)
        assert not any(stop in each.text for stop in options.stop)
        if each.finish_reason == "length" and options.overflow == "slide":
            assert len(each.ids) == options.max_tokens
        assert TOKENIZER.eot_id not in each.ids
        assert len(each.logprobs or []) == len(each.ids)


def test_several_sequences_differ_and_the_first_is_that_of_one() -> None:
    options = SamplingOptions(seed=4, max_tokens=12, num_return_sequences=3)
    three = generate(NETWORKS["decoder"], TOKENIZER, ["the cat"], options)
    one = generate(NETWORKS["decoder"], TOKENIZER, ["the cat"], dataclasses.replace(options, num_return_sequences=1))
    assert len({each.text for each in three}) == 3
    assert three[0] == one[0]


def test_without_a_seed_each_call_differs_and_names_the_seed_that_repeats_it() -> None:
    options = SamplingOptions(max_tokens=12)
    first, second = (generate(NETWORKS["decoder"], TOKENIZER, ["a"], options)[0] for _ in range(2))
    assert first.seed != second.seed
    assert generate(NETWORKS["decoder"], TOKENIZER, ["a"], dataclasses.replace(options, seed=first.seed))[0] == first


def test_more_sequences_than_fit_a_batch_come_in_order() -> None:
    prompts = [f"{number} the" for number in range(ROWS + 3)]
    options = SamplingOptions(seed=1, max_tokens=3)
    made = generate(NETWORKS["n-gram"], TOKENIZER, prompts, options)
    assert [each.prompt for each in made] == prompts
    assert made[-1] == generate(NETWORKS["n-gram"], TOKENIZER, prompts[-1:], options)[0]


def test_logprobs_are_those_of_the_model_before_any_option() -> None:
    options = SamplingOptions(seed=2, max_tokens=8, temperature=0.4, top_k=3, logprobs=True)
    made = generate(NETWORKS["decoder"], TOKENIZER, ["the"], options)[0]
    ids = [TOKENIZER.eot_id, *TOKENIZER.encode("the").tolist(), *made.ids]
    network = tiny_decoder(V, 24)
    with torch.no_grad():
        expected = network(torch.tensor([ids[:-1]]))[0].log_softmax(-1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
    assert made.logprobs == pytest.approx(expected[-len(made.ids) :].tolist(), abs=1e-4)
    assert generate(NETWORKS["decoder"], TOKENIZER, ["the"], SamplingOptions(seed=2, max_tokens=8))[0].logprobs is None


def test_top_logprobs_are_the_likeliest_under_the_model_likeliest_first() -> None:
    options = SamplingOptions(seed=2, max_tokens=8, temperature=0.4, logprobs=True, top_logprobs=3)
    made = generate(NETWORKS["decoder"], TOKENIZER, ["the"], options)[0]
    ids = [TOKENIZER.eot_id, *TOKENIZER.encode("the").tolist(), *made.ids]
    with torch.no_grad():
        expected = tiny_decoder(V, 24)(torch.tensor([ids[:-1]]))[0, -len(made.ids) :].log_softmax(-1).topk(3)
    assert made.top_logprobs is not None
    assert [list(each) for each in made.top_logprobs] == expected.indices.tolist()
    assert [list(each.values()) for each in made.top_logprobs] == [pytest.approx(row, abs=1e-4) for row in expected.values.tolist()]
    with_most = generate(NETWORKS["decoder"], TOKENIZER, ["the"], dataclasses.replace(options, greedy=True))[0]
    assert [next(iter(top)) for top in with_most.top_logprobs or []] == with_most.ids


def test_what_the_user_forbids_does_not_come() -> None:
    options = SamplingOptions(max_tokens=60, seed=1, bad_words=("e", "t"), logit_bias={70: float("-inf"), 71: 100.0})
    made = generate(NETWORKS["n-gram"], TOKENIZER, ["the"], options)[0]
    forbidden = {int(TOKENIZER.encode(word)[0]) for word in ("e", "t")}
    assert not forbidden & set(made.ids)
    assert set(made.ids) == {71}


def test_searches_go_through_the_same_door() -> None:
    beams = SamplingOptions(max_tokens=9, num_beams=4, num_return_sequences=3)
    made = generate(NETWORKS["decoder"], TOKENIZER, ["the", "猫"], beams)
    assert [each.prompt for each in made] == ["the"] * 3 + ["猫"] * 3
    scores = [each.score or 0 for each in made]
    assert scores[:3] == sorted(scores[:3], reverse=True)
    heard: list[tuple[int, str]] = []
    contrastive = SamplingOptions(max_tokens=9, penalty_alpha=0.6, top_k=3)
    (one,) = generate(NETWORKS["recurrent"], TOKENIZER, ["the"], contrastive, on_text=lambda *piece: heard.append(piece))
    assert "".join(piece for _, piece in heard) == one.text


def test_the_model_may_end_the_text() -> None:
    ending = tiny_decoder(V, 24)
    with torch.no_grad():
        ending.embed_tokens.weight.zero_()
    for end_ids in ((), (0, 1, 2)):
        made = generate(ending, TOKENIZER, ["the"], SamplingOptions(max_tokens=2000, seed=0), end_ids=end_ids)[0]
        assert made.finish_reason == "eot"
        assert not {TOKENIZER.eot_id, *end_ids} & set(made.ids)


def test_a_full_context_slides_or_stops() -> None:
    options = SamplingOptions(max_tokens=60, greedy=True)
    sliding = generate(NETWORKS["decoder"], TOKENIZER, ["the cat"], options)[0]
    stopped = generate(NETWORKS["decoder"], TOKENIZER, ["the cat"], dataclasses.replace(options, overflow="stop"))[0]
    opening = 1 + len(TOKENIZER.encode("the cat"))
    assert (len(sliding.ids), sliding.finish_reason) == (60, "length")
    assert (len(stopped.ids), stopped.finish_reason) == (24 - opening, "length")
    assert sliding.ids[: len(stopped.ids)] == stopped.ids


def test_a_prompt_that_does_not_fit_is_one_line_with_both_numbers() -> None:
    for overflow, room in (("slide", 24), ("stop", 23)):
        options = SamplingOptions(max_tokens=1, overflow=overflow, seed=0)  # pyright: ignore[reportArgumentType]
        fitting = TOKENIZER.decode(TOKENIZER.encode("z" * 100)[: room - 1])
        assert generate(NETWORKS["decoder"], TOKENIZER, [fitting], options)
        with pytest.raises(UsageError, match=rf"has {room + 1} tokens .* takes at most {room}: shorten it"):
            generate(NETWORKS["decoder"], TOKENIZER, [fitting + "z"], options)
    generate(NETWORKS["recurrent"], TOKENIZER, ["z" * 300], SamplingOptions(max_tokens=1))


def test_no_tokens_asked_for_are_no_tokens() -> None:
    made = generate(NETWORKS["decoder"], TOKENIZER, ["the"], SamplingOptions(max_tokens=0))[0]
    assert (made.text, made.ids, made.finish_reason) == ("", [], "length")
    assert generate(NETWORKS["decoder"], TOKENIZER, [], SamplingOptions()) == []


def test_rows_of_the_embedding_without_a_token_are_never_drawn() -> None:
    wide = tiny_decoder(V + 500, 24)
    made = generate(wide, TOKENIZER, ["the", "a"], SamplingOptions(max_tokens=40, temperature=5.0, seed=1))
    assert max(max(each.ids) for each in made) < V


def test_weights_that_are_not_numbers_are_one_line() -> None:
    broken = tiny_decoder(V, 24)
    with torch.no_grad():
        broken.final_norm.weight.fill_(float("nan"))  # pyright: ignore[reportCallIssue]
    with pytest.raises(ModelError, match="not numbers"):
        generate(broken, TOKENIZER, ["the"], SamplingOptions())


def test_a_stream_may_be_left_in_the_middle() -> None:
    events = stream(NETWORKS["decoder"], TOKENIZER, ["the"], SamplingOptions(max_tokens=20, seed=0))
    assert next(events)[0] == 0
    events.close()


def test_a_longer_text_only_adds_to_a_shorter_one() -> None:
    made = [generate(NETWORKS["gpt2"], TOKENIZER, ["猫"], SamplingOptions(max_tokens=size, seed=9))[0] for size in (5, 20, 50)]
    assert all(longer.ids[: len(shorter.ids)] == shorter.ids for shorter, longer in pairwise(made))


@pytest.mark.parametrize("name", LAYOUTS)
def test_greedy_text_is_that_of_transformers_on_fifty_prompts(name: str, tmp_path: Path) -> None:
    network = tiny_decoder(V, 64, LAYOUTS[name])
    theirs = as_transformers(network, TOKENIZER, tmp_path, name)
    prompts = fifty_prompts()
    rows = [[TOKENIZER.eot_id, *TOKENIZER.encode(prompt).tolist()] for prompt in prompts]
    ends = [TOKENIZER.eot_id, *range(50, 60)]
    for changes in (
        {},
        {"repetition_penalty": 1.3},
        {"no_repeat_ngram_size": 2, "min_new_tokens": 6},
        {"min_length": 15, "repetition_penalty": 0.9},
    ):
        ours = {{"min_new_tokens": "min_tokens"}.get(key, key): value for key, value in changes.items()}
        options = SamplingOptions(max_tokens=20, greedy=True, **ours)  # pyright: ignore[reportArgumentType]
        made = generate(network, TOKENIZER, prompts, options, end_ids=ends)
        assert [each.ids for each in made] == their_answers(theirs, rows, ends, max_new_tokens=20, **changes)[0]


def test_the_prompt_decides_on_the_space_before_the_first_word(tmp_path: Path) -> None:
    """A tokenizer from elsewhere that puts spaces back by rule writes none at the beginning of a text."""
    pieces = ["[UNK]", "[CLS]", "the", "cat"]
    backend = tokenizers.Tokenizer(tokenizers.models.WordPiece({piece: id for id, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    backend.decoder = tokenizers.decoders.WordPiece()
    backend.add_special_tokens(["[CLS]"])
    backend.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": "[CLS]"}')
    bigrams = Ngram.fit_sequences([np.array([1, 2, 3, 1])] * 9, NgramConfig(vocab_size=4, order=3))
    (made,) = generate(bigrams, Tokenizer.load(tmp_path), ["the"], SamplingOptions(greedy=True, max_tokens=1))
    assert made.text == " cat"
