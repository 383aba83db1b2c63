import dataclasses
import math

import pytest

from hanmo.base.config import build, to_table
from hanmo.base.errors import ConfigError, ModelError
from hanmo.generate.options import (
    ANSWER_TOKENS,
    CALM,
    GROUPS,
    SamplingOptions,
    SearchOptions,
    changed,
    for_answers,
    from_generation_config,
    gathered,
    not_done,
    parts_of,
    yielding,
)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature", 0.0, r"temperature \(=0.0\) should be above 0; .*greedy"),
        ("temperature", -1.0, "temperature"),
        ("temperature", float("nan"), "temperature"),
        ("temperature", float("inf"), "finite"),
        ("max_tokens", -1, "max_tokens"),
        ("top_k", -1, "top_k"),
        ("top_p", 0.0, "top_p"),
        ("top_p", 1.1, "top_p"),
        ("min_p", 1.1, "min_p"),
        ("repetition_penalty", 0.0, "repetition_penalty"),
        ("frequency_penalty", float("nan"), "frequency_penalty"),
        ("no_repeat_ngram_size", -1, "no_repeat_ngram_size"),
        ("num_return_sequences", 0, "num_return_sequences"),
        ("seed", -1, "seed"),
        ("seed", 2**64, "seed"),
        ("stop", ("",), "not empty"),
        ("bad_words", ("",), "not empty"),
        ("typical_p", 0.0, "typical_p"),
        ("epsilon_cutoff", 1.5, "epsilon_cutoff"),
        ("eta_cutoff", -0.1, "eta_cutoff"),
        ("presence_penalty", float("inf"), "finite"),
        ("dry_base", 0.5, "dry_base"),
        ("dry_allowed_length", 0, "dry_allowed_length"),
        ("min_length", -1, "min_length"),
        ("min_tokens", 129, r"min_tokens \(=129\) exceeds max_tokens \(=128\): lower it"),
        ("num_beams", 0, "num_beams"),
        ("penalty_alpha", 1.5, "penalty_alpha"),
        ("logit_bias", {3: float("inf")}, "logit_bias"),
        ("logit_bias", {-3: 1.0}, "logit_bias"),
        ("top_logprobs", 3, "ask for those as well"),
    ],
)
def test_a_value_that_cannot_be_is_one_line(name: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        SamplingOptions(**{name: value})  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_beams": 4, "penalty_alpha": 0.6, "top_k": 4}, "two searches"),
        ({"num_beams": 4, "num_beam_groups": 3, "diversity_penalty": 1.0}, r"num_beam_groups \(=3\) should divide num_beams \(=4\)"),
        ({"num_beams": 4, "num_beam_groups": 2}, "without diversity_penalty are equal"),
        ({"num_beams": 4, "diversity_penalty": 0.5}, "set num_beam_groups to 2 or more"),
        ({"length_penalty": 2.0}, "set num_beams"),
        ({"close_json": 8, "regex": "a+"}, "close_json ends a text under json_schema"),
        ({"early_stopping": True}, "set num_beams"),
        ({"num_beams": 2, "num_return_sequences": 3}, "raise num_beams"),
        ({"penalty_alpha": 0.5, "top_k": 4, "num_return_sequences": 2}, "contrastive search has one text"),
        ({"penalty_alpha": 0.5}, r"top_k \(=0\)"),
        ({"num_beams": 2, "stop": ("a",)}, "leave stop out"),
        ({"num_beams": 2, "logprobs": True}, "leave one out"),
    ],
)
def test_combinations_that_mean_nothing_are_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        SamplingOptions(**values)  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [{}, {"num_beams": 4}, {"penalty_alpha": 0.6, "top_k": 4}])
def test_the_method_follows_from_the_options(values: dict[str, object]) -> None:
    expected = "beams" if "num_beams" in values else "contrastive" if values else "draw"
    assert SamplingOptions(**values).method == expected  # pyright: ignore[reportArgumentType]


