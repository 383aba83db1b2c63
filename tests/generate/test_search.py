from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.generate.conftest import LAYOUTS, as_transformers, fifty_prompts, their_answers, tiny_decoder, tiny_recurrent, tiny_regression

from hanmo.base.errors import UsageError
from hanmo.generate.engine import continuations, generate, limits_of
from hanmo.generate.options import SamplingOptions
from hanmo.generate.reader import make_reader
from hanmo.generate.search import Beam, BeamGroup, beam_search, contrastive_search
from hanmo.model.config import NgramConfig
from hanmo.model.decoder import Decoder
from hanmo.model.ngram import Ngram
from hanmo.model.recurrent import Recurrent
from hanmo.tokenizer.load import Tokenizer
from hanmo.tokenizer.train import TokenizerConfig, train_tokenizer

TEXTS = ["the cat sat on the mat and the dog sat on the log", "山上有一只猫，猫在看月亮。"] * 3
TOKENIZER: Tokenizer = train_tokenizer(TEXTS, TokenizerConfig(kind="bpe", vocab_size=280))
V = TOKENIZER.vocab_size
ENDS = [TOKENIZER.eot_id, *range(100, 115)]
PROMPTS = fifty_prompts()
ROWS = [[TOKENIZER.eot_id, *TOKENIZER.encode(prompt).tolist()] for prompt in PROMPTS]

BEAMS: list[dict[str, Any]] = [
    {"num_beams": 3},
    {"num_beams": 4, "length_penalty": 2.0, "early_stopping": True, "num_return_sequences": 2},
    {"num_beams": 4, "length_penalty": 0.0, "early_stopping": "never", "num_return_sequences": 4},
    {"num_beams": 2, "length_penalty": -1.0, "early_stopping": "never"},
    {"num_beams": 3, "length_penalty": 0.5, "early_stopping": "never", "repetition_penalty": 1.3, "no_repeat_ngram_size": 2},
    {"num_beams": 5, "length_penalty": -0.5, "repetition_penalty": 1.2, "min_new_tokens": 4},
]


@pytest.mark.parametrize("name", LAYOUTS)
def test_beams_are_those_of_transformers_on_fifty_prompts(name: str, tmp_path: Path) -> None:
    network = tiny_decoder(V, 64, LAYOUTS[name])
    theirs = as_transformers(network, TOKENIZER, tmp_path, name)
    reasons = set()
    for changes in BEAMS:
        ours = {{"min_new_tokens": "min_tokens"}.get(key, key): value for key, value in changes.items()}
        made = generate(network, TOKENIZER, PROMPTS, SamplingOptions(max_tokens=12, **ours), end_ids=ENDS)
        ids, scores = their_answers(theirs, ROWS, ENDS, max_new_tokens=12, **changes)
        assert [each.ids for each in made] == ids, changes
        assert [each.score for each in made] == pytest.approx(scores, rel=1e-5)
        reasons |= {each.finish_reason for each in made}
    assert reasons == {"eot", "length"}


def naive_groups(
    network: Decoder, row: Sequence[int], beams: int, groups: int, penalty: float, steps: int
) -> list[tuple[float, list[int]]]:
    """Diverse beam search in plain words: every candidate written out, nothing remembered between steps."""
    running = [[(0.0, list[int]())] for _ in range(groups)]
    finished: list[list[tuple[float, list[int]]]] = [[] for _ in range(groups)]
    over = [False] * groups
    size = beams // groups
    for length in range(1, steps + 1):
        chosen: list[int] = []
        for group in range(groups):
            if over[group]:
                continue
            candidates = []
            for score, ids in running[group]:
                log_probs = network(torch.tensor([[*row, *ids]]))[0, -1].log_softmax(-1).tolist()
                candidates += [(score + log_probs[token] - penalty * chosen.count(token), [*ids, token]) for token in range(V)]
            candidates.sort(key=lambda each: -each[0])
            ended = [each for each in candidates[:size] if each[1][-1] in ENDS or length == steps]
            finished[group] = sorted([*finished[group], *((score / length, ids) for score, ids in ended)], key=lambda each: -each[0])[:size]
            running[group] = [each for each in candidates if each[1][-1] not in ENDS][:size]
            chosen += [ids[-1] for _, ids in running[group]]
            over[group] = len(finished[group]) == size and running[group][0][0] / length <= finished[group][-1][0]
    return sorted((each for group in finished for each in group), key=lambda each: -each[0])


@pytest.mark.parametrize(("beams", "groups", "penalty"), [(4, 2, 0.7), (3, 3, 2.0), (6, 2, 0.3)])
@torch.no_grad()
def test_diverse_beams_are_the_formula(beams: int, groups: int, penalty: float) -> None:
    network = tiny_decoder(V, 64)
    options = SamplingOptions(max_tokens=5, num_beams=beams, num_beam_groups=groups, diversity_penalty=penalty, num_return_sequences=beams)
    for prompt in PROMPTS[:6]:
        one = continuations(network, prompt, 0, TOKENIZER, limits_of(network, TOKENIZER, options, ENDS))[0]
        found = beam_search(make_reader(network, 5), one, V)
        expected = naive_groups(network, one.prompt_ids, beams, groups, penalty, 5)
        assert [list(beam.ids) for beam in found] == [ids for _, ids in expected]
        assert [beam.score for beam in found] == pytest.approx([score for score, _ in expected], abs=1e-4)