def test_options_go_through_toml_and_back() -> None:
    others = (
        SamplingOptions(seed=3, stop=("a", "。"), temperature=0.5, overflow="stop"),
        SamplingOptions(logit_bias={3: -1.5, 70: 2.0}, bad_words=("x",), num_beams=3, early_stopping="never"),
        SamplingOptions(num_beams=2, early_stopping=True),
    )
    for options in (SamplingOptions(), *others):
        assert build(SamplingOptions, to_table(options)) == options


def test_changes_are_checked_by_name_and_type() -> None:
    assert changed(SamplingOptions(seed=1), {"temperature": 1}) == SamplingOptions(seed=1, temperature=1.0)
    assert changed(SamplingOptions(), {"stop": ["x"]}).stop == ("x",)
    with pytest.raises(ConfigError, match="did you mean 'top_k'"):
        changed(SamplingOptions(), {"top_kk": 1})
    with pytest.raises(ConfigError, match="top_k"):
        changed(SamplingOptions(), {"top_k": "many"})


def test_a_models_own_defaults_are_taken_in_hugging_faces_words() -> None:
    values = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "max_new_tokens": 7, "eos_token_id": 1, "top_k": None}
    assert from_generation_config(values) == SamplingOptions(temperature=0.6, top_p=0.9, max_tokens=7)
    assert from_generation_config({"do_sample": False}).greedy
    never = {"suppress_tokens": [1], "bad_words_ids": [[3], [4, 5], [2]], "eos_token_id": 2, "forced_eos_token_id": 2}
    assert from_generation_config(never) == SamplingOptions(logit_bias={3: -math.inf, 1: -math.inf}, forced_eos_token_id=2)
    assert from_generation_config({}) == SamplingOptions()
    assert from_generation_config({"num_beams": 1, "length_penalty": 2.0}) == SamplingOptions()
    beams = {"num_beams": 4, "length_penalty": 2.0, "early_stopping": "never", "min_new_tokens": 3}
    assert from_generation_config(beams) == SamplingOptions(num_beams=4, length_penalty=2.0, early_stopping="never", min_tokens=3)
    assert from_generation_config({"penalty_alpha": 0.6, "top_k": 4}).method == "contrastive"
    with pytest.raises(ModelError, match=r"generation_config.json: temperature \(=nan\)"):
        from_generation_config({"temperature": math.nan})


@pytest.mark.parametrize(
    "values",
    [
        {"top_k": 0},
        {"top_k": -1},
        {"top_k": None, "top_p": None, "temperature": None, "repetition_penalty": None, "do_sample": None, "num_beams": None},
        {"top_p": 1},
        {"top_p": 1.5},
        {"typical_p": 0, "min_p": 0, "epsilon_cutoff": -1.0, "eta_cutoff": 0},
        {"repetition_penalty": 0, "no_repeat_ngram_size": -1, "min_new_tokens": 0, "min_length": -1, "max_new_tokens": -1},
        {"num_beams": 0, "penalty_alpha": 0},
        {"num_beams": 1, "length_penalty": 2.0, "early_stopping": True},
        {"penalty_alpha": 0.6, "top_k": 1, "top_p": 1.0, "do_sample": True} | {"top_k": False, "penalty_alpha": None},
    ],
)
def test_what_other_tools_call_off_is_off(values: dict[str, object]) -> None:
    assert from_generation_config(values) == SamplingOptions()


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0},
        {"temperature": 0.0, "do_sample": True},
        {"temperature": -1},
        {"top_p": 0},
        {"do_sample": False, "top_k": 0, "temperature": None},
        {"do_sample": 0},
    ],
)
def test_what_other_tools_call_greedy_is_greedy(values: dict[str, object]) -> None:
    assert from_generation_config(values) == SamplingOptions(greedy=True)


def test_whole_numbers_may_be_written_with_a_point() -> None:
    assert from_generation_config({"top_k": 20.0, "max_new_tokens": 64.0}) == SamplingOptions(top_k=20, max_tokens=64)
    with pytest.raises(ModelError, match=r"generation_config\.json: .*top_k"):
        from_generation_config({"top_k": 20.5})


def test_contrastive_search_alone_has_the_candidates_of_transformers() -> None:
    assert from_generation_config({"penalty_alpha": 0.6}) == SamplingOptions(penalty_alpha=0.6, top_k=50)


BEAMS = SamplingOptions(num_beams=4, length_penalty=2.0, early_stopping=True, min_tokens=9)
CONTRASTIVE = SamplingOptions(penalty_alpha=0.6, top_k=4)


@pytest.mark.parametrize(
    ("before", "said", "expected"),
    [
        (SamplingOptions(greedy=True), {"temperature": 0.7}, SamplingOptions(temperature=0.7)),
        (SamplingOptions(greedy=True), {"top_k": 5, "greedy": True}, SamplingOptions(top_k=5, greedy=True)),
        (SamplingOptions(greedy=True), {"seed": 3}, SamplingOptions(greedy=True, seed=3)),
        (BEAMS, {"temperature": 0.7}, SamplingOptions(temperature=0.7, min_tokens=9)),
        (BEAMS, {"greedy": True}, SamplingOptions(greedy=True, min_tokens=9)),
        (BEAMS, {"greedy": False}, BEAMS),
        (BEAMS, {"num_beams": 1}, SamplingOptions(min_tokens=9)),
        (BEAMS, {"num_beams": 8}, SamplingOptions(num_beams=8, length_penalty=2.0, early_stopping=True, min_tokens=9)),
        (BEAMS, {"regex": "a+"}, SamplingOptions(regex="a+", min_tokens=9)),
        (BEAMS, {"max_tokens": 5}, SamplingOptions(num_beams=4, length_penalty=2.0, early_stopping=True, min_tokens=5, max_tokens=5)),
        (BEAMS, {"penalty_alpha": 0.6, "top_k": 4}, SamplingOptions(penalty_alpha=0.6, top_k=4, min_tokens=9)),
        (CONTRASTIVE, {"num_beams": 3}, SamplingOptions(num_beams=3, top_k=4)),
        (CONTRASTIVE, {"top_k": 7}, SamplingOptions(penalty_alpha=0.6, top_k=7)),
        (CONTRASTIVE, {"temperature": 0.7}, SamplingOptions(temperature=0.7, top_k=4)),
        (CONTRASTIVE, {"speculate": 5}, SamplingOptions(speculate=5, top_k=4)),
    ],
)
def test_what_is_said_now_wins_over_what_was_said_before(
    before: SamplingOptions, said: dict[str, object], expected: SamplingOptions
) -> None:
    assert changed(before, said) == expected
    words = {name: str(value) for name, value in said.items()}
    assert changed(yielding(before, words), said) == expected


def test_what_we_do_not_do_is_named() -> None:
    values = {"guidance_scale": 1.5, "encoder_repetition_penalty": 1.0, "bad_words_ids": [[3], [4, 5]], "temperature": 2}
    assert not_done(values) == ["bad_words_ids", "guidance_scale"]


def test_groups_hold_every_option_once_and_make_the_whole_again() -> None:
    options = SamplingOptions(max_tokens=7, temperature=0.5, dry_multiplier=0.3, regex="a", num_return_sequences=2, logprobs=True)
    assert gathered(parts_of(options).values()) == options
    names = [each.name for kind in GROUPS.values() for each in dataclasses.fields(kind)]
    assert sorted(names) == sorted(each.name for each in dataclasses.fields(SamplingOptions))
    with pytest.raises(ConfigError, match="set num_beams"):
        gathered([SearchOptions(length_penalty=2.0)])


def test_answers_of_a_folder_that_says_nothing_are_drawn_calmly() -> None:
    silent = for_answers({"eos_token_id": 2, "max_new_tokens": None})
    assert silent == SamplingOptions(max_tokens=ANSWER_TOKENS, **CALM)  # pyright: ignore[reportArgumentType]
    assert for_answers({"temperature": 1.0}) == SamplingOptions(max_tokens=ANSWER_TOKENS)
    assert for_answers({"do_sample": False, "max_new_tokens": 9}) == SamplingOptions(max_tokens=9, greedy=True)
    assert for_answers({"max_new_tokens": -1}).max_tokens == ANSWER_TOKENS
    assert for_answers({"min_new_tokens": 600, "max_new_tokens": 700, "top_k": 3}).max_tokens == 700