def test_groups_begin_differently_where_the_penalty_is_large() -> None:
    options = SamplingOptions(max_tokens=3, num_beams=3, num_beam_groups=3, diversity_penalty=50.0, num_return_sequences=3)
    made = generate(tiny_decoder(V, 64), TOKENIZER, ["the"], options)
    assert len({each.ids[0] for each in made}) == 3


@torch.no_grad()
def naive_contrast(network: Decoder | Recurrent, row: list[int], alpha: float, k: int, steps: int) -> list[int]:
    """Contrastive search in plain words: every candidate is read behind the whole text."""
    for _ in range(steps):
        likely = network(torch.tensor([row]))[0, -1].softmax(-1).topk(k)
        scores = []
        for p, token in zip(likely.values.tolist(), likely.indices.tolist(), strict=True):
            states = network.hidden(torch.tensor([[*row, token]]))[0]
            alike = max(float(torch.cosine_similarity(states[-1], earlier, dim=0)) for earlier in states[:-1])
            scores.append((1 - alpha) * p - alpha * alike)
        row = [*row, likely.indices.tolist()[int(np.argmax(scores))]]
    return row[-steps:]


@pytest.mark.parametrize("network", [*(tiny_decoder(V, 64, kind) for kind in LAYOUTS.values()), tiny_recurrent(V)])
@pytest.mark.parametrize(("alpha", "k"), [(0.6, 4), (0.1, 8), (1.0, 2)])
def test_contrastive_search_is_the_formula(network: Decoder | Recurrent, alpha: float, k: int) -> None:
    options = SamplingOptions(max_tokens=8, penalty_alpha=alpha, top_k=k)
    for prompt, row in list(zip(PROMPTS, ROWS, strict=True))[:5]:
        one = continuations(network, prompt, 0, TOKENIZER, limits_of(network, TOKENIZER, options))[0]
        for chosen in contrastive_search(network, one, V):
            one.take(chosen)
        expected = naive_contrast(network, row, alpha, k, 8)
        assert one.ids == expected[: len(one.ids)]
        assert len(one.ids) == 8 or expected[len(one.ids)] == TOKENIZER.eot_id


def test_contrastive_search_tells_what_the_model_thought() -> None:
    options = SamplingOptions(max_tokens=4, penalty_alpha=0.9, top_k=5, logprobs=True)
    (made,) = generate(tiny_decoder(V, 64), TOKENIZER, ["the"], options)
    ids = [TOKENIZER.eot_id, *TOKENIZER.encode("the").tolist(), *made.ids]
    with torch.no_grad():
        log_probs = tiny_decoder(V, 64)(torch.tensor([ids[:-1]]))[0, -4:].log_softmax(-1)
    assert made.logprobs == pytest.approx(log_probs[range(4), made.ids].tolist(), abs=1e-4)


def test_models_without_hidden_states_cannot_be_contrasted() -> None:
    options = SamplingOptions(penalty_alpha=0.6, top_k=4)
    bigrams = Ngram.fit_sequences([np.array(row) for row in ROWS], NgramConfig(vocab_size=V, order=2))
    for network in (tiny_regression(V), bigrams):
        with pytest.raises(UsageError, match="hidden states"):
            generate(network, TOKENIZER, ["the"], options)
        assert generate(network, TOKENIZER, ["the"], SamplingOptions(num_beams=3, max_tokens=4))[0].score


def test_a_search_ends_where_the_context_ends() -> None:
    network = tiny_decoder(V, 16)
    for options in (SamplingOptions(num_beams=2, max_tokens=50), SamplingOptions(penalty_alpha=0.5, top_k=3, max_tokens=50)):
        (made,) = generate(network, TOKENIZER, ["the"], options)
        assert made.finish_reason == "eot" or len(made.ids) == 16 - 1 - len(TOKENIZER.encode("the"))
    with pytest.raises(UsageError, match="takes at most 15"):
        generate(network, TOKENIZER, ["z" * 16], SamplingOptions(num_beams=2))


def test_one_beam_wider_than_the_vocabulary_says_how_many_texts_there_are() -> None:
    options = SamplingOptions(num_beams=400, num_return_sequences=400, max_tokens=1)
    with pytest.raises(UsageError, match=rf"beams found {V} texts, not num_return_sequences \(=400\)"):
        generate(tiny_decoder(V, 16), TOKENIZER, ["the"], options)


def test_ends_do_not_starve_the_search() -> None:
    """Both best candidates end: they are finished, and two that go on are found behind them."""
    group = BeamGroup(SamplingOptions(num_beams=2, early_stopping="never"), [0, 1], 5)
    group.advance(torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log())
    assert [beam.ids for beam in group.finished] == [(0,), (1,)]
    assert [beam.ids for beam in group.running] == [(2,), (3,)]
    assert isinstance(group.running[0], Beam)
